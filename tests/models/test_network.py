from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fusion.errors import FusionError
from fusion.models.branches import BRANCHES
from fusion.models.network import FusionNet, build_network

N_FEATURES, N_PX = 5, 32
GROUPS = (("age", "number", 1), ("shape", "category", 3))
MODEL = {
    "branches": list(BRANCHES),
    "d_embedding": 8,
    "d_category": 2,
    "dropout": 0.0,
    "branch_dropout": 0.0,
}
BACKBONE = {"library": "timm", "name": "test_resnet", "weights": "none", "options": {}}


def make_network(*, head: str = "gated", **changes: Any) -> FusionNet:
    torch.manual_seed(0)
    inputs: dict[str, Any] = {"n_features": N_FEATURES, "clinical_groups": GROUPS}
    inputs |= {name: changes.pop(name) for name in list(changes) if name in inputs}
    return build_network(
        model=MODEL | changes,
        backbone=BACKBONE,
        head={"name": head, "d_hidden": 6, "dropout": 0.0},
        n_channels=2,
        n_px=N_PX,
        n_labels=2,
        pretrained=False,
        **inputs,
    )


def make_inputs(n_rows: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    image = torch.rand(n_rows, 2, N_PX, N_PX, generator=draw)
    return image, torch.randn(n_rows, N_FEATURES, generator=draw), torch.randn(n_rows, 4, generator=draw)


def some_absent() -> Tensor:
    present = torch.ones(6, 3, dtype=torch.bool)
    present[0, 0] = present[1, 1] = present[2, 2] = False
    present[3] = torch.tensor([False, False, True])
    return present


def statistics(network: FusionNet) -> dict[str, Tensor]:
    return {name: values.clone() for name, values in network.named_buffers()}


@pytest.mark.parametrize("head", ["gated", "concat"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_the_rows_of_an_absent_branch_change_nothing(head: str, training: bool) -> None:
    """Neither any output, nor what a batch norm learns from the batch."""
    present = some_absent()
    found = []
    for filling in (0.0, 1e4, float("nan")):
        network = make_network(head=head).train(training)
        inputs = make_inputs()
        for i, rows in enumerate(inputs):
            rows[~present[:, i]] = filling
        found.append((network.fuse(*inputs, present), statistics(network)))
    (reference, learned), *others = found
    assert torch.isfinite(reference.logits).all()
    for output, buffers in others:
        assert torch.equal(output.logits, reference.logits)
        assert torch.equal(output.opinions, reference.opinions)
        assert all(torch.equal(buffers[name], learned[name]) for name in learned)


def test_a_row_is_scored_alike_whoever_stands_beside_it() -> None:
    network, inputs, present = make_network().eval(), make_inputs(), some_absent()
    together = network(*inputs, present)
    alone = [network(*(rows[i : i + 1] for rows in inputs), present[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=1e-5)


def test_a_branch_that_the_whole_batch_lacks_is_left_alone() -> None:
    network, inputs = make_network().train(), make_inputs()
    before = statistics(network)
    present = torch.tensor([[False, True, True]]).expand(6, -1)
    network(*inputs, present).sum().backward()
    assert all(torch.equal(values, before[name]) for name, values in network.named_buffers())
    assert all(parameter.grad is None for parameter in network.branches["image"].parameters())


def test_gates_are_over_the_branches_present() -> None:
    present = some_absent()
    gates = make_network().eval().fuse(*make_inputs(), present).gates
    assert gates is not None
    torch.testing.assert_close(gates.sum(1), torch.ones(6))
    assert (gates[~present] == 0).all()
    assert (gates[present] > 0).all()


def test_three_tensors_are_three_branches_present() -> None:
    network, inputs = make_network().eval(), make_inputs()
    logits = network(*inputs)
    assert logits.shape == (6, 2)
    assert torch.equal(logits, network(*inputs, torch.ones(6, 3, dtype=torch.bool)))


@pytest.mark.parametrize("head", ["gated", "concat"])
def test_captum_takes_the_network_as_it_is(head: str) -> None:
    from captum.attr import IntegratedGradients

    network, inputs = make_network(head=head).eval(), make_inputs(2)
    found, error = IntegratedGradients(network).attribute(
        inputs, target=1, n_steps=64, method="gausslegendre", return_convergence_delta=True
    )
    moved = network(*inputs)[:, 1] - network(*(torch.zeros_like(rows) for rows in inputs))[:, 1]
    torch.testing.assert_close(sum(part.flatten(1).sum(1) for part in found), moved, atol=0.02, rtol=0.05)
    assert (error.abs() < 0.02).all()
    assert all((part != 0).any() for part in found)


# --- branch dropout ---


def test_branch_dropout_takes_branches_away_but_never_the_last_and_never_gives_one() -> None:
    network, present = make_network(branch_dropout=0.6).train(), some_absent()
    used = []
    for _ in range(60):
        gates = network.fuse(*make_inputs(), present).gates
        assert gates is not None
        used.append(gates > 0)
    share = torch.stack(used).double().mean(0)
    assert torch.stack(used).any(2).all()
    assert (share[~present] == 0).all()
    assert share[3, 2] == 1
    # 0.4, and all of them where the draw would have taken every one: 0.4 + 0.6 ** 3 for three branches.
    assert abs(float(share[4:].mean()) - (0.4 + 0.6**3)) < 0.1


def test_branch_dropout_is_off_in_evaluation() -> None:
    network, inputs = make_network(branch_dropout=0.9).eval(), make_inputs()
    gates = network.fuse(*inputs).gates
    assert gates is not None
    assert (gates > 0).all()
    assert torch.equal(network(*inputs), network(*inputs))


def test_a_dropped_branch_still_learns_from_its_own_opinion() -> None:
    network = make_network(branch_dropout=1.0 - 1e-9).train()
    network.fuse(*make_inputs()).opinions.sum().backward()
    assert all(network.opinions[name].weight.grad is not None for name in network.names)
    assert network.branches["radiomics"].gates.grad is not None


def test_the_stand_ins_of_the_concat_head_are_learned() -> None:
    network = make_network(head="concat").train()
    nn.functional.cross_entropy(network(*make_inputs(), some_absent()), torch.tensor([0, 1] * 3)).backward()
    for name in network.names:
        gradient = network.stand_ins[name].grad
        assert gradient is not None
        assert (gradient != 0).any(), name


# --- one or two branches ---


@pytest.mark.parametrize("head", ["gated", "concat"])
@pytest.mark.parametrize(
    "branches", [["image"], ["radiomics"], ["clinical"], ["clinical", "radiomics"], ["image", "clinical"]]
)
def test_a_network_of_fewer_branches_looks_at_no_other(branches: list[str], head: str) -> None:
    network, inputs = make_network(head=head, branches=branches).eval(), make_inputs()
    assert network.names == tuple(name for name in BRANCHES if name in branches)
    output = network.fuse(*inputs)
    assert output.opinions.shape == (6, len(branches), 2)
    for name, rows in zip(BRANCHES, inputs, strict=True):
        spoiled = [torch.full_like(rows, 7.0) if other is rows else other for other in inputs]
        assert torch.equal(network(*spoiled), output.logits) == (name not in branches)


def test_a_branch_without_any_input_is_left_out() -> None:
    assert make_network(n_features=0).names == ("image", "clinical")
    assert make_network(clinical_groups=()).names == ("image", "radiomics")


@pytest.mark.parametrize("branches", [["image", "radiomic"], []])
def test_a_misspelled_branch_is_told_and_not_silently_left_out(branches: list[str]) -> None:
    with pytest.raises(FusionError, match=r"model.branches: required some of image, radiomics, clinical, came \["):
        make_network(branches=branches)


def test_a_mixed_precision_pass_takes_absent_branches() -> None:
    network, inputs = make_network().train(), make_inputs()
    for present in (some_absent(), torch.tensor([[True, False, True]]).expand(6, -1)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = network(*inputs, present).float().sum()
        loss.backward()
        assert torch.isfinite(loss)

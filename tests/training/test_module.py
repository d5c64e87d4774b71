import math
from itertools import pairwise
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from fusion.models.network import build_network
from fusion.training.inputs import Batch
from fusion.training.module import FusionModule
from fusion.training.rank import ALONE

OPTIMIZER = {"lr": 1e-2, "lr_backbone": 1e-3, "lr_gates": 5e-3, "weight_decay": 0.1, "warmup_fraction": 0.2}
STILL = dict.fromkeys(("rotate_deg", "scale", "shift", "flip", "gain", "contrast", "gamma", "speckle"), 0.0)


def make_network(branches: tuple[str, ...] = ("image", "radiomics", "clinical")) -> Any:
    torch.manual_seed(0)
    return build_network(
        model={
            "branches": branches,
            "d_embedding": 8,
            "d_category": 2,
            "dropout": 0.0,
            "branch_dropout": 0.0,
        },
        backbone={"library": "timm", "name": "test_resnet", "weights": "none", "options": {}},
        head={"name": "gated", "d_hidden": 6, "dropout": 0.0},
        n_channels=1,
        n_px=32,
        n_features=5,
        clinical_groups=(("age", "number", 1), ("shape", "category", 3)),
        n_labels=2,
        pretrained=False,
    )


def make_module(**changes: Any) -> Any:
    settings: dict[str, Any] = {
        "network": make_network(),
        "class_weights": torch.tensor([0.5, 2.0]),
        "penalty": 0.0,
        "channels": "image",
        "branch_loss": 0.5,
        "label_smoothing": 0.0,
        "optimizer": OPTIMIZER,
        "augmentation": STILL,
        "n_steps": 20,
        "freeze_epochs": 0,
        "rank": ALONE,
    }
    return FusionModule(**(settings | changes))


def make_batch(n_rows: int = 6, **changes: Any) -> Batch:
    draw = torch.Generator().manual_seed(1)
    columns: dict[str, Any] = {
        "rows": torch.arange(n_rows),
        "crops": torch.randint(0, 256, (n_rows, 2, 32, 32), dtype=torch.uint8, generator=draw),
        "radiomics": torch.randn(n_rows, 5, generator=draw),
        "clinical": torch.randn(n_rows, 4, generator=draw),
        "present": torch.ones(n_rows, 3, dtype=torch.bool),
        "labels": torch.arange(n_rows) % 2,
        "weights": torch.ones(n_rows),
    }
    return Batch(**(columns | changes))


def run(module: Any, *, n_epochs: int, batch: Batch | None = None) -> Any:
    loader: Any = DataLoader([make_batch() if batch is None else batch], batch_size=None)  # type: ignore[arg-type]
    trainer = L.Trainer(
        max_epochs=n_epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    trainer.fit(module, loader, loader)
    return module


# Lightning's advice on loaders is about choices that were made on purpose; the other is about its own inside.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*LeafSpec.*:FutureWarning")


def test_every_parameter_is_in_exactly_one_group() -> None:
    module = make_module()
    groups = module.configure_optimizers()["optimizer"].param_groups
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(parameter) for parameter in module.network.parameters()}


def test_each_kind_of_parameter_has_its_rate_and_decay() -> None:
    module = make_module()
    settings: dict[int, tuple[float, float]] = {}
    for group in module.configure_optimizers()["optimizer"].param_groups:
        settings |= {id(parameter): (group["initial_lr"], group["weight_decay"]) for parameter in group["params"]}
    branches, opinion = module.network.branches, module.network.opinions["image"]
    assert all(settings[id(p)] == (1e-3, 0.1) for p in branches["image"].backbone.parameters())
    assert settings[id(branches["radiomics"].gates)] == (5e-3, 0.0)
    assert settings[id(branches["radiomics"].directions)] == (1e-2, 0.0)
    assert settings[id(module.network.stand_ins["image"])] == (1e-2, 0.0)
    assert settings[id(opinion.weight)] == (1e-2, 0.1)
    assert settings[id(opinion.bias)] == (1e-2, 0.0)


@pytest.mark.parametrize("branches", [("clinical",), ("radiomics",), ("image", "clinical")])
def test_networks_of_fewer_branches_are_grouped_and_trained(branches: tuple[str, ...]) -> None:
    run(make_module(network=make_network(branches), penalty=0.1), n_epochs=1)


def test_the_rate_warms_up_and_falls_to_zero_as_a_cosine() -> None:
    configured = make_module().configure_optimizers()
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    assert configured["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(21):
        rates.append(optimizer.param_groups[1]["lr"] / OPTIMIZER["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[12] == pytest.approx(0.5 + 0.5 * math.cos(math.pi * 8 / 16))
    assert rates[20] == pytest.approx(0.0, abs=1e-9)
    assert all(later <= earlier for earlier, later in pairwise(rates[4:]))


def test_a_frozen_backbone_stands_still_and_then_learns() -> None:
    """Its batch norms' statistics stand still too: they belong to the weights."""
    module = make_module(freeze_epochs=2)
    backbone = module.network.branches["image"].backbone
    before = {name: values.clone() for name, values in backbone.state_dict().items()}
    run(module, n_epochs=2)
    assert all(torch.equal(values, before[name]) for name, values in backbone.state_dict().items())
    module = make_module(freeze_epochs=2)
    run(module, n_epochs=3)
    moved = [
        name
        for name, values in module.network.branches["image"].backbone.state_dict().items()
        if not torch.equal(values, before[name])
    ]
    assert any("running_mean" in name for name in moved)
    assert any("weight" in name for name in moved)


def test_the_rest_learns_while_the_backbone_is_frozen() -> None:
    before = make_network().opinions["image"].weight
    module = run(make_module(freeze_epochs=5), n_epochs=1)
    assert not torch.equal(module.network.opinions["image"].weight, before)


def step(module: FusionModule, batch: Batch) -> torch.Tensor:
    module.log = lambda *arguments, **options: None  # type: ignore[method-assign]
    return module.training_step(batch, 0)


def test_the_loss_is_the_fused_one_and_a_share_of_each_branchs_own() -> None:
    module, batch = make_module().eval(), make_batch()
    output = module(batch)
    weights = torch.tensor([0.5, 2.0])[batch.labels]

    def loss(logits: torch.Tensor) -> torch.Tensor:
        chosen = logits.log_softmax(1)[torch.arange(6), batch.labels]
        return -(weights * chosen).sum() / weights.sum()

    expected = loss(output.logits) + 0.5 * sum(loss(output.opinions[:, i]) for i in range(3))
    torch.testing.assert_close(step(module, batch), expected)


def test_smoothing_spreads_a_part_of_the_label_over_all() -> None:
    logits, labels = torch.tensor([[0.2, 1.0]]), torch.tensor([1])
    loss = make_module(label_smoothing=0.1)._loss(logits, labels, torch.ones(1))
    torch.testing.assert_close(loss, -(logits.log_softmax(1) * torch.tensor([0.05, 0.95])).sum())


def test_a_case_of_weight_zero_is_not_learned_from() -> None:
    module = make_module().eval()
    batch = make_batch(weights=torch.tensor([0.0, 1, 1, 1, 1, 1]))
    other = batch._replace(labels=torch.tensor([1, 1, 0, 1, 0, 1]))
    assert torch.equal(step(module, batch), step(module, other))


def test_a_branch_that_the_whole_batch_lacks_costs_nothing() -> None:
    present = torch.tensor([[False, True, True]]).expand(6, -1)
    module = make_module().train()
    loss = step(module, make_batch(present=present))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in module.network.parameters())
    assert all(p.grad is None or (p.grad == 0).all() for p in module.network.opinions["image"].parameters())


def test_an_opinion_is_not_judged_where_the_branch_is_absent() -> None:
    present = torch.ones(6, 3, dtype=torch.bool)
    present[:2, 0] = False
    batch = make_batch(present=present)
    module, without = make_module(branch_loss=1.0).eval(), make_module(branch_loss=0.0).eval()
    output = module(batch)
    weights = torch.tensor([0.5, 2.0])[batch.labels]
    judged = [module._loss(output.opinions[:, i], batch.labels, weights) for i in (1, 2)]
    judged.append(module._loss(output.opinions[2:, 0], batch.labels[2:], weights[2:]))
    torch.testing.assert_close(step(module, batch) - step(without, batch), torch.stack(judged).sum())


def test_a_loss_without_any_weight_is_zero() -> None:
    logits = torch.randn(3, 2, requires_grad=True)
    loss = make_module()._loss(logits, torch.tensor([0, 1, 1]), torch.zeros(3))
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def count_gates(penalty: float) -> int:
    module = run(make_module(network=make_network(("radiomics",)), penalty=penalty, n_steps=20), n_epochs=20)
    return int(torch.count_nonzero(module.network.branches["radiomics"].gates))


def test_a_larger_penalty_leaves_fewer_features_and_zero_leaves_all() -> None:
    counts = [count_gates(penalty) for penalty in (0.0, 0.9, 50.0)]
    assert counts[0] == 5
    assert counts[-1] == 0
    assert counts == sorted(counts, reverse=True)

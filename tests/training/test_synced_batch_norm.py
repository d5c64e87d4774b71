"""Against torch's own layers on the whole batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from forked_ranks import on_ranks
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from fusion.training.crew import gather_rows
from fusion.training.rank import ALONE
from fusion.training.synced_batch_norm import SyncedBatchNorm, synchronize_batch_norms

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


def make_norm(kind: str) -> Any:
    torch.manual_seed(0)
    makers = {
        "plain": lambda: nn.BatchNorm2d(3),
        "cumulative": lambda: nn.BatchNorm2d(3, momentum=None),
        "without scale": lambda: nn.BatchNorm2d(3, affine=False),
        "with activation": lambda: BatchNormAct2d(3, inplace=False),
        "of vectors": lambda: nn.BatchNorm1d(3),
    }
    norm = makers[kind]()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm


def make_rows(kind: str, step: int, n_rows: int) -> torch.Tensor:
    size = (n_rows, 3) if kind == "of vectors" else (n_rows, 3, 4, 5)
    return torch.randn(size, generator=torch.Generator().manual_seed(step)) * 3 + 1


def learn(norm: Any, kind: str, *, n_rows: int, number: int, count: int) -> dict[str, Any]:
    """Outputs, gradients and statistics of two steps, of all rows."""
    found: dict[str, Any] = {}
    for step in range(2):
        whole = make_rows(kind, step, n_rows)
        rows = whole[number::count].clone().requires_grad_()
        output = norm(rows)
        (output * whole.flip(0)[number::count]).square().sum().backward()
        found |= {f"output {step}": output.detach(), f"gradient {step}": rows.grad}
    found |= dict(norm.state_dict())
    return found | {f"gradient of {name}": parameter.grad for name, parameter in norm.named_parameters()}


@pytest.mark.parametrize(("n_ranks", "n_rows"), [(2, 5), (4, 3)])
@pytest.mark.parametrize("kind", ["plain", "cumulative", "without scale", "with activation", "of vectors"])
def test_it_is_the_batch_norm_of_the_whole_batch(kind: str, n_ranks: int, n_rows: int, tmp_path: Path) -> None:
    """Also where a rank has no row."""
    expected = learn(make_norm(kind), kind, n_rows=n_rows, number=0, count=1)

    def rank_0(crew: Any) -> dict[str, Any]:
        crew.tell({"kind": kind, "n_rows": n_rows})
        return of_rank(kind, n_rows, crew.rank)

    found = on_ranks(n_ranks, rank_0, place=tmp_path, help_with=lambda told, crew: of_rank(**told, rank=crew.rank))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-4, atol=2e-5, err_msg=name)


def of_rank(kind: str, n_rows: int, rank: Any) -> dict[str, Any]:
    layer = nn.Sequential(make_norm(kind))
    synchronize_batch_norms(layer, device="cpu")
    assert isinstance(layer[0], SyncedBatchNorm)
    found = learn(layer[0], kind, n_rows=n_rows, number=rank.number, count=rank.count)
    return {name: _of_all(name, values, n_rows, rank).numpy() for name, values in found.items()}


def _of_all(name: str, values: torch.Tensor, n_rows: int, rank: Any) -> torch.Tensor:
    if name.startswith("gradient of"):
        dist.all_reduce(values)
        return values
    return gather_rows(values, n_rows=n_rows, rank=rank) if name[-1].isdigit() else values


def test_one_value_a_channel_is_refused_as_by_torch(tmp_path: Path) -> None:
    def rank_0(crew: Any) -> str:
        crew.tell({})
        with pytest.raises(ValueError, match="more than 1 value per channel") as error:
            SyncedBatchNorm.of(nn.BatchNorm2d(3))(torch.ones(1, 3, 1, 1))
        return str(error.value)

    def another(told: Any, crew: Any) -> None:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            SyncedBatchNorm.of(nn.BatchNorm2d(3))(torch.ones(0, 3, 1, 1))

    assert "came 1" in on_ranks(2, rank_0, place=tmp_path, help_with=another)


def test_in_evaluation_it_is_an_ordinary_layer_and_its_names_stay() -> None:
    norm = make_norm("with activation")
    synced = SyncedBatchNorm.of(norm)
    assert synced.state_dict().keys() == norm.state_dict().keys()
    rows = make_rows("plain", 0, 4)
    torch.testing.assert_close(synced.eval()(rows), norm.eval()(rows))


def test_rows_come_back_in_their_order_where_there_is_one_device() -> None:
    rows = torch.arange(5)
    assert gather_rows(rows, n_rows=5, rank=ALONE) is rows

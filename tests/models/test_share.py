from typing import Any

import pytest
import torch
from timm.layers.drop import DropPath
from torch import nn

from fusion.models.share import (
    Share,
    at_hand,
    draw_noise_for_whole_batches,
    draw_rows,
    sharing,
    sharing_first,
    sharing_only,
)

N_ROWS = 7


def shares(n_devices: int) -> list[Share]:
    return [Share(n_rows=N_ROWS, mine=torch.arange(N_ROWS)[number::n_devices]) for number in range(n_devices)]


def interleaved(parts: list[torch.Tensor]) -> torch.Tensor:
    whole = torch.empty(N_ROWS, *parts[0].shape[1:])
    for number, part in enumerate(parts):
        whole[number :: len(parts)] = part
    return whole


@pytest.mark.parametrize("n_devices", [1, 2, 3, 10])
def test_rows_get_the_same_numbers_however_they_are_divided(n_devices: int) -> None:
    torch.manual_seed(1)
    expected, after = torch.randn(N_ROWS, 4), torch.rand(1)
    parts = []
    for share in shares(n_devices):
        torch.manual_seed(1)
        with sharing(share):
            parts.append(draw_rows(lambda n_rows: torch.randn(n_rows, 4), len(share.mine)))
        # Every device is where it would be with the whole batch.
        assert torch.equal(torch.rand(1), after)
    assert torch.equal(interleaved(parts), expected)


def test_of_the_rows_that_are_kept_each_device_has_its_own() -> None:
    kept = torch.tensor([True, False, True, True, False, True, True])
    rows = torch.arange(N_ROWS)
    for share in shares(3):
        with sharing(share):
            mine = at_hand(rows)
            with sharing_only(kept):
                assert torch.equal(at_hand(rows[kept]), mine[kept[mine]])
            assert torch.equal(at_hand(rows), mine)


def test_without_a_share_nothing_is_different() -> None:
    rows = torch.arange(N_ROWS)
    with sharing(None), sharing_only(rows > 2), sharing_first():
        assert at_hand(rows) is rows
        assert len(draw_rows(torch.rand, 3)) == 3


def test_a_device_without_a_row_can_have_the_first() -> None:
    with sharing(Share(n_rows=N_ROWS, mine=torch.arange(0))):
        with sharing_first():
            assert at_hand(torch.arange(3, 3 + N_ROWS)).tolist() == [3]
        assert at_hand(torch.arange(N_ROWS)).tolist() == []


@pytest.mark.parametrize("layer", [nn.Dropout(0.4), nn.Dropout(0.0), nn.Dropout2d(0.5), DropPath(0.3)])
def test_layers_of_noise_disturb_rows_as_in_the_whole_batch(layer: nn.Module) -> None:
    rows = torch.randn(N_ROWS, 3, 2, 2)
    network: Any = nn.Sequential(nn.Identity(), nn.Sequential(layer))
    torch.manual_seed(2)
    expected = network(rows)
    names, probability = [*network.state_dict()], getattr(layer, "p", None)
    draw_noise_for_whole_batches(network, (type(layer),))
    parts = []
    for share in shares(2):
        torch.manual_seed(2)
        with sharing(share):
            parts.append(network(at_hand(rows)))
    torch.testing.assert_close(interleaved(parts), expected)
    assert [*network.state_dict()] == names
    assert getattr(layer, "p", None) == probability
    assert torch.equal(network.eval()(rows), rows)

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.radiomics.perturb import KINDS, Perturbation

RANDOM = ("shift", "roughen")


def disk(radius: float, *, shape: tuple[int, int] = (90, 110), center: tuple[int, int] = (45, 50)) -> NDArray[np.bool_]:
    rows, columns = np.indices(shape)
    return np.asarray(np.hypot(rows - center[0], columns - center[1]) <= radius)


def perturb(mask: Any, kind: str, size: float = 0.05, *, seed: int = 0, number: int = 0, case_id: str = "a") -> Any:
    return Perturbation(kind=kind, size=size, seed=seed, number=number).apply(mask, case_id)


def dice(first: Any, second: Any) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def test_growing_and_shrinking_move_the_contour_by_the_size() -> None:
    mask = disk(30)
    diameter = 2 * (mask.sum() / np.pi) ** 0.5
    for kind, sign in (("grow", 1), ("shrink", -1)):
        changed = perturb(mask, kind, 0.1)
        moved = (changed.sum() / np.pi) ** 0.5 - diameter / 2
        # The pixel grid takes part of a pixel.
        assert moved == pytest.approx(sign * 0.1 * diameter, abs=0.6)
        assert (changed | mask).sum() == max(changed.sum(), mask.sum())


def test_a_shift_moves_all_of_it_by_the_size() -> None:
    mask = disk(30)
    distances = []
    for number in range(12):
        changed = perturb(mask, "shift", 0.1, number=number)
        move = [np.flatnonzero(changed.any(axis))[0] - np.flatnonzero(mask.any(axis))[0] for axis in (1, 0)]
        np.testing.assert_array_equal(np.roll(mask, move, axis=(0, 1)), changed)
        distances.append(np.hypot(*move))
    assert np.array(distances) == pytest.approx(0.1 * 60, abs=0.8)


def test_a_rough_contour_is_rough_near_the_contour_only() -> None:
    mask = disk(30)
    changed = perturb(mask, "roughen", 0.05)
    assert (changed & ~mask).sum() > 50
    assert (mask & ~changed).sum() > 50
    assert changed[disk(30 - 2 * 3 - 1)].all()
    assert not changed[~disk(30 + 2 * 3 + 1)].any()
    assert changed.sum() == pytest.approx(mask.sum(), rel=0.1)
    assert dice(changed, mask) < 0.99


def test_the_overlaps_are_those_that_the_configuration_names() -> None:
    mask = disk(100, shape=(300, 300), center=(150, 150))
    found = [dice(mask, perturb(mask, kind)) for kind in KINDS]
    # Of circles: 2 / (1 + 1.1²), 2 * 0.9² / (1 + 0.9²), and two circles a tenth of their radius apart.
    assert found[:3] == pytest.approx([0.905, 0.895, 0.936], abs=0.006)
    # Mean distance 0.8 standard deviations, half of it outwards: 1 - 0.8 * 0.1.
    assert found[3] == pytest.approx(0.92, abs=0.015)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_same_every_time(kind: str) -> None:
    mask = disk(20)
    before = mask.copy()
    first = perturb(mask, kind)
    assert first.dtype == np.bool_
    np.testing.assert_array_equal(first, perturb(mask.copy(), kind))
    np.testing.assert_array_equal(mask, before)
    # So that another process, machine or version that draws differently is seen.
    assert first.sum() == pytest.approx({"grow": 1493, "shrink": 1037, "shift": 1257, "roughen": 1202}[kind], abs=3)
    if kind == "shift":
        assert (np.flatnonzero(first.any(1))[0], np.flatnonzero(first.any(0))[0]) == (27, 31)


@pytest.mark.parametrize("kind", KINDS)
def test_only_random_kinds_follow_the_draw(kind: str) -> None:
    mask = disk(30)
    first = perturb(mask, kind, 0.2)
    others = [
        perturb(mask, kind, 0.2, seed=1),
        perturb(mask, kind, 0.2, number=1),
        perturb(mask, kind, 0.2, case_id="b"),
    ]
    assert all((first == other).all() for other in others) == (kind not in RANDOM)
    keys = [
        Perturbation(kind=kind, size=0.2, seed=seed, number=number).key(case_id)
        for seed, number, case_id in ((0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b"))
    ]
    assert len({str(key) for key in keys}) == (4 if kind in RANDOM else 1)
    assert Perturbation(kind=kind, size=0.1, seed=0, number=0).key("a") != keys[0]


def extent(mask: NDArray[np.bool_]) -> list[int]:
    return [int(np.ptp(np.flatnonzero(mask.any(axis)))) for axis in (0, 1)]


def awkward() -> dict[str, Any]:
    shape = (24, 31)
    masks = {
        name: np.zeros(shape, dtype=bool) for name in ("pixel", "line", "corner", "border", "parts", "hole", "most")
    }
    masks["pixel"][4, 9] = True
    masks["line"][7, :] = True
    masks["corner"][:5, :6] = True
    masks["border"][:, :3] = True
    masks["parts"][3:5, 3:6] = masks["parts"][15:22, 20:30] = True
    masks["hole"][4:18, 4:20] = True
    masks["hole"][8:12, 8:12] = False
    masks["most"][:, 1:] = True
    return masks | {"all": np.ones(shape, dtype=bool)}


@pytest.mark.parametrize("name", awkward())
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0.01, 0.05, 0.25])
def test_no_lesion_leaves_the_image_or_vanishes(name: str, kind: str, size: float) -> None:
    mask = awkward()[name]
    for number in range(8):
        changed = perturb(mask, kind, size, number=number)
        assert changed.shape == mask.shape
        assert changed.any()
        if kind == "shift":
            # Nothing is cut off, and nothing comes in again on the other side.
            assert extent(changed) == extent(mask)
            assert changed.sum() == mask.sum()


def test_the_smallest_change_is_a_pixel() -> None:
    mask = disk(6)
    for kind in ("grow", "shrink", "shift"):
        assert (perturb(mask, kind, 0.001) != mask).any()


def test_a_lesion_at_the_border_does_not_shrink_from_there() -> None:
    mask = awkward()["corner"]
    shrunk = perturb(mask, "shrink", 0.01)
    np.testing.assert_array_equal(np.flatnonzero(shrunk.any(1)), range(4))
    np.testing.assert_array_equal(np.flatnonzero(shrunk.any(0)), range(5))


def test_it_says_what_it_is() -> None:
    assert str(Perturbation(kind="grow", size=0.05, seed=0, number=0)) == "grow 0.05"
    assert str(Perturbation(kind="shift", size=0.1, seed=0, number=1)) == "shift 0.1 (2)"

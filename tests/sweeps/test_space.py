import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from fusion.errors import FusionError
from fusion.sweeps.space import draw_combinations, every_combination, read_space


@pytest.fixture
def loader(root: Path) -> Iterator[Any]:
    with initialize_config_dir(str(root / "conf"), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def test_a_grid_is_every_combination_once_with_the_last_key_fastest(loader: Any) -> None:
    space = read_space({}, ["l1=0,1,0", "seed=range(2)", "name=x"], config_loader=loader)
    jobs = every_combination(space)
    assert jobs == [(f"l1={l1}", f"seed={seed}", "name=x") for l1 in (0, 1) for seed in (0, 1)]


def test_a_pattern_means_the_options_of_a_group(loader: Any) -> None:
    jobs = every_combination(read_space({}, ["head=glob(*)"], config_loader=loader))
    assert jobs == [("head=concat",), ("head=gated",)]


def test_the_command_line_takes_the_place_of_the_file(loader: Any) -> None:
    space = read_space({"l1": "0,1", "seed": "1,2"}, ["l1=5"], config_loader=loader)
    assert every_combination(space) == [("l1=5", "seed=1"), ("l1=5", "seed=2")]


def test_a_grid_has_no_interval(loader: Any) -> None:
    with pytest.raises(FusionError, match=r"l1=interval\(0,1\): required a list or a range .* hydra/sweeper=random"):
        every_combination(read_space({}, ["l1=interval(0,1)"], config_loader=loader))


def test_draws_repeat_with_their_seed_and_never_give_a_job_twice(loader: Any) -> None:
    space = read_space({}, ["l1=0,1,2", "seed=1,2"], config_loader=loader)
    drawn = draw_combinations(space, n_jobs=4, seed=1)
    assert drawn == draw_combinations(space, n_jobs=4, seed=1)
    assert len(set(drawn)) == 4
    assert drawn != draw_combinations(space, n_jobs=4, seed=2)
    assert set(draw_combinations(space, n_jobs=99, seed=1)) == set(every_combination(space))


def test_draws_from_an_interval_are_even_in_what_they_are_tagged(loader: Any) -> None:
    log = read_space({}, ["l1=tag(log,interval(1e-6,1))"], config_loader=loader)
    values = [float(job[0].removeprefix("l1=")) for job in draw_combinations(log, n_jobs=400, seed=0)]
    assert all(1e-6 <= value <= 1 for value in values)
    # The middle of the logarithms, where an even draw would have one value in a thousand.
    assert sum(value < 1e-3 for value in values) / 400 == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 400))
    even = read_space({}, ["l1=interval(0.0,1.0)"], config_loader=loader)
    values = [float(job[0].removeprefix("l1=")) for job in draw_combinations(even, n_jobs=400, seed=0)]
    assert sum(value < 0.5 for value in values) / 400 == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 400))


def test_an_interval_between_whole_numbers_gives_whole_numbers(loader: Any) -> None:
    space = read_space({}, ["seed=int(interval(1,5))"], config_loader=loader)
    jobs = {job for (job,) in draw_combinations(space, n_jobs=9, seed=0)}
    assert jobs == {f"seed={number}" for number in range(1, 6)}

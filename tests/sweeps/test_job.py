"""What a sweep's jobs are before they run."""

from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from fusion.sweeps.job import Job, compose_jobs


def compose(*jobs: tuple[str, ...], split: str = "holdout") -> list[Job]:
    """With Hydra's part played by plain overrides of a few keys."""

    def load(config: Any, overrides: list[str]) -> Any:
        composed = OmegaConf.create(
            {
                "split": {"name": split, **({"n_divisions": 1} if split == "holdout" else {"n_folds": 2})},
                "fold": "all",
                "report": True,
                "sweep": {"test": "chosen"},
                "hydra": {"job": {}, "sweep": {"dir": "sweep", "subdir": ",".join(overrides)}},
            }
        )
        return OmegaConf.merge(composed, OmegaConf.from_dotlist(overrides))

    context = SimpleNamespace(config_loader=SimpleNamespace(load_sweep_config=load))
    return compose_jobs(context, OmegaConf.create({}), jobs, first=3)


def test_a_holdout_is_divided_as_often_as_the_sweep_asks_for(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = compose(("l1=0", "fold=0"), ("l1=0", "fold=2"), ("l1=1", "fold=0"))
    assert [job.composed.split.n_divisions for job in jobs] == [3, 3, 3]
    assert [job.composed.fold for job in jobs] == [0, 2, 0]
    assert jobs[1].record.overrides == ("l1=0", "fold=2", "split.n_divisions=3")
    assert [job.record.number for job in jobs] == [3, 4, 5]
    assert "split=holdout: split.n_divisions=3" in capsys.readouterr().out


def test_what_is_enough_or_was_given_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    (job,) = compose(("fold=0",))
    assert job.composed.split.n_divisions == 1
    jobs = compose(("fold=0", "split.n_divisions=2"), ("fold=7", "split.n_divisions=2"))
    assert [job.composed.split.n_divisions for job in jobs] == [2, 2]
    jobs = compose(("fold=0",), ("fold=1",), split="kfold")
    assert all("n_divisions" not in job.composed.split for job in jobs)
    assert capsys.readouterr().out == ""

"""A fold of the cohort made of numbers, logged; and no way out of this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from number_cohort import CONFIG, change, config, data, drop, make_data

from fusion.classical.fold import fit_classical_fold
from fusion.evaluation.pooling import pool_cases
from fusion.evaluation.settings import Settings
from fusion.evaluation.thresholds import choose_thresholds
from fusion.runs.model import is_classical
from fusion.tracking.fold import track_fold
from fusion.training.fit import fit_fold
from fusion.training.outputs import write_fold
from fusion.training.tuning import FoldFit, TunedFit, fit_tuned

__all__ = ["config", "data", "drop", "make_data"]

CONF = Path(__file__).parents[2] / "conf"
EVALUATION = yaml.safe_load((CONF / "evaluation/default.yaml").read_text()) | {"n_bootstrap": 100}


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own, and connections to this machine alone."""
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a connection to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_SWEEP_ID", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    # W&B takes its settings from there, too.
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def logger(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The group ``logger`` of some options, with ``__`` for the dot in what is changed: ``wandb__mode="online"``."""

    def read(*names: str, **changes: Any) -> dict[str, Any]:
        group: dict[str, Any] = {}
        for name in names:
            group |= yaml.safe_load((CONF / f"logger/{name}.yaml").read_text())
            if group[name]:
                group[name]["id_key"] = str(tmp_path / "ids.key")
        return change(group, {key.replace("__", "."): value for key, value in changes.items()})

    return read


@pytest.fixture
def settings() -> Settings:
    """Of the evaluation."""
    return Settings.from_config(EVALUATION, seed=0)


@dataclass(frozen=True, kw_only=True)
class LoggedFold:
    """A fold that was fitted and logged."""

    run_dir: Path
    config: dict[str, Any]
    tuned: TunedFit

    @property
    def fold_dir(self) -> Path:
        return self.run_dir / "fold_0"


@pytest.fixture
def log_fold(tmp_path: Path) -> Callable[..., LoggedFold]:
    """Does with data what train.py does with a fold."""

    def run(
        data: Any, logger: dict[str, Any], *, fail: bool = False, run_dir: Path | None = None, **changes: Any
    ) -> Any:
        run_dir = run_dir or tmp_path / "run"
        changed = {key.replace("__", "."): value for key, value in changes.items()}
        config = change({**CONFIG, "evaluation": EVALUATION, "cache_dir": str(tmp_path), "logger": logger}, changed)
        with track_fold(
            config, fold_dir=run_dir / "fold_0", sweep=None, label_names=data.cohort.label_names
        ) as tracking:
            tuned = _fit(data, config, tracking)
            if fail:
                raise RuntimeError("the disk is full")
            write_fold(run_dir / "fold_0", tuned=tuned, fold=data.fold, split_sha256="0" * 64)
            tracking.finish(tuned, fold=data.fold, checkpoint=run_dir / "fold_0/model.ckpt")
        return LoggedFold(run_dir=run_dir, config=config, tuned=tuned)

    return run


def _fit(data: Any, config: dict[str, Any], tracking: Any) -> TunedFit:
    sources = {"crops": data.crops, "features": data.features}

    def fit(fold: Any, settings: dict[str, Any], title: str) -> FoldFit:
        if is_classical(settings["model"]):
            own = {"outer": data.fold, "config": settings, "title": title, "is_own": not title}
            return fit_classical_fold(data.cohort, fold, **sources, **own)
        loggers, callbacks = ((), ()) if title else (tracking.loggers, tracking.callbacks)
        model = fit_fold(
            data.cohort,
            fold=fold,
            **sources,
            stable=None,
            config=settings,
            loggers=loggers,
            callbacks=callbacks,
            progress=None,
            title=title,
        )
        cases = tuple(case for case in data.cohort.cases if fold.part_of(case.patient_id))
        scores = model.score_cases(cases, **sources, accelerator="cpu")
        return FoldFit(model=model, cases=cases, scores=scores, predictions=model.predictions(cases, scores, fold=fold))

    settings = Settings.from_config(config["evaluation"], seed=0)
    tuned = fit_tuned(data.cohort, data.fold, config=config, fit=fit, score=lambda _: 0.5)
    points = settings.operating_points
    thresholds = choose_thresholds(pool_cases(tuned.inner), part="validation", operating_points=points)
    return tuned.with_thresholds(thresholds, primary=settings.threshold)

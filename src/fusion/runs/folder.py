"""A run folder on disk: what is in it, where, and which folds are finished."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from fusion.errors import FusionError
from fusion.records import PARTS, Cohort, Fold, Predictions
from fusion.runs.tables import concatenate, read_predictions
from fusion.storage import atomic_path, file_digest, file_lock, read_yaml, write_yaml

_HEADER = """\
# Train again with exactly this configuration, into a new folder:
#   python train.py --config-dir THIS_FOLDER --config-name config hydra.run.dir=NEW_FOLDER
# Go on with this folder where it is unfinished:
#   python train.py resume=THIS_FOLDER
"""
# Written last into a fold's folder, so that its presence means that the fold is finished.
LAST_OF_FOLD = "predictions_cases.csv"
# Predictions of training patients that the calibration and the thresholds were chosen on.
INNER = "predictions_inner.csv"
# What the explanations of a model leave.
OF_EXPLANATIONS = (
    *("branches.csv", "radiomics.csv", "clinical.csv", "inputs.csv", "shapley.csv", "pixels.csv", "pixel_checks.csv"),
)
# What a classical model's selections leave; the network has none.
_OF_SELECTION = ("selection.csv", "lasso_cv.csv", "lasso_path.csv", "nomogram.csv")
# What a process does of the run, and not what the run is.
_OF_A_PROCESS = {"fold": "all", "resume": None, "report": True}
_OF_A_SWEEP = "sweep"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Attributes:
        path: ``runs/<name>/<time>``, or a sweep's own.
    """

    path: Path

    @classmethod
    def begin(cls, path: Path, config: Mapping[str, Any]) -> Self:
        """Make the folder and write ``config.yaml``; in a folder that has one, nothing is overwritten.

        Several processes may begin the same folder, each for other folds: which folds a process fits, and that it goes
        on with a folder, is no part of the run's configuration.

        Raises:
            FusionError: If the folder was begun with another configuration: its folds would be of two runs.
        """
        text = write_yaml(_without_process(config))
        run = cls(path)
        with run.lock("begin"):
            if not (path / "config.yaml").exists():
                with atomic_path(path / "config.yaml") as temporary:
                    temporary.write_text(_HEADER + text, encoding="utf-8")
        other = run._other_keys(config)
        if other:
            raise FusionError(
                f"{path}: required the configuration that this folder was begun with, came another one "
                f"({', '.join(other)}); choose a new folder, or go on with this one: python train.py resume={path}"
            )
        return run

    def is_of(self, config: Mapping[str, Any]) -> bool:
        """Whether the folder was begun with this configuration."""
        return not self._other_keys(config)

    def _other_keys(self, config: Mapping[str, Any]) -> list[str]:
        # As it comes back from a file: tuples as lists, for one.
        begun, asked = self.config, read_yaml(write_yaml(_without_process(config)))
        return sorted(key for key in {*begun, *asked} if begun.get(key) != asked.get(key))

    @classmethod
    def open(cls, path: Path) -> Self:
        """A folder that ``begin`` made.

        Raises:
            FusionError: If it is not there or holds no ``config.yaml``.
        """
        if not (path / "config.yaml").is_file():
            raise FusionError(f"required a run folder of train.py, came {path}, which has no config.yaml")
        run = cls(path)
        require_run(path, run.config)
        return run

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration that the run was begun with.

        Raises:
            FusionError: If ``config.yaml`` is no such thing.
        """
        import yaml

        path = self.path / "config.yaml"
        try:
            config = read_yaml(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise FusionError(f"{path}: required a run's configuration, came no YAML: {error}") from error
        if not isinstance(config, dict):
            raise FusionError(f"{path}: required a run's configuration, came something else")
        return config

    def write_split(self, cohort: Cohort, folds: Sequence[Fold]) -> str:
        """Write ``split.csv`` before anything is fitted.

        Returns:
            Its sha256.

        Raises:
            FusionError: If the folder holds another split: its finished folds would not belong to this one.
        """
        path = self.path / "split.csv"
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("patient_id", "center", "fold", "part"))
        writer.writerows(_split_rows(cohort, folds))
        content = table.getvalue().encode()
        with self.lock("begin"):
            if not path.exists():
                with atomic_path(path) as temporary:
                    temporary.write_bytes(content)
        if path.read_bytes() != content:
            raise FusionError(
                f"{path}: required the split that this folder was begun with, came another one; "
                "the cohort's table has changed since. Start a new run"
            )
        return file_digest(path)

    @property
    def split_sha256(self) -> str:
        """Of ``split.csv``: stands in every file that depends on the split."""
        return file_digest(self.path / "split.csv")

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold a lock that the processes of this run share.

        Args:
            name: Of what must not be done twice at once.
            wait: False to go on without it where another process holds it.

        Yields:
            Whether it is held.
        """
        with file_lock(self.path / ".locks" / f"{name}.lock", wait=wait) as held:
            yield held

    def read_parts(self) -> dict[str, dict[int, str]]:
        """Part of each patient by fold, from ``split.csv``."""
        parts: dict[str, dict[int, str]] = {}
        with (self.path / "split.csv").open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                parts.setdefault(row["patient_id"], {})[int(row["fold"])] = row["part"]
        return parts

    def fold(self, number: int) -> Path:
        """The folder of a fold."""
        return self.path / f"fold_{number}"

    def is_finished(self, number: int) -> bool:
        """Whether a fold was fitted and scored to its end."""
        return (self.fold(number) / LAST_OF_FOLD).is_file()

    def unfinished(self, folds: Sequence[Fold]) -> Iterator[Fold]:
        """The folds that are still to be done, each locked while it is with the caller.

        Of several processes that ask for the same folds each gets others; what another one works on comes last, and
        only if that one left it unfinished.
        """
        for wait in (False, True):
            for fold in folds:
                if not self.is_finished(fold.number):
                    with self.lock(f"fold_{fold.number}", wait=wait) as held:
                        # Another process may have finished it since, or while this one waited.
                        if held and not self.is_finished(fold.number):
                            yield fold

    @property
    def finished(self) -> list[int]:
        """Numbers of the finished folds."""
        numbers = (path.name.removeprefix("fold_") for path in self.path.glob("fold_*"))
        return sorted(int(number) for number in numbers if number.isdigit() and self.is_finished(int(number)))

    @property
    def thresholds(self) -> dict[str, dict[int, float]]:
        """The frozen thresholds of the finished folds, by operating point and fold; none with more than two labels."""
        thresholds: dict[str, dict[int, float]] = {}
        for number, facts in self._facts.items():
            for name, threshold in facts["thresholds"].items():
                thresholds.setdefault(name, {})[number] = threshold
        return thresholds

    def candidates(self, number: int) -> dict[str, int]:
        """How many features the model of a finished fold has looked at, by block or branch."""
        return {name: int(n) for name, n in self._read_facts(number)["candidates"].items()}

    @property
    def _facts(self) -> dict[int, dict[str, Any]]:
        return {number: self._read_facts(number) for number in self.finished}

    def _read_facts(self, number: int) -> dict[str, Any]:
        return dict(json.loads((self.fold(number) / "fold.json").read_text()))

    def join_folds(self) -> None:
        """Write the finished folds' tables below each other, at the top of the folder."""
        targets = {
            LAST_OF_FOLD: self.path / LAST_OF_FOLD,
            "features.csv": self.path / "features.csv",
            INNER: self.path / INNER,
            "tuning.csv": self.path / "tuning.csv",
            "stability.csv": self.path / "stability.csv",
            **{name: self.path / "attributions" / name for name in OF_EXPLANATIONS},
            **{name: self.path / name for name in _OF_SELECTION},
        }
        for name, target in targets.items():
            parts = [path for number in self.finished if (path := self.fold(number) / name).is_file()]
            if parts:
                concatenate(parts, target)

    def read_tables(self, name: str, *, model: str) -> Predictions:
        """A table of predictions that every finished fold has, below each other."""
        tables = [read_predictions(self.fold(number) / name, model=model) for number in self.finished]
        return Predictions.concatenate(tables)

    @property
    def models(self) -> list[Path]:
        """Checkpoints of the finished folds.

        Raises:
            FusionError: If there is none.
        """
        paths = [self.fold(number) / "model.ckpt" for number in self.finished]
        if not paths:
            raise FusionError(
                f"{self.path}: required a run with at least one finished fold, came one without; "
                f"finish it with: python train.py resume={self.path}"
            )
        return paths


def require_run(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse what ``predict.py`` left: nobody was tested there by a model in whose making they took no part.

    Raises:
        FusionError: Naming the run that was applied.
    """
    if "applied" in config:
        raise FusionError(
            f"{path}: required a run of train.py, came a prediction of predict.py; ask the run that was applied: "
            f"{config['applied']['run']}"
        )


def _without_process(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _OF_A_PROCESS.get(key, value) for key, value in config.items() if key != _OF_A_SWEEP}


def _split_rows(cohort: Cohort, folds: Sequence[Fold]) -> Iterator[tuple[str, str, int, str]]:
    centers = {patient_id: cases[0].center for patient_id, cases in cohort.patients.items()}
    for fold in folds:
        for part in PARTS:
            for patient_id in sorted(getattr(fold, part)):
                yield patient_id, centers[patient_id], fold.number, part

"""A run folder on disk: what is in it, where, and which folds are finished."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from fusion.errors import FusionError
from fusion.records import PARTS, Cohort, Fold
from fusion.runs.tables import concatenate
from fusion.storage import atomic_path, file_digest

_HEADER = """\
# Train again with exactly this configuration, into a new folder:
#   python train.py --config-dir THIS_FOLDER --config-name config hydra.run.dir=NEW_FOLDER
# Go on with this folder where it is unfinished:
#   python train.py resume=THIS_FOLDER
"""
# Written last into a fold's folder, so that its presence means that the fold is finished.
LAST_OF_FOLD = "predictions_cases.csv"


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

        Raises:
            FusionError: If the folder was begun with another configuration: its folds would be of two runs.
        """
        import yaml

        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        if not (path / "config.yaml").exists():
            with atomic_path(path / "config.yaml") as temporary:
                temporary.write_text(_HEADER + text, encoding="utf-8")
        begun, asked = cls(path).config, yaml.safe_load(text)
        other = sorted(key for key in {*begun, *asked} if begun.get(key) != asked.get(key))
        if other:
            raise FusionError(
                f"{path}: required the configuration that this folder was begun with, came another one "
                f"({', '.join(other)}); choose a new folder, or go on with this one: python train.py resume={path}"
            )
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """A folder that ``begin`` made.

        Raises:
            FusionError: If it is not there or holds no ``config.yaml``.
        """
        if not (path / "config.yaml").is_file():
            raise FusionError(f"required a run folder of train.py, came {path}, which has no config.yaml")
        return cls(path)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration that the run was begun with.

        Raises:
            FusionError: If ``config.yaml`` is no such thing.
        """
        import yaml

        path = self.path / "config.yaml"
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
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
        if path.exists() and path.read_bytes() != content:
            raise FusionError(
                f"{path}: required the split that this folder was begun with, came another one; "
                "the cohort's table has changed since. Start a new run"
            )
        if not path.exists():
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
        return file_digest(path)

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

    @property
    def finished(self) -> list[int]:
        """Numbers of the finished folds."""
        numbers = (path.name.removeprefix("fold_") for path in self.path.glob("fold_*"))
        return sorted(int(number) for number in numbers if number.isdigit() and self.is_finished(int(number)))

    @property
    def thresholds(self) -> dict[int, float]:
        """The frozen threshold of each finished fold that has one (with two labels)."""
        facts = {number: json.loads((self.fold(number) / "fold.json").read_text()) for number in self.finished}
        return {number: fact["threshold"] for number, fact in facts.items() if fact["threshold"] is not None}

    def join_folds(self) -> None:
        """Write the finished folds' tables below each other, at the top of the folder."""
        targets = {
            LAST_OF_FOLD: self.path / LAST_OF_FOLD,
            "features.csv": self.path / "features.csv",
            "branches.csv": self.path / "attributions" / "branches.csv",
            "radiomics.csv": self.path / "attributions" / "radiomics.csv",
            "clinical.csv": self.path / "attributions" / "clinical.csv",
        }
        for name, target in targets.items():
            parts = [path for number in self.finished if (path := self.fold(number) / name).is_file()]
            if parts:
                concatenate(parts, target)

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


def _split_rows(cohort: Cohort, folds: Sequence[Fold]) -> Iterator[tuple[str, str, int, str]]:
    centers = {patient_id: cases[0].center for patient_id, cases in cohort.patients.items()}
    for fold in folds:
        for part in PARTS:
            for patient_id in sorted(getattr(fold, part)):
                yield patient_id, centers[patient_id], fold.number, part

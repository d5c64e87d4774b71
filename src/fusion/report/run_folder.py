"""A run folder on disk → what the report is made from. Nothing is computed here, and nothing else is read later."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from fusion.errors import InputError, Problem
from fusion.explanation.branch_table import BRANCHES, PAIRS
from fusion.records import UNLABELED, Predictions
from fusion.runs.model import is_classical

_PREFIX = "prob_"
# Blocks that pass the filters; the others are too few to need any.
FILTERED = frozenset({"radiomics", "deep"})
_NUMBERS = (
    "weight",
    "value",
    "coefficient",
    "frequency",
    "lambda",
    "deviance",
    "error",
    "n_nonzero",
    "used",
    "percentile",
)


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """The files of a finished run.

    Attributes:
        path: The folder.
        config, manifest, metrics: As written.
        patients: Of ``predictions.csv``.
        cases: Of ``predictions_cases.csv``; None where the run has none.
        features: Columns ``fold, feature, weight``; None where the run has none.
        gates: Of ``attributions/branches.csv``; None where the run has none.
        attributions: By branch of the network, columns ``case_id, fold, name, value``; of either kind of model
            ``inputs``, SHAP values with their ``unit`` and, but for older runs, what the case had, ``scale, given``;
            only those that the run has.
        overlays: By case id.
        chosen: By fold, the values of the grid that were chosen in it; only folds that had a grid.
        calibrations: By fold, the state of its calibration; only folds that recorded one.
        inner: Columns ``patient_id, fold, label`` of ``predictions_inner.csv``; None where the run has none.
        selection: Columns ``fold, stage, feature, coefficient, frequency`` (NaN where it was not measured); None where
            the run selected nothing by itself.
        lasso_cv: Columns ``fold, stage, lambda, deviance, error, n_nonzero, chosen, used``; None likewise.
        lasso_path: Columns ``fold, stage, lambda, feature, coefficient``; None likewise.
        nomogram: Columns ``fold, variable, label, value``; None where the model adds up nothing.
        flow, table_one: Of ``patient_flow.json`` and ``table_one.json``; None where the run has none.
        applicability: Of ``applicability.json``: what a prediction did without; None of a run of train.py.
        distances: Of ``distances.csv`` of a prediction, columns ``case_id, fold, branch, percentile``; None likewise.
        by_fold: Of ``predictions_folds.csv`` of a prediction, what each fold's model says; None likewise.
        candidates: By fold, the features that the model has looked at, by block; only folds that recorded them.
        final_inputs: By fold, names of what the final stage of a classical model takes, which may be nothing; only
            folds that recorded them.
        classifiers: By fold, the settings that its classifier was tuned to; only folds that tuned any.
        weights: By fold, the weight of each score in a weighted mean; only folds that have one.
    """

    path: Path
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]
    metrics: Mapping[str, Any]
    patients: Predictions
    cases: Predictions | None
    features: pd.DataFrame | None
    gates: pd.DataFrame | None
    attributions: Mapping[str, pd.DataFrame]
    overlays: Mapping[str, Path]
    chosen: Mapping[int, Mapping[str, Any]]
    calibrations: Mapping[int, Mapping[str, Any]]
    inner: pd.DataFrame | None
    selection: pd.DataFrame | None
    lasso_cv: pd.DataFrame | None
    lasso_path: pd.DataFrame | None
    nomogram: pd.DataFrame | None
    shapley: pd.DataFrame | None
    pixel_checks: pd.DataFrame | None
    flow: Mapping[str, Any] | None
    applicability: Mapping[str, Any] | None
    distances: pd.DataFrame | None
    by_fold: Predictions | None
    table_one: Mapping[str, Any] | None
    candidates: Mapping[int, Mapping[str, int]]
    final_inputs: Mapping[int, Sequence[str]]
    classifiers: Mapping[int, Mapping[str, Any]]
    weights: Mapping[int, Mapping[str, float]]

    @property
    def n_models(self) -> int:
        """Models of folds: each tested other patients, or in a prediction all of them."""
        return self.n_folds if self.by_fold is None else len(set(self.by_fold.folds))

    @property
    def test(self) -> Predictions:
        """Labeled rows of the test part."""
        rows = zip(self.patients.parts, self.patients.labels, strict=True)
        return self.patients.select(part == "test" and label != UNLABELED for part, label in rows)

    @property
    def n_folds(self) -> int:
        return len(set(self.patients.folds))

    @property
    def n_planned_folds(self) -> int:
        """Of the split; a run that did not record it is taken to be finished."""
        return int((self.metrics.get("folds") or {}).get("planned", self.n_folds))

    @property
    def is_simulated(self) -> bool:
        cohort = self.config["cohort"]
        return cohort.get("simulation") is not None or cohort.get("name") == "phantom"

    @property
    def names_centers(self) -> bool:
        """Whether the cohort's table says of which center a patient is; else all are said to be of one."""
        cohort = self.config["cohort"]
        return "center" not in cohort or cohort["center"] is not None

    @property
    def is_binary(self) -> bool:
        return len(self.patients.label_names) == 2

    @property
    def is_classical(self) -> bool:
        """Whether the model is made of stages, and not a network."""
        model = self.config.get("model")
        return isinstance(model, Mapping) and is_classical(model)

    @property
    def inputs(self) -> Mapping[str, str]:
        """Block → how it enters the final stage of a classical model (``features`` or ``score``); else empty.

        Of the blocks that the configuration names those that at least one fold had something of.
        """
        return {block: entry for block, entry in self._configured.items() if block not in self.left_out}

    @property
    def left_out(self) -> list[str]:
        """Blocks that the configuration names and no fold had anything of; none where no fold recorded any."""
        found = {block for counts in self.candidates.values() for block, n in counts.items() if n}
        return [block for block in self._configured if found and block not in found]

    @property
    def _configured(self) -> Mapping[str, str]:
        return dict(self.config["model"]["inputs"]) if self.is_classical else {}

    @property
    def filters(self) -> list[Mapping[str, Any]]:
        """That a block of a classical model passed, in their order; none where no block is filtered."""
        selection = self.config.get("selection")
        configured = selection.get("filters") if isinstance(selection, Mapping) else None
        return list(configured or ()) if FILTERED & self.inputs.keys() else []

    @property
    def grid(self) -> Mapping[str, Sequence[Any]]:
        """Values by key of ``split.grid``; empty where nothing was tuned by it."""
        split = self.config.get("split")
        entries = (split.get("grid") or ()) if isinstance(split, Mapping) else ()
        return {str(key): values for entry in entries for key, values in entry.items()}

    @property
    def has_epochs(self) -> bool:
        """Whether the held-out part of the training patients chooses an epoch; a classical model's own does not."""
        return not self.is_classical

    @property
    def is_fused(self) -> bool:
        """Whether there are several branches; a run that did not name them is judged by the figures of its branches."""
        if self.is_classical:
            return len(self.inputs) > 1
        model = self.config.get("model")
        named = model.get("branches") if isinstance(model, Mapping) else None
        return len(self.metrics.get("branches") or {} if named is None else named) > 1

    @property
    def prevalence(self) -> float | None:
        """Of the positive label where the model will be used; None where none was stated."""
        stated = self.config["evaluation"].get("prevalence")
        return None if stated is None else float(stated)

    @property
    def level(self) -> float:
        """Of the intervals, e.g. 0.95."""
        return float(self.config["evaluation"]["level"])

    @property
    def primary_point(self) -> str | None:
        """Name of the operating point that the test figures use; None in a run that knew one threshold only."""
        name = self.config["evaluation"].get("threshold")
        return None if name is None else str(name)

    @property
    def thresholds(self) -> dict[int, float]:
        """Fold → frozen threshold of the primary operating point; empty where the run did not record any."""
        points = self.metrics.get("operating_points") or {}
        if self.primary_point in points:
            recorded = points[self.primary_point]["thresholds"]
        else:
            recorded = self.manifest.get("thresholds") or {}
        return {int(fold): float(value) for fold, value in recorded.items() if value is not None}


def read_run(run_dir: Path) -> FinishedRun:
    """Read a run folder.

    Raises:
        InputError: With every required file that is missing or unreadable, and every optional one that is unreadable.
    """
    problems: list[Problem] = []

    def read(name: str, reader: Callable[[Path], Any], *, required: bool = False) -> Any:
        path = run_dir / name
        if not path.is_file():
            if required:
                problems.append(Problem(where=str(path), required="a file", came="nothing"))
            return None
        try:
            return reader(path)
        except (ValueError, KeyError, yaml.YAMLError) as error:
            problems.append(Problem(where=str(path), required="a file as a run writes it", came=str(error)))
            return None

    found = {
        "config": read("config.yaml", _read_config, required=True),
        "manifest": read("manifest.json", _read_json, required=True),
        "metrics": read("metrics.json", _read_json, required=True),
        "patients": read("predictions.csv", read_predictions, required=True),
        "cases": read("predictions_cases.csv", read_predictions),
        "features": read("features.csv", _table("fold", "feature", "weight")),
        "inner": read("predictions_inner.csv", _table("patient_id", "fold", "label")),
        "gates": read("attributions/branches.csv", _table("patient_id", "case_id", "fold")),
        "selection": read("selection.csv", _table("fold", "stage", "feature", "coefficient", "frequency")),
        "lasso_cv": read(
            "lasso_cv.csv",
            _table("fold", "stage", "lambda", "deviance", "error", "n_nonzero", "chosen", "used"),
        ),
        "lasso_path": read("lasso_path.csv", _table("fold", "stage", "lambda", "feature", "coefficient")),
        "nomogram": read("nomogram.csv", _table("fold", "variable", "label", "value")),
        "shapley": read("attributions/shapley.csv", _read_shapley),
        "pixel_checks": read("attributions/pixel_checks.csv", _table("fold", "method", "n_cases", "verdict")),
        "flow": read("patient_flow.json", _read_json),
        "applicability": read("applicability.json", _read_json),
        "distances": read("distances.csv", _table("case_id", "patient_id", "fold", "branch", "percentile")),
        "by_fold": read("predictions_folds.csv", read_predictions),
        "table_one": read("table_one.json", _read_json),
    }
    columns = ("case_id", "fold", "name", "value")
    attributions = {name: read(f"attributions/{name}.csv", _table(*columns)) for name in ("radiomics", "clinical")}
    attributions["inputs"] = read("attributions/inputs.csv", _table(*columns, "unit"))
    facts = {
        path: read(str(path.relative_to(run_dir)), _read_json) for path in sorted(run_dir.glob("fold_*/fold.json"))
    }
    folds = {int(path.parent.name.removeprefix("fold_")): fact for path, fact in facts.items() if fact}
    chosen, calibrations, candidates, classifiers, weights = (
        {number: fact[key] for number, fact in folds.items() if fact.get(key)}
        for key in ("setting", "calibration", "candidates", "classifier", "weights")
    )
    if problems:
        raise InputError(f"run {run_dir}", problems, "Finish the run (train.py on the folder resumes it), then retry.")
    return FinishedRun(
        path=run_dir,
        attributions={name: table for name, table in attributions.items() if table is not None},
        chosen=chosen,
        calibrations=calibrations,
        candidates=candidates,
        classifiers=classifiers,
        weights=weights,
        # To take nothing is a fact, too.
        final_inputs={number: fact["inputs"] for number, fact in folds.items() if fact.get("inputs") is not None},
        overlays={path.stem: path for path in sorted((run_dir / "attributions" / "images").glob("*.png"))},
        **found,
    )


def read_predictions(path: Path) -> Predictions:
    """Read ``predictions.csv`` or ``predictions_cases.csv``; the latter has a ``case_id`` column.

    Raises:
        ValueError: If columns are missing, or the rows make no :class:`Predictions`.
    """
    table = _table("patient_id", "center", "fold", "part", "label")(path)
    names = [column for column in table.columns if column.startswith(_PREFIX)]
    if len(names) < 2:
        raise ValueError(f"required a column {_PREFIX}<label> per label, came {list(table.columns)}")
    return Predictions(
        model=path.parent.name,
        label_names=tuple(name.removeprefix(_PREFIX) for name in names),
        patient_ids=tuple(table["patient_id"]),
        centers=tuple(table["center"]),
        parts=tuple(table["part"]),
        folds=tuple(int(fold) for fold in table["fold"]),
        labels=tuple(table["label"]),
        probabilities=table[names].to_numpy(dtype=np.float64),
        case_ids=tuple(table["case_id"]) if "case_id" in table.columns else None,
    )


def _table(*required: str) -> Callable[[Path], pd.DataFrame]:
    """A reader that keeps ids as they are written (``007``, ``NA``) and refuses a table without its columns."""

    def read(path: Path) -> pd.DataFrame:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        missing = [column for column in required if column not in table.columns]
        if missing:
            raise ValueError(f"columns {missing} are missing among {list(table.columns)}")
        numbers = [column for column in table.columns if column in _NUMBERS or column.startswith("gate_")]
        # What is not defined is empty, or as Python writes it.
        return table.assign(**{column: pd.to_numeric(table[column].replace("nan", "")) for column in numbers})

    return read


def _read_shapley(path: Path) -> pd.DataFrame:
    pairs = ("_".join(pair) for pair in PAIRS)
    numbers = ("probability", "base", *BRANCHES, *pairs, *(f"gate_{branch}" for branch in BRANCHES))
    table = _table("case_id", "fold", *numbers, "largest_gate", "largest_value", "agree")(path)
    return table.assign(**{column: pd.to_numeric(table[column].replace("nan", "")) for column in numbers})


def _read_config(path: Path) -> dict[str, Any]:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(config, dict) or not isinstance(config.get("cohort"), dict):
        raise ValueError("no mapping with a `cohort` group")
    if not isinstance(config.get("evaluation"), dict) or "level" not in config["evaluation"]:
        raise ValueError("no evaluation.level, the level of the intervals")
    return config


def _read_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__}, not a mapping")
    return content

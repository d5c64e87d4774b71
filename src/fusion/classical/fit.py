"""Fit a classical model on a fold's training patients. Nothing here sees anybody else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.calibration.identity import Identity
from fusion.classical.blocks import Block, fit_block
from fusion.classical.classifier import Classifier
from fusion.classical.columns import Columns, Features, Score
from fusion.classical.late import WeightedMean
from fusion.classical.model import ClassicalModel, require_a_block
from fusion.classical.rows import Outcomes, Sources
from fusion.classical.selected import Selected, Selection, blocks_of
from fusion.errors import FusionError
from fusion.records import Case, Cohort, Fold
from fusion.splits.folds import make_inner_folds

# The others are too few to need filters, and are picked by their authors for a reason.
_FILTERED = ("radiomics", "deep")
_N_BACKGROUND = 50
_KEPT_SETTINGS = ("model", "imaging", "radiomics", "classifier", "selection")

Group = frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A selection as it was fitted, with the rows that it was fitted on.

    Attributes:
        name: ``final``, or the block whose score it is.
        names: (F,) of the columns.
        rows: (N, F)
        outcomes: Of the rows.
        selection: How it was made.
        selected: What it kept.
    """

    name: str
    names: tuple[str, ...]
    rows: NDArray[np.float64]
    outcomes: Outcomes
    selection: Selection
    selected: Selected


@dataclass(frozen=True, kw_only=True)
class ClassicalFit:
    """A model with the selections that made it.

    Attributes:
        model: Without calibration and thresholds yet.
        stages: Every selection on the whole training part, the final one last.
    """

    model: ClassicalModel
    stages: tuple[Stage, ...]


# The features of a set of training patients that may be used; None is all.
Stable = Callable[[Collection[str]], Collection[str] | None]


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """What every stage of one fit shares.

    Attributes:
        cohort: With a label for every case.
        sources: Rows of patients who are not fitted on are not read.
        stable: Names of the stable radiomics features, measured on the patients that it is asked with.
        config: The resolved configuration.
        number: Of the outer fold.
        is_own: Whether it is the outer fold's own fit: the model that is kept.
        title: Of progress lines.
    """

    cohort: Cohort
    sources: Sources
    stable: Stable
    config: Mapping[str, Any]
    number: int
    is_own: bool
    title: str

    @property
    def seed(self) -> int:
        """Of every division of patients in this fit."""
        return int(self.config["seed"]) + self.number

    @property
    def cache_dir(self) -> Path:
        """Where stages are kept."""
        return Path(self.config["cache_dir"])

    def selection(self, widths: Sequence[tuple[int, bool]]) -> Selection:
        """Of blocks side by side: of each its number of columns, and whether it is filtered."""
        return Selection(
            blocks=blocks_of(widths),
            settings=self.config["selection"],
            seed=self.seed,
            cache_dir=self.cache_dir,
        )

    def outcomes(self, cases: Sequence[Case]) -> Outcomes:
        """Of training cases."""
        return Outcomes.of(cases, self.cohort.label_names[-1])


def fit_classical(fitting: Fitting, fold: Fold, groups: Sequence[Group]) -> ClassicalFit:
    """Fit every stage on ``fold.train``; ``fold.test`` is never touched.

    Args:
        fitting: What the stages share.
        fold: Without a validation part: there is no epoch to choose.
        groups: The training patients of the outer fold, divided. Scores of training patients are out of fold over
            them: each group is scored by a model of the others. Patients who are not in ``fold.train`` are left out,
            so that the fit within an inner fold reuses what others left to it in the cache.

    Raises:
        FusionError: If no block has anything to fit.
    """
    patients = fold.train
    inside = [group & patients for group in groups if group & patients]
    cases = [case for case in fitting.cohort.cases if case.patient_id in patients]
    entries: dict[str, Columns] = {}
    joined: list[NDArray[np.float64]] = []
    stages: list[Stage] = []
    for name, enters in fitting.config["model"]["inputs"].items():
        block = _fit_block(fitting, name, cases)
        if not block.names:
            continue
        if enters == "features":
            entry: Columns = Features(block=block)
            joined.append(entry.transform(cases, fitting.sources))
        else:
            stage, entry = _fit_score(fitting, name, block, cases)
            stages.append(stage)
            joined.append(_out_of_fold(fitting, name, cases, inside))
        entries[name] = entry
    if not entries:
        wanted = ", ".join(fitting.config["model"]["inputs"])
        raise FusionError(
            f"model={fitting.config['model']['name']}: required values of {wanted}, came none in cohort "
            f"{fitting.cohort.name!r}; name clinical columns (and which are `source: ultrasound`) in cohort.clinical, "
            "give images with masks, or choose another model"
        )
    return _fit_final(fitting, fold.number, entries, np.concatenate(joined, axis=1), cases, stages)


def _fit_block(fitting: Fitting, name: str, cases: Sequence[Case], *, without: int | None = None) -> Block:
    left_out = "" if without is None else f" without part {without}"
    stable = fitting.stable(frozenset(case.patient_id for case in cases)) if name == "radiomics" else None
    return fit_block(
        name,
        fitting.cohort,
        cases,
        sources=fitting.sources,
        stable=stable,
        config=fitting.config,
        fold_number=fitting.number,
        keeps_network=fitting.is_own and without is None,
        title=", ".join(filter(None, (fitting.title, f"{name} features{left_out}"))),
    )


def _known(block: Block, cases: Sequence[Case], sources: Sources) -> tuple[list[Case], NDArray[np.float64]]:
    """The cases that have something of the block, and their columns."""
    rows = block.transform(cases, sources)
    known = np.flatnonzero(~np.isnan(rows).any(axis=1))
    return [cases[row] for row in known.tolist()], rows[known]


def _fit_score(fitting: Fitting, name: str, block: Block, cases: Sequence[Case]) -> tuple[Stage, Score]:
    known, rows = _known(block, cases, fitting.sources)
    outcomes = fitting.outcomes(known)
    selection = fitting.selection([(len(block.names), name in _FILTERED)])
    selected = selection.select(rows, outcomes)
    stage = Stage(name=name, names=block.names, rows=rows, outcomes=outcomes, selection=selection, selected=selected)
    return stage, Score(name=f"{name} score", block=block, selected=selected)


def _out_of_fold(fitting: Fitting, name: str, cases: Sequence[Case], groups: Sequence[Group]) -> NDArray[np.float64]:
    """(N, 1) scores of training cases, each group's by a model of the other groups."""
    scores = np.full((len(cases), 1), np.nan)
    for number, group in enumerate(groups):
        others = [case for case in cases if case.patient_id not in group]
        inside = np.array([case.patient_id in group for case in cases])
        _, score = _fit_score(fitting, name, _fit_block(fitting, name, others, without=number), others)
        scores[inside] = score.transform([case for case in cases if case.patient_id in group], fitting.sources)
    return scores


def _fit_final(
    fitting: Fitting,
    number: int,
    entries: Mapping[str, Columns],
    joined: NDArray[np.float64],
    cases: Sequence[Case],
    stages: Sequence[Stage],
) -> ClassicalFit:
    require_a_block(cases, joined, tuple(entries))
    outcomes, model = fitting.outcomes(cases), fitting.config["model"]
    # A column of which nothing is known is constant, and as good as none.
    known = ~np.isnan(joined)
    fills = np.where(known, joined, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    complete = np.where(known, joined, fills)
    names = tuple(name for entry in entries.values() for name in entry.names)
    selection = fitting.selection(
        [(len(entry.names), isinstance(entry, Features) and name in _FILTERED) for name, entry in entries.items()]
    )
    final_stages, selected = list(stages), None
    if model["select"]:
        selected = selection.select(complete, outcomes)
        final_stages.append(
            Stage(
                name="final",
                names=names,
                rows=complete,
                outcomes=outcomes,
                selection=selection,
                selected=selected,
            )
        )
    chosen = selection.filter(complete, outcomes) if selected is None else selected.columns

    def choose(rows: NDArray[np.intp]) -> NDArray[np.intp]:
        if selected is None:
            return selection.filter(complete[rows], outcomes.of_rows(rows))
        return selection.again(complete, outcomes, rows, selected)

    rows = complete[:, chosen]
    final: Classifier | WeightedMean
    if model["combine"] == "mean":
        final = WeightedMean.fit(joined[:, chosen], outcomes)
    else:
        final = Classifier.fit(
            complete,
            outcomes.y,
            columns=chosen,
            choose=choose,
            classifier=fitting.config["classifier"],
            weights=outcomes.weights,
            patients=outcomes.patients,
            seed=fitting.seed,
        )
    picks = np.linspace(0, len(rows) - 1, min(_N_BACKGROUND, len(rows))).astype(int)
    return ClassicalFit(
        model=ClassicalModel(
            # A weighted mean has no classifier.
            settings={group: fitting.config[group] for group in _KEPT_SETTINGS if group in fitting.config},
            entries=entries,
            fills=fills,
            chosen=chosen,
            coefficients=None if selected is None else selected.lasso.coefficients,
            final=final,
            background=rows[picks],
            ranges=np.stack([rows.min(axis=0), rows.max(axis=0)], axis=1),
            numbers=_numbers(fitting.cohort, cases),
            label_names=fitting.cohort.label_names,
            calibrator=Identity(),
            thresholds={},
            threshold=None,
            fold=number,
        ),
        stages=tuple(final_stages),
    )


def _numbers(cohort: Cohort, cases: Sequence[Case]) -> dict[str, tuple[float, float, str | None]]:
    """Smallest and largest value and unit of each clinical number that the training patients have."""
    found = {}
    for column in cohort.clinical_columns:
        values = [value for case in cases if isinstance(value := case.clinical.get(column.name), float)]
        if column.kind == "number" and values:
            found[column.name] = (min(values), max(values), column.unit)
    return found


def every_part(
    cohort: Cohort, folds: Sequence[Fold], every: Sequence[Fold], *, config: Mapping[str, Any]
) -> tuple[Fold, ...]:
    """What a classical model will be fitted on: parts within the outer folds, and within those for scores out of fold.

    Args:
        cohort: That the folds divide.
        folds: The outer ones.
        every: They and all that are within them, as ``fusion.splits.folds.every_fold`` gives them.
        config: The resolved configuration.
    """
    parts = tuple(whole_training(fold) for fold in every)
    if "score" not in config["model"]["inputs"].values():
        return parts
    groups = {fold.number: groups_of(cohort, fold, config) for fold in folds}
    within: list[Fold] = []
    for part in parts:
        for outer in folds:
            taken = [group & part.train for group in groups[outer.number] if group & part.train < part.train]
            if part.train <= outer.train | outer.validation:
                within += [replace(part, train=part.train - group, test=group) for group in taken if group]
    return (*parts, *within)


def groups_of(cohort: Cohort, fold: Fold, config: Mapping[str, Any]) -> list[Group]:
    """An outer fold's training patients, divided for scores and predictions that are out of fold."""
    return [inner.test for inner in make_inner_folds(cohort, fold, split=config["split"])]


def whole_training(fold: Fold) -> Fold:
    """The fold with its validation part among the training patients: a classical model has no epoch to stop at."""
    return replace(fold, train=fold.train | fold.validation, validation=frozenset())

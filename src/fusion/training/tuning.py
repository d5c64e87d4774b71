"""Predictions of a fold's training patients that nothing was fitted to, and what is chosen on them."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import numpy as np

from fusion.calibration.fit import fit_calibrator
from fusion.errors import InputError, Problem
from fusion.records import Case, Cohort, Fold, Predictions
from fusion.splits.folds import make_inner_folds
from fusion.training.fitted import Scores
from fusion.training.model import Model, Table

# What images and features are made with is the same for every fit of a run.
_TUNABLE = (
    *("l1", "backbone", "head", "model", "optimizer", "tabular", "trainer"),
    *("deep", "selection", "classifier"),
)


@dataclass(frozen=True, kw_only=True)
class FoldFit:
    """A model fitted on a fold's training part, and what it says of all the fold's patients.

    Attributes:
        model: Without calibration and thresholds yet.
        cases: N of them, of every part.
        scores: Of the cases.
        predictions: The scores as case-level predictions.
        tables: What the fit leaves beside the model, by file name.
    """

    model: Model
    cases: tuple[Case, ...]
    scores: Scores
    predictions: Predictions
    tables: Mapping[str, Table] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One combination of the grid.

    Attributes:
        setting: Value by dotted key of the configuration.
        scores: Of each inner fold, higher is better.
    """

    setting: Mapping[str, Any]
    scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class TunedFit:
    """A fold's model with the predictions that its calibration and thresholds are chosen on.

    Attributes:
        fit: By the best combination.
        inner: Case-level, of training patients (part ``validation``), each by a model that was not fitted to it.
        trials: Every combination, in the grid's order; empty where there is nothing to choose.
        setting: The combination that was chosen.
    """

    fit: FoldFit
    inner: Predictions
    trials: tuple[Trial, ...]
    setting: Mapping[str, Any]

    def calibrated(self, method: str) -> TunedFit:
        """The same fit with a calibration, fitted on the inner predictions and frozen.

        Args:
            method: An option of ``conf/calibration``.
        """
        names = self.inner.label_names
        labels = np.array([names.index(label) for label in self.inner.labels], dtype=np.int64)
        n_rows = Counter(self.inner.patient_ids)
        weights = np.array([1 / n_rows[patient_id] for patient_id in self.inner.patient_ids])
        calibrator = fit_calibrator(method, labels, self.inner.probabilities, weights)
        probabilities = calibrator.apply(self.fit.scores.probabilities)
        fit = replace(
            self.fit,
            model=self.fit.model.with_calibrator(calibrator),
            scores=replace(self.fit.scores, probabilities=probabilities),
            predictions=replace(self.fit.predictions, probabilities=probabilities),
        )
        inner = replace(self.inner, probabilities=calibrator.apply(self.inner.probabilities))
        return replace(self, fit=fit, inner=inner)

    def with_thresholds(self, thresholds: Mapping[str, float], *, primary: str) -> TunedFit:
        """The same fit with its thresholds frozen."""
        return replace(self, fit=replace(self.fit, model=self.fit.model.with_thresholds(thresholds, primary=primary)))


# Fit on a fold by a configuration; the text says which fit it is.
Fit = Callable[[Fold, Mapping[str, Any], str], FoldFit]


def fit_tuned(
    cohort: Cohort,
    fold: Fold,
    *,
    config: Mapping[str, Any],
    fit: Fit,
    score: Callable[[Predictions], float],
) -> TunedFit:
    """Fit a fold, by the best combination of ``split.grid`` where there is one.

    With ``split.n_inner_folds`` = 1 the fold's own inner part is what is predicted and scored; it has chosen the
    epoch, too. From 2 on, a cross-validation within the training patients predicts each of them by a model that has
    seen it neither in fitting nor in stopping, and the model is then fitted on the whole training part. Either way the
    fold's test patients take no part: they are never scored but by the model that is returned.

    Args:
        cohort: That the fold divides.
        fold: The outer one.
        config: The resolved configuration.
        fit: Used for every fit, inner and outer.
        score: Of the inner predictions of one inner fold; higher is better.
    """
    settings = grid_settings(config)
    folds = _inner_folds(cohort, fold, config)
    own = folds == (fold,)
    if len(settings) == 1 and own:
        only = fit(fold, config, "")
        return TunedFit(fit=only, inner=_held_out(only, fold, fold), trials=(), setting=settings[0])

    trials, outputs = [], []
    for setting in settings:
        tried = with_setting(config, setting)
        fits = [fit(inner, tried, _title(setting, inner, own=own)) for inner in folds]
        inner = [_held_out(each, of, fold) for each, of in zip(fits, folds, strict=True)]
        trials.append(Trial(setting=setting, scores=tuple(score(each) for each in inner)))
        outputs.append((fits[0] if own else None, Predictions.concatenate(inner)))
    # Of equally good combinations the first: max keeps the earliest.
    best = max(range(len(trials)), key=lambda number: fmean(trials[number].scores))
    kept, inner_predictions = outputs[best]
    chosen = trials[best].setting
    final = kept or fit(fold, with_setting(config, chosen), "")
    return TunedFit(fit=final, inner=inner_predictions, trials=tuple(trials), setting=chosen)


def grid_settings(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of ``split.grid``, the last key changing fastest; one empty combination without a grid.

    Raises:
        InputError: For a key that the configuration does not have, that cannot be tuned or that is a whole group, or
            values that are no list; of a key that is a list itself, no list of lists.
    """
    entries = config["split"].get("grid") or []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        problem = Problem(where="split.grid", required="a list such as [{l1: [0.0, 1e-3]}]", came=repr(entries))
        raise InputError("The grid of split=nested", [problem], "See conf/split/nested.yaml.")
    grid = {str(key): values for entry in entries for key, values in entry.items()}
    problems = [problem for key, values in grid.items() for problem in _problems(config, key, values)]
    if problems:
        raise InputError("The grid of split=nested", problems, "See conf/split/nested.yaml.")
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def with_setting(config: Mapping[str, Any], setting: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with dotted keys changed."""
    changed = copy.deepcopy(dict(config))
    for key, value in setting.items():
        *groups, name = key.split(".")
        section = changed
        for group in groups:
            section = section[group]
        section[name] = value
    return changed


def _problems(config: Mapping[str, Any], key: str, values: Any) -> list[Problem]:
    where = f"split.grid.{key}"
    first, *rest = key.split(".")
    if first not in _TUNABLE:
        return [Problem(where=where, required=f"a key of {', '.join(_TUNABLE)}", came=repr(key))]
    section: Any = config
    for name in (first, *rest):
        # A group that is null is one that the model does without.
        if not isinstance(section, Mapping) or name not in section or (name == key and section[name] is None):
            required = "a key of the configuration, such as l1 or optimizer.lr"
            return [Problem(where=where, required=required, came=repr(key))]
        section = section[name]
    if isinstance(section, Mapping):
        examples = [f"{key}{leaf}" for leaf in _leaves(section)]
        such = f" such as {examples[0]}" if examples else ""
        required = f"one key: a group cannot be tuned as a whole; name a key in it{such}"
        return [Problem(where=where, required=required, came=f"the group {key}")]
    if not isinstance(values, list | tuple) or not values:
        return [Problem(where=where, required="a list of values", came=repr(values))]
    if isinstance(section, list | tuple) and not all(isinstance(value, list | tuple) for value in values):
        required = f"a list of lists, since {key} is a list itself, such as [{list(section)!r}]"
        return [Problem(where=where, required=required, came=repr(values))]
    return []


def _leaves(group: Mapping[str, Any]) -> Iterator[str]:
    """Keys within a group, each after a dot; those of its subgroup ``grid``, meant to be tuned, come first."""
    for name, value in sorted(group.items(), key=lambda item: item[0] != "grid"):
        if isinstance(value, Mapping):
            yield from (f".{name}{leaf}" for leaf in _leaves(value))
        # What an option is called or made of is not a value to try.
        elif name not in ("name", "_target_"):
            yield f".{name}"


def _inner_folds(cohort: Cohort, fold: Fold, config: Mapping[str, Any]) -> tuple[Fold, ...]:
    if config["split"]["n_inner_folds"] == 1:
        return (fold,)
    return make_inner_folds(cohort, fold, split=config["split"])


def _held_out(fit: FoldFit, inner: Fold, outer: Fold) -> Predictions:
    """The rows of an inner fold that it did not learn from, as the outer fold's ``validation`` part."""
    part = "validation" if inner is outer else "test"
    rows = fit.predictions.select(other == part for other in fit.predictions.parts)
    n_rows = len(rows.patient_ids)
    return replace(rows, parts=("validation",) * n_rows, folds=(outer.number,) * n_rows)


def _title(setting: Mapping[str, Any], inner: Fold, *, own: bool) -> str:
    tried = ", ".join(f"{key}={value}" for key, value in setting.items())
    return ", ".join(filter(None, (tried, "" if own else f"inner fold {inner.number}")))


def trial_rows(fold: int, trials: Sequence[Trial]) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of a fold's table of trials: the values tried, the inner fold, its score."""
    keys = list(trials[0].setting)
    rows = [
        [fold, *(trial.setting[key] for key in keys), number, value]
        for trial in trials
        for number, value in enumerate(trial.scores)
    ]
    return ["fold", *keys, "inner_fold", "auc"], rows

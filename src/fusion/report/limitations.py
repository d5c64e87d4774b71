"""What the numbers themselves say against trusting them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fusion.report.run_folder import FinishedRun

# Collins, Ogundimu & Altman, Stat Med 2016;35:214-226: fewer than 100 events give unstable figures in a validation.
_ADVISED_EVENTS = 100
_WIDE_GAP = 0.1


def warnings(run: FinishedRun) -> list[str]:
    """What has to be known before any figure is read, for the top of the page; empty where no rule applies."""
    return [sentence for rule in (_simulated, _unfinished, _sample_size) for sentence in rule(run)]


def limitations(run: FinishedRun) -> list[str]:
    """One sentence each; empty where no rule applies."""
    rules: tuple[Callable[[FinishedRun], Iterator[str]], ...] = (
        _few_events,
        _centers,
        _chance,
        _calibration,
        _gap,
        _branches,
        _undefined_centers,
        _new_center,
        _reader_is_input,
    )
    return [sentence for rule in rules for sentence in rule(run)]


def _simulated(run: FinishedRun) -> Iterator[str]:
    if run.is_simulated:
        yield "Simulated cohort: figures say nothing about patients."


def _unfinished(run: FinishedRun) -> Iterator[str]:
    n, planned = run.n_folds, run.n_planned_folds
    if n < planned:
        yield (
            f"The run is not finished: these are the figures of {n} of {planned} folds, and they will change. "
            "python train.py resume=THIS_FOLDER goes on with it."
        )


def _sample_size(run: FinishedRun) -> Iterator[str]:
    warning = (run.metrics.get("sample_size") or {}).get("warning")
    if warning:
        yield f"Too few patients? {warning}"


def _few_events(run: FinishedRun) -> Iterator[str]:
    counts = Counter(dict(zip(run.test.patient_ids, run.test.labels, strict=True)).values())
    if counts:
        label = min(run.test.label_names, key=lambda name: counts[name])
        if counts[label] < _ADVISED_EVENTS:
            yield (
                f"Only {counts[label]} test patients are {label}. At least {_ADVISED_EVENTS} of each label are advised "
                "for a validation (Collins et al., Stat Med 2016;35:214-226); with fewer the figures move with every "
                "patient."
            )


def _centers(run: FinishedRun) -> Iterator[str]:
    tested, fitted = _centers_of(run, {"test"}), _centers_of(run, {"train", "validation"})
    names = {center for _, center in tested | fitted}
    if len(names) == 1:
        yield f"All patients come from one center ({next(iter(names))}): nothing is known of any other."
    elif tested and tested <= fitted:
        yield (
            "Every center of the test patients also gave training patients. How the model does at a hospital that it "
            "has never seen was not tested here (split=leave_one_center_out tests it)."
        )


def _chance(run: FinishedRun) -> Iterator[str]:
    auc = run.metrics.get("test", {}).get("auc")
    if auc and _includes(auc, 0.5):
        yield "The interval of the AUC includes 0.5: no ability to tell the labels apart has been shown."


def _calibration(run: FinishedRun) -> Iterator[str]:
    slope = run.metrics.get("test", {}).get("calibration_slope")
    if slope and slope["value"] is not None and not _includes(slope, 1):
        how = "too extreme" if slope["value"] < 1 else "too timid"
        yield (
            f"The calibration slope is {slope['value']:.2f} and its interval excludes 1: the probabilities are {how} "
            "and should not be read as risks."
        )


def _gap(run: FinishedRun) -> Iterator[str]:
    train, test = (run.metrics.get(part, {}).get("auc", {}).get("value") for part in ("train", "test"))
    if train is not None and test is not None and train - test > _WIDE_GAP:
        yield (
            f"The AUC is {train:.3f} on training patients and {test:.3f} on test patients: part of what was learned is "
            "true of the training patients only."
        )


def _branches(run: FinishedRun) -> Iterator[str]:
    alone = {
        name: figures["auc"]["value"]
        for name, figures in run.metrics.get("branches", {}).items()
        if figures["auc"]["value"] is not None
    }
    fused = run.metrics.get("test", {}).get("auc", {}).get("value")
    if alone and fused is not None:
        best = max(alone, key=lambda name: alone[name])
        if alone[best] >= fused:
            yield (
                f"The {best} branch alone has an AUC of {alone[best]:.3f}, the fused model {fused:.3f}: fusing the "
                "branches has gained nothing here."
            )


def _undefined_centers(run: FinishedRun) -> Iterator[str]:
    for center, figures in run.metrics.get("centers", {}).items():
        if figures["auc"]["value"] is None:
            yield f"The test patients of center {center} lack a label, so that the center has no AUC."


def _new_center(run: FinishedRun) -> Iterator[str]:
    between = (run.metrics.get("between_centers") or {}).get("auc")
    if between and between["prediction_low"] is not None and between["prediction_low"] <= 0.5:
        yield (
            f"In a new center an AUC between {between['prediction_low']:.3f} and {between['prediction_high']:.3f} has "
            f"to be expected (prediction interval from {between['n_centers']} centers), which includes chance."
        )


def _reader_is_input(run: FinishedRun) -> Iterator[str]:
    readers = run.metrics.get("readers") or {}
    if readers.get("is_input"):
        yield (
            f"The reader’s {readers['name']} is an input of the model: its figures are those of reader and model "
            "together, and say nothing of the images alone."
        )


def _centers_of(run: FinishedRun, parts: set[str]) -> set[tuple[int, str]]:
    """By fold: where each center is left out in turn, every one of them trains, too, but never its own model."""
    rows = zip(run.patients.folds, run.patients.centers, run.patients.parts, strict=True)
    return {(fold, center) for fold, center, part in rows if part in parts}


def _includes(estimate: Mapping[str, Any], value: float) -> bool:
    return estimate["ci_low"] is not None and estimate["ci_low"] <= value <= estimate["ci_high"]

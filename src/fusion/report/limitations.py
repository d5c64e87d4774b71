"""What the numbers themselves say against trusting them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fusion.report.inner import calibration_name, chosen, listed, n_inner_folds
from fusion.report.recipe import left_out_text
from fusion.report.run_folder import FinishedRun
from fusion.report.stages import FINAL, stage_text, stages

# Collins, Ogundimu & Altman, Stat Med 2016;35:214-226: fewer than 100 events give unstable figures in a validation.
_ADVISED_EVENTS = 100
_WIDE_GAP = 0.1
# Below it little was learned of the training patients either, and there is nothing to overfit with.
_LEARNED = 0.7
# fusion.calibration.platt holds lower slopes there.
HELD_SLOPE = 0.01
_ADVISED_INNER = 20
# Niculescu-Mizil & Caruana, ICML 2005: with fewer, Platt's calibration is better than isotonic regression.
_ADVISED_ISOTONIC = 1000
# What is selected in fewer of the resamples would as likely as not be another feature with other patients.
_SURE = 0.5
_OF_NETWORK = ("branch", "fused model", "fusing the branches")


def warnings(run: FinishedRun) -> list[str]:
    """What has to be known before any figure is read, for the top of the page; empty where no rule applies."""
    return [sentence for rule in (_simulated, _unfinished, _left_out, _sample_size) for sentence in rule(run)]


def limitations(run: FinishedRun) -> list[str]:
    """One sentence each; empty where no rule applies."""
    rules: tuple[Callable[[FinishedRun], Iterator[str]], ...] = (
        _few_events,
        _centers,
        _chance,
        _calibration,
        _held_slope,
        _few_inner,
        _isotonic,
        _gap,
        _branches,
        _nothing_selected,
        _unsure_selection,
        _undefined_centers,
        _new_center,
        _reader_is_input,
    )
    return [sentence for rule in rules for sentence in rule(run)]


def _simulated(run: FinishedRun) -> Iterator[str]:
    if run.is_simulated:
        yield "Simulated cohort: figures say nothing about patients."
    elif (run.config.get("applied") or {}).get("simulated"):
        yield "Trained on a simulated cohort: what such a model says of a patient means nothing."


def _unfinished(run: FinishedRun) -> Iterator[str]:
    n, planned = run.n_folds, run.n_planned_folds
    if n < planned:
        yield (
            f"The run is not finished: these are the figures of {n} of {planned} folds, and they will change. "
            "python train.py resume=THIS_FOLDER goes on with it."
        )


def _left_out(run: FinishedRun) -> Iterator[str]:
    if sentence := left_out_text(run):
        yield sentence


def _sample_size(run: FinishedRun) -> Iterator[str]:
    warning = (run.metrics.get("sample_size") or {}).get("warning")
    if warning and run.is_binary:
        yield f"Too few patients? {warning}"
    elif warning:
        yield f"Whether the patients are enough is not known. {warning}"


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
    if not run.names_centers:
        yield "The cohort's table names no center: nothing is known of how the model does in another one."
        return
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
    if not auc or auc["ci_low"] is None or auc["ci_low"] > 0.5:
        return
    if auc["ci_high"] >= 0.5:
        yield "The interval of the AUC includes 0.5: no ability to tell the labels apart has been shown."
        return
    bias = (
        " Near chance the AUC pooled over folds is too low: a test part with more of a label leaves fewer of it to "
        "learn from (Parker et al., BMC Bioinformatics 2007;8:326)."
        if run.n_folds > 1
        else ""
    )
    yield f"The whole interval of the AUC lies below 0.5: the order of the patients is reversed.{bias}"


def _calibration(run: FinishedRun) -> Iterator[str]:
    slope = run.metrics.get("test", {}).get("calibration_slope")
    if slope and slope["value"] is not None and slope["value"] < 0:
        yield (
            f"The calibration slope is {slope['value']:.2f}, below 0: the order is reversed, so that the label was "
            "rarer where its probability was higher."
        )
    elif slope and slope["value"] is not None and not _includes(slope, 1):
        how = "too extreme" if slope["value"] < 1 else "too timid"
        yield (
            f"The calibration slope is {slope['value']:.2f} and its interval excludes 1: the probabilities are {how} "
            "and should not be read as risks."
        )


def _held_slope(run: FinishedRun) -> Iterator[str]:
    fitted = {fold: state.get("slopes") or () for fold, state in run.calibrations.items() if state["name"] == "platt"}
    held = [fold for fold, slopes in sorted(fitted.items()) if any(slope <= HELD_SLOPE for slope in slopes)]
    if held:
        folds = "the one fold" if len(fitted) == 1 else f"{len(held)} of {len(fitted)} folds ({_numbers(held)})"
        yield (
            f"In {folds} Platt’s slope was held at its lowest value of {HELD_SLOPE:g}: the inner predictions were no "
            "better than chance, or worse. There the calibrated probabilities "
            "are all close to the share of the label, and tell next to nothing."
        )


def _few_inner(run: FinishedRun) -> Iterator[str]:
    counts = _inner_counts(run)
    if not counts or not chosen(run):
        return
    n, fold, label = min((of_labels[label], fold, label) for fold, of_labels in counts.items() for label in of_labels)
    if n < _ADVISED_INNER:
        where = f" (fold {fold})" if len(counts) > 1 else ""
        advice = (
            ""
            if n_inner_folds(run) > 1
            else " split.n_inner_folds=3 chooses on all training patients of a fold instead."
        )
        rest = "rests" if chosen(run) == ["the calibration"] else "rest"
        yield (
            f"{listed(chosen(run)).capitalize()} {rest} on as few as {n} inner patients that are {label}{where}, and "
            f"would be others with other patients.{advice}"
        )


def _isotonic(run: FinishedRun) -> Iterator[str]:
    counts = _inner_counts(run)
    if not counts or calibration_name(run) != "isotonic":
        return
    n = min(sum(of_labels.values()) for of_labels in counts.values())
    if n < _ADVISED_ISOTONIC:
        yield (
            f"Isotonic regression was fitted to {n} inner patients; below about {_ADVISED_ISOTONIC} it overfits, and "
            "Platt’s calibration is better (Niculescu-Mizil & Caruana, ICML 2005:625-632)."
        )


def _inner_counts(run: FinishedRun) -> dict[int, dict[str, int]]:
    """By fold, the inner patients of each label; empty where the run has no inner predictions."""
    if run.inner is None:
        return {}
    columns = (run.inner[name] for name in ("patient_id", "fold", "label"))
    patients = {(patient, int(fold), label) for patient, fold, label in zip(*columns, strict=True)}
    counts = Counter((fold, label) for _, fold, label in patients)
    folds = sorted({fold for _, fold, _ in patients})
    return {fold: {label: counts[fold, label] for label in run.patients.label_names} for fold in folds}


def _gap(run: FinishedRun) -> Iterator[str]:
    train, test = (run.metrics.get(part, {}).get("auc", {}).get("value") for part in ("train", "test"))
    if train is not None and test is not None and train >= _LEARNED and train - test > _WIDE_GAP:
        yield (
            f"The AUC is {train:.3f} on training patients and {test:.3f} on test patients: part of what was learned is "
            "true of the training patients only."
        )


def _branches(run: FinishedRun) -> Iterator[str]:
    if not run.is_fused:
        return
    test = run.metrics.get("test", {}).get("auc", {})
    fused = test.get("value")
    # An AUC of other patients, those who have something of the branch, says nothing of the model's.
    alone = {
        name: figures["auc"]["value"]
        for name, figures in (run.metrics.get("branches") or {}).items()
        if figures and figures["auc"]["value"] is not None and figures["auc"]["n"] == test.get("n")
    }
    if alone and fused is not None:
        best = max(alone, key=lambda name: alone[name])
        if alone[best] >= fused:
            names = ("score", "whole model", "joining it with the rest") if run.is_classical else _OF_NETWORK
            part, whole, joining = names
            yield (
                f"The {best} {part} alone has an AUC of {alone[best]:.3f}, the {whole} {fused:.3f}: {joining} has "
                "gained nothing here."
            )


def _nothing_selected(run: FinishedRun) -> Iterator[str]:
    if run.lasso_cv is None or run.selection is None:
        return
    for stage in stages(run):
        tried, kept = (
            {int(fold) for fold in table.loc[table["stage"] == stage, "fold"]}
            for table in (run.lasso_cv, run.selection)
        )
        empty = sorted(tried - kept)
        if empty:
            where = "" if run.n_folds == 1 else f" in {len(empty)} of {run.n_folds} folds ({_numbers(empty)})"
            what = "every patient was given the same probability" if stage == FINAL else "it says nothing there"
            yield f"The selection of {stage_text(stage)} kept no feature{where}: {what}."


def _unsure_selection(run: FinishedRun) -> Iterator[str]:
    if run.selection is None:
        return
    for stage in stages(run):
        frequencies = run.selection.loc[run.selection["stage"] == stage, "frequency"].dropna()
        n, unsure = len(frequencies), int((frequencies < _SURE).sum())
        if unsure > n / 2:
            over = " over the folds" if run.n_folds > 1 else ""
            yield (
                f"The selection of {stage_text(stage)} is unstable: {unsure} of {n} selected features{over} were "
                f"selected in fewer than {100 * _SURE:g}\N{NO-BREAK SPACE}% of bootstrap resamples. Other patients "
                "would have given other features; which ones were selected says little."
            )


def _undefined_centers(run: FinishedRun) -> Iterator[str]:
    for center, figures in run.metrics.get("centers", {}).items():
        if figures["auc"]["value"] is None:
            rows = zip(run.test.centers, run.test.labels, strict=True)
            found = {label for other, label in rows if other == center}
            known = [label for label in run.test.label_names if label in found]
            if known:
                yield f"The test patients of center {center} have only {listed(known)}, so there is no AUC."


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


def _numbers(folds: Sequence[int]) -> str:
    return ", ".join(map(str, folds))


def _includes(estimate: Mapping[str, Any], value: float) -> bool:
    return estimate["ci_low"] is not None and estimate["ci_low"] <= value <= estimate["ci_high"]

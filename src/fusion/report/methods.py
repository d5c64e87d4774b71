"""How the run was done, in sentences, from its configuration and manifest: the protocol that a reviewer asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fusion.report.inner import calibration_name, chosen, counted, inner_text, listed, n_inner_folds
from fusion.report.run_folder import FinishedRun
from fusion.report.tables import rule_text, threshold_text
from fusion.runs.model import BRANCH_OF, branches_taken

RANDOM_START = "trained from random initialization, not pretrained"
_N_HASH = 12
_CALIBRATION = {
    "none": "The probabilities are the model’s own; no calibration was fitted.",
    "platt": "The probabilities were recalibrated by Platt’s logistic regression",
    "temperature": "The probabilities were recalibrated by temperature scaling",
    "isotonic": "The probabilities were recalibrated by isotonic regression",
}
_UNSEEN = {
    "refuse": "refused",
    "reference": "mapped as the reference center’s patients are",
    "none": "left as it is",
}


def methods(run: FinishedRun) -> list[str]:
    """A sentence or two per stage that the run recorded."""
    stages = (
        _split,
        _inner,
        _grid,
        _image,
        _radiomics,
        _stability,
        _harmonization,
        _head,
        _calibration,
        _thresholds,
        _intervals,
    )
    return [sentence for stage in stages for sentence in stage(run)]


def applied_methods(run: FinishedRun) -> list[str]:
    """How a run was applied to other patients, likewise."""
    stages = (_applied, _image, _radiomics, _head, _calibration, _thresholds, _distances, _intervals)
    return [sentence for stage in stages for sentence in stage(run)]


def _applied(run: FinishedRun) -> Iterator[str]:
    trained_on, n_models = run.config["applied"]["cohort"], run.n_models
    one, n_seen = n_models == 1, (run.applicability or {})["n_seen"]
    known = f", but {n_seen} of the patients here were in the training" if n_seen else ", and nothing was fitted here"
    yield (
        f"{'The model' if one else f'The {n_models} models'} of a run on the cohort “{trained_on}” (split sha256 "
        f"{run.manifest['split_sha256'][:_N_HASH]}…) {'was' if one else 'were'} applied as trained: preprocessing, "
        f"calibration and thresholds had been frozen{known}. "
        f"{'' if one else 'Probabilities and thresholds are the means over the models. '}A patient’s probability is "
        "the mean over the images."
    )


def _distances(run: FinishedRun) -> Iterator[str]:
    if run.distances is not None:
        yield (
            "How far an image lies from those of training was measured as Mahalanobis’ distance (Lee et al., NeurIPS "
            "2018) from the training cases of each model, with the covariance of probabilistic principal components "
            "(Tipping & Bishop, J R Stat Soc B 1999;61:611), and ranked among cases of the training cohort that it was "
            "not fitted to"
            f"{', which the backbone of the deep features had seen' if 'deep' in run.inputs else ''}."
        )


def starts_at_random(run: FinishedRun) -> bool:
    """Whether there is an image branch, and it had no pretrained weights."""
    backbone = run.config.get("backbone")
    return _has_branch(run, "image") and isinstance(backbone, Mapping) and backbone.get("weights") in (None, "none")


def _has_branch(run: FinishedRun, branch: str) -> bool:
    if run.is_classical:
        return branch in {BRANCH_OF[block] for block in run.inputs}
    model = run.config.get("model")
    if not isinstance(model, Mapping) or "branches" not in model:
        return True
    return branch in branches_taken(model)


def split_text(run: FinishedRun) -> str:
    """The split with its folds, e.g. ``kfold, 3 of 5 folds``."""
    return f"{_name(run.config, 'split').replace('_', ' ')}, {folds_text(run)}"


def folds_text(run: FinishedRun) -> str:
    """How many folds the figures are of, and of how many where some are missing."""
    n_finished, n_planned = run.n_folds, run.n_planned_folds
    if n_planned == 1:
        return "one division"
    missing = f" of {n_planned}" if n_finished < n_planned else ""
    split = run.config.get("split")
    if isinstance(split, Mapping) and split.get("name") == "holdout":
        return f"{n_finished}{missing} random divisions, each for itself"
    repeats = split.get("n_repeats") if isinstance(split, Mapping) else None
    times = f" ({split['n_folds']} folds, {repeats} times)" if isinstance(split, Mapping) and repeats else ""
    return f"{n_finished}{missing} folds{times}"


def _split(run: FinishedRun) -> Iterator[str]:
    digest = run.metrics.get("split_sha256") or run.manifest.get("split_sha256")
    hashed = f", written down before anything was fitted (sha256 {digest[:_N_HASH]}…)" if digest else ""
    yield (
        f"Patients were divided by the split “{_name(run.config, 'split')}” ({folds_text(run)}){hashed}, never the "
        "images of one patient. Everything that learns was fitted on the training part of its fold."
    )
    split = run.config.get("split")
    if isinstance(split, Mapping) and split.get("name") == "center":
        train, test = (", ".join(map(str, split.get(part) or ())) for part in ("train", "test"))
        yield f"Training centers: {train}. Test centers: {test}."
    if run.n_folds < run.n_planned_folds:
        yield f"THE RUN IS NOT FINISHED: these are the figures of {run.n_folds} of {run.n_planned_folds} folds."


def _inner(run: FinishedRun) -> Iterator[str]:
    split = run.config.get("split")
    if not isinstance(split, Mapping) or split.get("validation_fraction") is None:
        return
    share = f"{100 * split['validation_fraction']:g}\N{NO-BREAK SPACE}%"
    n_inner, found = n_inner_folds(run), chosen(run)
    if n_inner == 1 and (run.has_epochs or found):
        yield (
            f"Of each fold’s training patients {share} were held out as its inner part; on it were chosen "
            f"{listed([*(['the epoch'] if run.has_epochs else []), *found])}. The test part took no part in any choice."
        )
        return
    on_others = (
        f" On out-of-fold predictions of {n_inner} inner folds within each fold’s training patients "
        f"{'was' if found == ['the calibration'] else 'were'} chosen {listed(found)}."
        if found
        else ""
    )
    of_epoch = (
        f"Of the training patients of each fit {share} were held out to choose the epoch." if run.has_epochs else ""
    )
    yield f"{of_epoch}{on_others} The test part took no part in any choice.".strip()


def _grid(run: FinishedRun) -> Iterator[str]:
    if run.grid:
        tried = "; ".join(f"{key}: {', '.join(map(str, values))}" for key, values in run.grid.items())
        found = f" Chosen: {counted(run.chosen, len(run.chosen))}." if run.chosen else ""
        yield f"Tried in each fold: {tried}.{found}"


def _image(run: FinishedRun) -> Iterator[str]:
    backbone = run.config.get("backbone")
    if not isinstance(backbone, Mapping) or not _has_branch(run, "image"):
        return
    start = RANDOM_START if starts_at_random(run) else f"started from the weights {run.manifest.get('weights')}"
    yield f"{'Backbone of the deep features' if run.is_classical else 'Image branch'}: {backbone.get('name')}, {start}."


def _radiomics(run: FinishedRun) -> Iterator[str]:
    radiomics = run.config.get("radiomics")
    if not isinstance(radiomics, Mapping) or not _has_branch(run, "radiomics"):
        return
    mode = {"2d": "true 2D", "single_slice_3d": "single slice as 3D"}.get(str(radiomics.get("mode")), "an unnamed mode")
    if run.is_classical:
        yield f"Radiomics: PyRadiomics features in {mode}."
        return
    penalty = f", under an L1 penalty of {run.config['l1']:g}" if run.config.get("l1") is not None else ""
    yield f"Radiomics branch: PyRadiomics features in {mode}{penalty}."


def _stability(run: FinishedRun) -> Iterator[str]:
    stability = run.config.get("stability")
    if not isinstance(stability, Mapping) or _is_without_radiomics(run):
        return
    if _name(run.config, "stability") == "none":
        yield "Features were not filtered by their stability."
        return
    settings = ", ".join(f"{key} {value}" for key, value in stability.items() if key != "name")
    yield (
        f"Features were filtered by their stability (“{stability['name']}”{': ' if settings else ''}{settings}), "
        "measured on the training part of each fold."
    )


def _harmonization(run: FinishedRun) -> Iterator[str]:
    harmonization = run.config.get("harmonization")
    if not isinstance(harmonization, Mapping) or _is_without_radiomics(run):
        return
    if harmonization.get("name") == "none":
        yield "Features were not harmonized between the centers."
        return
    unseen = str(harmonization.get("unseen"))
    kept = (
        f", the effects of {listed(list(map(str, covariates)))} kept"
        if (covariates := harmonization.get("covariates"))
        else ""
    )
    yield (
        f"Features were harmonized between the centers by {harmonization['name']}, fitted on the training part of each "
        f"fold, the outcome not a covariate{kept}; a center not seen there was {_UNSEEN.get(unseen, unseen)} "
        f"(policy “{unseen}”)."
    )


def _is_without_radiomics(run: FinishedRun) -> bool:
    return not _has_branch(run, "radiomics")


def _head(run: FinishedRun) -> Iterator[str]:
    if not run.is_classical and run.config.get("head") is not None and (run.is_fused or "model" not in run.config):
        yield f"The branches were joined by the head “{_name(run.config, 'head')}”."


def _calibration(run: FinishedRun) -> Iterator[str]:
    name = calibration_name(run)
    if name is None:
        return
    text = _CALIBRATION.get(name, f"The probabilities were recalibrated by “{name}”")
    yield text if text.endswith(".") else f"{text}, fitted on {inner_text(run)}, and frozen."


def _thresholds(run: FinishedRun) -> Iterator[str]:
    points: Mapping[str, Any] = run.metrics.get("operating_points") or {}
    if points:
        said = [
            f"{name}{' (primary)' if name == run.primary_point else ''}: {rule_text(point['rule'])}, "
            f"{threshold_text(point['thresholds'])}"
            for name, point in points.items()
        ]
        yield f"Thresholds were chosen on {inner_text(run)}, and frozen before testing. {'; '.join(said)}."
    elif run.thresholds:
        values = threshold_text({str(fold): value for fold, value in run.thresholds.items()})
        yield f"The threshold was chosen on {inner_text(run)}, and frozen before testing: {values}."
    elif not run.is_binary:
        yield "With more than two labels no thresholds were chosen: a patient is called what is most probable."


def _intervals(run: FinishedRun) -> Iterator[str]:
    of_mean = "" if run.is_binary else " of one label, a bootstrap of patients for the mean of several labels’"
    of_odds = " the log method for likelihood ratios," if run.is_binary else ""
    yield (
        f"Intervals have a level of {run.level:.3g} and count patients, not images: DeLong’s on the logit scale for an "
        f"AUC{of_mean}, Wilson’s for shares,{of_odds} Wald’s for calibration intercept and slope, a "
        "bootstrap of patients or, for figures of the confusion table, its posterior for the rest. They hold for this "
        "trained model; another training run, or another cohort, varies more."
    )


def _name(config: Mapping[str, Any], group: str) -> str:
    value = config.get(group)
    return str(value.get("name", "unnamed")) if isinstance(value, Mapping) else str(value)

"""Facts about the model: what it is, how it was trained, how anything about it was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusion.guidelines.claim import Claim, Evidence, Fact, fact, in_config, in_manifest, in_metrics
from fusion.guidelines.facts.settings import (
    branches,
    fold_files,
    is_end_to_end,
    recorded,
    setting,
    values_text,
)
from fusion.report.inner import calibration_name, chosen, inner_text, listed
from fusion.report.methods import starts_at_random
from fusion.report.recipe import recipe
from fusion.report.run_folder import FinishedRun
from fusion.report.tables import rule_text, threshold_text

_GIVEN_TO_CLASSICAL = ("model", "selection", "classifier", "deep")


def algorithm(run: FinishedRun) -> Fact:
    """What the model is."""
    if run.is_classical:
        return fact(_recipe(run))
    if not recorded(run, "model.branches", "head.name"):
        return fact()
    names = list(setting(run, "model.branches"))
    others = {key: value for key, value in run.config["model"].items() if key not in ("name", "branches")}
    head = {key: value for key, value in run.config["head"].items() if key != "name"}
    of_head = f" ({values_text(head)})" if head else ""
    joined = f", joined by the head “{setting(run, 'head.name')}”{of_head}" if len(names) > 1 else ""
    network = Claim(
        f"A neural network with {'the branches' if len(names) > 1 else 'the branch'} {listed(names)}{joined}; its "
        f"other settings: {values_text(others)}.",
        in_config("model", "head"),
    )
    backbone = Claim(
        f"The image branch is the backbone {setting(run, 'backbone.name')} of {setting(run, 'backbone.library')}.",
        in_config("backbone.name", "backbone.library"),
    )
    return fact(network, backbone if is_end_to_end(run) and recorded(run, "backbone.name") else None)


def _recipe(run: FinishedRun) -> Claim:
    used = [key for key in _GIVEN_TO_CLASSICAL if key in run.config]
    return Claim(" ".join(recipe(run)), (*in_config(*used), *fold_files(run, "fold.json")))


def reduction(run: FinishedRun) -> Fact:
    """How features were reduced in number."""
    limit = setting(run, "tabular.max_correlation")
    has_radiomics = "radiomics" in branches(run)
    apart = Claim(
        "Of the radiomics features those that were constant in the training part of the fold were dropped, and of two "
        f"with an absolute Spearman correlation above {limit} there the later one.",
        in_config("tabular.max_correlation"),
    )
    removes = has_radiomics and limit is not None and limit < 1
    claims = [apart if has_radiomics and limit is not None else None]
    if run.is_classical:
        # Principal components are no removal of redundant features; a filter or a LASSO is.
        selects = bool(run.filters) or bool(setting(run, "model.select")) or "score" in run.inputs.values()
        return fact(*claims, _recipe(run), met=removes or selects)
    if has_radiomics and "l1" in run.config:
        claims.append(_gates(run))
    elif branches(run):
        claims.append(Claim("Does not apply: the model takes no table of image features.", in_config("model")))
    return fact(*claims, met=removes if claims and limit is not None else None)


def _gates(run: FinishedRun) -> Claim:
    l1 = run.config["l1"]
    text = (
        f"In training an L1 penalty of {l1:g} on a gate of each radiomics feature could set it to exactly 0."
        if l1
        else "No L1 penalty was put on the radiomics features (l1 is 0)."
    )
    return Claim(text, in_config("l1"))


def training(run: FinishedRun) -> Fact:
    """How the model was fitted."""
    has_network = not run.is_classical or "deep" in run.inputs
    if has_network and not recorded(run, "optimizer", "trainer.max_epochs", "trainer.augmentation"):
        return fact()
    network = [_course(run), _augmentation(run)] if has_network else []
    return fact(_recipe(run) if run.is_classical else None, *network, _tuned(run), _seed(run))


def _course(run: FinishedRun) -> Claim:
    names = ("max_epochs", "batch_size", "patience", "gradient_clip", "freeze_epochs")
    which = "The network of the deep features was trained by " if run.is_classical else ""
    course = {name: setting(run, f"trainer.{name}") for name in names}
    return Claim(
        f"{which}AdamW ({values_text(run.config['optimizer'])}; {values_text(course)}) on cross-entropy with the "
        "labels weighted to count the same; learning rates rise over the warm-up and then fall to 0 as a cosine.",
        in_config("optimizer", *(f"trainer.{name}" for name in names)),
    )


def _augmentation(run: FinishedRun) -> Claim | None:
    if "image" not in branches(run):
        return None
    return Claim(
        f"Training images were changed at random in every epoch ({values_text(setting(run, 'trainer.augmentation'))}).",
        in_config("trainer.augmentation"),
    )


def _tuned(run: FinishedRun) -> Claim | None:
    if run.grid:
        tried = "; ".join(f"{key}: {', '.join(map(str, values))}" for key, values in run.grid.items())
        return Claim(f"Tried in each fold: {tried}.", in_config("split.grid"))
    # What a classifier tunes by itself is in the recipe.
    return (
        None
        if run.is_classical
        else Claim("No setting was tuned within the run: all are those of config.yaml.", in_config("split"))
    )


def _seed(run: FinishedRun) -> Claim | None:
    return Claim(f"The seed was {run.config['seed']}.", in_config("seed")) if "seed" in run.config else None


def selection(run: FinishedRun) -> Fact:
    """How the final model was chosen."""
    if not recorded(run, "split.n_inner_folds", "model"):
        return fact()
    epoch = Claim(
        "Of each fit the epoch with the lowest loss on held-out training patients was kept.",
        in_config("split.validation_fraction", "trainer.max_epochs"),
    )
    found = chosen(run)
    rest = found and Claim(
        f"Chosen were {listed(found)}, on {inner_text(run)}.",
        (*in_config("split.n_inner_folds"), Evidence("predictions_inner.csv", "label")),
    )
    grid = setting(run, "classifier.grid") if run.is_classical and setting(run, "model.combine") != "mean" else None
    tuned = grid and Claim(
        "The classifier's settings were chosen by the log loss of held-out training patients among "
        f"{values_text(grid)}.",
        in_config("classifier.grid"),
    )
    return fact(epoch if run.has_epochs else None, tuned or None, rest or None, _untouched(run))


def _untouched(run: FinishedRun) -> Claim | None:
    """Counted, not taken from what was meant."""
    if run.inner is None:
        return None
    rows = zip(run.patients.folds, run.patients.patient_ids, run.patients.parts, strict=True)
    tested = {(fold, patient) for fold, patient, part in rows if part == "test"}
    chose = set(zip(map(int, run.inner["fold"]), run.inner["patient_id"], strict=True))
    if tested & chose:
        return None
    return Claim(
        "No choice of a fold rests on a test patient of it: none is among the patients that it was made on.",
        (Evidence("predictions_inner.csv", "patient_id"), Evidence("predictions.csv", "part")),
    )


def ensemble(run: FinishedRun) -> Fact:
    """Whether models were combined."""
    n = run.n_folds
    one = Claim(
        "No ensemble in the figures of the run: "
        + ("a patient was scored by the one model." if n == 1 else "a test patient was scored by its fold's own model.")
        + " predict.py, which applies the run to other patients, averages the probabilities of the folds' models.",
        (Evidence("predictions.csv", "fold"),),
    )
    combined = Claim("Within the model the weighted mean of its blocks' scores is taken.", in_config("model.combine"))
    return fact(one, combined if setting(run, "model.combine") == "mean" else None)


def initialization(run: FinishedRun) -> Fact:
    """From which weights the fit started."""
    if not branches(run):
        return fact()
    if run.is_classical and "image" not in branches(run):
        return fact(Claim("Does not apply: no weights are trained from a start.", in_config("model")))
    return fact(_backbone_start(run), None if run.is_classical else _other_weights(run))


def _backbone_start(run: FinishedRun) -> Claim | None:
    if "image" not in branches(run) or not recorded(run, "backbone"):
        return None
    if starts_at_random(run):
        text = "The backbone was trained from random weights, not pretrained."
        return Claim(text, in_config("backbone.weights"))
    text = f"The backbone started from the weights “{run.manifest.get('weights')}”."
    return Claim(text, (*in_config("backbone.weights"), *in_manifest("weights")))


def _other_weights(run: FinishedRun) -> Claim | None:
    if "seed" not in run.config:
        return None
    gates = (
        "; the gates of radiomics features start at the first step of an L1-penalized logistic regression of the "
        "fold's training part"
        if "radiomics" in branches(run)
        else ""
    )
    return Claim(
        f"All else starts at its layer's own initialization, drawn with the seed plus the number of the fold{gates}.",
        in_config("seed", "model"),
    )


def software(run: FinishedRun) -> Fact:
    """Versions of everything."""
    versions, git = run.manifest.get("versions"), run.manifest.get("git") or {}
    if not versions:
        return fact()
    used = Claim(
        f"Software: {', '.join(f'{name} {version}' for name, version in versions.items())}.", in_manifest("versions")
    )
    changed = ", with changes that are in no revision" if git.get("dirty") else ""
    revision = git.get("revision") and Claim(
        f"Revision of the program: {git['revision']}{changed}.", in_manifest("git.revision", "git.dirty")
    )
    return fact(used, revision or None, _device(run))


def _device(run: FinishedRun) -> Claim | None:
    device = run.manifest.get("device")
    if not device:
        return None
    text = values_text(device) if isinstance(device, Mapping) else str(device)
    return Claim(f"It ran on: {text}.", in_manifest("device"))


def imbalance(run: FinishedRun) -> Fact:
    """What was done about labels that are rarer."""
    return fact(_imbalance(run), _shares(run))


def _imbalance(run: FinishedRun) -> Claim | None:
    if not run.is_classical:
        if not recorded(run, "model.branches"):
            return None
        return Claim(
            "In training the labels were weighted to count the same, by the patients of the training part; the shift "
            "that this gives the probabilities was undone.",
            in_config("model"),
        )
    is_mean = setting(run, "model.combine") == "mean"
    name = "mean" if is_mean else setting(run, "classifier.imbalance")
    texts = {
        "none": "Nothing was done about the imbalance of the labels in fitting the classifier.",
        "mean": "No classifier follows the scores, and nothing was balanced for one.",
        "weights": "Patients of the rarer label were weighted up for the classifier; the shift was undone.",
        "smote": "The rarer label was filled up by SMOTE within the training part for the classifier; the shift was "
        "undone.",
    }
    key = "model.combine" if is_mean else "classifier.imbalance"
    return Claim(texts[name], in_config(key)) if name in texts else None


def _shares(run: FinishedRun) -> Claim | None:
    labels = dict(zip(run.test.patient_ids, run.test.labels, strict=True)).values()
    n = len(labels)
    if not n:
        return None
    shares = [f"{100 * list(labels).count(name) / n:.0f}\N{NO-BREAK SPACE}% {name}" for name in run.test.label_names]
    return Claim(f"Test patients: {', '.join(shares)}.", (Evidence("predictions.csv", "label"),))


def output(run: FinishedRun) -> Fact:
    """What the model gives, and how it is turned into a label."""
    names = run.patients.label_names
    gives = Claim(
        f"The output is the probability of each of {listed(list(names))} for a patient.",
        (Evidence("predictions.csv", f"prob_{names[-1]}"),),
    )
    points: Mapping[str, Any] = run.metrics.get("operating_points") or {}
    rules = [
        f"{name}{' (primary)' if name == run.primary_point else ''}: {rule_text(point['rule'])}, "
        f"{threshold_text(point['thresholds'])}"
        for name, point in points.items()
    ]
    called = rules and Claim(
        f"Thresholds on the probability of {names[-1]}, frozen before testing: {'; '.join(rules)}. They were chosen on "
        f"{inner_text(run)}.",
        in_metrics("operating_points"),
    )
    most = Claim("There are no thresholds: a patient is called what is most probable.", in_config("cohort.label"))
    return fact(gives, _calibrated(run), called or None, None if run.is_binary else most)


def _calibrated(run: FinishedRun) -> Claim | None:
    name = calibration_name(run)
    if name is None:
        return None
    if name == "none":
        return Claim("The probabilities were not recalibrated.", in_config("calibration.name"))
    return Claim(
        f"The probabilities were recalibrated ({name}) and this was frozen before testing; it was fitted on "
        f"{inner_text(run)}.",
        in_config("calibration.name"),
    )


def updating(run: FinishedRun) -> Fact:
    """Whether the model was changed after it was evaluated."""
    return fact(
        Claim(
            "Not done: a run changes nothing in a model after its test part is scored.",
            (*in_metrics("test"), *fold_files(run, "fold.json")),
        )
    )


def specification(run: FinishedRun) -> Fact:
    """Whether the model is there to be applied."""
    return fact(
        Claim(
            "The whole model of each fold, its preprocessing and thresholds with it, is the file fold_<k>/model.ckpt; "
            "predict.py applies it to other patients.",
            fold_files(run, "model.ckpt"),
        ),
        Claim(
            "A nomogram of it is in nomogram.csv.",
            (Evidence("nomogram.csv", "value"),),
        )
        if run.nomogram is not None
        else None,
    )


def unusable_inputs(run: FinishedRun) -> Fact:
    """What the model does with inputs that are missing or odd."""
    clip = setting(run, "tabular.clip")
    clipped = Claim(
        f"Standardized values are clipped at ±{clip:g}." if clip is not None else "",
        in_config("tabular.clip"),
    )
    said = Claim(
        "predict.py says how many patients lacked which input, and refuses those who have nothing that the model "
        "takes.",
        fold_files(run, "model.ckpt"),
    )
    return fact(clipped if clip is not None else None, said)


FACTS = (
    algorithm,
    reduction,
    training,
    selection,
    ensemble,
    initialization,
    software,
    imbalance,
    output,
    updating,
    specification,
    unusable_inputs,
)

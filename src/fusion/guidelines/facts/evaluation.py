"""Facts about the evaluation: on whom, by which figures, with what certainty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fusion.audit.finding import counted
from fusion.guidelines.claim import Claim, Evidence, Fact, fact, in_config, in_manifest, in_metrics
from fusion.guidelines.facts.data import is_disjoint, tested_on
from fusion.guidelines.facts.settings import (
    counts_text,
    estimate_text,
    fold_files,
    setting,
    share_text,
    value_at,
    values_text,
)
from fusion.report.inner import listed
from fusion.report.limitations import limitations, warnings
from fusion.report.metric_names import in_order, metric_name
from fusion.report.mistakes import worst_mistakes
from fusion.report.run_folder import FinishedRun

if TYPE_CHECKING:
    import pandas as pd

# Of performance, what is quoted in a sentence; metrics.json has all.
_QUOTED = (
    "auc",
    "auc_fold_mean",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "accuracy",
    "brier",
    "calibration_intercept",
    "calibration_slope",
)
_METHODS = {"grad_cam": "Grad-CAM"}
_OTHER_PARTS = {"train": "training part", "validation": "inner part"}
_CALIBRATION = ("calibration_intercept", "calibration_slope", "brier", "ece", "ici", "hosmer_lemeshow")


def testing(run: FinishedRun) -> Fact:
    """On whom the model was tested."""
    return fact(_tested(run), _kind(run))


def _tested(run: FinishedRun) -> Claim | None:
    name = setting(run, "split.name")
    if name is None or not run.test.patient_ids or not is_disjoint(run):
        return None
    n = len(set(run.test.patient_ids))
    return Claim(
        f"{n} patients were tested (split “{name}”, {run.n_folds} {'fold' if run.n_folds == 1 else 'folds'}), each by "
        "a model in whose making (fit, epoch, calibration, thresholds) they took no part.",
        (*in_config("split.name"), Evidence("predictions.csv", "part")),
    )


def _kind(run: FinishedRun) -> Claim | None:
    kind = tested_on(run)
    texts = {
        "same": "Test patients come from centers that also gave training patients: internal testing.",
        "unnamed": "Test and training patients come from one table that names no center: internal testing.",
        "other": "Test patients come from centers that gave the tested model no patient.",
        "mixed": "Some test patients come from centers that gave the tested model no patient, others do not.",
    }
    if kind is None:
        return None
    return Claim(texts[kind], (*in_config("cohort.center"), Evidence("predictions.csv", "center")))


def internal_testing(run: FinishedRun) -> Fact:
    """Whether it was tested on untouched patients of the same source."""
    kind = tested_on(run)
    is_internal = kind in ("same", "unnamed") and is_disjoint(run)
    return fact(_tested(run), _kind(run), met=is_internal if kind and run.test.patient_ids else None)


def external_testing(run: FinishedRun) -> Fact:
    """Whether it was tested on patients from elsewhere; that centers are institutions, the run cannot know."""
    kind = tested_on(run)
    if kind in ("same", "unnamed"):
        text = "Not done in this run: no test patient comes from a center that is known to be another one."
        return fact(Claim(text, (*in_config("cohort.center"), Evidence("predictions.csv", "center"))), met=False)
    return fact(_tested(run), _kind(run))


def measures(run: FinishedRun) -> Fact:
    """Which figures were computed."""
    test = run.metrics.get("test")
    if not test:
        return fact()
    names = run.patients.label_names
    shown = [
        metric_name(key, label_names=names, is_pooled=run.n_folds > 1, prevalence=run.prevalence)
        for key in in_order(test, label_names=names)
    ]
    figures = Claim(f"Figures of the test part: {'; '.join(shown)}.", in_metrics("test"))
    curves = run.metrics.get("curves")
    drawn = curves and Claim(f"Curves: {listed([name.replace('_', ' ') for name in curves])}.", in_metrics("curves"))
    has_auc = {"auc", "accuracy"} <= test.keys()
    # That a network's losses are drawn is asked, too; the run only keeps them.
    return fact(figures, drawn or None, _losses(run), met=None if has_auc and not run.is_classical else has_auc)


def _losses(run: FinishedRun) -> Claim | None:
    if run.is_classical or setting(run, "logger.csv") is None:
        return None
    text = "Losses by epoch are in fold_<k>/metrics.csv; the run draws no curve of them."
    return Claim(text, (*in_config("logger.csv"), *fold_files(run, "metrics.csv", "train/loss")))


def uncertainty(run: FinishedRun) -> Fact:
    """Whether figures have intervals."""
    auc = value_at(run.metrics, "test.auc")
    if not auc:
        return fact()
    has_interval = auc["ci_low"] is not None
    return fact(
        Claim(
            f"Figures of the test part have {share_text(run.level)} intervals that count patients, not images "
            "(DeLong's on the logit scale for an AUC of two labels, Wilson's for shares, others by their own formula, "
            "or a bootstrap of patients where there is none)."
            if has_interval
            else "The AUC of the test part has no interval.",
            (*in_config("evaluation.level"), *in_metrics("test.auc.ci_low", "test.auc.ci_high")),
        ),
        met=has_interval,
    )


def performance(run: FinishedRun) -> Fact:
    """How good the model is on test patients."""
    test: Mapping[str, Any] = run.metrics.get("test") or {}
    quoted = [key for key in _QUOTED if key in test]
    if not quoted:
        return fact()
    names = run.patients.label_names
    texts = [
        f"{metric_name(key, label_names=names, is_pooled=run.n_folds > 1, prevalence=run.prevalence)} "
        f"{estimate_text(test[key])}"
        for key in quoted
    ]
    return fact(
        Claim(
            f"Test part, with {share_text(run.level)} intervals: {'; '.join(texts)}.",
            in_metrics(*(f"test.{key}" for key in quoted)),
        )
    )


def other_parts(run: FinishedRun) -> Fact:
    """How good it is on those it was made with, and what a guess without it would reach."""
    found = {title: value_at(run.metrics, f"{part}.auc") for part, title in _OTHER_PARTS.items()}
    texts = [f"{title} {estimate_text(auc)}" for title, auc in found.items() if auc]
    known = [part for part, title in _OTHER_PARTS.items() if found[title]]
    alongside = texts and Claim(
        f"AUC of patients that the model was made with, to see overfitting: {'; '.join(texts)}.",
        in_metrics(*(f"{part}.auc" for part in known)),
    )
    labels = list(run.test.labels)
    if not labels:
        return fact(alongside or None)
    most = max(run.test.label_names, key=labels.count)
    guess = Claim(
        f"To call every test patient {most} would be right in {100 * labels.count(most) / len(labels):.1f}"
        "\N{NO-BREAK SPACE}% (no information rate).",
        (Evidence("predictions.csv", "label"),),
    )
    return fact(alongside or None, guess)


def calibration(run: FinishedRun) -> Fact:
    """Whether probabilities mean what they say."""
    test: Mapping[str, Any] = run.metrics.get("test") or {}
    found = [key for key in _CALIBRATION if key in test]
    has_curve = value_at(run.metrics, "curves.reliability") is not None
    if not test:
        return fact()
    if "calibration_slope" not in found and not has_curve:
        return fact(Claim("Not done: there is no calibration figure or curve.", in_metrics("test")), met=False)
    texts = [
        f"{metric_name(key, label_names=run.patients.label_names, is_pooled=False, prevalence=None)} "
        f"{_p(test[key]['value']) if key == 'hosmer_lemeshow' else estimate_text(test[key])}"
        for key in found
    ]
    return fact(
        Claim(f"Calibration of the test part: {'; '.join(texts)}.", in_metrics(*(f"test.{key}" for key in found)))
        if found
        else None,
        Claim("A calibration curve is in metrics.json.", in_metrics("curves.reliability")) if has_curve else None,
        met=True,
    )


def reader_comparison(run: FinishedRun) -> Fact:
    """Whether the model was compared with what is done without radiomics."""
    readers = run.metrics.get("readers")
    tested = _differences(run)
    claims = [tested, _alone(run), _decision(run)]
    if tested is None:
        text = "No reader's score and no other non-radiomic method was compared with the model by a test in this run."
        return fact(Claim(text, in_metrics("test")), *claims, met=False)
    # A reader who is part of the model is no other method.
    return fact(*claims, met=None if readers and readers["is_input"] else True)


def _differences(run: FinishedRun) -> Claim | None:
    readers = run.metrics.get("readers") or {}
    if not readers.get("differences"):
        return None
    texts = [
        f"{each['first']} minus {each['second']} {estimate_text(each['difference'])}, p {_p(each['p'])}".replace(
            "_", " "
        )
        for each in readers["differences"]
    ]
    return Claim(
        f"Difference in AUC to the reader's {readers['name']} on the same test patients (DeLong's paired test, not "
        f"corrected for their number): {'; '.join(texts)}. {readers['text']}",
        in_metrics("readers.differences", "readers.text"),
    )


def _p(p: float | None) -> str:
    return "not defined" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _alone(run: FinishedRun) -> Claim | None:
    branches = run.metrics.get("branches")
    if not branches:
        return None
    texts = [f"{name} {estimate_text(figures['auc'])}, n {figures['auc']['n']}" for name, figures in branches.items()]
    what = "Scores" if run.is_classical else "Branches"
    return Claim(
        f"{what} alone, AUC: {'; '.join(texts)}. These were not tested against the whole model; `fusion compare` "
        "compares separate models.",
        in_metrics("branches"),
    )


def _decision(run: FinishedRun) -> Claim | None:
    if value_at(run.metrics, "curves.decision") is None:
        return None
    text = "Net benefit beside treating all and treating none is in metrics.json (decision curve)."
    return Claim(text, in_metrics("curves.decision"))


def simple_comparison(run: FinishedRun) -> Fact:
    """Whether a simple model was compared on the same patients."""
    scaled = value_at(run.metrics, "test.brier_scaled")
    beside = scaled and Claim(
        f"Against the outcome's share alone the scaled Brier score is {estimate_text(scaled)} (0 is no better).",
        in_metrics("test.brier_scaled"),
    )
    text = "Not done in this run: no simpler model was tested against this one (`fusion compare` does it)."
    return fact(Claim(text, in_metrics("test")), beside or None, met=False) if run.metrics.get("test") else fact()


def one_image(run: FinishedRun) -> Fact:
    """Whether a single kind of image is used."""
    if "image" not in run.config["cohort"]:
        return fact()
    return fact(Claim("The cohort names one kind of image: each case has one at most.", in_config("cohort.image")))


def comparison(run: FinishedRun) -> Fact:
    """How performance was compared statistically."""
    tested = _differences(run)
    if tested is None and run.metrics.get("test"):
        text = "No two models, and no model and reader, were compared by a test in this run."
        return fact(Claim(text, in_metrics("test")))
    return fact(tested)


def subgroups(run: FinishedRun) -> Fact:
    """How good the model is in groups of patients."""
    found = run.metrics.get("subgroups")
    if not found:
        return fact()
    levels = [level for of in found.values() for level in of]
    with_figures = sum(level["figures"] is not None for level in levels)
    limits = values_text({key: setting(run, f"evaluation.{key}") for key in ("min_patients", "min_per_label")})
    return fact(
        Claim(
            f"Of {len(levels)} subgroups {with_figures} have figures with intervals in metrics.json; the others were "
            f"too small ({limits}).",
            (*in_metrics("subgroups"), *in_config("evaluation.min_patients", "evaluation.min_per_label")),
        )
    )


def clusters(run: FinishedRun) -> Fact:
    """How good the model is in each center, and how far centers differ."""
    if "center" not in run.config["cohort"]:
        return fact()
    if setting(run, "cohort.center") is None:
        text = "Not done: the cohort's table names no center."
        return fact(Claim(text, in_config("cohort.center")))
    centers: Mapping[str, Any] = run.metrics.get("centers") or {}
    texts = [f"{name} {estimate_text(of['auc'])}, n {of['auc']['n']}" for name, of in centers.items()]
    each = texts and Claim(f"AUC by center of the test patients: {'; '.join(texts)}.", in_metrics("centers"))
    auc = value_at(run.metrics, "between_centers.auc")
    together = auc and Claim(
        f"Random effects over {auc['n_centers']} centers: AUC {estimate_text(auc)}, τ² {auc['tau2']:.3f} on the logit "
        f"scale, I² {auc['i2']:.2f}{_further_text(auc)}.",
        in_metrics("between_centers.auc"),
    )
    return fact(each or None, together or None)


def _further_text(auc: Mapping[str, Any]) -> str:
    low, high = auc["prediction_low"], auc["prediction_high"]
    return "" if low is None else f"; to be expected in a further center: {low:.3f} to {high:.3f}"


def fairness(run: FinishedRun) -> Fact:
    """Whether anything was done for fairness; figures by group are no remedy."""
    found = subgroups(run).claims
    if not found:
        return fact()
    text = "Nothing was done in fitting to make the model equally good in all groups; figures by group are given."
    return fact(Claim(text, in_metrics("subgroups")), *found)


def sensitivity_analysis(run: FinishedRun) -> Fact:
    """What else was tried to see whether figures hold."""
    claims = list(_variations(run))
    if claims or "learning_curve" not in run.metrics:
        return fact(*claims)
    text = "Not done: no learning curve, no repeated division and no test of features against other outlines."
    return fact(Claim(text, (*in_metrics("learning_curve"), *in_config("split.name", "stability.name"))))


def _variations(run: FinishedRun) -> Iterator[Claim]:
    if points := run.metrics.get("learning_curve"):
        shares = [share_text(point["share"]) for point in points]
        text = f"A learning curve was computed on {listed(shares)} of the training patients."
        yield Claim(text, in_metrics("learning_curve"))
    if setting(run, "split.name") == "repeated_kfold":
        yield Claim("The cross-validation was repeated with other folds.", in_config("split.n_repeats"))
    if setting(run, "split.name") == "holdout" and (setting(run, "split.n_divisions") or 1) > 1:
        yield Claim("The division was repeated, each time at random.", in_config("split.n_divisions"))
    if setting(run, "stability.name") not in (None, "none"):
        yield Claim("Features were measured on other outlines.", (Evidence("stability.csv", None),))


def explanation(run: FinishedRun) -> Fact:
    """How predictions were explained."""
    name = setting(run, "explain.name")
    if name is None:
        return fact()
    if name == "none":
        return fact(Claim("Not done: explain=none.", in_config("explain.name")))
    asked = Claim(f"Explanations were asked for with explain={name}.", in_config("explain.name"))
    found = list(_explanations(run))
    return fact(asked, *found) if found else fact()


def _explanations(run: FinishedRun) -> Iterator[Claim]:
    if run.shapley is not None:
        yield Claim(
            f"Branches: exact Shapley values over their coalitions (Shapley 1953) of {_n_cases(run.shapley)} test "
            "cases, and the interaction of every two, in attributions/shapley.csv.",
            (Evidence("attributions/shapley.csv", "base"),),
        )
    if "inputs" in run.attributions:
        yield Claim(
            f"Features and columns: SHAP values (Lundberg & Lee, NeurIPS 2017) of "
            f"{_n_cases(run.attributions['inputs'])} test cases in attributions/inputs.csv.",
            (Evidence("attributions/inputs.csv", "value"),),
        )
    for branch in ("radiomics", "clinical"):
        if branch in run.attributions:
            yield Claim(
                f"Inputs of the branch {branch}: integrated gradients (Sundararajan et al., ICML 2017) of "
                f"{_n_cases(run.attributions[branch])} test cases in attributions/{branch}.csv, with their "
                "completeness error.",
                (Evidence(f"attributions/{branch}.csv", "completeness_error"),),
            )
    yield from _pixels(run)
    if run.gates is not None and not run.is_classical:
        yield Claim(
            "The weight that the head gives to each branch, which is no measure of importance, is in "
            "attributions/branches.csv.",
            (Evidence("attributions/branches.csv", "case_id"),),
        )


def _pixels(run: FinishedRun) -> Iterator[Claim]:
    checks = run.pixel_checks
    if checks is not None:
        methods = [_METHODS.get(name, name.replace("_", " ")) for name in map(str, checks["method"])]
        verdicts = Counter(zip(methods, map(str, checks["verdict"]), strict=True))
        texts = [f"{method}: {verdict} in {counted(n, 'fold')}" for (method, verdict), n in verdicts.items()]
        yield Claim(
            f"Pixels: {listed(list(dict.fromkeys(methods)))}; attributions/pixels.csv has their shares in the lesion, "
            "around it and beyond.",
            (Evidence("attributions/pixels.csv", "share_lesion"), Evidence("attributions/pixel_checks.csv", "method")),
        )
        yield Claim(
            "Each was tested in every fold (completeness where it is defined, deletion and insertion, randomized "
            f"networks). Verdicts: {'; '.join(texts)}.",
            (Evidence("attributions/pixel_checks.csv", "verdict"),),
        )
    if run.overlays:
        yield Claim(
            f"Overlays of {counted(len(run.overlays), 'case')} are in attributions/images.",
            # The folder: a picture is named after its case.
            (Evidence("attributions/images", None),),
        )


def _n_cases(table: pd.DataFrame) -> int:
    return len(set(table["case_id"]))


def feature_statistics(run: FinishedRun) -> Fact:
    """Which features survived, how often."""
    if run.features is None:
        return fact()
    names = sorted(set(run.features["feature"]))
    folds = run.n_folds
    counts = run.features.groupby("feature")["fold"].nunique()
    every = int((counts == folds).sum())
    weights = Claim(
        f"{len(names)} radiomics features are left in at least one fold, {every} of them in all {folds} folds; "
        "features.csv has every weight."
        if folds > 1
        else f"{len(names)} radiomics features are left; features.csv has their weights.",
        (Evidence("features.csv", "weight"), Evidence("features.csv", "feature")),
    )
    selected = Claim(
        "selection.csv has the selected features, their coefficients, and the share of bootstrap resamples that keep "
        "them.",
        (Evidence("selection.csv", "frequency"),),
    )
    return fact(weights if len(names) else None, selected if run.selection is not None else None)


def failures(run: FinishedRun) -> Fact:
    """Who was judged wrongly: the confusion matrix."""
    if not run.test.patient_ids:
        return fact()
    names, n = run.test.label_names, len(run.test.patient_ids)
    mistakes = worst_mistakes(run)
    wrong = Counter((mistake.label, mistake.called) for mistake in mistakes)
    rows = []
    for name in names:
        of_label = list(run.test.labels).count(name)
        called = {other: wrong[name, other] for other in names if other != name}
        right = of_label - sum(called.values())
        rows.append(f"of {of_label} {name} {right} were called so ({counts_text(called)} instead)")
    what = "patients" if n == len(set(run.test.patient_ids)) else "predictions of patients"
    frozen = "at the frozen thresholds" if run.thresholds else "by the most probable label"
    return fact(
        Claim(
            f"{len(mistakes)} of {n} test {what} were given the wrong label {frozen}: {'; '.join(rows)}.",
            (
                *(Evidence("predictions.csv", key) for key in ("label", f"prob_{names[-1]}")),
                *(in_metrics("operating_points") if run.thresholds else ()),
            ),
        )
    )


def limits(run: FinishedRun) -> Fact:
    """What the figures themselves say against trusting them."""
    inner = () if run.inner is None else (Evidence("predictions_inner.csv", "label"),)
    evidence = (*in_metrics("test"), Evidence("predictions.csv", "part"), *in_config("cohort"), *inner)
    return fact(*(Claim(text, evidence) for text in (*warnings(run), *limitations(run))))


def own_files(run: FinishedRun) -> Fact:
    """What of the run can be shared."""
    return fact(
        Claim(
            "config.yaml has every setting of images, features and model; train.py runs again on it.",
            in_config("imaging", "radiomics", "model", "seed"),
        ),
        _revision(run),
    )


def _revision(run: FinishedRun) -> Claim | None:
    revision = value_at(run.manifest, "git.revision")
    if revision is None:
        return None
    return Claim(f"The program's revision is recorded ({revision}).", in_manifest("git.revision"))


def source_code(run: FinishedRun) -> Fact:
    """Which code made the run."""
    return fact(
        _revision(run), Claim("The settings are in config.yaml.", in_config("model")) if "model" in run.config else None
    )


FACTS = (
    testing,
    internal_testing,
    external_testing,
    measures,
    uncertainty,
    performance,
    other_parts,
    calibration,
    reader_comparison,
    simple_comparison,
    one_image,
    comparison,
    subgroups,
    clusters,
    fairness,
    sensitivity_analysis,
    explanation,
    feature_statistics,
    failures,
    limits,
    own_files,
    source_code,
)

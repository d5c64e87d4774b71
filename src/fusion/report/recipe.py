"""What a classical model was made of, in sentences, from its configuration and what its folds recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import fmean
from typing import Any

from fusion.report.inner import counted, listed
from fusion.report.run_folder import FILTERED, FinishedRun

_BLOCKS = {
    "clinical": "the clinical columns, ultrasound findings included",
    "ultrasound": "the ultrasound findings",
    "radiomics": "the radiomics features",
    "deep": "the deep features",
}
_CORRECTIONS = {"none": "not corrected", "holm": "Holm’s correction", "fdr_bh": "false discovery rate"}
_IMBALANCE = {
    "none": "Labels were not balanced.",
    "weights": "Patients of the rarer label were weighted up.",
    "smote": "The rarer label was filled up with SMOTE’s synthetic patients, within the training part of the fold only "
    "(Chawla et al., J Artif Intell Res 2002;16:321).",
}
_RULES = {
    "min": "that of the least cross-validated deviance (λ.min)",
    "1se": "the strongest within one standard error of the least deviance (λ.1se)",
}


def recipe(run: FinishedRun) -> list[str]:
    """A sentence or two per stage, in the order in which they are fitted; none for a network."""
    if not run.is_classical:
        return []
    stages = (_inputs, _candidates, _deep, _filters, _selection, _anew, _combination, _tuned)
    return [sentence for stage in stages for sentence in stage(run)]


def left_out_text(run: FinishedRun) -> str | None:
    """Which blocks the model was to take and could not; None where there are none."""
    if not run.left_out:
        return None
    return (
        f"{_sentence_start(listed([_block(block) for block in run.left_out]))} were left out: the training patients "
        "of no fold have any that could be used. This is the model of the rest."
    )


def _inputs(run: FinishedRun) -> Iterator[str]:
    whole = [_block(block) for block, entry in run.inputs.items() if entry == "features"]
    scores = [_block(block) for block, entry in run.inputs.items() if entry == "score"]
    parts = [
        *([f"{listed(whole)}, column by column"] if whole else []),
        *([f"{'a score each of' if len(scores) > 1 else 'one score of'} {listed(scores)}"] if scores else []),
    ]
    yield f"The model takes {'; and '.join(parts)}. Every stage was fitted on the training part of its fold alone."
    if left_out := left_out_text(run):
        yield left_out
    if scores:
        yield (
            "A score is the linear predictor of its own penalized regression. For training patients it is out of fold: "
            "it comes from a fit on other patients, since scores of patients that they were fitted on are too good, "
            "and the next stage would trust them too much."
        )


def _candidates(run: FinishedRun) -> Iterator[str]:
    counts = [count for count in run.candidates.values() if count]
    blocks = list(dict.fromkeys(block for count in counts for block, n in count.items() if n))
    if blocks:
        texts = [f"{_range([int(count.get(block, 0)) for count in counts])} {block}" for block in blocks]
        total = _range([sum(count.values()) for count in counts])
        together = f", {total} in all" if len(blocks) > 1 else ""
        yield f"It has looked at {listed(texts)} features{together}; every one is a chance to be wrong."


def _deep(run: FinishedRun) -> Iterator[str]:
    deep, backbone = run.config.get("deep"), run.config.get("backbone")
    if "deep" not in run.inputs or not isinstance(backbone, Mapping):
        return
    n_components = deep.get("n_components") if isinstance(deep, Mapping) else None
    compressed = (
        f", compressed to at most {n_components} principal components of the training part" if n_components else ""
    )
    yield (
        f"Deep features are the pooled layer of the backbone {backbone.get('name')}, fine-tuned on the training "
        f"part{compressed}."
    )


def _filters(run: FinishedRun) -> Iterator[str]:
    blocks = [block for block in run.inputs if block in FILTERED]
    if not blocks or not _selection_of(run):
        return
    filters = [_filter_text(each) for each in run.filters]
    which = f"{_sentence_start(listed(blocks))} features"
    if filters:
        yield f"{which} were filtered, one patient one row, {'; then '.join(filters)}."
    else:
        yield f"{which} were not filtered before the selection."


def _filter_text(each: Mapping[str, Any]) -> str:
    name = str(each.get("name"))
    known: Mapping[str, Callable[[], str]] = {
        "variance": lambda: f"by a variance above {each['min_variance']}",
        "mann_whitney": lambda: f"by the Mann-Whitney test, p below {each['max_p']} ({_correction(each)})",
        "t_test": lambda: f"by Welch’s t-test, p below {each['max_p']} ({_correction(each)})",
        "spearman": lambda: _redundancy("Spearman", each),
        "pearson": lambda: _redundancy("Pearson", each),
        "mrmr": lambda: f"to the {each['n_features']} of minimum redundancy and maximum relevance (mRMR)",
    }
    if name in known:
        return known[name]()
    return f"by “{name}”"


def _correction(each: Mapping[str, Any]) -> str:
    return _CORRECTIONS.get(str(each.get("correction")), str(each.get("correction")))


def _redundancy(kind: str, each: Mapping[str, Any]) -> str:
    dropped = "one with the larger p" if each.get("order") == "p_value" else "later in the table"
    return (
        f"for redundancy: of two with a {kind} correlation beyond ±{each['max_correlation']} the {dropped} was dropped"
    )


def _selection(run: FinishedRun) -> Iterator[str]:
    selection, model = _selection_of(run), run.config["model"]
    n_scores = list(run.inputs.values()).count("score")
    if not _is_penalized(run):
        yield "No feature was selected before the last stage."
        return
    ratio = float(selection["l1_ratio"])
    what = "a LASSO logistic regression" if ratio == 1 else f"an elastic-net logistic regression (L1 part {ratio:g})"
    where = [
        *(["within each score" if n_scores > 1 else "within the score"] if n_scores else []),
        *(["over everything that the model takes"] if model.get("select") else []),
    ]
    yield (
        f"Features were selected by {what}, {listed(where)}; its penalty is "
        f"{_RULES.get(str(selection['lambda']), selection['lambda'])} in {selection['n_folds']}-fold cross-validation "
        "over training patients."
    )


def _anew(run: FinishedRun) -> Iterator[str]:
    selection = _selection_of(run)
    penalized = "LASSO" if float(selection.get("l1_ratio", 1)) == 1 else "elastic net"
    steps = [*(["filters"] if run.filters else []), *([penalized] if _is_penalized(run) else [])]
    if not steps:
        return
    n_bootstrap = selection.get("n_bootstrap") if _is_penalized(run) else None
    resampled = (
        f", and in each of {n_bootstrap} bootstrap resamples of the training patients: the share of them that keep a "
        "feature says how stable its choice is, not whether it is true"
        if n_bootstrap
        else ""
    )
    what = f"The {penalized} was" if steps == [penalized] else f"{_sentence_start(listed(steps))} were"
    yield f"{what} run anew in every cross-validation fold{resampled}."


def _combination(run: FinishedRun) -> Iterator[str]:
    if run.config["model"].get("combine") == "mean":
        yield (
            "The probability is the weighted mean of the scores’ calibrated probabilities; calibration and weights "
            "come from the training patients’ out-of-fold scores. No classifier follows."
        )
        yield from _weights(run)
        return
    classifier = run.config.get("classifier")
    if not isinstance(classifier, Mapping):
        return
    grid: Mapping[str, Any] = classifier.get("grid") or {}
    tried = "; ".join(f"{key}: {', '.join(map(str, values))}" for key, values in grid.items())
    tuned = f", tuned within the training part ({tried})" if tried else ""
    found = f" Chosen: {counted(run.classifiers, run.n_folds)}." if run.classifiers else ""
    balanced = _IMBALANCE.get(str(classifier.get("imbalance")), "")
    yield f"The last stage is the classifier “{classifier.get('name')}”{tuned}.{found} {balanced}".rstrip()


def _weights(run: FinishedRun) -> Iterator[str]:
    if not run.weights:
        return
    names = dict.fromkeys(name for weights in run.weights.values() for name in weights)
    texts = [_weight_text(name, [each[name] for each in run.weights.values() if name in each], run) for name in names]
    of_folds = f", mean and range over {run.n_folds} folds" if run.n_folds > 1 else ""
    yield f"Weights{of_folds}: {listed(texts)}."


def _weight_text(name: str, weights: list[float], run: FinishedRun) -> str:
    if run.n_folds == 1:
        return f"{name} {weights[0]:.2f}"
    some = f", in {len(weights)} folds" if len(weights) < run.n_folds else ""
    return f"{name} {fmean(weights):.2f} ({min(weights):.2f} to {max(weights):.2f}{some})"


def _tuned(run: FinishedRun) -> Iterator[str]:
    if run.grid:
        yield (
            f"Each fold chose its own of {listed(list(run.grid))} from the split’s grid: what the sentences above say "
            "of it is the configuration’s, and not what every fold used."
        )


def _is_penalized(run: FinishedRun) -> bool:
    return bool(_selection_of(run)) and (bool(run.config["model"].get("select")) or "score" in run.inputs.values())


def _block(block: str) -> str:
    return _BLOCKS.get(block, block)


def _sentence_start(text: str) -> str:
    # Not capitalize(), which would make lower case of the rest.
    return text[:1].upper() + text[1:]


def _selection_of(run: FinishedRun) -> Mapping[str, Any]:
    selection = run.config.get("selection")
    return selection if isinstance(selection, Mapping) else {}


def _range(counts: list[int]) -> str:
    return f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"

"""A comparison in sentences: what was found, what warns of it, and what each test is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fusion.report.figures.style import interval_text, number_text, percent_text

_MOST_LISTED = 8


class Explanation(NamedTuple):
    """What a test is.

    Attributes:
        name: As the tables call it.
        text: For someone who has not met it.
        source: The paper.
    """

    name: str
    text: str
    source: str


def findings(comparison: Mapping[str, Any]) -> list[str]:
    """What was found, the most important first."""
    return [*_differences(comparison), *_best_by_inner(comparison), *_luck(comparison)]


def warnings(comparison: Mapping[str, Any]) -> list[str]:
    """What the reader has to know before the figures."""
    return list(_warnings(comparison))


def explanations(comparison: Mapping[str, Any]) -> list[Explanation]:
    """The tests that the comparison used."""
    return list(_explanations(comparison))


def auc_test(pair: Mapping[str, Any]) -> Mapping[str, Any]:
    """The test of the AUC's difference: DeLong's, or with more than two labels the bootstrap's."""
    test: Mapping[str, Any] = pair["auc"].get("delong") or pair["auc"]["bootstrap"]
    return test


def short_p(p: float | None) -> str:
    """``0.034``, ``< 0.001``; a dash where it is not defined."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _differences(comparison: Mapping[str, Any]) -> Iterator[str]:
    pairs, primary = comparison["comparisons"], comparison["primary"]
    if comparison["best_of_k"] is None:
        yield "The test patients do not have all labels, so the models cannot be ranked."
        return
    alpha = round(1 - comparison["level"], 9)
    is_repeated = any(pair["resampled_t"] and pair["resampled_t"]["is_repeated"] for pair in pairs)
    apart = [pair for pair in pairs if _is_below(_deciding(pair, is_repeated=is_repeated), alpha)]
    if primary is not None:
        model = next(model for model in comparison["models"] if model["is_primary"])
        yield f"The primary model, {primary}, has an AUC of {interval_text(model['figures']['auc'])}."
    others = (
        _counted(len(pairs), "comparison with it", "comparisons with it")
        if primary
        else _counted(len(pairs), "pair of models", "pairs of models")
    )
    who = "mean AUCs of the repeated folds" if is_repeated else "AUCs of these trained models"
    if not apart:
        yield (
            f"In {others} the {who} are not further apart than chance puts them (level {percent_text(alpha)}, Holm). "
            "That is no proof that the models are alike: see how wide the intervals of the differences are."
        )
    else:
        more = f"; and {len(apart) - _MOST_LISTED} more, in the table" if len(apart) > _MOST_LISTED else ""
        listed = "; ".join(_pair(pair, primary, is_repeated=is_repeated) for pair in apart[:_MOST_LISTED])
        yield f"In {len(apart)} of {others} the {who} are further apart than chance puts them: {listed}{more}."
    yield from _other_test(pairs, apart, alpha, is_repeated=is_repeated)


def _other_test(
    pairs: Sequence[Mapping[str, Any]], apart: Sequence[Mapping[str, Any]], alpha: float, *, is_repeated: bool
) -> Iterator[str]:
    """Where the test that did not decide says otherwise."""
    if is_repeated:
        trained = [pair for pair in pairs if pair not in apart and _is_below(auc_test(pair), alpha)]
        if trained:
            yield (
                f"For these trained models alone {_counted(len(trained), 'pair is', 'pairs are')} apart "
                f"({_auc_test_name(trained[0])}), which does not count that models "
                "trained on other patients are others: the corrected resampled t-test of the repeats does, and decides."
            )
        return
    gone = [pair for pair in apart if pair["resampled_t"] and not _is_below(pair["resampled_t"], alpha)]
    if gone:
        yield (
            f"The corrected resampled t-test, which also counts that models trained on other patients are others, "
            f"does not confirm {len(gone)} of {len(apart)}: training again may not show "
            f"{'this difference' if len(gone) == 1 else 'these differences'}."
        )


def _deciding(pair: Mapping[str, Any], *, is_repeated: bool) -> Mapping[str, Any] | None:
    """The test that the headline follows: the trained models' own, or under repeated cross-validation the repeats'."""
    return pair["resampled_t"] if is_repeated else auc_test(pair)


def _is_below(test: Mapping[str, Any] | None, alpha: float) -> bool:
    return test is not None and test["p_holm"] is not None and test["p_holm"] < alpha


def _auc_test_name(pair: Mapping[str, Any]) -> str:
    return "DeLong" if "delong" in pair["auc"] else "bootstrap"


def _pair(pair: Mapping[str, Any], primary: str | None, *, is_repeated: bool) -> str:
    test = _deciding(pair, is_repeated=is_repeated)
    assert test is not None
    value, folds = test["difference"]["value"], pair["resampled_t"]
    of_models = f"{_auc_test_name(pair)} {_p(auc_test(pair)['p_holm'])}"
    of_folds = f"resampled t {_p(folds['p_holm'])}" if folds else ""
    p = ", ".join(filter(None, (of_folds, of_models) if is_repeated else (of_models, of_folds)))
    if primary is not None:
        return f"{pair['model']} {'+' * (value > 0)}{number_text(value, 3)} ({p})"
    better, worse = (pair["model"], pair["reference"]) if value > 0 else (pair["reference"], pair["model"])
    return f"{better} is above {worse} by {number_text(abs(value), 3)} ({p})"


def _best_by_inner(comparison: Mapping[str, Any]) -> Iterator[str]:
    best = comparison["best_by_inner"]
    if best is not None:
        model = next(model for model in comparison["models"] if model["name"] == best)
        inner, test = number_text(model["inner"]["auc"], 3), interval_text(model["figures"]["auc"])
        n, n_ranked = len(comparison["models"]), len(comparison["models"]) - len(comparison["not_ranked_by_inner"])
        which = "model" if n_ranked == n else f"of the ranked models ({n_ranked} of {n})"
        yield (
            f"The best {which} by inner AUC, which takes no test patient to know, is {best} ({inner}); on the test "
            f"patients its AUC is {test}."
        )


def _luck(comparison: Mapping[str, Any]) -> Iterator[str]:
    best = comparison["best_of_k"]
    if best is None or best["k"] < 3:
        return
    within = " within centers" if best["within_centers"] else ""
    yield (
        f"The largest AUC of the {best['k']} is {number_text(best['auc'], 3)} ({best['best']}). If none of them knew "
        f"anything, the largest would be {number_text(best['luck']['best_q50'], 3)} as often as not, and above "
        f"{number_text(best['luck']['best_q95'], 3)} once in twenty cohorts; for a model that was not picked, that "
        f"limit is {number_text(best['luck']['one_q95'], 3)} (labels shuffled{within}; {_p(best['p'])}). "
        "It tells whether anything was learned, not whether the best is better than the others."
    )


def _warnings(comparison: Mapping[str, Any]) -> Iterator[str]:
    if comparison["is_simulated"]:
        yield "Simulated cohort: figures say nothing about patients."
    folds = comparison["folds"]
    if len(folds["finished"]) < folds["planned"]:
        yield f"Figures of {len(folds['finished'])} of {folds['planned']} folds: the runs are not finished."
    if comparison["primary"] is None:
        yield (
            "No primary model was declared. Whichever model is picked after looking at these figures has an AUC that "
            "is too high for having been picked; name the primary model before training (primary=NAME)."
        )
    elif comparison["primary_declared_in"] == "the command line":
        yield (
            "The primary model was named on the command line of this comparison, so nothing shows that it was chosen "
            "before the results were seen (primary=NAME at training does)."
        )
    for pair in comparison["comparisons"]:
        if pair["identical"]:
            yield f"{pair['model']} and {pair['reference']} gave identical probabilities: are they the same model?"


def _explanations(comparison: Mapping[str, Any]) -> Iterator[Explanation]:
    pairs, replicates = comparison["comparisons"], comparison["n_bootstrap"]
    is_binary, has_auc = len(comparison["label_names"]) == 2, comparison["best_of_k"] is not None
    if has_auc and is_binary:
        yield Explanation(
            "DeLong, paired",
            "Whether two AUCs on the same patients differ. A patient who is hard for one model is hard for the other, "
            "too; the test takes that into account. Several rows of a patient count as one patient. It takes the "
            "trained models for given: other patients would have trained others, which it does not count.",
            "DeLong et al., Biometrics 1988;44:837-845; Obuchowski, Biometrics 1997;53:567-578",
        )
    if has_auc:
        yield Explanation(
            "Bootstrap, paired",
            f"The same difference in {replicates} cohorts drawn from the patients with replacement, the same ones for "
            "both models, as many of each label as there are (BCa interval).",
            "Efron, J Am Stat Assoc 1987;82:171-185",
        )
    yield Explanation(
        "Brier score",
        "The mean squared error of the probabilities. A difference below 0 means that the first model’s are closer to "
        "what happened.",
        "Brier, Mon Weather Rev 1950;78:1-3",
    )
    if is_binary:
        yield Explanation(
            "Net benefit",
            "True positives per patient, less the false positives weighted by the odds of the threshold probability: "
            "at 0.2 four false alarms cost as much as one case found. Above 0 the first model is of more use. It needs "
            "probabilities that are calibrated.",
            "Vickers & Elkin, Med Decis Making 2006;26:565-574",
        )
    if pairs[0]["calls"]:
        how = "at the thresholds that were frozen in training" if is_binary else "by the most probable label"
        yield Explanation(
            "McNemar, exact",
            f"Which model calls more patients right, {how}. Only patients count whom one of the two calls right and "
            "the other wrong. The mid-p version is less conservative.",
            "McNemar, Psychometrika 1947;12:153-157; Fagerland et al., BMC Med Res Methodol 2013;13:91",
        )
    if any(pair["resampled_t"] for pair in pairs):
        repeated = any(pair["resampled_t"]["is_repeated"] for pair in pairs if pair["resampled_t"])
        yield Explanation(
            "Corrected resampled t-test",
            "Whether the folds’ own differences have a mean of 0. The models of different folds share training "
            "patients; the correction makes up for that, the usual t-test does not."
            + ("" if repeated else " It was made for repeated divisions; with one division into folds it is rough."),
            "Nadeau & Bengio, Mach Learn 2003;52:239-281; Bouckaert & Frank, PAKDD 2004:3-12",
        )
    if len(pairs) > 1:
        yield Explanation(
            "Holm",
            f"p values for {len(pairs)} comparisons by the same test, raised so that a false alarm among all of them "
            "is no likelier than in one.",
            "Holm, Scand J Stat 1979;6:65-70",
        )
    if has_auc and comparison["best_of_k"]["k"] > 2:
        yield Explanation(
            "Best of k",
            "The labels are shuffled among the patients while every patient keeps the scores of all models; the "
            "largest AUC of each shuffling is what picking the best gives where there is nothing to know.",
            "Westfall & Young, Resampling-based multiple testing 1993; Ojala & Garriga, JMLR 2010;11:1833-1863; "
            "Phipson & Smyth, Stat Appl Genet Mol Biol 2010;9:39",
        )


def _p(p: float | None) -> str:
    return f"p {short_p(p)}" if p is not None and p < 0.001 else f"p = {short_p(p)}"


def _counted(n: int, one: str, several: str) -> str:
    return f"{n} {one if n == 1 else several}"

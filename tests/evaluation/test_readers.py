"""Literal values are R 4.2's with pROC 1.18.0; the commands stand beside them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fusion.evaluation.readers import ModelAndReader, evaluate_reader, reader_ranks
from fusion.records import Case, Cohort, Predictions

LEVELS = ("2", "3", "4", "5")
# Two folds of ten inner and ten test patients, the last five of ten malignant: model's probability, reader's rank.
TRUTH = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
P1, K1 = [0.2, 0.35, 0.1, 0.6, 0.45, 0.7, 0.55, 0.8, 0.3, 0.9], [0, 1, 0, 2, 1, 2, 1, 3, 2, 3]
P2, K2 = [0.5, 0.15, 0.25, 0.05, 0.4, 0.65, 0.35, 0.95, 0.6, 0.3], [1, 0, 2, 0, 1, 3, 1, 3, 2, 2]
TEST_P = [0.3, 0.6, 0.2, 0.5, 0.15, 0.7, 0.4, 0.85, 0.55, 0.35, 0.25, 0.45, 0.65, 0.1, 0.3, 0.75, 0.5, 0.9, 0.2, 0.6]
TEST_K = [1, 0, 0, 2, 1, 3, 2, 2, 1, 3, 0, 2, 1, 0, 1, 2, 3, 3, 2, 1]
SETTINGS = {
    "thresholds": {0: 0.5, 1: 0.4},
    "is_input": False,
    "prevalence": None,
    "level": 0.95,
    "n_bootstrap": 200,
    "seed": 0,
}


def make_rows(prefix, folds, truth, probabilities, part):
    n = len(truth)
    names = ("benign", "malignant")
    return Predictions(
        model="m",
        label_names=names,
        patient_ids=tuple(f"{prefix}{i}" for i in range(n)),
        centers=("A",) * n,
        parts=(part,) * n,
        folds=tuple(folds),
        labels=tuple(names[label] for label in truth),
        probabilities=np.stack([1 - np.array(probabilities), probabilities], axis=1),
    )


FOLDS = [0] * 10 + [1] * 10
INNER = make_rows("i", FOLDS, TRUTH * 2, P1 + P2, "validation")
TEST = make_rows("t", FOLDS, TRUTH * 2, TEST_P, "test")


def make_cohort(inner_ranks=(*K1, *K2), test_ranks=TEST_K):
    ranks = {f"i{i}": rank for i, rank in enumerate(inner_ranks)} | {f"t{i}": rank for i, rank in enumerate(test_ranks)}
    cases = tuple(
        Case(
            case_id=who,
            patient_id=who,
            center="A",
            image=None,
            mask=None,
            label=None,
            clinical={},
            reader_score=None if rank is None else LEVELS[rank],
        )
        for who, rank in ranks.items()
    )
    return Cohort(
        name="x",
        cases=cases,
        label_names=("benign", "malignant"),
        clinical_columns=(),
        reader_column="BIRADS",
        reader_levels=LEVELS,
    )


def values(figure):
    return [figure["value"], figure["ci_low"], figure["ci_high"]]


def test_fit_equals_the_penalized_likelihood_in_r():
    # fit <- function(p, k, y) { X <- cbind(qlogis(p), k); m <- colMeans(X); s <- sqrt(colMeans(sweep(X, 2, m)^2))
    #   Z <- scale(X, m, s); f <- function(b) { e <- b[1] + Z %*% b[2:3]
    #     sum(log1p(exp(e)) - y * e) + sum(b[2:3]^2) / (2 * 2.5^2) }
    #   b <- optim(optim(c(0, 0, 0), f, method = "BFGS", control = list(reltol = 1e-16))$par, f, method = "BFGS",
    #     control = list(reltol = 1e-16))$par; sl <- b[2:3] / s; c(b[1] - sum(sl * m), sl) }
    labels = np.array(TRUTH)
    first = ModelAndReader.fit(labels, np.array(P1), np.array(K1, dtype=float))
    second = ModelAndReader.fit(labels, np.array(P2), np.array(K2, dtype=float))
    assert first == pytest.approx((-1.9596771893061, 0.6308196384579, 1.3274407149743), abs=1e-6)
    assert second == pytest.approx((-1.7875873365074, 0.7349533552663, 1.4116844079552), abs=1e-6)


def test_perfect_separation_and_certain_probabilities_stay_finite():
    labels = np.repeat([0, 1], 5)
    fit = ModelAndReader.fit(labels, np.repeat([0.0, 1.0], 5), np.repeat([0.0, 3.0], 5))
    assert np.isfinite(fit).all()
    assert 0 < fit.model < 1
    assert np.isfinite(fit.scores(np.array([0.0, 1.0]), np.array([3.0, 0.0]))).all()


def test_an_input_that_is_always_the_same_gets_no_weight():
    fit = ModelAndReader.fit(np.array(TRUTH), np.array(P1), np.full(10, 2.0))
    assert fit.reader == 0
    assert fit.model > 0


def test_areas_equal_proc():
    # r <- roc(Y, K, direction = "<"); v <- var(r); a <- auc(r)
    # plogis(qlogis(a) + c(-1, 1) * qnorm(.975) * sqrt(v) / (a * (1 - a))); the third from both fits' linear predictors
    result = evaluate_reader(make_cohort(), TEST, INNER, **SETTINGS)
    assert (result["name"], result["n"], result["n_positive"], result["n_left_out"]) == ("BIRADS", 20, 10, 0)
    assert values(result["reader"]["auc"]) == pytest.approx([0.88, 0.6696355754186, 0.9636776306742])
    assert values(result["model"]["auc"]) == pytest.approx([0.785, 0.5191828122697, 0.9250705117928])
    assert values(result["model_and_reader"]["auc"]) == pytest.approx([0.89, 0.6528820132796, 0.9720706534414])
    json.dumps(result, allow_nan=False)


def test_differences_equal_proc():
    # t <- roc.test(roc(Y, P), roc(Y, K), paired = TRUE, method = "delong"); t$conf.int; t$p.value; and so on
    found = evaluate_reader(make_cohort(), TEST, INNER, **SETTINGS)["differences"]
    expected = {
        ("model", "reader"): [-0.095, -0.3273198149766, 0.1373198149766, 0.4228615567788],
        ("model_and_reader", "reader"): [0.01, -0.07212121756347, 0.09212121756347, 0.81136366385238],
        ("model_and_reader", "model"): [0.105, -0.06963365869366, 0.27963365869366, 0.23861911790218],
    }
    assert {(one["first"], one["second"]) for one in found} == set(expected)
    for one in found:
        assert [*values(one["difference"]), one["p"]] == pytest.approx(expected[one["first"], one["second"]], abs=1e-9)


def test_reader_is_judged_at_the_frozen_cut():
    # coords(roc(y1, k1), "best", best.method = "youden") is 1.5 in both folds: the third level, "4", and above.
    # sum(K >= 2 & Y == 1), sum(K >= 2 & Y == 0): 8 and 2
    result = evaluate_reader(make_cohort(), TEST, INNER, **SETTINGS)
    assert result["chosen_cuts"] == {"0": "4", "1": "4"}
    assert result["reader"]["sensitivity"]["value"] == pytest.approx(0.8)
    assert result["reader"]["specificity"]["value"] == pytest.approx(0.8)


def test_model_is_judged_at_its_own_thresholds():
    # Fold 0 at 0.5: 3 of 5 malignant, 3 of 5 benign below; fold 1 at 0.4: 4 of 5, 3 of 5.
    result = evaluate_reader(make_cohort(), TEST, INNER, **SETTINGS)
    assert result["model"]["sensitivity"]["value"] == pytest.approx(7 / 10)
    assert result["model"]["specificity"]["value"] == pytest.approx(6 / 10)


def test_both_together_are_judged_at_the_threshold_of_their_fold():
    # th <- coords(roc(y1, lp1), "best", best.method = "youden")$threshold: -0.632, and 0.321 in the second fold;
    # sum(lp >= th & Y == 1), sum(lp >= th & Y == 0): 8 and 2
    result = evaluate_reader(make_cohort(), TEST, INNER, **(SETTINGS | {"thresholds": {0: 0.0, 1: 1.0}}))
    assert result["model_and_reader"]["sensitivity"]["value"] == pytest.approx(0.8)
    assert result["model_and_reader"]["specificity"]["value"] == pytest.approx(0.8)
    everybody_and_nobody = result["model"]["sensitivity"]["value"]
    assert everybody_and_nobody == pytest.approx(0.5)


def test_every_cut_has_its_shares():
    # for (c in 1:3) c(sum(K >= c & Y == 1), sum(K >= c & Y == 0)): 10 6, 8 2, 4 0
    cuts = evaluate_reader(make_cohort(), TEST, INNER, **SETTINGS)["cuts"]
    assert [one["cut"] for one in cuts] == [">= 3", ">= 4", ">= 5"]
    found = [(one["figures"]["sensitivity"]["value"], one["figures"]["specificity"]["value"]) for one in cuts]
    assert found == [pytest.approx(pair) for pair in [(1.0, 0.4), (0.8, 0.8), (0.4, 1.0)]]


def test_nothing_is_learned_from_the_test_rows():
    result = evaluate_reader(make_cohort(), TEST, INNER, **SETTINGS)
    shuffled = replace(TEST, labels=TEST.labels[::-1])
    other = evaluate_reader(make_cohort(), shuffled, INNER, **SETTINGS)
    assert other["chosen_cuts"] == result["chosen_cuts"]
    # Labels turned round turn the areas round: the scores are the same.
    assert other["model_and_reader"]["auc"]["value"] == pytest.approx(0.11)
    inner = replace(INNER, labels=INNER.labels[::-1])
    assert evaluate_reader(make_cohort(), TEST, inner, **SETTINGS)["model_and_reader"]["auc"]["value"] < 0.5


def test_patients_without_a_score_are_in_none_of_the_figures():
    cohort = make_cohort(test_ranks=[None, *TEST_K[1:]])
    result = evaluate_reader(cohort, TEST, INNER, **SETTINGS)
    assert (result["n"], result["n_left_out"]) == (19, 1)
    assert {result[name]["auc"]["n"] for name in ("reader", "model", "model_and_reader")} == {19}
    assert result["text"].startswith("1 test patients without BIRADS")


def test_unlabeled_patients_are_not_counted():
    result = evaluate_reader(make_cohort(), replace(TEST, labels=("", *TEST.labels[1:])), INNER, **SETTINGS)
    assert (result["n"], result["n_left_out"]) == (19, 0)


def test_a_fold_that_cannot_choose_is_left_out_and_named():
    cohort = make_cohort(inner_ranks=(*K1, *K2[:5], *[None] * 5))
    result = evaluate_reader(cohort, TEST, INNER, **SETTINGS)
    assert (result["n"], result["n_left_out"]) == (10, 10)
    assert "Fold 1 is in none of these figures" in result["text"]


def test_a_score_that_is_an_input_is_not_added_again():
    result = evaluate_reader(make_cohort(), TEST, INNER, **(SETTINGS | {"is_input": True}))
    assert "model_and_reader" not in result
    assert [(one["first"], one["second"]) for one in result["differences"]] == [("model", "reader")]
    assert "cohort.reader_score.as_input=false" in result["text"]


def test_the_highest_of_a_patients_scores_counts():
    cohort = make_cohort(test_ranks=[1, 3])
    cohort = replace(cohort, cases=tuple(replace(case, patient_id="t") for case in cohort.cases[-2:]))
    assert reader_ranks(cohort) == {"t": 3}


def test_repetitions_do_not_narrow_intervals():
    once = evaluate_reader(make_cohort(), TEST, INNER, **SETTINGS)
    again = [
        make_rows(prefix, [fold + 2 for fold in FOLDS], TRUTH * 2, p, part)
        for prefix, p, part in (("i", P1 + P2, "validation"), ("t", TEST_P, "test"))
    ]
    inner, test = (
        replace(
            one,
            **{
                name: getattr(one, name) + getattr(two, name)
                for name in ("patient_ids", "centers", "parts", "folds", "labels")
            },
            probabilities=np.concatenate([one.probabilities, two.probabilities]),
        )
        for one, two in zip((INNER, TEST), again, strict=True)
    )
    settings = SETTINGS | {"thresholds": {0: 0.5, 1: 0.4, 2: 0.5, 3: 0.4}}
    twice = evaluate_reader(make_cohort(), test, inner, **settings)
    for name in ("reader", "model", "model_and_reader"):
        assert values(twice[name]["auc"]) == pytest.approx(values(once[name]["auc"]))
    assert values(twice["differences"][0]["difference"]) == pytest.approx(values(once["differences"][0]["difference"]))
    assert twice["n"] == 20


def test_predictive_values_at_a_stated_prevalence():
    result = evaluate_reader(make_cohort(), TEST, INNER, **(SETTINGS | {"prevalence": 0.1}))
    # 0.8 * 0.1 / (0.8 * 0.1 + 0.2 * 0.9)
    assert result["reader"]["ppv_at_prevalence"]["value"] == pytest.approx(0.08 / 0.26)


def test_one_label_among_the_test_patients_leaves_the_areas_undefined():
    result = evaluate_reader(make_cohort(), replace(TEST, labels=("malignant",) * 20), INNER, **SETTINGS)
    assert result["reader"]["auc"]["value"] is None
    assert result["differences"][0]["p"] is None
    json.dumps(result, allow_nan=False)


def test_no_reader_several_labels_or_no_score():
    cohort = make_cohort()
    unread = tuple(replace(case, reader_score=None) for case in cohort.cases)
    without = replace(cohort, cases=unread, reader_column=None, reader_levels=())
    assert evaluate_reader(without, TEST, INNER, **SETTINGS) is None
    assert evaluate_reader(make_cohort(test_ranks=[None] * 20), TEST, INNER, **SETTINGS) is None
    several = replace(TEST, label_names=("a", "benign", "malignant"), probabilities=np.full((20, 3), 1 / 3))
    assert evaluate_reader(cohort, several, INNER, **SETTINGS) is None


def test_a_fold_without_a_threshold_is_refused():
    with pytest.raises(ValueError, match="none came for \\[1\\]"):
        evaluate_reader(make_cohort(), TEST, INNER, **(SETTINGS | {"thresholds": {0: 0.5}}))


@pytest.mark.real_data
def test_birads_of_the_breast_cohort():
    table = Path(__file__).parents[2] / "../shared/data/breast/clinical.xlsx"
    if not table.exists():
        pytest.skip("the BrEaST cohort does not lie beside the project")
    import openpyxl

    header, *rows = openpyxl.load_workbook(table).active.values
    birads, outcome = header.index("BIRADS"), header.index("Classification")
    known = [(str(row[birads]), row[outcome]) for row in rows if row[outcome] in ("benign", "malignant")]
    levels = ("1", "2", "3", "4a", "4b", "4c", "5")
    assert {score for score, _ in known} <= set(levels)
    cohort = Cohort(
        name="breast",
        cases=tuple(
            Case(
                case_id=str(i),
                patient_id=str(i),
                center="A",
                image=None,
                mask=None,
                label=label,
                clinical={},
                reader_score=score,
            )
            for i, (score, label) in enumerate(known)
        ),
        label_names=("benign", "malignant"),
        clinical_columns=(),
        reader_column="BIRADS",
        reader_levels=levels,
    )
    truth = [label == "malignant" for _, label in known]
    rows = make_rows("", [0] * len(known), truth, [0.5] * len(known), "test")
    inner = rows.select(int(who) % 3 == 0 for who in rows.patient_ids)
    test = rows.select(int(who) % 3 != 0 for who in rows.patient_ids)
    result = evaluate_reader(cohort, test, inner, **(SETTINGS | {"thresholds": {0: 0.5}}))
    assert result["n"] + len(inner.labels) == 252
    # The reader alone on all patients is known to reach about 0.93.
    assert result["reader"]["auc"]["value"] == pytest.approx(0.93, abs=0.03)
    assert result["model_and_reader"]["auc"]["value"] == pytest.approx(result["reader"]["auc"]["value"])

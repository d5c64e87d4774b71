"""Literal values are R 4.2's with metafor 3.8.1 and pROC 1.18.0; the commands stand beside them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from fusion.evaluation.centers import between_centers, logit_variance, random_effects
from fusion.evaluation.estimate import Estimate, undefined
from fusion.records import Predictions

SETTINGS = {"min_per_label": 2, "level": 0.95, "n_bootstrap": 200, "seed": 0}
# Labels and scores of three centers.
CENTERS = {
    "A": ([0, 0, 0, 0, 1, 1, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.8, 0.9, 0.6, 0.7, 0.2, 0.3]),
    "B": ([0, 0, 0, 1, 1, 1, 0, 1, 0, 0], [0.2, 0.1, 0.5, 0.6, 0.3, 0.9, 0.4, 0.4, 0.7, 0.1]),
    "C": ([0, 1, 0, 1, 0, 1, 0, 1, 1, 0], [0.5, 0.4, 0.2, 0.6, 0.3, 0.9, 0.7, 0.7, 0.1, 0.6]),
}


def predictions(centers, *, labels=("benign", "malignant")):
    rows = [
        (name, f"{name}{i}", labels[label], score)
        for name, (truth, scores) in centers.items()
        for i, (label, score) in enumerate(zip(truth, scores, strict=True))
    ]
    names, patients, truth, scores = zip(*rows, strict=True)
    return Predictions(
        model="m",
        label_names=labels,
        patient_ids=patients,
        centers=names,
        parts=("test",) * len(rows),
        folds=(0,) * len(rows),
        labels=truth,
        probabilities=np.stack([1 - np.array(scores), scores], axis=1),
    )


# r <- rma(yi = qlogis(auc), vi = v, method = "REML", test = "adhoc", control = list(threshold = 1e-14, maxiter = 1e4))
# p <- predict(r); c(r$b, r$ci.lb, r$ci.ub, p$pi.lb, p$pi.ub, r$tau2, r$I2 / 100, r$QE, r$QEp)
@pytest.mark.parametrize(
    ("auc", "variance", "expected", "q"),
    [
        (
            [0.82, 0.71, 0.93, 0.66, 0.88],
            [0.04, 0.09, 0.12, 0.03, 0.2],
            [1.4882126298, 0.5114890858, 2.4649361737, -0.7541887229, 3.7306139826, 0.5285460240, 0.8866060883],
            [32.242694487446, 1.7065766007644e-06],
        ),
        (
            [0.80, 0.81, 0.79],
            [0.05, 0.08, 0.1],
            [1.390594554439, 0.730597753862, 2.050591355016, 0.730597753862, 2.050591355016, 0, 0],
            [0.08762189266969, 0.95713489022855],
        ),
        (
            [0.7, 0.9],
            [0.05, 0.08],
            [1.5111495046, -7.0639108739, 10.0862098830, -12.9850828647, 16.0073818738, 0.8461510706, 0.9286616653],
            [14.017708777944, 0.0001810970114482],
        ),
        (
            [0.62, 0.79, 0.85, 0.91, 0.74, 0.83],
            [0.3, 0.06, 0.02, 0.05, 0.11, 0.4],
            [1.5032741253, 0.8695126622, 2.1370355884, 0.0728013966, 2.9337468540, 0.2488840445, 0.7753235948],
            [18.67862102934, 0.0022058123044147],
        ),
    ],
)
def test_summary_equals_metafor(auc, variance, expected, q):
    summary = random_effects(logit(np.array(auc)), np.array(variance), level=0.95)
    mean = (summary.mean, summary.ci_low, summary.ci_high, summary.prediction_low, summary.prediction_high)
    assert (*mean, summary.tau2, summary.i2) == pytest.approx(expected, abs=2e-7)
    assert (summary.q, summary.q_p) == pytest.approx(q, rel=1e-9)


def test_plain_hartung_knapp_where_its_factor_is_not_below_one():
    # r <- rma(yi = c(.5, 2.5), vi = c(.3, .3), test = "knha"); c(r$tau2, r$ci.ub - r$b)
    effects, variances = np.array([0.5, 2.5]), np.array([0.3, 0.3])
    summary = random_effects(effects, variances, level=0.95)
    # By hand: tau² = 2 - 0.3, so the factor is 1 and SE = sqrt(2 / 2) = 1; t(0.975, 1) = 12.7062047364.
    assert summary.tau2 == pytest.approx(1.7)
    assert summary.ci_high - summary.mean == pytest.approx(12.7062047364)


def test_equal_centers_keep_an_interval():
    summary = random_effects(np.array([1.0, 1.0, 1.0]), np.array([0.3, 0.3, 0.3]), level=0.95)
    # rma(yi = c(1, 1, 1), vi = rep(.3, 3), test = "adhoc"); with test = "knha" the interval has no width.
    assert (summary.tau2, summary.i2) == (0, 0)
    assert (summary.ci_low, summary.ci_high) == pytest.approx((-0.3606182606749, 2.360618260675), abs=1e-10)


def test_the_largest_peak_of_the_restricted_likelihood_is_found():
    rng = np.random.default_rng(1)
    for _ in range(30):
        effects, variances = rng.normal(size=4), rng.lognormal(-2, 2, size=4)
        found = random_effects(effects, variances, level=0.95).tau2

        # A row per candidate.
        tau2 = np.append(found, np.geomspace(1e-8, 1e3, 4000))[:, None]
        w = 1 / (variances + tau2)
        mean = (w @ effects / w.sum(1))[:, None]
        likelihood = (np.log(w).sum(1) - np.log(w.sum(1)) - (w * (effects - mean) ** 2).sum(1)) / 2
        assert likelihood[0] >= likelihood.max() - 1e-9


def test_summary_of_predictions_equals_proc_and_metafor():
    # For each center r <- roc(y, s, direction = "<"); a <- auc(r); vi <- var(r) / (a * (1 - a))^2, then rma as above
    # and predict(r, transf = plogis).
    result = between_centers(predictions(CENTERS), **SETTINGS)
    auc = result.auc
    assert (auc.value, auc.ci_low, auc.ci_high) == pytest.approx(
        (0.7021261736663, 0.2039387546051, 0.9559231428766), abs=1e-9
    )
    assert (auc.prediction_low, auc.prediction_high) == pytest.approx((auc.ci_low, auc.ci_high))
    assert (auc.n, auc.n_centers, auc.tau2, auc.i2) == (30, 3, 0, 0)
    assert result.left_out == {}
    assert set(result.as_json()["auc"]) == {
        *("value", "ci_low", "ci_high", "n", "n_centers", "tau2", "i2", "prediction_low", "prediction_high")
    }


def test_variance_of_a_center_equals_proc():
    # var(r) / (a * (1 - a))^2 of center A
    center = Estimate(
        value=0.78, ci_low=expit(logit(0.78) - 1.959963984540054 * math.sqrt(0.9101232877457)), ci_high=1, n=10
    )
    assert logit_variance(center, level=0.95) == pytest.approx(0.9101232877457, rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_no_logit_no_variance(value):
    assert logit_variance(Estimate(value=value, ci_low=0.0, ci_high=1.0, n=10), level=0.95) is None


def test_an_interval_that_is_missing_or_has_no_width_gives_no_variance():
    assert logit_variance(undefined(3), level=0.95) is None
    assert logit_variance(Estimate(value=0.8, ci_low=math.nan, ci_high=math.nan, n=9), level=0.95) is None
    assert logit_variance(Estimate(value=0.8, ci_low=0.8, ci_high=0.8, n=9), level=0.95) is None


def test_centers_that_cannot_count_are_named_with_the_reason():
    more = CENTERS | {
        "one label": ([0, 0, 0], [0.1, 0.2, 0.3]),
        "perfect": ([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.8, 0.9]),
        "tiny": ([0, 0, 1], [0.1, 0.2, 0.3]),
    }
    result = between_centers(predictions(more), **SETTINGS)
    assert result.auc == between_centers(predictions(CENTERS), **SETTINGS).auc
    assert result.left_out == {
        "one label": "too few: 3 benign, 0 malignant (required 2 of each label)",
        "perfect": "an AUC of 1 in 6 patients, which has no variance on the logit scale",
        "tiny": "too few: 2 benign, 1 malignant (required 2 of each label)",
    }
    assert result.as_json()["left_out"] == ["one label", "perfect", "tiny"]


def test_one_center_has_no_summary():
    assert between_centers(predictions({"A": CENTERS["A"]}), **SETTINGS).as_json() == {
        "auc": None,
        "left_out": [],
        "left_out_because": {},
    }


def test_rows_without_a_label_and_repetitions_change_nothing():
    once = predictions(CENTERS)
    twice = replace(
        once,
        **{name: getattr(once, name) * 2 for name in ("patient_ids", "centers", "parts")},
        labels=(*once.labels, *once.labels),
        folds=(0,) * 30 + (1,) * 30,
        probabilities=np.tile(once.probabilities, (2, 1)),
    )
    unlabeled = predictions(CENTERS | {"D": CENTERS["A"]})
    unlabeled = replace(unlabeled, labels=(*unlabeled.labels[:30], *[""] * 10))
    expected = between_centers(once, **SETTINGS)
    assert between_centers(unlabeled, **SETTINGS) == expected
    again = between_centers(twice, **SETTINGS)
    assert (again.auc.ci_low, again.auc.n) == (pytest.approx(expected.auc.ci_low), 30)


def test_several_labels_take_the_macro_area():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    probabilities = rng.dirichlet(np.ones(3), 120) + np.eye(3)[labels] * 0.4
    rows = Predictions(
        model="m",
        label_names=("a", "b", "c"),
        patient_ids=tuple(map(str, range(120))),
        centers=tuple("XYZ"[i % 3] for i in range(120)),
        parts=("test",) * 120,
        folds=(0,) * 120,
        labels=tuple("abc"[k] for k in labels),
        probabilities=probabilities / probabilities.sum(1, keepdims=True),
    )
    auc = between_centers(rows, **SETTINGS).auc
    assert 0.5 < auc.ci_low < auc.value < auc.ci_high < 1
    assert (auc.n_centers, auc.n) == (3, 120)


@pytest.mark.parametrize(("min_per_label", "n_centers"), [(4, 3), (5, 2), (6, None)])
def test_the_minimum_is_inclusive_and_of_each_label(min_per_label, n_centers):
    # A and C have 5 of each label, B has 6 and 4.
    auc = between_centers(predictions(CENTERS), **(SETTINGS | {"min_per_label": min_per_label})).auc
    assert (None if auc is None else auc.n_centers) == n_centers

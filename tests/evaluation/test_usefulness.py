import json
import math

import numpy as np
import pytest

from fusion.evaluation.proportion import wilson_interval
from fusion.evaluation.usefulness import decision_curve, impact_curve, net_benefit_difference, percent_thresholds

# With ties between rows and with thresholds, and probabilities of exactly 0 and 1.
LABELS = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
PROBABILITIES = np.array([1.0, 0.8, 0.6, 0.5, 0.2, 0.1, 0.3, 0.5, 0.65, 0.0])
THRESHOLDS = [0.1, 0.3, 0.5, 0.6, 0.65, 0.8]
SETTINGS = {"level": 0.95, "n_bootstrap": 500, "seed": 0}


def test_net_benefit_equals_dcurves():
    # dcurves 1.1.7: dca(data=pd.DataFrame({"y": LABELS, "p": PROBABILITIES}), outcome="y", modelnames=["p"],
    #                    thresholds=THRESHOLDS)[["model", "threshold", "net_benefit"]]
    points = decision_curve(LABELS, PROBABILITIES, thresholds=THRESHOLDS, **SETTINGS)
    assert [point.threshold for point in points] == THRESHOLDS
    assert [point.model.value for point in points] == pytest.approx(
        [0.455555555556, 0.271428571429, 0.2, 0.15, 0.014285714286, 0.2]
    )
    assert [point.treat_all.value for point in points] == pytest.approx(
        [0.444444444444, 0.285714285714, 0.0, -0.25, -0.428571428571, -1.5]
    )
    assert all(point.model.n == point.treat_all.n == 10 for point in points)


def test_net_benefit_of_a_poor_model_equals_dcurves():
    # dcurves 1.1.7, as above, with y = i * 37 % 101 > 55 and p = (i * 53 % 101) / 100 for i in range(60)
    rows = np.arange(60)
    labels, probabilities = (rows * 37 % 101 > 55).astype(int), (rows * 53 % 101) / 100
    points = decision_curve(labels, probabilities, thresholds=[0.05, 0.2, 0.35, 0.5, 0.6], **SETTINGS)
    assert [point.model.value for point in points] == pytest.approx(
        [0.406140350877, 0.258333333333, 0.111538461538, -0.05, -0.083333333333]
    )
    assert [point.treat_all.value for point in points] == pytest.approx(
        [0.421052631579, 0.3125, 0.153846153846, -0.1, -0.375]
    )


def test_intervals_have_the_width_of_the_standard_error():
    # Net benefit is a mean of independent rows, so its standard error is known.
    rng = np.random.default_rng(1)
    labels = (rng.random(400) < 0.3).astype(int)
    probabilities = 1 / (1 + np.exp(-rng.normal(1.5 * labels - 1)))
    points = decision_curve(labels, probabilities, thresholds=[0.2, 0.4], level=0.95, n_bootstrap=4000, seed=0)
    for point in points:
        odds = point.threshold / (1 - point.threshold)
        for estimate, treated in ((point.model, probabilities >= point.threshold), (point.treat_all, True)):
            gains = np.where(treated, np.where(labels == 1, 1, -odds), 0)
            assert estimate.value == pytest.approx(gains.mean())
            width = 2 * 1.96 * gains.std() / math.sqrt(400)
            assert estimate.ci_high - estimate.ci_low == pytest.approx(width, rel=0.06)


def test_treating_everybody_at_threshold_0_is_the_prevalence():
    (point,) = decision_curve(LABELS, PROBABILITIES, thresholds=[0.0], **SETTINGS)
    assert point.model == point.treat_all
    assert point.model.value == 0.5
    # The number of positives varies from replicate to replicate: the draws are not stratified.
    assert point.model.ci_low < 0.3 < 0.7 < point.model.ci_high


def test_perfect_separation_reaches_the_prevalence():
    points = decision_curve(LABELS, LABELS.astype(float), thresholds=THRESHOLDS, **SETTINGS)
    assert all(point.model.value == 0.5 and point.model.ci_low < 0.5 < point.model.ci_high for point in points)


def test_one_label_is_enough():
    points = decision_curve(np.zeros(4, dtype=int), np.array([0.1, 0.2, 0.6, 0.7]), thresholds=[0.5], **SETTINGS)
    assert points[0].model.value == -0.5
    assert points[0].treat_all.value == -1
    assert impact_curve(np.zeros(2, dtype=int), np.ones(2), thresholds=[0.5], level=0.95)[0].true_positive.value == 0


def test_no_rows_are_undefined():
    nothing = np.array([], dtype=int), np.array([])
    (point,) = decision_curve(*nothing, thresholds=[0.5], **SETTINGS)
    (impact,) = impact_curve(*nothing, thresholds=[0.5], level=0.95)
    for estimate in (point.model, point.treat_all, impact.high_risk, impact.true_positive):
        assert math.isnan(estimate.value)
        assert estimate.n == 0


def test_several_images_do_not_narrow_the_intervals():
    patients = np.repeat(np.arange(10), 3)
    rows = np.repeat(LABELS, 3), np.repeat(PROBABILITIES, 3)
    once = decision_curve(LABELS, PROBABILITIES, thresholds=THRESHOLDS, **SETTINGS)
    often = decision_curve(*rows, thresholds=THRESHOLDS, patients=patients, **SETTINGS)
    for one, other in zip(once, often, strict=True):
        assert (other.model.ci_low, other.model.ci_high, other.model.n) == (
            pytest.approx(one.model.ci_low),
            pytest.approx(one.model.ci_high),
            10,
        )
    single, triple = (
        impact_curve(*data, thresholds=[0.5], level=0.95, patients=index)[0].high_risk
        for data, index in (((LABELS, PROBABILITIES), None), (rows, patients))
    )
    assert (triple.ci_low, triple.ci_high) == pytest.approx((single.ci_low, single.ci_high))


def test_the_difference_is_paired():
    other = np.where(LABELS == 1, PROBABILITIES, PROBABILITIES / 2)
    for threshold in THRESHOLDS:
        difference = net_benefit_difference(LABELS, other, PROBABILITIES, threshold=threshold, **SETTINGS)
        first, second = (
            decision_curve(LABELS, each, thresholds=[threshold], **SETTINGS)[0].model for each in (other, PROBABILITIES)
        )
        assert difference.value == pytest.approx(first.value - second.value)
        # No replicate is worse: the two were drawn together.
        assert difference.ci_low >= 0
    same = net_benefit_difference(LABELS, other, other, threshold=0.3, **SETTINGS)
    assert (same.value, same.ci_low, same.ci_high, same.n) == (0, 0, 0, 10)


def test_the_difference_changes_its_sign_with_the_order():
    other = PROBABILITIES[::-1].copy()
    there, back = (
        net_benefit_difference(LABELS, *pair, threshold=0.4, **SETTINGS)
        for pair in ((PROBABILITIES, other), (other, PROBABILITIES))
    )
    assert (there.value, there.ci_low, there.ci_high) == pytest.approx((-back.value, -back.ci_high, -back.ci_low))


def test_impact_is_counted_in_a_thousand_patients():
    points = impact_curve(LABELS, PROBABILITIES, thresholds=THRESHOLDS, level=0.95)
    assert [point.high_risk.value for point in points] == pytest.approx([900, 700, 600, 400, 300, 200])
    assert [point.true_positive.value for point in points] == pytest.approx([500, 400, 400, 300, 200, 200])
    low, high = wilson_interval(0.4, 10, level=0.95)
    assert (points[1].true_positive.ci_low, points[1].true_positive.ci_high) == pytest.approx((1000 * low, 1000 * high))


def test_no_interval_of_impact_leaves_the_thousand():
    for probabilities in (np.zeros(10), np.ones(10), PROBABILITIES):
        for point in impact_curve(LABELS, probabilities, thresholds=[0.0, 0.5, 0.99], level=0.999):
            for estimate in (point.high_risk, point.true_positive):
                assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1000
                assert estimate.ci_low < estimate.ci_high


def test_points_as_json():
    (point,) = decision_curve(LABELS, PROBABILITIES, thresholds=np.array([0.3]), **SETTINGS)
    (impact,) = impact_curve(LABELS, PROBABILITIES, thresholds=np.array([0.3]), level=0.95)
    plain = json.loads(json.dumps([point.as_json(), impact.as_json()], allow_nan=False))
    assert [list(each) for each in plain] == [
        ["threshold", "model", "treat_all"],
        ["threshold", "high_risk", "true_positive"],
    ]
    assert plain[0]["model"] == point.model.as_json()
    assert plain[1]["threshold"] == 0.3


def test_percents_are_the_nearest_floats():
    assert percent_thresholds(lowest=0.05, highest=0.6).tolist() == [k / 100 for k in range(5, 61)]
    assert percent_thresholds(lowest=0.295, highest=0.3).tolist() == [0.3]
    # 100 * 0.07 is above 7, and 100 * 0.29 below 29.
    assert percent_thresholds(lowest=0.07, highest=0.29)[[0, -1]].tolist() == [0.07, 0.29]
    assert percent_thresholds(lowest=0.0, highest=0.99)[[0, -1]].tolist() == [0.0, 0.99]


@pytest.mark.parametrize(("lowest", "highest"), [(0.6, 0.05), (-0.1, 0.5), (0.5, 1.0), (0.501, 0.509)])
def test_percents_lie_within_the_unit_interval(lowest, highest):
    with pytest.raises(ValueError, match="decision curve"):
        percent_thresholds(lowest=lowest, highest=highest)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"thresholds in \[0, 1\)"):
        decision_curve(LABELS, PROBABILITIES, thresholds=[0.5, 1.0], **SETTINGS)
    for wrong in (-0.1, 1.1, math.nan):
        scores = np.append(PROBABILITIES[:-1], wrong)
        with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]"):
            decision_curve(LABELS, scores, thresholds=[0.5], **SETTINGS)
        with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]"):
            net_benefit_difference(LABELS, PROBABILITIES, scores, threshold=0.5, **SETTINGS)

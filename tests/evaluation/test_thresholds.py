import numpy as np
import pytest

from fusion.errors import FusionError, InputError
from fusion.evaluation.operating_point import confusion
from fusion.evaluation.thresholds import (
    check_operating_points,
    choose_thresholds,
    cost_threshold,
    sensitivity_threshold,
    specificity_threshold,
    youden_threshold,
)
from fusion.records import Predictions

LABELS = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0.1, 0.3, 0.4, 0.65, 0.0])
POINTS = {
    "youden": {"rule": "youden"},
    "sensitivity_90": {"rule": "sensitivity", "at_least": 0.9},
    "specificity_90": {"rule": "specificity", "at_least": 0.9},
    "cost_5": {"rule": "cost", "false_negative": 5.0, "false_positive": 1.0},
}


def predictions(labels, scores, parts, *, label_names=("benign", "malignant")):
    n = len(labels)
    return Predictions(
        model="m",
        label_names=label_names,
        patient_ids=tuple(map(str, range(n))),
        centers=("c",) * n,
        parts=tuple(parts),
        folds=(0,) * n,
        labels=tuple(labels),
        probabilities=np.stack([1 - np.asarray(scores), scores], axis=1),
    )


def test_youden_of_the_subarachnoid_hemorrhage_cohort_equals_proc():
    # r <- roc(aSAH$outcome, as.numeric(aSAH$wfns), levels = c("Good", "Poor"), direction = "<")
    # coords(r, "best", best.method = "youden", ret = c("threshold", "tp", "fp", "tn", "fn"))
    counts = ((37, 20, 3, 8, 4), (2, 12, 1, 8, 18))
    labels = np.repeat([0, 1], [72, 41])
    scores = np.concatenate([np.repeat([1.0, 2, 3, 4, 5], of_label) for of_label in counts])
    threshold = youden_threshold(labels, scores)
    assert threshold == 3.5
    assert confusion(labels, scores, threshold) == (26, 12, 60, 15)


def test_youden_lies_midway_between_neighbors():
    # Between 0.4 and 0.6: sensitivity 4/5, specificity 4/5; no other threshold adds up to more.
    assert youden_threshold(LABELS, SCORES) == pytest.approx(0.5)


def test_youden_takes_the_most_sensitive_of_equals():
    # 0.15 gives 1 + 1/2, 0.35 gives 1/2 + 1: both 1.5.
    assert youden_threshold(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx(0.15)


def test_youden_never_divides_equal_scores():
    threshold = youden_threshold(np.array([0, 0, 1, 1, 1]), np.array([0.2, 0.5, 0.5, 0.5, 0.8]))
    assert threshold == pytest.approx(0.35)


def test_youden_of_a_model_that_is_wrong_calls_everybody_positive():
    assert youden_threshold(np.array([1, 1, 0, 0]), np.array([0.1, 0.2, 0.3, 0.4])) == 0.1
    assert youden_threshold(np.array([1, 0]), np.array([0.4, 0.4])) == 0.4


def test_youden_divides_neighboring_floats():
    low = 0.5
    scores = np.array([low, np.nextafter(low, 1)])
    threshold = youden_threshold(np.array([0, 1]), scores)
    assert (scores >= threshold).tolist() == [False, True]


def test_youden_takes_scores_that_are_no_probabilities():
    assert youden_threshold(np.array([0, 0, 1]), np.array([-3.0, 2.0, 7.0])) == 4.5


@pytest.mark.parametrize(
    ("choose", "parameters"),
    [
        (youden_threshold, {}),
        (sensitivity_threshold, {"at_least": 0.9}),
        (specificity_threshold, {"at_least": 0.9}),
        (cost_threshold, {"false_negative": 1, "false_positive": 1}),
    ],
)
def test_every_rule_needs_both_labels(choose, parameters):
    with pytest.raises(FusionError, match="3 positive and 0 negative"):
        choose(np.ones(3, dtype=int), np.arange(3.0), **parameters)


@pytest.mark.parametrize(
    ("at_least", "threshold"),
    # The positives lie at 0.2, 0.6, 0.7, 0.8 and 0.9; a negative at 0.1 and at 0.4, 0.65.
    [(1.0, 0.15), (0.81, 0.15), (0.8, 0.5), (0.6, 0.675), (0.1, 0.85)],
)
def test_sensitivity_takes_the_highest_threshold_that_reaches_it(at_least, threshold):
    assert sensitivity_threshold(LABELS, SCORES, at_least=at_least) == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("at_least", "threshold"),
    # The negatives lie at 0, 0.1, 0.3, 0.4 and 0.65.
    [(1.0, 0.675), (0.81, 0.675), (0.8, 0.5), (0.6, 0.35), (0.1, 0.05)],
)
def test_specificity_takes_the_lowest_threshold_that_reaches_it(at_least, threshold):
    assert specificity_threshold(LABELS, SCORES, at_least=at_least) == pytest.approx(threshold)


@pytest.mark.parametrize("n", [7, 11, 20, 100])
def test_a_share_that_is_met_exactly_counts(n):
    labels, scores = np.repeat([1, 0], n), np.arange(1, 2 * n + 1) / (2 * n + 1)
    for hits in range(1, n + 1):
        threshold = sensitivity_threshold(labels, scores, at_least=hits / n)
        assert np.sum(scores[:n] >= threshold) == hits
        assert np.sum(scores[n:] < specificity_threshold(labels, scores, at_least=hits / n)) == hits


def test_specificity_may_need_a_threshold_above_every_score():
    labels = np.array([1, 1, 0, 0])
    assert specificity_threshold(labels, np.array([0.1, 0.2, 0.3, 0.6]), at_least=0.9) == pytest.approx(0.8)
    for highest in (1.0, np.nextafter(1.0, 0)):
        scores = np.array([0.1, 0.2, 0.3, highest])
        threshold = specificity_threshold(labels, scores, at_least=0.9)
        assert np.isfinite(threshold)
        assert not np.any(scores >= threshold)


def test_cost_weighs_the_errors():
    # 5 a miss: at 0.15 none is missed and 4 are false alarms, 4 in all; at 0.5 one of each is 6.
    assert cost_threshold(LABELS, SCORES, false_negative=5, false_positive=1) == pytest.approx(0.15)
    assert cost_threshold(LABELS, SCORES, false_negative=1, false_positive=5) == pytest.approx(0.675)
    # A false alarm dearer than all misses together: nobody is called.
    assert cost_threshold(1 - LABELS, SCORES, false_negative=1, false_positive=100) == pytest.approx(0.95)
    assert cost_threshold(LABELS, SCORES, false_negative=100, false_positive=1) == pytest.approx(0.15)


def test_equally_cheap_thresholds_give_the_most_sensitive():
    # Three false alarms at 0.15 cost as much as the miss at 0.55, though 3 * 0.1 != 0.3 in floats.
    labels, scores = np.array([0, 1, 0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    for scale in (1, 0.1, 0.7, 1e-9):
        threshold = cost_threshold(labels, scores, false_negative=3 * scale, false_positive=scale)
        assert threshold == pytest.approx(0.15)
    assert cost_threshold(labels, scores, false_negative=0.3, false_positive=0.1) == pytest.approx(0.15)


def test_perfect_separation_puts_youden_between_the_labels():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.0, 0.2, 0.6, 1.0])
    chosen = [
        youden_threshold(labels, scores),
        sensitivity_threshold(labels, scores, at_least=0.9),
        specificity_threshold(labels, scores, at_least=0.9),
        cost_threshold(labels, scores, false_negative=5, false_positive=1),
    ]
    assert chosen == pytest.approx([0.4] * 4)


def test_thresholds_rest_on_the_inner_part_alone():
    inner = ["malignant" if label else "benign" for label in LABELS]
    alone = predictions(inner, SCORES, ["validation"] * 10)
    others = predictions(
        [*inner, "benign", "malignant", "benign", ""],
        [*SCORES, 0.99, 0.01, 0.98, 0.97],
        ["validation"] * 10 + ["test", "train", "test", "validation"],
    )
    chosen = choose_thresholds(alone, part="validation", operating_points=POINTS)
    assert chosen == pytest.approx({"youden": 0.5, "sensitivity_90": 0.15, "specificity_90": 0.675, "cost_5": 0.15})
    assert choose_thresholds(others, part="validation", operating_points=POINTS) == chosen


def test_a_threshold_chosen_on_test_cannot_be_expressed():
    test = predictions(["benign", "malignant"], [0.2, 0.8], ["test", "test"])
    with pytest.raises(ValueError, match="scored with them"):
        choose_thresholds(test, part="test", operating_points=POINTS)
    with pytest.raises(FusionError, match="0 positive and 0 negative"):
        choose_thresholds(test, part="validation", operating_points=POINTS)


def test_more_labels_have_no_threshold():
    three = Predictions(
        model="m",
        label_names=("a", "b", "c"),
        patient_ids=("1",),
        centers=("c",),
        parts=("validation",),
        folds=(0,),
        labels=("a",),
        probabilities=np.array([[0.2, 0.3, 0.5]]),
    )
    assert choose_thresholds(three, part="validation", operating_points=POINTS) == {}


def test_all_problems_of_the_operating_points_at_once():
    points = {
        "fine": {"rule": "youden"},
        "typo": {"rule": "yuden"},
        "bare": {},
        "list": ["youden"],
        "none": None,
        "missing": {"rule": "sensitivity"},
        "high": {"rule": "specificity", "at_least": 1.2},
        "zero": {"rule": "sensitivity", "at_least": 0},
        "text": {"rule": "specificity", "at_least": "0.9"},
        "yes": {"rule": "specificity", "at_least": True},
        "extra": {"rule": "youden", "at_least": 0.9},
        "cost": {"rule": "cost", "false_negative": float("inf"), "false_positive": -1, "prevalence": 0.1},
        "unhashable": {"rule": ["youden"]},
    }
    with pytest.raises(InputError) as raised:
        check_operating_points(points)
    counted = {}
    for problem in raised.value.problems:
        name = problem.where.removeprefix("evaluation.operating_points.")
        counted[name] = counted.get(name, 0) + 1
    assert counted == {name: 3 if name == "cost" else 1 for name in points if name != "fine"}
    assert "evaluation.operating_points.high: required at_least, a number above 0 and at most 1, came 1.2" in str(
        raised.value
    )
    assert "cost, false_negative, false_positive" in str(raised.value)
    check_operating_points(POINTS)

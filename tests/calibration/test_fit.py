"""What holds for every calibrator."""

import json

import numpy as np
import pytest
from scipy.special import expit, logit, softmax

from fusion.calibration import calibrator_from_state, fit_calibrator
from fusion.errors import FusionError
from fusion.evaluation.calibration import calibration
from fusion.evaluation.discrimination import delong

FITTED = ("platt", "temperature", "isotonic")
NAMES = ("none", *FITTED)


def both(p):
    return np.stack([1 - p, p], axis=1)


def simulated(n, *, intercept, slope, seed):
    """Labels, and probabilities whose logit is off by an intercept and a slope."""
    rng = np.random.default_rng(seed)
    true_logit = rng.normal(-0.5, 1.3, size=n)
    labels = (rng.random(n) < expit(true_logit)).astype(np.int64)
    return labels, both(expit((true_logit - intercept) / slope))


def three_labels(n, *, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3))
    labels = np.array([rng.choice(3, p=softmax(row)) for row in logits])
    return labels, softmax(2.5 * logits, axis=1)


def types_of(content):
    """All that torch.load(weights_only=True) would have to know; a numpy number is not a float here."""
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list | tuple) else ()
    return {type(content)}.union(*(types_of(item) for item in inner))


def are_probabilities(calibrated):
    return np.all((calibrated >= 0) & (calibrated <= 1)) and np.allclose(calibrated.sum(1), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "intercept", "slope"),
    [("platt", 0.8, 0.5), ("platt", -0.7, 1.6), ("isotonic", 0.8, 0.5), ("temperature", 0.0, 0.5)],
)
def test_what_is_miscalibrated_is_calibrated_on_new_patients(name, intercept, slope):
    labels, probabilities = simulated(2000, intercept=intercept, slope=slope, seed=1)
    calibrator = fit_calibrator(name, labels, probabilities, np.ones(2000))
    new_labels, raw = simulated(1000, intercept=intercept, slope=slope, seed=2)
    before = calibration(new_labels, raw[:, 1], level=0.95)["calibration_slope"]
    after = calibration(new_labels, calibrator.apply(raw)[:, 1], level=0.95)
    assert not before.ci_low < 1 < before.ci_high
    assert after["calibration_intercept"].ci_low < 0 < after["calibration_intercept"].ci_high
    if name != "isotonic":  # its exact 0 and 1 have no logit
        assert after["calibration_slope"].ci_low < 1 < after["calibration_slope"].ci_high


@pytest.mark.parametrize("name", FITTED)
def test_three_labels_are_calibrated_on_new_patients(name):
    labels, probabilities = three_labels(3000, seed=1)
    calibrator = fit_calibrator(name, labels, probabilities, np.ones(3000))
    new_labels, raw = three_labels(1500, seed=2)
    calibrated = calibrator.apply(raw)
    assert are_probabilities(calibrated)
    for k in range(3):
        for_label = (new_labels == k).astype(np.int64)
        if name == "isotonic":
            calibrated = np.clip(calibrated, 0.005, 0.995)
        before = calibration(for_label, raw[:, k], level=0.95)["calibration_slope"].value
        after = calibration(for_label, calibrated[:, k], level=0.95)["calibration_slope"].value
        assert before < 0.5
        assert after == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("name", ["platt", "temperature"])
def test_the_order_of_patients_is_kept(name):
    labels, probabilities = simulated(300, intercept=0.5, slope=0.4, seed=3)
    calibrated = fit_calibrator(name, labels, probabilities, np.ones(300)).apply(probabilities)[:, 1]
    assert np.array_equal(np.argsort(calibrated), np.argsort(probabilities[:, 1]))
    assert delong(labels, calibrated, level=0.95).value == delong(labels, probabilities[:, 1], level=0.95).value


def test_isotonic_never_turns_two_patients_around():
    labels, probabilities = simulated(300, intercept=0.5, slope=0.4, seed=3)
    calibrated = fit_calibrator("isotonic", labels, probabilities, np.ones(300)).apply(probabilities)[:, 1]
    assert np.all(np.diff(calibrated[np.argsort(probabilities[:, 1])]) >= 0)


def test_none_changes_nothing_and_needs_no_rows():
    probabilities = both(np.array([0.0, 0.3, 1.0]))
    calibrator = fit_calibrator("none", np.zeros(0, dtype=int), np.zeros((0, 2)), np.zeros(0))
    assert np.array_equal(calibrator.apply(probabilities), probabilities)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_labels", [2, 3])
def test_a_state_is_plain_and_gives_the_same_calibrator(name, n_labels):
    labels, p = simulated(60, intercept=0.5, slope=0.5, seed=0) if n_labels == 2 else three_labels(60, seed=0)
    calibrator = fit_calibrator(name, labels, p, np.ones(60))
    assert types_of(calibrator.state()) <= {dict, list, float, str}
    again = calibrator_from_state(json.loads(json.dumps(calibrator.state())))
    assert again == calibrator
    assert np.array_equal(again.apply(p), calibrator.apply(p))


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_is_deterministic(name):
    labels, probabilities = simulated(80, intercept=0.5, slope=0.5, seed=0)
    states = [fit_calibrator(name, labels, probabilities, np.ones(80)).state() for _ in range(2)]
    assert states[0] == states[1]


@pytest.mark.parametrize("name", FITTED)
def test_every_patient_counts_the_same_however_many_rows(name):
    labels, probabilities = simulated(50, intercept=0.5, slope=0.5, seed=4)
    times = np.arange(50) % 3 + 1
    once = fit_calibrator(name, labels, probabilities, np.ones(50))
    often = fit_calibrator(name, labels.repeat(times), probabilities.repeat(times, axis=0), (1 / times).repeat(times))
    grid = both(np.linspace(0, 1, 21))
    assert often.apply(grid) == pytest.approx(once.apply(grid), abs=1e-6)


HARD = {
    "perfectly separated": (np.repeat([0, 1], 5), np.linspace(0.1, 0.9, 10)),
    "separated, close together": (np.repeat([0, 1], 5), np.linspace(0.4999, 0.5001, 10)),
    "turned around": (np.repeat([1, 0], 5), np.linspace(0.1, 0.9, 10)),
    "exactly 0 and 1": (np.array([0, 0, 1, 1, 0, 1]), np.array([0.0, 1, 1, 0, 0, 1])),
    "exactly 0 and 1, separated": (np.array([0, 0, 1, 1]), np.array([0.0, 0, 1, 1])),
    "all equal": (np.array([0, 1, 0, 0]), np.full(4, 0.3)),
    "all certain": (np.array([0, 1, 0, 0]), np.ones(4)),
    "ties": (np.array([0, 1, 0, 1, 1, 0, 1, 0, 0, 1]), np.repeat([0.2, 0.6], 5)),
}


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("case", HARD)
def test_hard_inner_parts_give_probabilities(name, case):
    labels, p = HARD[case]
    calibrator = fit_calibrator(name, labels, both(p), np.ones(len(p)))
    grid = np.concatenate([np.linspace(0, 1, 101), [1e-300, 1e-12, 1 - 1e-12]])
    calibrated = calibrator.apply(both(grid))
    assert are_probabilities(calibrated)
    assert np.all(np.diff(calibrated[:101, 1]) >= 0)
    json.dumps(calibrator.state(), allow_nan=False)


@pytest.mark.parametrize("name", FITTED)
def test_single_precision_gives_the_same(name):
    labels, probabilities = simulated(50, intercept=0.5, slope=0.5, seed=0)
    calibrator = fit_calibrator(name, labels, probabilities, np.ones(50))
    single = np.array([[0.0, 1.0], [0.75, 0.25], [1.0, 0.0]], dtype=np.float32)
    calibrated = calibrator.apply(single)
    assert calibrated.dtype == np.float64
    assert np.array_equal(calibrated, calibrator.apply(single.astype(np.float64)))


@pytest.mark.parametrize("name", FITTED)
def test_certain_rows_of_three_labels_give_probabilities(name):
    labels = np.array([0, 1, 2, 0, 1, 2])
    probabilities = np.eye(3)[[0, 1, 2, 1, 2, 0]]
    calibrator = fit_calibrator(name, labels, probabilities, np.ones(6))
    assert are_probabilities(calibrator.apply(np.concatenate([probabilities, np.full((1, 3), 1 / 3)])))


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("labels", [np.zeros(5, dtype=int), np.ones(5, dtype=int), np.zeros(0, dtype=int)])
def test_a_missing_label_is_refused_with_what_to_do(name, labels):
    n = len(labels)
    with pytest.raises(FusionError, match="calibration=none") as refused:
        fit_calibrator(name, labels, both(np.linspace(0.1, 0.9, n)), np.ones(n))
    assert "more patients" in str(refused.value)
    assert str({0, 1} - set(labels.tolist())).strip("{}") in str(refused.value)


def test_an_unknown_name_is_refused():
    with pytest.raises(FusionError, match="none, platt, temperature, isotonic, came 'beta'"):
        fit_calibrator("beta", np.array([0, 1]), both(np.array([0.1, 0.9])), np.ones(2))
    with pytest.raises(FusionError, match="came 'beta'"):
        calibrator_from_state({"name": "beta"})


@pytest.mark.parametrize(
    ("labels", "p", "weights"),
    [
        ([0, 1], [0.1, 0.9, 0.5], [1, 1, 1]),
        ([0, 1, 1], [0.1, 0.9, np.nan], [1, 1, 1]),
        ([0, 1, 1], [0.1, 0.9, 1.1], [1, 1, 1]),
        ([0, 1, 2], [0.1, 0.9, 0.5], [1, 1, 1]),
        ([0, 1, 1], [0.1, 0.9, 0.5], [1, 1, 0]),
    ],
)
def test_what_cannot_be_is_refused(labels, p, weights):
    with pytest.raises(ValueError, match="calibration"):
        fit_calibrator("platt", np.array(labels), both(np.array(p)), np.array(weights, dtype=float))


def test_logit_of_the_simulation_is_what_it_says():
    _, probabilities = simulated(5, intercept=0.8, slope=0.5, seed=1)
    _, plain = simulated(5, intercept=0, slope=1, seed=1)
    assert 0.8 + 0.5 * logit(probabilities[:, 1]) == pytest.approx(logit(plain[:, 1]))

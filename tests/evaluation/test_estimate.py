import json

from fusion.evaluation.estimate import Estimate, undefined


def test_nan_becomes_null():
    assert json.dumps(undefined(3).as_json()) == '{"value": null, "ci_low": null, "ci_high": null, "n": 3}'


def test_figures_stay_as_they_are():
    estimate = Estimate(value=0.8, ci_low=0.7, ci_high=0.9, n=10)
    assert estimate.as_json() == {"value": 0.8, "ci_low": 0.7, "ci_high": 0.9, "n": 10}

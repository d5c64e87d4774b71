from pathlib import Path

import pytest
import yaml

from fusion.errors import InputError
from fusion.evaluation.settings import Settings

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "conf/evaluation/default.yaml").read_text())


def test_the_default_is_read():
    settings = Settings.from_config(CONFIG, seed=3)
    assert (settings.level, settings.threshold, settings.seed) == (0.95, "youden", 3)
    assert settings.bootstrap == {"level": 0.95, "n_bootstrap": 2000, "seed": 3}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("level", 95),
        ("level", 1.0),
        ("n_bootstrap", 10),
        ("n_bootstrap", True),
        ("prevalence", 0.0),
        ("prevalence", 20),
        ("partial_auc", {"above_specificity": 1.0}),
        ("decision_curve", {"lowest": 0.5, "highest": 0.1}),
        ("decision_curve", {"lowest": 0.0, "highest": 0.5}),
        ("reliability_bins", 1),
        ("min_patients", 0),
        ("min_per_label", 1.5),
        ("subgroups", {"columns": None, "bins": 1}),
        ("partial_auc", 0.8),
        ("center_probe", {"n_folds": 1, "n_components": 50, "inverse_penalty": 1.0}),
        ("center_probe", {"n_folds": 5}),
        ("sample_size", {"share_of_max_r2": 1.5, "c_statistic": None}),
        ("sample_size", {"share_of_max_r2": 0.15, "c_statistic": 1.5}),
        ("learning_curve", [1.0]),
        ("learning_curve", 0.5),
        ("threshold", "best"),
    ],
)
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(InputError) as caught:
        Settings.from_config({**CONFIG, key: value}, seed=0)
    (problem,) = caught.value.problems
    assert (problem.where, problem.came) == (f"evaluation.{key}", repr(value))


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_a_seed_is_a_whole_number_from_0(seed):
    with pytest.raises(InputError, match=rf"seed: required a whole number from 0, came {seed}"):
        Settings.from_config(CONFIG, seed=seed)


def test_an_operating_point_that_cannot_be_is_told():
    with pytest.raises(InputError, match=r"evaluation\.operating_points\.youden"):
        Settings.from_config({**CONFIG, "operating_points": {"youden": {"rule": "youdn"}}}, seed=0)

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusion.evaluation.curves import curves
from fusion.evaluation.settings import Settings
from fusion.records import Predictions

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "conf/evaluation/default.yaml").read_text())
SETTINGS = Settings.from_config({**CONFIG, "n_bootstrap": 100}, seed=0)
TABLES = ["reliability", "smooth_calibration", "decision", "impact"]


def scored(label_names):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(len(label_names)), 60)
    return Predictions(
        model="m",
        label_names=label_names,
        patient_ids=tuple(f"p{i}" for i in range(60)),
        centers=("A",) * 60,
        parts=("test",) * 60,
        folds=(0,) * 60,
        labels=tuple(str(rng.choice(label_names, p=row)) for row in probabilities),
        probabilities=probabilities,
    )


def test_two_labels_have_the_tables_of_the_positive_one():
    tables = curves(scored(("benign", "malignant")), settings=SETTINGS)
    assert list(tables) == TABLES
    assert json.loads(json.dumps(tables)) == tables


@pytest.mark.parametrize(("k", "name"), list(enumerate("abc")))
def test_each_of_several_labels_has_those_of_itself_against_the_rest(k, name):
    rows = scored(("a", "b", "c"))
    tables = curves(rows, settings=SETTINGS)
    assert list(tables) == ["by_label"]
    assert list(tables["by_label"]) == ["a", "b", "c"]
    share = rows.probabilities[:, k]
    alone = replace(
        rows,
        label_names=("rest", name),
        labels=tuple(label if label == name else "rest" for label in rows.labels),
        probabilities=np.stack([1 - share, share], axis=1),
    )
    assert tables["by_label"][name] == curves(alone, settings=SETTINGS)

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fusion.evaluation.center_probe import probe_centers
from fusion.records import Case, Cohort, FeatureTable

SETTINGS = {
    "n_folds": 5,
    "n_components": 20,
    "inverse_penalty": 1.0,
    "level": 0.95,
    "n_bootstrap": 200,
    "seed": 0,
}


def make(n, *, centers, shift, n_features=30, share=None, cases_each=1, labels=("benign", "malignant"), seed=0):
    """A cohort whose features differ by center as much as ``shift`` says."""
    rng = np.random.default_rng(seed)
    center = np.arange(n) % len(centers)
    share = np.full(len(centers), 0.4) if share is None else np.array(share)
    label = (rng.random(n) < share[center]).astype(int)
    cases = tuple(
        Case(
            case_id=f"p{i}-{view}",
            patient_id=f"p{i}",
            center=centers[center[i]],
            image=None,
            mask=None,
            label=labels[label[i]],
            clinical={},
        )
        for i in range(n)
        for view in range(cases_each)
    )
    own = rng.normal(size=(n, n_features)) + shift * center[:, None]
    values = np.repeat(own, cases_each, axis=0) + 0.01 * rng.normal(size=(n * cases_each, n_features))
    cohort = Cohort(name="x", cases=cases, label_names=labels, clinical_columns=())
    return cohort, FeatureTable(
        case_ids=tuple(case.case_id for case in cases),
        names=tuple(f"f{i}" for i in range(n_features)),
        values=values,
    )


def test_features_that_give_the_center_away():
    probe = probe_centers(*make(120, centers="ABC", shift=1.0, share=[0.1, 0.5, 0.8]), **SETTINGS)
    assert probe.auc.value > 0.95
    assert probe.n_centers == 3
    assert "tell the 3 centers apart nearly perfectly" in probe.text
    assert "share of malignant is between" in probe.text
    assert "split=leave_one_center_out and harmonization=combat" in probe.text
    assert probe.outcome_p < 0.001
    assert "p < 0.001" in probe.text


@pytest.mark.parametrize("centers", ["AB", "ABCD"])
def test_noise_is_chance(centers):
    probe = probe_centers(*make(240, centers=centers, shift=0.0), **SETTINGS)
    assert 0.4 < probe.auc.value < 0.6
    assert probe.auc.ci_low < 0.5
    assert "hardly, if at all" in probe.text


def test_images_of_a_patient_are_never_on_both_sides():
    # Two nearly equal images each: a model that saw one of them would know the other's center.
    settings = SETTINGS | {"n_components": 90, "inverse_penalty": 100.0}
    probe = probe_centers(*make(80, centers="AB", shift=0.0, n_features=90, cases_each=2), **settings)
    assert probe.auc.value < 0.65
    assert probe.auc.n == 80


# chisq.test(matrix(c(20, 10, 8, 22, 15, 15), 3, byrow = TRUE), correct = FALSE)$p.value; the other without the last row
@pytest.mark.parametrize(
    ("counts", "p", "text"),
    [
        ({"A": (20, 10), "B": (8, 22), "C": (15, 15)}, 0.00779687195524, "p = 0.0078"),
        ({"A": (20, 10), "B": (8, 22)}, 0.001900893250447, "p = 0.0019"),
    ],
)
def test_outcome_by_center_equals_r(counts, p, text):
    cohort, features = make(30 * len(counts), centers=tuple(counts), shift=0.5)
    waiting = {name: ["benign"] * low + ["malignant"] * high for name, (low, high) in counts.items()}
    cases = tuple(replace(case, label=waiting[case.center].pop()) for case in cohort.cases)
    probe = probe_centers(replace(cohort, cases=cases), features, **SETTINGS)
    assert probe.outcome_p == pytest.approx(p, rel=1e-9)
    share = {name: high / 30 for name, (_, high) in counts.items()}
    expected = roc_auc_score([case.label == "malignant" for case in cases], [share[case.center] for case in cases])
    assert probe.outcome_auc.value == pytest.approx(expected)
    assert "between 33% of 30 patients in A and 73% of 30 patients in B" in probe.text
    assert text in probe.text


def test_the_outcome_changes_nothing_of_the_probe():
    cohort, features = make(60, centers="AB", shift=0.3)
    other = replace(cohort, cases=tuple(replace(case, label="benign") for case in cohort.cases))
    probe, without = probe_centers(cohort, features, **SETTINGS), probe_centers(other, features, **SETTINGS)
    assert without.auc == probe.auc
    assert without.as_json()["outcome_p"] is None
    assert without.as_json()["outcome_auc"]["value"] is None
    assert "one value only" in without.text


def test_same_seed_same_figures():
    arguments = make(60, centers="AB", shift=0.3)
    assert probe_centers(*arguments, **SETTINGS) == probe_centers(*arguments, **SETTINGS)


def test_missing_infinite_and_constant_features_are_borne():
    cohort, features = make(60, centers="AB", shift=1.0)
    features.values[:, 0], features.values[:, 1], features.values[3:9, 2] = np.nan, 5.0, np.inf
    assert probe_centers(cohort, features, **SETTINGS).auc.value > 0.9


def test_a_center_with_few_patients_is_left_out_and_named():
    cohort, features = make(60, centers="AB", shift=1.0)
    cases = tuple(replace(case, center="tiny") if i < 4 else case for i, case in enumerate(cohort.cases))
    probe = probe_centers(replace(cohort, cases=cases), features, **SETTINGS)
    assert (probe.left_out, probe.n_centers, probe.auc.n) == (("tiny",), 2, 56)


def test_no_probe_of_one_center_or_of_no_feature():
    cohort, features = make(30, centers="A", shift=0.0)
    assert probe_centers(cohort, features, **SETTINGS) is None
    cohort, features = make(30, centers="AB", shift=0.0)
    nothing = FeatureTable(case_ids=features.case_ids, names=(), values=np.empty((30, 0)))
    assert probe_centers(cohort, nothing, **SETTINGS) is None


def test_ten_patients():
    probe = probe_centers(*make(10, centers="AB", shift=2.0), **SETTINGS)
    assert (probe.auc.value, probe.auc.ci_high) == (1, 1)
    assert 0 < probe.auc.ci_low < 1


def test_several_labels_name_the_one_that_differs_most():
    cohort, features = make(90, centers="ABC", shift=0.3)
    label_of = {"A": "x", "B": "y", "C": "z"}
    cases = tuple(replace(case, label="x" if i % 4 else label_of[case.center]) for i, case in enumerate(cohort.cases))
    probe = probe_centers(replace(cohort, cases=cases, label_names=("x", "y", "z")), features, **SETTINGS)
    assert "the share of x is between" in probe.text

import pytest

from fusion.report.metric_names import in_order, metric_name


@pytest.mark.parametrize(
    ("key", "pooled", "name"),
    [
        ("auc", False, "AUC"),
        ("auc", True, "AUC, pooled over the folds"),
        ("auc_fold_mean", True, "AUC, mean of the folds’ own"),
        ("sensitivity_mean", False, "Sensitivity, mean against the rest"),
        ("calibration_slope_b c", False, "Calibration slope (1 is perfect), b c against the rest"),
        ("of_tomorrow", False, "of_tomorrow"),
    ],
)
def test_names(key, pooled, name):
    # A label may be named like a part of a metric's key.
    assert metric_name(key, label_names=("mean", "fold_mean", "b c"), is_pooled=pooled, prevalence=None) == name


def test_order_is_that_of_the_names_with_labels_after_the_whole():
    keys = ["of_tomorrow", "brier", "auc_b", "sensitivity", "auc_a", "auc"]
    assert in_order(keys, label_names=("a", "b")) == ["auc", "auc_b", "auc_a", "sensitivity", "brier", "of_tomorrow"]


def test_the_stated_prevalence_stands_where_the_figure_is_named():
    name = metric_name("npv_at_prevalence", label_names=("a", "b"), is_pooled=False, prevalence=0.125)
    assert name == "Negative predictive value at a prevalence of 12.5\N{NO-BREAK SPACE}%"

import json
from pathlib import Path

import pytest

from fusion.report.terminal import print_summary


@pytest.fixture
def printed(finished, capsys, monkeypatch):
    """A function that changes metrics.json and gives what is printed then."""
    monkeypatch.setenv("COLUMNS", "80")

    def after(change):
        metrics = json.loads((finished / "metrics.json").read_text())
        change(metrics)
        print_summary(metrics, title="salivary [x]", written=Path("run") / "report.html")
        return capsys.readouterr().out

    return after


def test_one_screen_with_what_matters(printed, finished):
    test = json.loads((finished / "metrics.json").read_text())["test"]
    text = printed(lambda metrics: None)
    for name in ("auc", "auc_fold_mean", "sensitivity", "specificity", "brier"):
        assert f"{test[name]['value']:.3f}" in text
    for words in ("salivary [x]", "pooled", "mean of the folds", "slope", "intercept", "0.870", "0.660 to 0.960"):
        assert words in text
    assert "warning: 84 training patients, 1712 are advised." in text
    assert len(text.splitlines()) <= 26


def test_unfinished_folds_are_warned_of(printed):
    assert "5 of 8 folds" in printed(lambda metrics: metrics["folds"].update(planned=8))
    assert "folds; the run" not in printed(lambda metrics: None)


def test_an_older_or_unlabeled_run_prints_too(printed):
    def older(metrics):
        for name in ("folds", "sample_size", "between_centers", "curves"):
            del metrics[name]

    assert "warning" not in printed(older)
    assert "report.html" in printed(dict.clear)


def test_undefined_is_said(printed, fake):
    text = printed(lambda metrics: metrics["test"].update(calibration_slope=fake.estimate(None, 5)))
    assert "undefined" in text


@pytest.mark.parametrize("branches", [{}, None])
def test_a_model_without_branches_prints_nothing_of_them(printed, branches):
    assert "AUC of image alone" in printed(lambda metrics: None)
    text = printed(lambda metrics: metrics.update(branches=branches))
    assert "alone" not in text
    assert "report.html" in text

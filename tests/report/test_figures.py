import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from fusion.report.figures import draw_gates, rank_attributions, rank_features, write_figures
from fusion.report.run_folder import read_run

NAMES = ["roc", "roc_centers", "reliability", "distribution", "gates", "features", "attribution_clinical"]


@pytest.fixture(scope="module")
def drawings(finished):
    return write_figures(read_run(finished))


def texts(path):
    return [element.text or "" for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_every_figure_with_numbers_is_written(finished, drawings):
    assert sorted(path.stem for path in (finished / "figures").iterdir()) == sorted(NAMES)
    assert drawings["attribution_radiomics"].absent is not None


def test_text_stays_text_and_no_date_is_inside(drawings):
    assert "Sensitivity" in texts(drawings["roc"].path)
    svg = drawings["roc"].path.read_text()
    assert "dc:date" not in svg
    assert "Matplotlib v" not in svg


def test_roc_labels_have_the_interval_of_metrics_json(finished, drawings):
    run = read_run(finished)
    auc = run.metrics["test"]["auc"]
    expected = f"AUC: {auc['value']:.3f} ({auc['ci_low']:.3f} to {auc['ci_high']:.3f})"
    assert expected in texts(drawings["roc"].path)
    by_center = " ".join(texts(drawings["roc_centers"].path))
    for center, figures in run.metrics["centers"].items():
        assert f"{center} (n = {figures['auc']['n']}): {figures['auc']['value']:.3f}" in by_center


def test_a_figure_that_is_no_longer_backed_by_numbers_goes_away(tmp_path, fake):
    run_dir = fake.write_run(tmp_path / "run", fake.Simulation(40), optional=False)
    old = run_dir / "figures" / "features.svg"
    for content, reason in (
        (None, "The run has no features.csv: it has no radiomics branch."),
        ("fold,feature,weight\n0,a,0.0\n", "No radiomics feature survived the L1 penalty in any fold."),
    ):
        old.parent.mkdir(exist_ok=True)
        old.write_text("of an earlier run")
        if content is not None:
            (run_dir / "features.csv").write_text(content)
        assert write_figures(read_run(run_dir))["features"].absent == reason
        assert not old.exists()


def test_features_are_ranked_by_mean_absolute_weight_over_all_folds():
    table = pd.DataFrame(
        [(0, "a", 0.9), (0, "b", -0.4), (1, "b", 0.4), (2, "b", -0.4), (1, "c", 0.0)],
        columns=["fold", "feature", "weight"],
    )
    ranked = rank_features(table, 3)
    assert ranked["name"].tolist() == ["b", "a"]
    assert ranked["strength"].tolist() == pytest.approx([0.4, 0.3])
    assert ranked["note"].tolist() == ["3 of 3 folds", "1 of 3 folds"]


def test_attributions_are_ranked_by_mean_absolute_value():
    table = pd.DataFrame([("a", 1.0), ("a", -1.0), ("b", 0.8), ("b", 0.8)], columns=["name", "value"])
    assert rank_attributions(table)[["name", "strength"]].values.tolist() == [["a", 1.0], ["b", 0.8]]


def test_names_that_the_font_lacks_warn_nobody_and_stay_text(run_dir):
    (run_dir / "attributions" / "radiomics.csv").write_text("case_id,fold,name,value\n1,0,年龄,1.0\n")
    drawing = write_figures(read_run(run_dir))["attribution_radiomics"]
    assert "年龄" in texts(drawing.path)


def test_gates_of_many_cases_are_drawn_without_points():
    few, many = (draw_gates({"image": np.linspace(0, 1, n)}) for n in (10, 10_000))
    assert (len(few.axes[0].collections), len(many.axes[0].collections)) == (1, 0)

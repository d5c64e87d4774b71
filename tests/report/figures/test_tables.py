"""The CSV beside a figure holds the numbers that its artists draw."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.patches import Polygon, Rectangle, StepPatch

from fusion.report.figures.write import _plans
from fusion.report.run_folder import read_run


@pytest.fixture(scope="module")
def plans(finished):
    return {plan.name: plan for plan in _plans(read_run(finished))}


@pytest.fixture(scope="module")
def classical_plans(classical):
    return {plan.name: plan for plan in _plans(read_run(classical))}


@pytest.fixture
def drawn(tmp_path):
    """What a plan's CSV says, as somebody else reads it."""

    def read(plan):
        plan.table.to_csv(tmp_path / "table.csv", index=False)
        return pd.read_csv(tmp_path / "table.csv", keep_default_na=False, na_values=[""])

    return read


def line(axes, label):
    return next(one for one in axes.lines if str(one.get_label()).startswith(label))


def of(table, series):
    return table[table["series"] == series]


def test_every_figure_has_its_numbers(plans, classical_plans):
    for plan in (*plans.values(), *classical_plans.values()):
        assert isinstance(plan.figure, str) == (plan.table is None), plan.name


def test_no_patient_is_in_the_numbers(plans, classical_plans, simulation):
    ids = {*simulation.cases.case_ids, *simulation.cases.patient_ids}
    for plan in (*plans.values(), *classical_plans.values()):
        if plan.table is not None:
            assert not {"patient_id", "case_id"} & set(plan.table.columns)
            words = plan.table.select_dtypes(exclude="number").to_numpy().ravel()
            assert ids.isdisjoint(str(word) for word in words), plan.name


@pytest.mark.parametrize("name", ["roc", "roc_centers"])
def test_roc(plans, drawn, name):
    table, (axes,) = drawn(plans[name]), plans[name].figure.axes
    curves = dict(list(of(table, "curve").groupby("curve", sort=False)))
    assert curves
    for curve, corners in curves.items():
        shown = line(axes, f"{curve}: {corners['auc'].iloc[0]:.3f}")
        np.testing.assert_allclose(shown.get_xdata(), corners["false_positive_rate"])
        np.testing.assert_allclose(shown.get_ydata(), corners["true_positive_rate"])
    assert len(
        {one.get_linestyle() + str(one._unscaled_dash_pattern) for one in axes.lines[1 : 1 + len(curves)]}
    ) == len(curves)
    if name == "roc":
        (point,) = of(table, "frozen threshold").to_dict("records")
        places = [(one.get_xdata()[0], one.get_ydata()[0]) for one in axes.lines if one.get_marker() == "o"]
        assert places == [pytest.approx((1 - point["specificity_value"], point["sensitivity_value"]))]


def test_distribution(plans, drawn):
    table, panels = drawn(plans["distribution"]), plans["distribution"].figure.axes
    for axes, (_, bars) in zip(panels, of(table, "bar").groupby("label", sort=False), strict=True):
        (steps,) = (patch for patch in axes.patches if isinstance(patch, StepPatch))
        np.testing.assert_allclose(steps.get_data().values, bars["n"])
        np.testing.assert_allclose(steps.get_data().edges[1:], bars["probability_high"])
        thresholds = [one.get_xdata()[0] for one in axes.lines]
        np.testing.assert_allclose(thresholds, of(table, "frozen threshold")["threshold"])


def test_calibration(plans, drawn):
    table, (top, bottom) = drawn(plans["calibration"]), plans["calibration"].figure.axes
    for series, label in (("group", "groups of"), ("smooth curve", "smooth")):
        shown = line(top, label)
        np.testing.assert_allclose(shown.get_xdata(), of(table, series)["predicted"])
        np.testing.assert_allclose(shown.get_ydata(), of(table, series)["observed"])
    segments = top.collections[0].get_segments()
    np.testing.assert_allclose([s[:, 1] for s in segments], of(table, "group")[["ci_low", "ci_high"]])
    heights = np.array([bar.get_height() for bar in bottom.patches if isinstance(bar, Rectangle)])
    np.testing.assert_allclose(np.abs(heights), of(table, "histogram")["share"])


@pytest.mark.parametrize(
    ("name", "keys"),
    [("decision", {"model": "model", "treat all": "treat all"}),
     ("impact", {"high risk": "called high risk", "true positive": "of these"})],
)  # fmt: skip
def test_curves_over_thresholds(plans, drawn, name, keys):
    table, (axes,) = drawn(plans[name]), plans[name].figure.axes
    for (series, label), band in zip(keys.items(), axes.collections, strict=True):
        shown, numbers = line(axes, label), of(table, series)
        np.testing.assert_allclose(shown.get_xdata(), numbers["threshold"])
        np.testing.assert_allclose(shown.get_ydata(), numbers["value"])
        corners = band.get_paths()[0].vertices[:, 1]
        assert {round(y, 9) for y in numbers["ci_low"]} <= {round(y, 9) for y in corners}
        assert {round(y, 9) for y in numbers["ci_high"]} <= {round(y, 9) for y in corners}


@pytest.mark.parametrize("name", ["centers", "subgroups"])
def test_forest(plans, drawn, name):
    table, axes = drawn(plans[name]), plans[name].figure.axes[1]
    points = table[table["kind"].isin(["group", "total"]) & table["value"].notna()]
    squares = [one.get_xdata()[0] for one in axes.lines if one.get_marker() == "s"]
    np.testing.assert_allclose([x for x in squares if not np.isnan(x)], points["value"])
    bars = [one.get_xdata() for one in axes.lines if one.get_marker() == "None" and one.get_zorder() != 0]
    intervals = table[(table["kind"] != "summary") & table["ci_low"].notna()]
    np.testing.assert_allclose(bars, intervals[["ci_low", "ci_high"]])
    diamonds = [patch.get_xy() for patch in axes.patches if isinstance(patch, Polygon)]
    for corners, row in zip(diamonds, table[table["kind"] == "summary"].to_dict("records"), strict=True):
        np.testing.assert_allclose(corners[:3, 0], [row["ci_low"], row["value"], row["ci_high"]])


def test_gates(plans, drawn):
    table, (axes,) = drawn(plans["gates"]), plans["gates"].figure.axes
    points = [one for one in axes.collections if isinstance(one, PathCollection)]
    for shown, (_, values) in zip(points, table.groupby("branch", sort=False)["gate"], strict=True):
        np.testing.assert_allclose(shown.get_offsets()[:, 0], values)


@pytest.mark.parametrize("name", ["features", "attribution_clinical"])
def test_ranking(plans, drawn, name):
    table, (axes,) = drawn(plans[name]), plans[name].figure.axes
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], table["strength"])
    assert [text.get_text() for text in axes.texts][0::2] == list(table["name"])


def test_selection(classical_plans, drawn):
    table, (left, right) = drawn(classical_plans["selection"]), classical_plans["selection"].figure.axes
    means = of(table, "mean")
    np.testing.assert_allclose([bar.get_width() for bar in left.patches], means["coefficient"])
    np.testing.assert_allclose([bar.get_width() for bar in right.patches], means["frequency"])
    dots = next(one for one in left.lines if one.get_marker() == "o")
    np.testing.assert_allclose(dots.get_xdata(), of(table, "fold")["coefficient"])
    assert [means["feature"].iloc[int(y)] for y in dots.get_ydata()] == list(of(table, "fold")["feature"])


def test_lasso(classical_plans, drawn):
    table, axes = drawn(classical_plans["lasso"]), classical_plans["lasso"].figure.axes
    curve, paths = of(table, "deviance"), of(table, "path")
    dots = next(one for one in axes[0].lines if one.get_marker() == "o")
    np.testing.assert_allclose(dots.get_xdata(), np.log(curve["lambda"]))
    np.testing.assert_allclose(dots.get_ydata(), curve["deviance"])
    lines = [tuple(np.round(one.get_ydata(), 9)) for one in axes[1].lines if len(one.get_xdata()) == len(curve)]
    assert sorted(lines) == sorted(tuple(np.round(path, 9)) for _, path in paths.groupby("feature")["coefficient"])


def test_shap(classical_plans, drawn):
    table, (left, right) = drawn(classical_plans["shap"]), classical_plans["shap"].figure.axes
    bars = of(table, "mean absolute")
    np.testing.assert_allclose([bar.get_width() for bar in right.patches], bars["strength"])
    swarms = [one for one in left.collections if isinstance(one, PathCollection)]
    for shown, name in zip(swarms, bars["name"], strict=True):
        values = of(table, "case").set_index("name")["value"]
        np.testing.assert_allclose(shown.get_offsets()[:, 0], values[[name]])


def test_nomogram(classical_plans, drawn):
    table, (page,) = drawn(classical_plans["nomogram"]), classical_plans["nomogram"].figure.axes
    ticks = [np.array([s[0, 0] for s in one.get_segments()]) for one in page.collections]
    low, high = ticks[0].min(), ticks[0].max()  # of the points, 0 to 100
    for xs, (_, values) in zip(ticks[1:-2], of(table, "points").groupby("variable", sort=False)["points"], strict=True):
        np.testing.assert_allclose(100 * (xs - low) / (high - low), values, atol=1e-9)
    scale = ticks[-2]  # of total points, 0 to their last
    totals = np.array(of(table, "probability")["points"], dtype=float)
    places = (ticks[-1] - low) / (scale.max() - low)
    np.testing.assert_allclose(places / places[-1], totals / totals[-1])

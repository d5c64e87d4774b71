import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from fusion.report.figures.forest import Row, draw_forest

HEADS = ("Center", "n (malignant)", "AUC (95 % interval)")
LONG = "Department of Ultrasound of the Ninth People's Hospital of a Very Large City, Building {}"


def estimate(value, n, half=0.05):
    return {"value": value, "ci_low": value - half, "ci_high": min(1, value + half), "n": n}


def rows(n_groups, name="center {}"):
    groups = [Row(name.format(k), f"{100 + k} (40)", estimate(0.7 + k / 100, 100 + k)) for k in range(n_groups)]
    return [*groups, Row("All, pooled", "500 (200)", estimate(0.8, 500), "total")]


def draw(some):
    return draw_forest(some, heads=HEADS, xlabel="AUC", reference=0.5)


def words(figure):
    return [text for text in figure.axes[0].texts if text.get_text()]


@pytest.mark.parametrize("n_groups", [1, 2, 4, 12, 30])
@pytest.mark.parametrize("name", ["center {}", LONG])
def test_no_words_overlap_or_leave_the_page(n_groups, name):
    figure = draw(rows(n_groups, name))
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in words(figure)]
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    assert all(figure.bbox.contains(*corner) for box in boxes for corner in box.corners())
    plot = figure.axes[1].get_window_extent(renderer)
    assert plot.width > 0.25 * figure.bbox.width
    assert not any(box.overlaps(plot) for box in boxes)


def test_long_names_stay_apart():
    names = [text.get_text() for text in words(draw(rows(12, LONG))) if text.get_text().startswith("Dep")]
    assert len(set(names)) == 12
    assert all(name.count("\n") == 1 and "…" in name for name in names)


def test_squares_go_with_the_patients_and_limits_are_drawn():
    some = [Row("a", "400", estimate(0.8, 400)), Row("b", "100", estimate(0.7, 100))]
    lines = draw(some).axes[1].lines
    sizes = [line.get_markersize() for line in lines if line.get_marker() == "s"]
    assert sizes[0] == pytest.approx(2 * sizes[1])
    assert any(line.get_xdata() == pytest.approx([0.75, 0.85]) for line in lines)


def test_a_note_stands_where_the_estimate_would_and_the_line_of_chance_makes_room():
    some = [Row("a", "400", estimate(0.8, 400)), Row("b", "3 (1)", None, note="too few: 3 patients")]
    figure = draw(some)
    assert "too few: 3 patients" in [text.get_text() for text in words(figure)]
    assert sum(list(line.get_xdata()) == [0.5, 0.5] for line in figure.axes[1].lines) == 1


def test_summary_and_prediction():
    some = [
        *rows(2),
        Row("Summary", "2 centers", estimate(0.8, 200), "summary"),
        Row("New", "", {"value": None, "ci_low": 0.3, "ci_high": 0.95, "n": 0}, "prediction"),
    ]
    figure = draw(some)
    axes = figure.axes[1]
    corners = axes.patches[0].get_xy()
    assert corners[:, 0].min() == pytest.approx(0.75)
    assert corners[:, 0].max() == pytest.approx(0.85)
    assert "0.300 to 0.950" in [text.get_text() for text in words(figure)]
    assert axes.get_xlim()[0] < 0.3


def test_undefined_estimates_are_said():
    some = [Row("a", "4", {"value": None, "ci_low": None, "ci_high": None, "n": 4})]
    assert "not defined" in [text.get_text() for text in words(draw(some))]

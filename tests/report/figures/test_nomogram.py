import itertools
import math

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from fusion.report.figures.nomogram import draw_nomogram, plan_nomogram, points_of
from fusion.report.run_folder import read_run

LEVELS = ("markedly hypoechoic", "hypoechoic", "isoechoic", "hyperechoic or mixed", "missing")
LONG = "log-sigma-{}-0-mm-2D_gldm_DependenceNonUniformityNormalizedOfEverything"


def table(variables, intercept=-1.0):
    rows = [(name, text, value) for name, ticks in variables.items() for text, value in ticks]
    rows += [("(probability)", f"{p:g}", math.log(p / (1 - p))) for p in (0.05, 0.2, 0.5, 0.8, 0.95)]
    return pd.DataFrame([*rows, ("(intercept)", "", intercept)], columns=["variable", "label", "value"])


def test_points_by_hand():
    nomogram = points_of(table({"a": [("no", 0.0), ("yes", 0.5)], "b": [("0", -1.0), ("1", 0.0), ("2", 1.0)]}))
    # The widest variable spans 2 logits: 100 points; a point is 0.02 logits.
    assert list(nomogram.variables) == ["b", "a"]
    assert nomogram.variables["b"] == [("0", 0.0), ("1", 50.0), ("2", 100.0)]
    assert dict(nomogram.variables["a"])["yes"] == pytest.approx(25)
    assert nomogram.total == pytest.approx(125)
    # At 0 points the logit is -1 - 1 + 0 = -2, so that a probability of a half takes 2 / 0.02 points.
    assert dict(nomogram.probabilities)["0.5"] == pytest.approx(100)


def crowded(n_variables):
    some = {"echogenicity": [(text, 0.01 * k) for k, text in enumerate(LEVELS)]}
    numbers = {"age": [(f"{age}", age / 90) for age in range(0, 90, 2)] + [("missing", 0.4)]}
    long = {LONG.format(k): [(f"{x}", x * (k + 1) * 0.1) for x in range(-4, 5)] for k in range(n_variables - 2)}
    return some | numbers | long


@pytest.mark.parametrize("n_variables", [3, 12])
def test_no_words_overlap_or_leave_the_page(n_variables):
    figure = draw_nomogram(points_of(table(crowded(n_variables))), positive="metastasis of the lymph nodes of the neck")
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = figure.axes[0].texts
    # Without the paper around the words, which may touch that of others.
    for text in texts:
        text.set_bbox(None)
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    assert all(figure.bbox.padded(1).contains(*corner) for box in boxes for corner in box.corners())
    shown = {text.get_text() for text in texts}
    assert {*LEVELS} <= shown  # words are never left out
    assert {"0", "88"} <= shown  # nor are the ends of numbers


def test_ticks_stand_at_their_points_even_without_a_label():
    variables = {"age": [(f"{age}", age / 90) for age in range(91)]}
    figure = draw_nomogram(points_of(table(variables)), positive="malignant")
    page = figure.axes[0]
    labels = {text.get_text(): text.get_position()[0] for text in page.texts if text.get_position()[0] > 0}
    ticks = page.collections[1].get_segments()
    assert len(ticks) == 91
    assert len([text for text in labels if text.isdigit()]) < 91
    start, end = ticks[0][0][0], ticks[-1][0][0]
    assert ticks[45][0][0] == pytest.approx((start + end) / 2)


def test_the_first_fold_is_shown_and_said(classical):
    plan = plan_nomogram(read_run(classical))
    assert plan.caption.startswith("Of fold 0, one of 5: the others’ differ. ")
    shown = {text.get_text() for text in plan.figure.axes[0].texts}
    assert {"deep score", "age (years)", "blurred", "−2.5", "Probability of malignant", "0.95"} <= shown
    assert "(intercept)" not in shown


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "No variable adds anything"),
        ({f"x{k}": [("0", 0.0), ("1", 1.0)] for k in range(21)}, "The model adds up 21 variables"),
    ],
)
def test_what_cannot_be_drawn_has_its_reason(classical_dir, fake, variables, reason):
    rows = [[0, *row] for row in table(variables).itertuples(index=False)]
    fake.write_csv(classical_dir / "nomogram.csv", ["fold", "variable", "label", "value"], rows)
    assert reason in plan_nomogram(read_run(classical_dir)).figure


def test_a_probability_in_steps_is_said(classical_dir):
    path = classical_dir / "nomogram.csv"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "(probability)" not in line) + "\n")
    plan = plan_nomogram(read_run(classical_dir))
    assert "it rises in steps" in plan.caption
    assert not isinstance(plan.figure, str)


def test_none_was_written(finished):
    assert plan_nomogram(read_run(finished)) is None

import numpy as np

from fusion.report.figures.calibration import draw_calibration, plan_calibration
from fusion.report.run_folder import read_run

GROUPS = [
    {"predicted": 0.1, "observed": 0.0, "ci_low": 0.0, "ci_high": 0.2, "n": 20},
    {"predicted": 0.8, "observed": None, "ci_low": None, "ci_high": None, "n": 21},
]


def test_points_and_intervals_are_those_of_the_table():
    probabilities = {"benign": np.array([0.1, 0.2]), "malignant": np.array([0.9])}
    figure = draw_calibration(GROUPS, {"predicted": [0.1, 0.9], "observed": [0.1, None]}, probabilities, "malignant")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_array_equal(lines["groups of 20 to 21, with interval"].get_xydata()[0], [0.1, 0.0])
    np.testing.assert_array_equal(lines["smooth curve"].get_xydata(), [[0.1, 0.1], [0.9, np.nan]])
    (intervals,) = figure.axes[0].collections
    np.testing.assert_array_equal(intervals.get_segments()[0], [[0.1, 0.0], [0.1, 0.2]])


def test_each_label_has_the_same_area_in_the_histogram():
    probabilities = {"benign": np.full(500, 0.1), "malignant": np.full(5, 0.9)}
    bars = draw_calibration(GROUPS[:1], None, probabilities, "malignant").axes[1].patches
    heights = np.array([bar.get_height() for bar in bars])
    assert (heights[heights > 0].sum(), heights[heights < 0].sum()) == (1, -1)


def test_the_caption_has_the_figures(finished):
    caption = plan_calibration(read_run(finished)).caption
    assert "Intercept −0.120 (−0.420 to 0.180) (0 is best), slope 0.950 (0.750 to 1.150) (1 is best)" in caption
    assert "integrated calibration index 0.047" in caption

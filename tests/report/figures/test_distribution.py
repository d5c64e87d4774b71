import numpy as np

from fusion.report.figures.distribution import draw_distribution

PROBABILITIES = {"benign": np.array([0.1, 0.2]), "malignant": np.array([0.9])}


def draw(thresholds):
    return draw_distribution(PROBABILITIES, "malignant", thresholds, counted="Patients")


def test_few_thresholds_are_lines_and_many_a_range():
    few, many = draw([0.2, 0.4]), draw(list(np.linspace(0.2, 0.4, 25)))
    assert [line.get_xdata()[0] for line in few.axes[0].lines] == [0.2, 0.4]
    assert [round(line.get_xdata()[0], 9) for line in many.axes[0].lines] == [0.3]
    assert "25 frozen thresholds" in many.axes[-1].get_xlabel()


def test_no_threshold_is_not_spoken_of():
    assert "threshold" not in draw([]).axes[-1].get_xlabel()

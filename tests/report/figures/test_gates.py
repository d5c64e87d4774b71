import numpy as np

from fusion.report.figures.gates import draw_gates


def test_gates_of_many_cases_are_drawn_without_points():
    few, many = (draw_gates({"image": np.linspace(0, 1, n)}) for n in (10, 10_000))
    assert (len(few.axes[0].collections), len(many.axes[0].collections)) == (1, 0)

import numpy as np

from fusion.report.figures.impact import draw_impact


def test_both_curves_are_drawn_on_a_scale_of_1000(fake):
    table = [
        {"threshold": t, "high_risk": fake.estimate(900 - 1000 * t, 9), "true_positive": fake.estimate(300, 9)}
        for t in (0.1, 0.5)
    ]
    axes = draw_impact(table, "malignant").axes[0]
    assert axes.get_ylim() == (0, 1000)
    axes.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(lines["called high risk"], [800, 400])
    np.testing.assert_allclose(lines["of these malignant"], [300, 300])

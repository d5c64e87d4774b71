from matplotlib.figure import Figure

from fusion.report.figures.names import N_NAME, text_widths, wrapped


def test_features_are_broken_at_underscores():
    assert wrapped("wavelet-LHH_glszm_SmallAreaLowGrayLevelEmphasis") == (
        "wavelet-LHH_glszm_\nSmallAreaLowGrayLevelEmphasis"
    )
    assert wrapped("us_node_status") == "us_node_status"


def test_too_long_a_name_keeps_two_lines():
    lines = wrapped("the echogenicity of " * 10 + "end").split("\n")
    assert len(lines) == 2
    assert max(map(len, lines)) <= N_NAME
    assert lines[1].endswith("end")


def test_widths_grow_with_the_text_and_leave_nothing_behind():
    figure = Figure()
    short, long, none = text_widths(figure, ["a", "aaaa", ""], size=8)
    assert 0 < short < long
    assert none == 0
    assert not figure.texts

import pytest

from fusion.report.figures.style import interval_text, number_text, short_text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        ((0.5, 0.25, 0.75), "0.500 (0.250 to 0.750)"),
        ((-0.5, -1.0, 0.0), "−0.500 (−1.000 to 0.000)"),
        ((0.034, None, None), "0.034"),
        ((9.9, 1.2, None), "9.900"),
        ((None, None, None), "not defined"),
    ],
)
def test_interval_text(estimate, text):
    assert interval_text(dict(zip(("value", "ci_low", "ci_high"), estimate, strict=True))) == text


def test_nothing_is_minus_zero():
    assert number_text(-0.0004, 3) == "0.000"


def test_a_shortened_name_keeps_its_beginning_and_its_end():
    assert short_text("short", 5) == "short"
    shortened = short_text("Hospital of the People, building 12", 20)
    assert len(shortened) <= 20
    assert shortened.startswith("Hospital")
    assert shortened.endswith("12")

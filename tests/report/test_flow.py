from itertools import pairwise

import pytest

from fusion.report.figures.flow import draw_flow, plan_flow
from fusion.report.flow import UNKNOWN, flow_groups, flow_sentences

LABELS = ("benign", "malignant")


def part(fold, name, center, benign, malignant):
    return [
        {"fold": fold, "part": name, "center": center, "label": label, "patients": n}
        for label, n in zip(LABELS, (benign, malignant), strict=True)
    ]


@pytest.fixture
def flow():
    return {
        "rows": 112,
        "excluded": [
            {"column": "Class", "word": "normal", "rows": 1, "patients": 1},
            {"column": "Quality", "word": "too <poor>", "rows": 3, "patients": 2},
        ],
        "cases": 108,
        "patients": 100,
        "without": {
            "image": {"cases": 0, "patients": 0},
            "mask": {"cases": 2, "patients": 2},
            "radiomics": {"cases": 1, "patients": 1},
        },
        "unused": {"benign": 4, "malignant": 1},
        "parts": [
            *part(0, "train", "West", 20, 10),
            *part(0, "train", "East", 15, 10),
            *part(0, "validation", "East", 6, 4),
            *part(0, "test", "East", 18, 12),
        ],
    }


@pytest.fixture
def folds(flow):
    second = [*part(1, "train", "East", 24, 16), *part(1, "validation", "West", 3, 1), *part(1, "test", "West", 20, 31)]
    return flow | {"unused": {}, "parts": [*flow["parts"], *second]}


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def test_training_and_test_by_label_and_center(flow):
    training, test = flow_groups(flow, label_names=LABELS)
    assert (training.n, training.labels) == (65, {"benign": 41, "malignant": 24})
    assert training.centers == {"East": {"benign": 21, "malignant": 14}, "West": {"benign": 20, "malignant": 10}}
    assert training.note == "of them 10 in the inner part"
    assert (test.n, test.note) == (30, "")


def test_under_cross_validation_everybody_is_in_one_box(folds):
    (group,) = flow_groups(folds, label_names=LABELS)
    assert (group.title, group.n) == ("Cross-validation, 2 folds", 95)
    assert "each fold trains on 44 to 65 and tests on 30 to 51;" in group.note


def test_the_sentences_say_all_of_it_and_what_is_not_known(flow):
    text = " ".join(flow_sentences(flow, label_names=LABELS))
    assert text.startswith(UNKNOWN)
    assert "112 rows, 4 rows left out by cohort.exclude (Class is “normal”: 1 row (1 patient); Quality is" in text
    assert "108 cases of 100 patients" in text
    assert "2 cases without a mask, 1 case whose radiomics features could not be extracted." in text
    assert "In no part of the split, and not used: 4 benign, 1 malignant." in text
    assert "Training: 65 patients (41 benign, 24 malignant); of them 10 in the inner part." in text
    assert text.endswith("Test: 30 patients (18 benign, 12 malignant).")


def test_where_nothing_was_left_out_that_is_said(flow):
    without = {"image": {"cases": 0, "patients": 0}, "radiomics": None}
    text = " ".join(flow_sentences(flow | {"excluded": [], "without": without, "unused": {}}, label_names=LABELS))
    assert "112 rows, none left out." in text
    assert "No case lacks an input that was looked for." in text
    assert "In no part" not in text


def test_the_figure_has_the_numbers(flow):
    plan = plan_flow(flow, label_names=LABELS)
    shown = " ".join(words(plan.figure))
    for text in (
        "Screened before the table was made: not recorded",
        "n = 112",
        "Quality is “too <poor>”: 3 rows (2 patients)",
        "n = 100 (108 cases), all with a label",
        "n = 65: 41 benign, 24 malignant",
        "East: 18 benign, 12 malignant",
        "4 benign, 1 malignant",
    ):
        assert text in shown
    table = plan.table
    assert table.loc[table["step"] == "Training", "patients"].sum() == 65
    assert table.loc[table["step"] == "left out", "rows"].tolist() == [1, 3]
    assert set(table["step"]) >= {"rows of the table", "cohort", "kept without", "in no part", "Test"}


def test_an_older_run_has_no_flow():
    assert plan_flow(None, label_names=LABELS) is None


def test_no_words_leave_their_box_or_the_page(flow):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    name = "The Ninth People's Hospital of a Very Large City, Building {}"
    centers = [row for k in range(30) for row in part(0, "test", name.format(k), 100 + k, 100)]
    flow["parts"] += centers
    flow["excluded"][1] |= {"column": "A very long name of a column " * 3}
    figure = draw_flow(flow, flow_groups(flow, label_names=LABELS))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (page,) = figure.axes
    boxes = [box.get_window_extent() for box in page.patches if hasattr(box, "get_height")]
    for text in page.texts:
        if text.get_text() and "not recorded" not in text.get_text():
            extent = text.get_window_extent(canvas.get_renderer())
            assert any(
                box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 + 1 and extent.y1 <= box.y1 + 1
                for box in boxes
            ), text.get_text()
            assert extent.x1 < figure.bbox.x1
    shown = " ".join(words(figure))
    assert "and 19 centers more, in the table" in shown
    tops = sorted((box.y0, box.y1, box.x0, box.x1) for box in boxes)
    for (y0, y1, x0, x1), (other_y0, other_y1, other_x0, other_x1) in pairwise(tops):
        assert y1 <= other_y0 or other_y1 <= y0 or x1 <= other_x0 or other_x1 <= x0

import numpy as np
import pytest

from fusion.evaluation.settings import Settings
from fusion.records import Predictions
from fusion.tracking.pictures import draw_confusion, inner_pictures


def predictions(names: tuple[str, ...], labels: list[int]) -> Predictions:
    rng = np.random.default_rng(0)
    raw = rng.random((len(labels), len(names))) + np.eye(len(names))[labels]
    n_rows = len(labels)
    return Predictions(
        model="m",
        label_names=names,
        patient_ids=tuple(f"P{row}" for row in range(n_rows)),
        centers=("A",) * n_rows,
        parts=("validation",) * n_rows,
        folds=(0,) * n_rows,
        labels=tuple(names[label] for label in labels),
        probabilities=raw / raw.sum(1, keepdims=True),
    )


@pytest.mark.parametrize(
    ("names", "labels", "expected"),
    [
        (("benign", "malignant"), [0, 1] * 8, {"roc", "calibration", "confusion"}),
        (("a", "b", "c"), [0, 1, 2] * 5, {"roc", "confusion"}),
        (("a", "b", "c"), [0, 1] * 5, set()),
        (("benign", "malignant"), [0, 1], {"roc", "calibration", "confusion"}),
        (("benign", "malignant"), [0, 0], set()),
    ],
)
def test_what_the_rows_define_is_drawn(
    names: tuple[str, ...], labels: list[int], expected: set[str], settings: Settings
) -> None:
    pictures = inner_pictures(predictions(names, labels), threshold=0.5, settings=settings)
    assert set(pictures) == expected
    for picture in pictures.values():
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        # Something is drawn on white paper.
        assert picture.max() == 255
        assert picture.std() > 10


def test_a_confusion_table_says_how_many() -> None:
    figure = draw_confusion(np.array([[7, 2], [0, 5]]), ("benign", "malignant"))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["7", "2", "0", "5"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["benign", "malignant"]

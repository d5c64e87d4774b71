import numpy as np
import pytest

from fusion.audit.association import association, is_recoding

LABELS = ["benign"] * 60 + ["malignant"] * 40
RNG = np.random.default_rng(0)


def test_a_column_equal_to_the_label() -> None:
    assert association(LABELS, LABELS, kind="category").value == 1
    assert association([float(label == "malignant") for label in LABELS], LABELS, kind="yes_no").value == 1


def test_the_order_counts_upwards_and_downwards() -> None:
    falling = [-float(i) for i in range(100)]
    assert association(falling, LABELS, kind="number").value == 1
    levels = ["low" if label == "malignant" else "high" for label in LABELS]
    assert association(levels, LABELS, kind="ordered", levels=("low", "high")).value == 1


def test_a_code_without_order_is_seen_by_the_tree() -> None:
    codes = [1.0 if label == "malignant" else float(2 * (i % 2)) for i, label in enumerate(LABELS)]
    assert association(codes, LABELS, kind="number").value > 0.99


def test_that_a_value_is_missing_can_tell_the_outcome() -> None:
    values = [None if label == "malignant" else "x" for label in LABELS]
    assert association(values, LABELS, kind="category").value == 1


def test_a_member_of_a_set_can_tell_the_outcome() -> None:
    values = [frozenset({"a", "b"} if label == "malignant" else {"a"}) for label in LABELS]
    assert association(values, LABELS, kind="set").value == 1


def test_noise_and_free_text_do_not() -> None:
    noise = [float(value) for value in RNG.normal(size=100)]
    assert association(noise, LABELS, kind="number").ci_low < 0.6
    assert association([f"text {i}" for i in range(100)], LABELS, kind="category").value == pytest.approx(0.5)
    assert np.isnan(association(["a"] * 100, LABELS, kind="category").value)


def test_the_best_of_several_labels() -> None:
    labels = ["a"] * 30 + ["b"] * 30 + ["c"] * 30
    values = ["yes" if label == "b" else "no" for label in labels]
    assert association(values, labels, kind="category").value == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (LABELS, True),
        ([None if label == "benign" else "m" for label in LABELS], True),
        (["b1" if i < 30 else label for i, label in enumerate(LABELS)], True),
        ([f"{i}" for i in range(100)], False),
        (["malignant", *LABELS[1:]], False),
        (["x"] * 100, False),
    ],
)
def test_a_recoding_has_one_label_per_value_and_few_values(values: list[str | None], expected: bool) -> None:
    assert is_recoding(values, LABELS) is expected

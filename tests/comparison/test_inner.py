import numpy as np
import pytest

from fusion.comparison.inner import InnerAuc, best_by_inner, inner_auc
from fusion.records import Predictions


def predictions(*rows: tuple[int, str, float], labels: tuple[str, ...] = ("benign", "malignant")) -> Predictions:
    """Rows of fold, label and probability of the last label; the others share the rest."""
    others = len(labels) - 1
    return Predictions(
        model="any",
        label_names=labels,
        patient_ids=tuple(f"{place // 2}" if len(labels) == 2 else f"{place}" for place in range(len(rows))),
        centers=("north",) * len(rows),
        parts=("validation",) * len(rows),
        folds=tuple(fold for fold, _, _ in rows),
        labels=tuple(label for _, label, _ in rows),
        probabilities=np.array([[(1 - p) / others] * others + [p] for _, _, p in rows]),
    )


# Fold 0: 3 of 4 pairs in order; fold 1: 1 of 1. Pooled it would be 5.5 of 9.
TWO_FOLDS = (
    (0, "benign", 0.1), (1, "benign", 0.8), (0, "benign", 0.4), (1, "malignant", 0.9),
    (0, "malignant", 0.3), (2, "malignant", 0.5), (0, "malignant", 0.7),
)  # fmt: skip


def test_it_is_the_mean_of_the_folds_and_leaves_out_folds_of_one_label() -> None:
    found = inner_auc(predictions(*TWO_FOLDS), level=0.95)
    assert found is not None
    assert found.auc == pytest.approx((0.75 + 1) / 2)
    assert (found.n_patients, found.n_folds) == (4, 2)


def test_of_three_labels_it_is_the_mean_one_vs_rest() -> None:
    rows = ((0, "a", 0.1), (0, "b", 0.5), (0, "c", 0.3), (0, "c", 0.9))
    # c against the rest 3 of 4 pairs; a has the largest (1 - p) / 2: 3 of 3; b is below two and above one: 1 of 3.
    found = inner_auc(predictions(*rows, labels=("a", "b", "c")), level=0.95)
    assert found is not None
    assert found.auc == pytest.approx((0.75 + 1 + 1 / 3) / 3)


def test_without_a_fold_of_every_label_there_is_none() -> None:
    assert inner_auc(predictions((0, "benign", 0.1), (1, "malignant", 0.2)), level=0.95) is None
    assert inner_auc(predictions(*TWO_FOLDS).select([False] * 7), level=0.95) is None


def test_the_best_is_the_first_of_the_largest_where_all_have_one() -> None:
    of = [InnerAuc(auc, 10, 1) for auc in (0.7, 0.8, 0.8)]
    assert best_by_inner(of) == 1
    assert best_by_inner([*of, None]) is None

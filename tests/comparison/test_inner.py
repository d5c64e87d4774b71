import numpy as np
import pytest

from fusion.comparison.inner import InnerAuc, inner_auc, rank_by_inner
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


OUT_OF_FOLD = {"split": {"n_inner_folds": 5}}
# Fold 0: 3 of 4 pairs in order; fold 1: 1 of 1. Pooled it would be 5.5 of 9.
TWO_FOLDS = (
    (0, "benign", 0.1), (1, "benign", 0.8), (0, "benign", 0.4), (1, "malignant", 0.9),
    (0, "malignant", 0.3), (2, "malignant", 0.5), (0, "malignant", 0.7),
)  # fmt: skip


def test_it_is_the_mean_of_the_folds_and_leaves_out_folds_of_one_label() -> None:
    grid = [{"l1": [0.1, 0.2, 0.3], "optimizer.lr": [0.1]}, {"backbone.name": ["a", "b"]}]
    found = inner_auc(predictions(*TWO_FOLDS), {"split": {"n_inner_folds": 5, "grid": grid}}, level=0.95)
    assert found is not None
    assert found.auc == pytest.approx((0.75 + 1) / 2)
    assert found.as_json() == {"auc": found.auc, "n_folds": 2, "n_patients": 4, "n_inner_folds": 5, "n_settings": 6}
    older = inner_auc(predictions(*TWO_FOLDS), {"split": {}}, level=0.95)
    assert older is not None
    assert (older.n_inner_folds, older.n_settings) == (1, 1)


def test_of_three_labels_it_is_the_mean_one_vs_rest() -> None:
    rows = ((0, "a", 0.1), (0, "b", 0.5), (0, "c", 0.3), (0, "c", 0.9))
    # c against the rest 3 of 4 pairs; a has the largest (1 - p) / 2: 3 of 3; b is below two and above one: 1 of 3.
    found = inner_auc(predictions(*rows, labels=("a", "b", "c")), OUT_OF_FOLD, level=0.95)
    assert found is not None
    assert found.auc == pytest.approx((0.75 + 1 + 1 / 3) / 3)


def test_without_a_fold_of_every_label_there_is_none() -> None:
    assert inner_auc(predictions((0, "benign", 0.1), (1, "malignant", 0.2)), OUT_OF_FOLD, level=0.95) is None
    assert inner_auc(predictions(*TWO_FOLDS).select([False] * 7), OUT_OF_FOLD, level=0.95) is None


def of(auc: float, *, patients: range = range(10), n_inner_folds: int = 5, n_settings: int = 1) -> InnerAuc:
    rows = frozenset((str(patient), 0) for patient in patients)
    return InnerAuc(auc, rows, n_folds=1, n_inner_folds=n_inner_folds, n_settings=n_settings)


FEW = range(2)
STOPPED = "of 2 training patients whose loss also chose the epoch (split.n_inner_folds=1)"


def test_the_best_is_the_first_of_the_largest() -> None:
    assert rank_by_inner([of(auc) for auc in (0.7, 0.8, 0.8)]) == (1, {})
    # Other numbers of inner folds predict the same patients as cleanly.
    assert rank_by_inner([of(0.7), of(0.8, n_inner_folds=3)]) == (1, {})


def test_a_model_whose_inner_patients_chose_its_epoch_is_not_ranked_among_others() -> None:
    network = of(0.99, patients=FEW, n_inner_folds=1)
    assert rank_by_inner([network, of(0.7), of(0.8)]) == (2, {0: f"{STOPPED}, the ranked ones of 10"})
    # Also where they are as many, e.g. under cross-validation.
    as_many = rank_by_inner([of(0.99, n_inner_folds=1), of(0.7), of(0.8)])
    assert as_many == (2, {0: "of 10 training patients whose loss also chose the epoch (split.n_inner_folds=1)"})


def test_a_model_with_fewer_or_other_inner_patients_is_not_ranked() -> None:
    assert rank_by_inner([of(0.9, patients=FEW), of(0.7), of(0.8)]) == (
        2,
        {0: "of 2 training patients, the ranked ones of 10"},
    )
    assert rank_by_inner([of(0.7), of(0.8), of(0.9, patients=range(1, 11))]) == (
        1,
        {2: "of 10 training patients, the ranked ones of 10 others"},
    )
    # Two that can be ranked are more than one of more patients that cannot.
    assert rank_by_inner([of(0.9), of(0.7, patients=FEW), of(0.8, patients=FEW)])[0] == 2


def test_the_largest_of_several_settings_is_not_ranked_among_single_ones() -> None:
    tuned = of(0.99, n_settings=3)
    why = "of 10 training patients, and the largest of 3 settings’ (split.grid)"
    assert rank_by_inner([of(0.7), of(0.8), tuned]) == (1, {2: why})
    assert rank_by_inner([tuned, of(0.999, n_settings=3)]) == (1, {})


def test_where_no_model_is_out_of_fold_all_are_ranked_if_they_are_of_one_kind() -> None:
    networks = [of(auc, patients=FEW, n_inner_folds=1) for auc in (0.7, 0.9)]
    assert rank_by_inner(networks) == (1, {})
    best, why = rank_by_inner([*networks, of(0.8, patients=range(3), n_inner_folds=1)])
    assert (best, list(why)) == (None, [0, 1, 2])
    assert rank_by_inner([networks[0], of(0.8, patients=FEW, n_inner_folds=1, n_settings=2)])[0] is None


def test_a_model_that_can_be_set_against_no_other_is_not_the_best() -> None:
    network = of(0.6, patients=FEW, n_inner_folds=1)
    lone = "of 10 training patients, out of fold, and no other model’s is of the same kind"
    assert rank_by_inner([of(0.8), network]) == (None, {0: lone, 1: STOPPED})


def test_a_model_without_inner_predictions_is_not_ranked() -> None:
    why = "no inner predictions of training patients with every label (predictions_inner.csv)"
    assert rank_by_inner([None, of(0.7), of(0.8)]) == (2, {0: why})
    assert rank_by_inner([None, None]) == (None, {0: why, 1: why})

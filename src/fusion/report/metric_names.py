"""What the figures of metrics.json are called, and which value is best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

METRIC_NAMES = {
    "auc": "AUC",
    "auc_fold_mean": "AUC, mean of the folds’ own",
    "average_precision": "Average precision",
    "partial_auc": "Partial AUC at high specificity (McClish)",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
    "ppv_at_prevalence": "Positive predictive value at the stated prevalence",
    "npv_at_prevalence": "Negative predictive value at the stated prevalence",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "mcc": "Matthews correlation (0 is chance)",
    "lr_positive": "Positive likelihood ratio (1 is useless)",
    "lr_negative": "Negative likelihood ratio (1 is useless)",
    "brier": "Brier score (0 is perfect)",
    "brier_scaled": "Scaled Brier score (1 is perfect, 0 useless)",
    "ece": "Expected calibration error (0 is perfect)",
    "ici": "Integrated calibration index (0 is perfect)",
    "hosmer_lemeshow": "Hosmer–Lemeshow test, p",
    "calibration_intercept": "Calibration intercept (0 is perfect)",
    "calibration_slope": "Calibration slope (1 is perfect)",
}
_POOLED = "AUC, pooled over the folds"


def metric_name(key: str, *, label_names: Sequence[str], is_pooled: bool, prevalence: float | None) -> str:
    """The name of a figure; one of a single label has it at the end of its key.

    Args:
        key: As in metrics.json, e.g. ``auc`` or ``sensitivity_benign``.
        label_names: Of the run.
        is_pooled: Whether the figures are those of several folds together.
        prevalence: That predictive values are also given at; None where none was stated.
    """
    of, label = _split(key, label_names)
    if label is not None:
        return f"{METRIC_NAMES[of]}, {label} against the rest"
    if prevalence is not None and key in METRIC_NAMES and key.endswith("_at_prevalence"):
        stated = f"a prevalence of {100 * prevalence:g}\N{NO-BREAK SPACE}%"
        return METRIC_NAMES[key].replace("the stated prevalence", stated)
    return _POOLED if key == "auc" and is_pooled else METRIC_NAMES.get(key, key)


def in_order(keys: Iterable[str], *, label_names: Sequence[str]) -> list[str]:
    """The keys in the order of ``METRIC_NAMES``, a label's figure after that of all; unknown ones last."""
    order = list(METRIC_NAMES)

    def rank(key: str) -> tuple[int, int]:
        of, label = _split(key, label_names)
        return (order.index(of) if of in METRIC_NAMES else len(order), 0 if label is None else 1)

    return sorted(keys, key=rank)


def _split(key: str, label_names: Sequence[str]) -> tuple[str, str | None]:
    """A key's figure and label; None for a figure of all labels."""
    for label in label_names:
        of = key.removesuffix(f"_{label}")
        if key not in METRIC_NAMES and of != key and of in METRIC_NAMES:
            return of, label
    return key, None

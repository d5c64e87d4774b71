"""How well scores tell the labels apart: every figure of it, gathered from the files that hold them."""

from __future__ import annotations

from fusion.evaluation.delong import PairedDifference, delong, delong_difference, delong_fold_mean
from fusion.evaluation.precision_recall import average_precision, macro_average_precision
from fusion.evaluation.roc import RocCurve, bootstrap_auc, macro_auc, partial_auc, roc_curve

__all__ = [
    "PairedDifference",
    "RocCurve",
    "average_precision",
    "bootstrap_auc",
    "delong",
    "delong_difference",
    "delong_fold_mean",
    "macro_auc",
    "macro_average_precision",
    "partial_auc",
    "roc_curve",
]

"""Filters: which columns of many are offered to the selection, told from the training part of a fold."""

from __future__ import annotations

from fusion.classical.filters.apply import apply_filters
from fusion.classical.filters.check import check_filters

__all__ = ["apply_filters", "check_filters"]

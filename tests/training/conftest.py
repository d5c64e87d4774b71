"""The cohort made of numbers."""

from number_cohort import config, data, drop, make_data

__all__ = ["config", "data", "drop", "make_data"]

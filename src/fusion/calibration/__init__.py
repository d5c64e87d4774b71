"""From a model's probabilities to calibrated ones: fitted on out-of-fold predictions, then frozen."""

from fusion.calibration.calibrator import Calibrator
from fusion.calibration.fit import calibrator_from_state, fit_calibrator

__all__ = ["Calibrator", "calibrator_from_state", "fit_calibrator"]

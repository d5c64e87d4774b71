"""Fitted estimators in checkpoints, without pickle."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError

# What may be made when a checkpoint is loaded, beside what skops trusts by itself (numpy, scipy and the estimators of
# scikit-learn). Each was read: none of them runs code that the file brings, writes a file or unpickles; those of
# xgboost and lightgbm hand the model's own text or JSON to their parser in C++. Names are listed one by one: a rule
# such as "all of sklearn" would also trust the functions that its modules import. What remains is memory: trees and
# boosters hold indices that are not checked against their arrays, so that a forged file can crash the process.
TRUSTED_TYPES = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
)
_N_PROBES = 8
# Boosters add up float32, in an order that may differ between machines.
_SAME_OUTPUT = 1e-5


def pack_estimator(estimator: Any) -> dict[str, Any]:
    """Plain containers and one tensor: what ``torch.load(weights_only=True)`` reads and ``unpack_estimator`` undoes.

    ``bytes`` is the estimator by skops as a (B,) uint8 tensor; ``versions`` those of the packages that it is made of;
    ``outputs`` what it gives for fixed made-up rows, so that a loaded estimator is known to be the same.
    The bytes of two calls differ (they hold the time); what they load to does not.

    Raises:
        FusionError: If it could not be loaded again, because of a type that is not in ``TRUSTED_TYPES``: before a run
            ends with a model that cannot be used.
    """
    from zipfile import ZIP_DEFLATED

    import torch
    from skops import io

    try:
        content = io.dumps(estimator, compression=ZIP_DEFLATED)
        unknown = sorted(set(io.get_untrusted_types(data=content)) - {*TRUSTED_TYPES})
    except TypeError as error:
        raise FusionError(_not_storable(estimator, str(error))) from error
    if unknown:
        raise FusionError(_not_storable(estimator, f"types that are not: {', '.join(unknown)}"))
    packages = dict.fromkeys(("sklearn", type(estimator).__module__.partition(".")[0]))
    return {
        "bytes": torch.frombuffer(bytearray(content), dtype=torch.uint8),
        "versions": {package: _version(package) for package in packages},
        "n_features": int(estimator.n_features_in_),
        "outputs": _outputs(estimator, int(estimator.n_features_in_)).tolist(),
    }


def unpack_estimator(packed: Mapping[str, Any]) -> Any:
    """The estimator that gave this ``pack_estimator``.

    Under other versions of its packages than it was fitted with it is used if it still gives the same output.

    Raises:
        FusionError: If it does not load, holds a type that is not in ``TRUSTED_TYPES``, or gives other output.
    """
    from sklearn.exceptions import InconsistentVersionWarning
    from skops import io
    from skops.io.exceptions import UntrustedTypesFoundException

    content = packed["bytes"].numpy().tobytes()
    with warnings.catch_warnings():
        # The output is compared below, which says more than a version.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        try:
            estimator = io.loads(content, trusted=list(TRUSTED_TYPES))
            outputs = _outputs(estimator, packed["n_features"])
        except UntrustedTypesFoundException as error:
            raise FusionError(
                "classifier of a checkpoint: required types that Fusion trusts (fusion.classical.persistence), came "
                f"others, so nothing of it was loaded: {str(error).splitlines()[0]}"
            ) from error
        # Whatever a reader of another version, or of damaged bytes, stumbles over.
        except Exception as error:
            raise FusionError(_not_loadable(packed, f"{type(error).__name__}: {error}")) from error
    if not np.allclose(outputs, packed["outputs"], rtol=_SAME_OUTPUT, atol=_SAME_OUTPUT):
        raise FusionError(_not_loadable(packed, "other output than when it was fitted"))
    return estimator


def _outputs(estimator: Any, n_features: int) -> NDArray[np.float64]:
    """(8,) of rows that spread over about one standard deviation on both sides, the same for ever."""
    rows = np.sin(np.outer(np.arange(1, _N_PROBES + 1), np.arange(1, n_features + 1) * np.sqrt(2)))
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(rows)[:, 1], dtype=np.float64)
    return np.asarray(estimator.decision_function(rows), dtype=np.float64)


def _version(package: str) -> str:
    return str(getattr(sys.modules[package], "__version__", "unknown"))


def _not_storable(estimator: Any, came: str) -> str:
    return (
        f"classifier {type(estimator).__name__}: required types that a run folder can keep and load again without "
        f"pickle, came {came}; choose another classifier, or, once you have read that making such an object is "
        "harmless, add its type to TRUSTED_TYPES in src/fusion/classical/persistence.py"
    )


def _not_loadable(packed: Mapping[str, Any], came: str) -> str:
    return (
        f"classifier of a checkpoint: required an estimator that loads and gives what it gave, came {came}. "
        f"It was fitted with {_listed(packed['versions'])}; here are {_listed(_installed(packed['versions']))}. "
        "Install those versions, or train again with these; if they are the same, the file is damaged"
    )


def _installed(versions: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for package in versions:
        try:
            import_module(package)
            found[package] = _version(package)
        except ImportError:
            found[package] = "not installed"
    return found


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())

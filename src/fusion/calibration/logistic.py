"""Logistic regression without a penalty, for one or two columns: recalibration and its figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit


def bounded_logit(probabilities: NDArray[np.float64], nearest: float) -> NDArray[np.float64]:
    """Logit of probabilities no nearer to 0 and 1 than ``nearest``: exactly 0 and 1 have none."""
    # A network's float32 would round 1 - nearest to 1.
    bounded: NDArray[np.float64] = logit(np.clip(np.asarray(probabilities, dtype=np.float64), nearest, 1 - nearest))
    return bounded


def fit_logistic(
    X: NDArray[np.float64],
    targets: NDArray[np.float64],
    *,
    offset: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Maximum-likelihood coefficients (C,) of logit P = offset + X beta.

    Args:
        X: (N, C) of full rank.
        targets: (N,) in [0, 1], not perfectly separated by X unless they lie inside (0, 1).
        offset: (N,)
        weights: (N,) above 0.
    """
    shares = weights / weights.sum()

    def loss(beta: NDArray[np.float64]) -> float:
        eta = X @ beta + offset
        return float(np.sum(shares * (np.logaddexp(0, eta) - targets * eta)))

    def gradient(beta: NDArray[np.float64]) -> NDArray[np.float64]:
        slope: NDArray[np.float64] = X.T @ (shares * (expit(X @ beta + offset) - targets))
        return slope

    def hessian(beta: NDArray[np.float64]) -> NDArray[np.float64]:
        p = expit(X @ beta + offset)
        information: NDArray[np.float64] = (X * (shares * p * (1 - p))[:, None]).T @ X
        return information

    fit = minimize(loss, np.zeros(X.shape[1]), jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-9})
    return np.asarray(fit.x, dtype=np.float64)

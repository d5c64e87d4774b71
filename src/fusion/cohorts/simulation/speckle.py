"""How dark sparse scatterers look: the exact statistics of speckle of any density."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0

from fusion.cohorts.simulation.noise import Field

_NATS_TO_DB = 10 / np.log(10)
# Where the tabulated functions begin and end, and the number of steps between, on a logarithmic axis.
_CELL_COUNTS = (0.05, 1e3, 400)
_FREQUENCIES = (1e-5, 1e8, 6000)
# From here on the integral of (1 - J0(x)) / x is its asymptote to seven digits.
_ASYMPTOTE_FROM = 200.0


def darkening_db(scatterers_per_cell: Field) -> Field:
    """How far below fully developed speckle of equal power the mean of the logarithm lies, in dB, 0 or more.

    N scatterers (Poisson, of equal strength, random in phase) lie in a resolution cell of the area
    (∫|h|²)² / ∫|h|⁴ of a Gaussian h. The received phasor Z is isotropic with the characteristic function

        phi(w) = exp(-N G(w)),  G(w) = ∫_0^w (1 - J0(x)) / x dx,

    its mean power is N / 2, and E[ln |Z|] = ln 2 - gamma - ∫_0^∞ (phi(w) - [w < 1]) / w dw. (Campbell's theorem for
    shot noise; the K distribution is its approximation from the first two moments, and 2.5 dB off at N = 0.8.)
    """
    log_counts, decibels = _table()
    return np.asarray(np.interp(np.log(scatterers_per_cell), log_counts, decibels), dtype=np.float32)


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    counts = np.geomspace(*_CELL_COUNTS)
    frequencies = np.geomspace(*_FREQUENCIES)
    log_frequencies = np.log(frequencies)
    phi = np.exp(-counts[:, None] * _shot_exponent(frequencies))
    # The step [w < 1] is integrated exactly: it is -ln of the first frequency.
    integral = np.trapezoid(phi, log_frequencies, axis=1) + log_frequencies[0]
    log_power = 2 * (np.log(2) - np.euler_gamma - integral) - np.log(counts / 2)
    return np.log(counts), np.maximum(-_NATS_TO_DB * (log_power + np.euler_gamma), 0)


def _shot_exponent(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """G of ``darkening_db``."""
    log_x = np.linspace(np.log(_FREQUENCIES[0]), np.log(_ASYMPTOTE_FROM), 40_001)
    middle = (log_x[:-1] + log_x[1:]) / 2
    integral = np.concatenate(([0], np.cumsum(1 - j0(np.exp(middle))))) * (log_x[1] - log_x[0])
    near = np.interp(np.log(frequencies), log_x, integral)
    return np.where(frequencies < _ASYMPTOTE_FROM, near, np.log(frequencies / 2) + np.euler_gamma)

"""A smooth curve through 0/1 labels: R's loess in one dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SPAN = 0.75
_DEGREE = 2
# As R's loess.control: cells of at most span * cell of the rows, in a box that is a little larger than the data.
_CELL = 0.2
_MARGIN = 0.005
# Values that differ by rounding are one value.
_N_DECIMALS = 9
# Decides between parabolas where the rows of a replicate allow many; far below what any figure shows.
_RIDGE = 1e-10


@dataclass(frozen=True)
class Loess:
    """Locally weighted parabolas at a few vertices, joined by cubic Hermite polynomials (Cleveland & Grosse 1991).

    The fit is linear in sums over rows, the *moments*, so a bootstrap needs one matrix product and no row again.

    Attributes:
        vertices: (V,) where parabolas are fitted, rising.
        scale: (V,) distance from each vertex to the farthest row.
        kernel: (N, V) weight of each row at each vertex, in [0, 1].
        degree: Of the parabolas: 2, or 1 and 0 where there are only two values of x, or one.
    """

    vertices: Floats
    scale: Floats
    kernel: Floats
    degree: int

    def moments(self, x: Floats, y: Floats) -> Floats:
        """(N, V * (3 degree + 2)) contributions of the rows the smoother was made of; sum them over rows."""
        u = (x[:, None] - self.vertices) / self.scale
        of_x = [self.kernel * u**power for power in range(2 * self.degree + 1)]
        of_y = [self.kernel * u**power * y[:, None] for power in range(self.degree + 1)]
        return np.stack(of_x + of_y, axis=2).reshape(len(x), -1)

    def curve(self, moments: Floats, at: Floats) -> Floats:
        """(B, V * (3 degree + 2)) sums of moments → (B, M) the curve at (M,) values within the range of the rows.

        NaN where a vertex has no row within reach.
        """
        value, slope = self._at_vertices(moments)
        cell = np.clip(np.searchsorted(self.vertices, at) - 1, 0, len(self.vertices) - 2)
        width = self.vertices[cell + 1] - self.vertices[cell]
        t = (at - self.vertices[cell]) / width
        return np.asarray(
            value[:, cell] * (1 + 2 * t) * (1 - t) ** 2
            + value[:, cell + 1] * t**2 * (3 - 2 * t)
            + slope[:, cell] * width * t * (1 - t) ** 2
            + slope[:, cell + 1] * width * t**2 * (t - 1)
        )

    def _at_vertices(self, moments: Floats) -> tuple[Floats, Floats]:
        """(B, V) values and slopes of the parabolas at their vertices."""
        size = self.degree + 1
        columns = moments.reshape(len(moments), len(self.vertices), -1)
        weight = columns[..., :1]
        is_empty = weight[..., 0] <= 0
        columns = columns / np.where(weight > 0, weight, 1)
        power = np.arange(size)
        normal = columns[..., power[:, None] + power] + _RIDGE * np.eye(size)
        beta = np.linalg.solve(normal, columns[..., 2 * self.degree + 1 :, None])[..., 0]
        value = np.where(is_empty, np.nan, beta[..., 0])
        return value, beta[..., 1] / self.scale if self.degree else 0 * value


def loess(x: Floats) -> Loess:
    """The smoother of R's ``loess(y ~ x)``: span 0.75, degree 2, one pass, interpolated between the vertices of cells.

    Equal to R's but for the rounding of weights near 0 and 1 (see the tests). Where three quarters of the rows are
    tied R finds no parabola; here the span then reaches as far as the fourth distinct value, and with up to three
    distinct values all rows weigh the same, so that the curve passes through the mean of y at each.

    Args:
        x: (N,) at least one row.
    """
    x = np.round(x, _N_DECIMALS)
    rows, distinct = np.sort(x), np.unique(x)
    vertices = _vertices(rows)
    distance = np.abs(rows[:, None] - vertices)
    nearest = max(int(len(rows) * _SPAN + 1e-5), 1)
    bandwidth = np.sort(distance, axis=0)[nearest - 1]
    if len(distinct) > _DEGREE + 1:
        reach = np.sort(np.abs(distinct[:, None] - vertices), axis=0)[_DEGREE + 1]
        ratio = np.abs(x[:, None] - vertices) / np.maximum(bandwidth, reach)
        kernel = np.clip(1 - ratio**3, 0, None) ** 3
    else:
        kernel = np.ones((len(rows), len(vertices)))
    return Loess(vertices=vertices, scale=distance.max(0), kernel=kernel, degree=min(_DEGREE, len(distinct) - 1))


def _vertices(rows: Floats) -> Floats:
    """(V,) ends of the box and the cuts within it, of (N,) rising rows."""
    low, high = float(rows[0]), float(rows[-1])
    margin = _MARGIN * (high - low if high > low else 1)
    most = int(len(rows) * _SPAN * _CELL)
    return np.array([low - margin, *_cuts(rows, most), high + margin])


def _cuts(rows: Floats, most: int) -> list[float]:
    """The middle row, and so on in both halves, until a cell has at most ``most`` rows."""
    steps = np.flatnonzero(rows[1:] > rows[:-1])
    if len(rows) <= most or not len(steps):
        return []
    # Tied rows stay in one cell: of the steps between distinct values, the one nearest to the middle.
    last = int(steps[np.argmin(np.abs(steps - (len(rows) - 1) // 2 - 0.25))])
    return [*_cuts(rows[: last + 1], most), float(rows[last]), *_cuts(rows[last + 1 :], most)]

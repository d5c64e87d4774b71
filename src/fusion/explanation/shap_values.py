"""SHAP values of the inputs of a model: of a classical model's final stage, or of the network's tabular branches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fusion.explanation.coalitions import Floats, coalitions, shapley_values
from fusion.explanation.given_values import Given
from fusion.runs.tables import write_rows

Method = Literal["linear", "trees", "coalitions", "permutations"]
Unit = Literal["logit", "probability"]
_HEADER = ("case_id", "fold", "name", "value", "completeness_error", "unit", "standard_error", "method")
_GIVEN_HEADER = ("scale", "given")
# Beyond this many log-odds a float64 probability is 0 or 1, and has no log-odds.
_MOST_LOG_ODDS = 36.0
_CHUNK_ELEMENTS = 4_000_000


class Explained(Protocol):
    """What is explained: ``fusion.classical.model.CalibratedOutput``, or anything that answers like it."""

    @property
    def linear(self) -> tuple[Floats, float] | None:
        """Coefficients (C,) and intercept of the log-odds of the positive label.

        None where they are not linear, or a column is not an input of its own.
        """

    def probabilities(self, X: Floats) -> Floats:
        """(N, C) columns → (N,) probabilities of the positive label."""


@dataclass(frozen=True, kw_only=True)
class ShapTable:
    """How much each input moved each prediction.

    Attributes:
        case_ids: (N,)
        names: (F,)
        values: (N, F), signed towards the positive label, in ``unit``; NaN where a case does not have the input.
        completeness_error: (N,) how far the values and the base (the mean output of the background) are from the
            output together, in ``unit``; 0 is perfect. Sampled values have none either: it says nothing of their error.
        unit: ``logit`` (log-odds) or ``probability``.
        method: How the values were found: from the coefficients (``linear``), from the trees' nodes (``trees``) or over
            all ``coalitions`` of inputs, all of which are exact against the background; or along random
            ``permutations``, which is an estimate.
        standard_error: (N, F) of an estimate, in ``unit``: what other permutations would change; 0 where exact, NaN
            where there was but one permutation. What other background rows would change is not in it.
        given: What the cases had of the inputs, (N, F) too; None where nobody looked it up.
    """

    case_ids: tuple[str, ...]
    names: tuple[str, ...]
    values: Floats
    completeness_error: Floats = field(repr=False)
    unit: Unit
    method: Method
    standard_error: Floats = field(repr=False)
    given: Given | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        expected = (len(self.case_ids), len(self.names))
        shapes = {self.values.shape, self.standard_error.shape}
        if shapes != {expected} or self.completeness_error.shape != expected[:1]:
            raise ValueError(f"SHAP values are {self.values.shape}, ids and names ask for {expected}")
        if self.given is not None and (self.given.texts.shape, len(self.given.scales)) != (expected, expected[1]):
            raise ValueError(f"given values are {self.given.texts.shape}, ids and names ask for {expected}")


def explain_inputs(
    model: Explained,
    *,
    names: Sequence[str],
    owners: NDArray[np.intp],
    background: Floats,
    rows: Floats,
    case_ids: Sequence[str],
    n_background: int,
    max_evaluations: int,
    n_cases: int,
    ranking: Floats | None = None,
    seed: int,
) -> ShapTable:
    """SHAP values (Lundberg & Lee, NeurIPS 2017) of the inputs of a fitted model.

    An input that is left out takes the values of training rows, independently of those that are not (Janzing et al.,
    AISTATS 2020: the interventional form).
    Where the log-odds are linear the values are exact, of every row and against all of the background:
    coefficient x (column - its mean). Else the probability is evaluated on mixtures of the row and of background rows:
    on all 2^F of them (exact, of every row) where ``max_evaluations`` allows it, else along random permutations of the
    inputs and their reverses (exact without interactions of three and more inputs), of some rows; the spread
    between the permutations is the standard error.

    The model is asked for thousands of mixtures of many rows at once, which the shap package does row by row, and it
    compiles itself for ten seconds and more in every process; the values are the same.

    Args:
        model: Fitted.
        names: (F,) of the inputs.
        owners: (C,) which input each column of the rows belongs to; -1 for a column that is no input: it is never left
            out.
        background: (B, C) training rows.
        rows: (N, C) to explain.
        case_ids: (N,)
        n_background: Most background rows of a mixture; of more, those evenly spaced in the ranking by the output. The
            cost is that of scoring rows x mixtures x these.
        max_evaluations: Mixtures per row; one permutation and its reverse, 2 F + 2, are the least.
        n_cases: Most rows explained by permutations, spread over their ranking.
        ranking: (N,) of the rows, so that several models explain the same ones; None: the model's own outputs.
        seed: Of the permutations.

    Returns:
        The values of the rows that were explained, in the order given.

    Raises:
        ValueError: If the shapes do not fit each other, or there is no background.
    """
    _check_shapes(owners, background, rows, case_ids)
    if model.linear is not None:
        return _explain_linear(model, *model.linear, names, background, rows, case_ids)
    outputs = model.probabilities(rows)
    mixing = _Mixing(model, owners, background[spread_rows(model.probabilities(background), n_background)])
    if 2 ** len(names) <= max_evaluations:
        method: Method = "coalitions"
        picks = list(range(len(rows)))
        values, standard_error, base = _exact(mixing, rows, len(names))
    else:
        method = "permutations"
        picks = sorted(spread_rows(outputs if ranking is None else ranking, n_cases).tolist())
        n_permutations = max(1, max_evaluations // (2 * len(names) + 2))
        rng = np.random.default_rng(seed)
        values, standard_error, base = _sampled(mixing, rows[picks], len(names), n_permutations=n_permutations, rng=rng)
    return ShapTable(
        case_ids=tuple(case_ids[pick] for pick in picks),
        names=tuple(names),
        values=values,
        completeness_error=np.abs(values.sum(1) + base - outputs[picks]),
        unit="probability",
        method=method,
        standard_error=standard_error,
    )


def spread_rows(outputs: Floats, n_rows: int) -> NDArray[np.intp]:
    """At most ``n_rows`` rows, from the middles of as many equal parts of the ranking: their mean is that of all."""
    order = np.argsort(outputs, kind="stable")
    n_rows = min(n_rows, len(order))
    return np.asarray(order[((np.arange(n_rows) + 0.5) * len(order) / max(n_rows, 1)).astype(np.intp)])


def write_inputs(path: Path, table: ShapTable, fold: int) -> None:
    """Write ``inputs.csv`` of a fold: a row per case and input that it has; an unknown standard error is empty."""
    numbers = (table.values.tolist(), table.completeness_error.tolist(), table.standard_error.tolist())
    of_cases = zip(table.case_ids, *numbers, _given_cells(table), strict=True)
    write_rows(
        path,
        _HEADER if table.given is None else (*_HEADER, *_GIVEN_HEADER),
        (
            (case_id, fold, name, value, off, table.unit, "" if math.isnan(error) else error, table.method, *given)
            for case_id, values, off, errors, cells in of_cases
            for name, value, error, given in zip(table.names, values, errors, cells, strict=True)
            if not math.isnan(value)
        ),
    )


def _given_cells(table: ShapTable) -> list[list[tuple[str, ...]]]:
    """(N, F) cells below ``_GIVEN_HEADER``; none where nobody looked them up."""
    if table.given is None:
        return [[()] * len(table.names) for _ in table.case_ids]
    return [list(zip(table.given.scales, texts, strict=True)) for texts in table.given.texts.tolist()]


def _check_shapes(owners: NDArray[np.intp], background: Floats, rows: Floats, case_ids: Sequence[str]) -> None:
    expected = (len(case_ids), len(owners))
    if rows.shape != expected or background.ndim != 2 or background.shape[1] != len(owners) or not len(background):
        raise ValueError(
            f"required rows {expected} and a background (1 or more, {len(owners)}), "
            f"came {rows.shape} and {background.shape}"
        )


def _explain_linear(
    model: Explained,
    coefficients: Floats,
    intercept: float,
    names: Sequence[str],
    background: Floats,
    rows: Floats,
    case_ids: Sequence[str],
) -> ShapTable:
    center = background.mean(0)
    values = coefficients * (rows - center)
    # A probability of 0 or 1 has lost its log-odds; the sum is held against what is left of them.
    total = np.clip(values.sum(1) + center @ coefficients + intercept, -_MOST_LOG_ODDS, _MOST_LOG_ODDS)
    error = np.abs(total - logit(model.probabilities(rows)))
    return ShapTable(
        case_ids=tuple(case_ids),
        names=tuple(names),
        values=values,
        completeness_error=error,
        unit="logit",
        method="linear",
        standard_error=np.zeros_like(values),
    )


def logit(probabilities: Floats) -> Floats:
    """Log-odds within ±36, beyond which a probability is 0 or 1."""
    with np.errstate(divide="ignore"):
        odds = np.log(probabilities) - np.log1p(-probabilities)
    return np.asarray(np.clip(odds, -_MOST_LOG_ODDS, _MOST_LOG_ODDS))


def _exact(mixing: _Mixing, rows: Floats, n_inputs: int) -> tuple[Floats, Floats, Floats]:
    """Shapley values (N, F) over all coalitions of inputs, their standard errors (N, F) of 0, and bases (N,)."""
    outputs = mixing.outputs(rows, coalitions(n_inputs))
    values = shapley_values(outputs)
    return values, np.zeros_like(values), outputs[:, 0]


def _sampled(
    mixing: _Mixing, rows: Floats, n_inputs: int, *, n_permutations: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Mean contributions (N, F) along permutations of the inputs and their reverses, standard errors, and bases (N,).

    Štrumbelj & Kononenko, Knowl Inf Syst 2014;41:647-665; antithetic as in Mitchell et al., JMLR 2022;23(43). A
    permutation and its reverse are one draw: the standard error is that of the mean of the draws.
    """
    drawn = np.zeros((n_permutations, len(rows), n_inputs))
    for found in drawn:
        order = rng.permutation(n_inputs)
        rank = np.argsort(order)
        for place_of in (rank, n_inputs - 1 - rank):
            # Step k has the first k inputs of the order.
            outputs = mixing.outputs(rows, place_of < np.arange(n_inputs + 1)[:, None])
            found += np.diff(outputs, axis=1)[:, place_of] / 2
    unknown = np.full(drawn.shape[1:], np.nan)
    error = drawn.std(axis=0, ddof=1) / math.sqrt(n_permutations) if n_permutations > 1 else unknown
    return drawn.mean(axis=0), error, outputs[:, 0]


@dataclass(frozen=True)
class _Mixing:
    """Rows of which some inputs are those of background rows, and what the model makes of them."""

    model: Explained
    owners: NDArray[np.intp]
    background: Floats

    def outputs(self, rows: Floats, masks: NDArray[np.bool_]) -> Floats:
        """(N, M) mean probability over the background where the inputs of each of the (M, F) masks are the row's."""
        # The last of all, which -1 leads to, is every row's own.
        own = np.pad(masks, ((0, 0), (0, 1)), constant_values=True)[:, self.owners]
        n_pairs = len(rows) * len(masks)
        outputs = np.empty(n_pairs)
        step = max(1, _CHUNK_ELEMENTS // max(self.background.size, 1))
        for start in range(0, n_pairs, step):
            row, mask = np.divmod(np.arange(start, min(start + step, n_pairs)), len(masks))
            mixtures = np.where(own[mask][:, None], rows[row][:, None], self.background)
            flat = mixtures.reshape(len(row) * len(self.background), len(self.owners))
            probabilities = self.model.probabilities(flat)
            outputs[start : start + step] = probabilities.reshape(len(row), len(self.background)).mean(1)
        return outputs.reshape(len(rows), len(masks))

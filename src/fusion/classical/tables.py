"""The tables of a classical fit: what its selections looked at, and what they kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fusion.classical.fit import ClassicalFit, Stage
from fusion.training.model import Table


def selection_tables(fit: ClassicalFit) -> dict[str, Table]:
    """``selection.csv``, ``lasso_cv.csv`` and ``lasso_path.csv``, a row of each stage below the other.

    Args:
        fit: On a fold's whole training part.
    """
    number, kept = fit.model.fold, []
    for stage in fit.stages:
        kept += list(_kept(number, stage))
    return {
        "selection.csv": (("fold", "stage", "feature", "coefficient", "frequency"), kept),
        "lasso_cv.csv": (
            ("fold", "stage", "lambda", "deviance", "error", "n_nonzero", "chosen", "used"),
            [row for stage in fit.stages for row in _curve(number, stage)],
        ),
        "lasso_path.csv": (
            ("fold", "stage", "lambda", "feature", "coefficient"),
            [row for stage in fit.stages for row in _path(number, stage)],
        ),
    }


def _kept(number: int, stage: Stage) -> Iterator[Sequence[object]]:
    shares = stage.selection.frequency(stage.rows, stage.outcomes, stage.selected).tolist()
    coefficients = stage.selected.lasso.coefficients.tolist()
    for name, coefficient, share in zip(stage.names, coefficients, shares, strict=True):
        if coefficient != 0:
            # NaN where no resamples were asked for.
            yield number, stage.name, name, coefficient, "" if share != share else share


def _curve(number: int, stage: Stage) -> Iterator[Sequence[object]]:
    path, rule = stage.selected.lasso.path, stage.selected.lasso.rule
    assert path is not None
    used = path.at_min if rule == "min" else path.at_1se
    rows = zip(
        path.lambdas.tolist(), path.deviances.tolist(), path.errors.tolist(), path.n_nonzero.tolist(), strict=True
    )
    for place, (strength, deviance, error, n_nonzero) in enumerate(rows):
        marks = " ".join(name for name, at in (("min", path.at_min), ("1se", path.at_1se)) if at == place)
        yield number, stage.name, strength, deviance, error, n_nonzero, marks, int(place == used)


def _path(number: int, stage: Stage) -> Iterator[Sequence[object]]:
    path = stage.selected.lasso.path
    assert path is not None
    for strength, coefficients in zip(path.lambdas.tolist(), path.coefficients.tolist(), strict=True):
        for name, coefficient in zip(stage.names, coefficients, strict=True):
            if coefficient != 0:
                yield number, stage.name, strength, name, coefficient

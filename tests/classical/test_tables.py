from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.classical.fit import ClassicalFit, Fitting, Stage, fit_classical, whole_training
from fusion.classical.lasso import Lasso, LassoPath
from fusion.classical.rows import Outcomes
from fusion.classical.selected import Selected, Selection
from fusion.classical.tables import selection_tables
from fusion.splits.folds import make_inner_folds
from fusion.training.model import Table

MODEL = {"inputs": {"clinical": "features", "radiomics": "score"}, "select": True}


class Model:
    """All that is asked of the model."""

    fold = 4


def stage(rule: Any, at_min: int, at_1se: int, *, cache_dir: Path, n_bootstrap: int = 0) -> Stage:
    """Of four columns b is in use at the last two of three penalties, d at the last."""
    path = LassoPath(
        lambdas=np.array([0.5, 0.25, 0.125]),
        coefficients=np.array([[0.0] * 4, [0.0, 0.75, 0.0, 0.0], [0.0, 1.5, 0.0, -0.5]]),
        intercepts=np.zeros(3),
        deviances=np.array([1.4, 1.2, 1.3]),
        errors=np.array([0.2, 0.1, 0.1]),
        n_nonzero=np.array([0, 1, 2]),
        at_min=at_min,
        at_1se=at_1se,
    )
    at = {"min": at_min, "1se": at_1se}[rule]
    lasso = Lasso(
        means=np.zeros(4), scales=np.ones(4), coefficients=path.coefficients[at], intercept=0.0, rule=rule, path=path
    )
    return Stage(
        name="radiomics",
        names=("a", "b", "c", "d"),
        rows=np.random.default_rng(0).normal(size=(8, 4)),
        outcomes=Outcomes(y=np.arange(8.0) % 2, patients=np.arange(8), weights=np.ones(8)),
        selection=Selection(
            blocks=(),
            settings={"n_bootstrap": n_bootstrap, "l1_ratio": 1.0, "filters": []},
            seed=0,
            cache_dir=cache_dir,
        ),
        selected=Selected(lasso=lasso),
    )


def tables(*stages: Stage) -> dict[str, Table]:
    model: Any = Model()
    return selection_tables(ClassicalFit(model=model, stages=stages))


def test_headers_are_those_that_readers_know() -> None:
    assert {name: tuple(header) for name, (header, _) in tables().items()} == {
        "selection.csv": ("fold", "stage", "feature", "coefficient", "frequency"),
        "lasso_cv.csv": ("fold", "stage", "lambda", "deviance", "error", "n_nonzero", "chosen", "used"),
        "lasso_path.csv": ("fold", "stage", "lambda", "feature", "coefficient"),
    }


@pytest.mark.parametrize(
    ("rule", "at_min", "at_1se", "marks"),
    [
        ("min", 1, 0, [("1se", 0), ("min", 1), ("", 0)]),
        ("1se", 2, 1, [("", 0), ("1se", 1), ("min", 0)]),
        ("1se", 1, 1, [("", 0), ("min 1se", 1), ("", 0)]),
    ],
)
def test_the_curve_says_which_penalty_is_which(
    tmp_path: Path, rule: str, at_min: int, at_1se: int, marks: list[tuple[str, int]]
) -> None:
    _, rows = tables(stage(rule, at_min, at_1se, cache_dir=tmp_path))["lasso_cv.csv"]
    numbers = [(0.5, 1.4, 0.2, 0), (0.25, 1.2, 0.1, 1), (0.125, 1.3, 0.1, 2)]
    assert rows == [(4, "radiomics", *each, *mark) for each, mark in zip(numbers, marks, strict=True)]


def test_the_path_has_the_coefficients_that_are_not_zero(tmp_path: Path) -> None:
    _, rows = tables(stage("min", 1, 0, cache_dir=tmp_path))["lasso_path.csv"]
    assert rows == [
        (4, "radiomics", 0.25, "b", 0.75),
        (4, "radiomics", 0.125, "b", 1.5),
        (4, "radiomics", 0.125, "d", -0.5),
    ]


def test_the_selection_has_what_was_kept_without_a_frequency_where_none_was_measured(tmp_path: Path) -> None:
    kept, none, both = (stage("min", at, 0, cache_dir=tmp_path) for at in (1, 0, 2))
    final = replace(both, name="final")
    _, rows = tables(kept, none, final)["selection.csv"]
    assert rows == [(4, "radiomics", "b", 0.75, ""), (4, "final", "b", 1.5, ""), (4, "final", "d", -0.5, "")]


def test_frequencies_stand_beside_their_feature(tmp_path: Path) -> None:
    both = stage("min", 2, 0, cache_dir=tmp_path, n_bootstrap=20)
    strong = both.rows.copy()
    strong[:, 3] += 9 * both.outcomes.y  # Always picked.
    strong[:, 1] = np.tile([0.0, 0.0, 1.0, 1.0], 2)  # The same in both labels.
    _, rows = tables(replace(both, rows=strong))["selection.csv"]
    shares = {str(row[2]): float(str(row[4])) for row in rows}
    assert shares["d"] == 1.0
    assert 0 <= shares["b"] < 1.0


def test_every_selection_of_a_fit_is_in_them(data: Any, fitting: Callable[..., Fitting]) -> None:
    made = fitting(data, MODEL)
    groups = [inner.test for inner in make_inner_folds(data.cohort, data.fold, split=made.config["split"])]
    fitted = fit_classical(made, whole_training(data.fold), groups)
    found = selection_tables(fitted)
    kept = found["selection.csv"][1]
    assert {row[0] for row in kept} == {0}
    assert [row[1] for row in kept] == sorted((str(row[1]) for row in kept), reverse=True)  # radiomics, then final
    assert [row[2] for row in kept if row[1] == "final"] == list(fitted.model.final_names)
    weights = {row[2]: row[3] for row in kept if row[1] == "radiomics"}
    assert weights == dict(fitted.model.feature_weights())
    assert all(0 <= float(str(row[4])) <= 1 for row in kept)
    curves = found["lasso_cv.csv"][1]
    assert [row[1] for row in curves if row[-1]] == ["radiomics", "final"]
    # The path at the penalty in use is the model.
    used = {row[1]: row[2] for row in curves if row[-1]}
    path = [(row[1], row[3], row[4]) for row in found["lasso_path.csv"][1] if used[row[1]] == row[2]]
    assert path == [tuple(row[1:4]) for row in kept]

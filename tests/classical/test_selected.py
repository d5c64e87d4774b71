import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.classical import selected as module
from fusion.classical.filters import apply_filters
from fusion.classical.lasso import Lasso, fit_lasso, selection_frequency
from fusion.classical.rows import Outcomes
from fusion.classical.selected import Selected, filter_columns, frequency, select

SELECTION: dict[str, Any] = {
    "name": "lasso",
    "filters": [],
    "l1_ratio": 1.0,
    "lambda": "min",
    "n_lambdas": 12,
    "min_lambda_ratio": 0.01,
    "n_folds": 3,
    "n_bootstrap": 4,
}
VARYING = [{"name": "variance", "min_variance": 0.0}]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Everything that a selection is asked with: 30 patients, six of them with two rows; column 2 is constant."""

    X: NDArray[np.float64]
    outcomes: Outcomes
    filters: list[dict[str, Any]] = field(default_factory=lambda: VARYING)
    selection: dict[str, Any] = field(default_factory=lambda: SELECTION)
    seed: int = 7
    cache_dir: Path

    def select(self) -> Selected:
        return select(**{each.name: getattr(self, each.name) for each in fields(self)})

    def filtered(self) -> NDArray[np.intp]:
        return filter_columns(self.X, self.outcomes, filters=self.filters, seed=self.seed, cache_dir=self.cache_dir)

    def frequency(self, selected: Selected) -> NDArray[np.float64]:
        return frequency(
            self.X,
            self.outcomes,
            selected,
            selection=self.selection,
            seed=self.seed,
            cache_dir=self.cache_dir,
        )

    def with_outcomes(self, **changes: Any) -> "Asked":
        return replace(self, outcomes=replace(self.outcomes, **changes))

    def with_selection(self, **changes: Any) -> "Asked":
        return replace(self, selection=self.selection | changes)


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    draw = np.random.default_rng(0)
    patients = np.array([*range(30), *range(6)])
    y = (patients % 2).astype(np.float64)
    X = draw.normal(size=(36, 5))
    X[:, 1] += 2.5 * y
    X[:, 2] = 4.0
    weights = np.where(patients < 6, 0.6, 1.2)
    return Asked(X=X, outcomes=Outcomes(y=y, patients=patients, weights=weights), cache_dir=tmp_path)


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often something was computed so far."""
    calls: list[str] = []

    def watch(name: str) -> None:
        original = getattr(module, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)

    for name in ("apply_filters", "fit_lasso", "selection_frequency"):
        watch(name)
    return lambda: len(calls)


def same(one: Lasso, other: Lasso) -> bool:
    assert one.path is not None
    assert other.path is not None
    numbers = [(getattr(one, each.name), getattr(other, each.name)) for each in fields(Lasso) if each.name != "path"]
    numbers += [(getattr(one.path, each.name), getattr(other.path, each.name)) for each in fields(one.path)]
    return all(
        type(left) is type(right)
        and (
            left.dtype == right.dtype and np.array_equal(left, right) if isinstance(left, np.ndarray) else left == right
        )
        for left, right in numbers
    )


def expected(asked: Asked) -> Lasso:
    """Without any cache."""
    settings = {name: asked.selection[name] for name in ("l1_ratio", "n_lambdas", "min_lambda_ratio", "n_folds")}
    kept = apply_filters(
        asked.X, asked.outcomes.y, filters=asked.filters, patients=asked.outcomes.patients, seed=asked.seed
    )
    return fit_lasso(
        asked.X[:, kept],
        asked.outcomes.y,
        weights=asked.outcomes.weights,
        patients=asked.outcomes.patients,
        rule=asked.selection["lambda"],
        seed=asked.seed,
        **settings,
    )


@pytest.mark.parametrize("rule", ["min", "1se"])
def test_it_is_the_lasso_of_the_filtered_columns(asked: Asked, rule: str) -> None:
    asked = asked.with_selection(**{"lambda": rule})
    selected = asked.select()
    assert selected.filtered.tolist() == [0, 1, 3, 4]
    assert same(selected.lasso, expected(asked))
    assert 1 in selected.columns
    # Positions are those of X, not of what the filters left.
    assert selected.columns.tolist() == [[0, 1, 3, 4][place] for place in selected.lasso.selected]
    np.testing.assert_array_equal(
        selected.linear_predictor(asked.X), selected.lasso.linear_predictor(asked.X[:, [0, 1, 3, 4]])
    )


def test_it_is_computed_once_and_its_path_comes_back_as_it_was(asked: Asked, count: Callable[[], int]) -> None:
    first = asked.select()
    assert count() == 2
    again = asked.select()
    assert count() == 2
    assert same(first.lasso, again.lasso)
    assert same(again.lasso, expected(asked))
    assert again.filtered.tolist() == first.filtered.tolist()


CHANGES: dict[str, Callable[[Asked], Asked]] = {
    "a number": lambda asked: replace(asked, X=asked.X + np.eye(36, 5) * 1e-9),
    "the order of columns": lambda asked: replace(asked, X=asked.X[:, ::-1]),
    "a label": lambda asked: asked.with_outcomes(y=np.where(asked.outcomes.patients == 9, 0.0, asked.outcomes.y)),
    "weights": lambda asked: asked.with_outcomes(weights=asked.outcomes.weights * np.linspace(1, 1.1, 36)),
    "patients": lambda asked: asked.with_outcomes(patients=(asked.outcomes.patients + 2) % 30),
    "filters": lambda asked: replace(asked, filters=[{"name": "variance", "min_variance": 0.1}]),
    "no filters": lambda asked: replace(asked, filters=[]),
    "seed": lambda asked: replace(asked, seed=8),
    "l1_ratio": lambda asked: asked.with_selection(l1_ratio=0.5),
    "lambda": lambda asked: asked.with_selection(**{"lambda": "1se"}),
    "n_lambdas": lambda asked: asked.with_selection(n_lambdas=13),
    "min_lambda_ratio": lambda asked: asked.with_selection(min_lambda_ratio=0.02),
    "n_folds": lambda asked: asked.with_selection(n_folds=4),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_it_depends_on_has_it_computed_again(asked: Asked, count: Callable[[], int], change: str) -> None:
    asked.select()
    n_before = count()
    changed = CHANGES[change](asked)
    assert same(changed.select().lasso, expected(changed))
    assert count() == n_before + 2


SAME: dict[str, Callable[[Asked], Asked]] = {
    "name": lambda asked: asked.with_selection(name="mine"),
    "resamples": lambda asked: asked.with_selection(n_bootstrap=0),
    "the filters of others": lambda asked: asked.with_selection(filters=VARYING),
    "the order of keys": lambda asked: replace(asked, selection=dict(reversed(asked.selection.items()))),
    "memory": lambda asked: replace(asked, X=np.asfortranarray(asked.X)),
    "copies": lambda asked: pickle.loads(pickle.dumps(asked)),
}


@pytest.mark.parametrize("change", SAME)
def test_whatever_it_does_not_depend_on_finds_it(asked: Asked, count: Callable[[], int], change: str) -> None:
    first = asked.select()
    n_before = count()
    assert same(SAME[change](asked).select().lasso, first.lasso)
    assert count() == n_before


@pytest.mark.parametrize(
    "nothing",
    [
        lambda asked: replace(asked, X=np.zeros((36, 0))),
        lambda asked: replace(asked, X=np.zeros((36, 0)), filters=[]),
        lambda asked: replace(asked, filters=[{"name": "variance", "min_variance": 1e6}]),
    ],
    ids=["no column", "no column, no filter", "no column left"],
)
def test_no_columns_are_a_model_of_the_prevalence(asked: Asked, nothing: Callable[[Asked], Asked]) -> None:
    bare = nothing(asked)
    for _ in range(2):  # Computed, and read back.
        selected = bare.select()
        assert selected.columns.tolist() == []
        assert selected.lasso.path is not None
        assert selected.lasso.path.coefficients.shape == (1, 0)
        np.testing.assert_allclose(selected.linear_predictor(bare.X), 0, atol=1e-9)  # Half of the patients.
    assert bare.frequency(selected).shape == (0,)
    assert Selected.from_state(selected.state()).columns.tolist() == []


def test_a_state_is_plain_and_comes_back(asked: Asked) -> None:
    selected = asked.select()
    again = Selected.from_state(selected.state())
    assert again.lasso.path is None
    assert again.state() == selected.state()
    np.testing.assert_array_equal(again.linear_predictor(asked.X), selected.linear_predictor(asked.X))
    np.testing.assert_array_equal(again.columns, selected.columns)


def test_filters_alone_are_kept_too(asked: Asked, count: Callable[[], int]) -> None:
    assert asked.filtered().tolist() == asked.filtered().tolist() == [0, 1, 3, 4]
    assert count() == 1
    # Not one that looks at the seed, but a key says what was asked.
    for changed in ("a number", "a label", "patients", "filters", "seed"):
        n_before = count()
        CHANGES[changed](asked).filtered()
        assert count() == n_before + 1
    for unchanged in SAME.values():
        n_before = count()
        unchanged(asked).filtered()
        assert count() == n_before


def test_without_filters_every_column_passes(asked: Asked, count: Callable[[], int]) -> None:
    assert replace(asked, filters=[]).filtered().tolist() == [0, 1, 2, 3, 4]
    assert count() == 0
    assert not list(asked.cache_dir.iterdir())


class TestFrequency:
    def test_it_is_of_the_filtered_columns(self, asked: Asked) -> None:
        selected = asked.select()
        outcomes = asked.outcomes
        shares = selection_frequency(
            asked.X[:, selected.filtered],
            outcomes.y,
            weights=outcomes.weights,
            patients=outcomes.patients,
            lasso=selected.lasso,
            l1_ratio=1.0,
            n_bootstrap=4,
            seed=7,
        )
        np.testing.assert_array_equal(asked.frequency(selected), shares)
        assert shares[1] == 1.0  # It carries the signal.

    def test_it_is_kept_under_what_it_depends_on(self, asked: Asked, count: Callable[[], int]) -> None:
        selected = asked.select()
        n_before = count()
        asked.frequency(selected)
        asked.frequency(selected)
        assert count() == n_before + 1
        weaker = replace(asked, selection=asked.selection | {"lambda": "1se"}).select()
        n_before = count()
        replace(asked, seed=8).frequency(selected)
        asked.with_selection(n_bootstrap=3).frequency(selected)
        asked.frequency(weaker)
        CHANGES["a number"](asked).frequency(selected)
        assert count() == n_before + 4

    def test_it_is_nan_where_no_resamples_are_asked_for(self, asked: Asked, count: Callable[[], int]) -> None:
        selected = asked.select()
        n_before = count()
        shares = asked.with_selection(n_bootstrap=0).frequency(selected)
        assert shares.shape == (4,)
        assert np.isnan(shares).all()
        assert count() == n_before

import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.classical import selected as module
from fusion.classical.filters import apply_filters
from fusion.classical.lasso import Lasso, fit_lasso, selection_frequency
from fusion.classical.rows import Outcomes
from fusion.classical.selected import Selected, Selection, blocks_of

VARYING = [{"name": "variance", "min_variance": 0.0}]
# Of the filtered columns the first alone.
DIFFERENT = [{"name": "mann_whitney", "max_p": 0.001, "correction": "none"}]
SETTINGS: dict[str, Any] = {
    "name": "lasso",
    "filters": VARYING,
    "l1_ratio": 1.0,
    "lambda": "min",
    "n_lambdas": 12,
    "min_lambda_ratio": 0.01,
    "n_folds": 3,
    "n_bootstrap": 4,
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Everything that a selection is asked with: 30 patients, six of them with two rows.

    The first column is of a block that is not filtered, columns 1 to 4 are of one that is; column 2 is constant, and
    column 1 carries the signal.
    """

    X: NDArray[np.float64]
    outcomes: Outcomes
    selection: Selection

    def select(self) -> Selected:
        return self.selection.select(self.X, self.outcomes)

    def filter(self) -> NDArray[np.intp]:
        return self.selection.filter(self.X, self.outcomes)

    def frequency(self, selected: Selected) -> NDArray[np.float64]:
        return self.selection.frequency(self.X, self.outcomes, selected)

    def with_outcomes(self, **changes: Any) -> "Asked":
        return replace(self, outcomes=replace(self.outcomes, **changes))

    def with_selection(self, **changes: Any) -> "Asked":
        return replace(self, selection=replace(self.selection, **changes))

    def with_settings(self, **changes: Any) -> "Asked":
        return self.with_selection(settings={**self.selection.settings, **changes})


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    draw = np.random.default_rng(0)
    patients = np.array([*range(30), *range(6)])
    y = (patients % 2).astype(np.float64)
    X = draw.normal(size=(36, 5))
    X[:, 1] += 2.5 * y
    X[:, 2] = 4.0
    weights = np.where(patients < 6, 0.6, 1.2)
    blocks = blocks_of([(1, False), (4, True)])
    return Asked(
        X=X,
        outcomes=Outcomes(y=y, patients=patients, weights=weights),
        selection=Selection(blocks=blocks, settings=SETTINGS, seed=7, cache_dir=tmp_path),
    )


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

    for name in ("fit_lasso", "selection_frequency"):
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
    """Without any cache, and with the filters written out: they are run on the rows they are given alone."""
    settings, seed = asked.selection.settings, asked.selection.seed
    filters = settings["filters"]

    def keep(rows: NDArray[np.intp], patients: NDArray[np.int64]) -> NDArray[np.intp]:
        (block,) = asked.selection.blocks
        y = asked.outcomes.y[rows]
        passed = apply_filters(asked.X[np.ix_(rows, block)], y, filters=filters, patients=patients, seed=seed)
        others = [column for column in range(asked.X.shape[1]) if column not in block]
        return np.sort(np.concatenate([others, block[passed]])).astype(np.intp)

    return fit_lasso(
        asked.X,
        asked.outcomes.y,
        weights=asked.outcomes.weights,
        patients=asked.outcomes.patients,
        rule=settings["lambda"],
        seed=seed,
        keep=keep if filters else None,
        **{name: settings[name] for name in ("l1_ratio", "n_lambdas", "min_lambda_ratio", "n_folds")},
    )


@pytest.mark.parametrize("rule", ["min", "1se"])
@pytest.mark.parametrize("filters", [VARYING, DIFFERENT, []], ids=["varying", "different", "none"])
def test_it_is_the_lasso_with_the_filters_run_anew(asked: Asked, rule: str, filters: list[dict[str, Any]]) -> None:
    asked = asked.with_settings(**{"lambda": rule, "filters": filters})
    selected = asked.select()
    assert same(selected.lasso, expected(asked))
    assert 1 in selected.columns or rule == "1se"
    assert 2 not in selected.columns
    np.testing.assert_array_equal(selected.columns, np.flatnonzero(selected.lasso.coefficients))
    np.testing.assert_array_equal(selected.linear_predictor(asked.X), selected.lasso.linear_predictor(asked.X))


def test_filters_are_of_their_blocks_alone(asked: Asked) -> None:
    assert asked.filter().tolist() == [0, 1, 3, 4]
    different = asked.with_settings(filters=DIFFERENT)
    assert different.filter().tolist() == [0, 1]
    assert set(different.select().columns.tolist()) <= {0, 1}
    # Two blocks are filtered each for itself: the nearest to the signal of both.
    apart = asked.with_settings(filters=[{"name": "mrmr", "n_features": 1}])
    two = apart.with_selection(blocks=blocks_of([(2, True), (3, True)]))
    filtered = two.filter().tolist()
    assert len(filtered) == 2
    assert filtered[0] == 1
    assert filtered[1] >= 2
    assert apart.with_selection(blocks=blocks_of([(5, True)])).filter().tolist() == [1]
    assert asked.with_selection(blocks=()).filter().tolist() == [0, 1, 2, 3, 4]


def test_selected_again_on_all_rows_is_what_was_selected_and_rows_left_out_have_no_say(asked: Asked) -> None:
    selected = asked.select()
    everybody = np.arange(len(asked.X))
    again = asked.selection.again(asked.X, asked.outcomes, everybody, selected)
    assert again.tolist() == selected.columns.tolist()
    some, others = np.split(everybody, 2)
    columns = asked.selection.again(asked.X, asked.outcomes, some, selected)
    X = asked.X.copy()
    X[others] = np.random.default_rng(0).normal(size=X[others].shape)
    assert asked.selection.again(X, asked.outcomes, some, selected).tolist() == columns.tolist()


def test_blocks_lie_side_by_side() -> None:
    blocks = blocks_of([(2, True), (3, False), (0, True), (1, True)])
    assert [block.tolist() for block in blocks] == [[0, 1], [], [5]]
    assert blocks_of([]) == ()


def test_it_is_computed_once_and_its_path_comes_back_as_it_was(asked: Asked, count: Callable[[], int]) -> None:
    first = asked.select()
    assert count() == 1
    again = asked.select()
    assert count() == 1
    assert same(first.lasso, again.lasso)
    assert same(again.lasso, expected(asked))


def flipped(asked: Asked) -> Asked:
    """A label of patient 9."""
    return asked.with_outcomes(y=np.where(asked.outcomes.patients == 9, 0.0, asked.outcomes.y))


CHANGES: dict[str, Callable[[Asked], Asked]] = {
    "a number": lambda asked: replace(asked, X=asked.X + np.eye(36, 5) * 1e-9),
    "the order of columns": lambda asked: replace(asked, X=asked.X[:, ::-1]),
    "a label": flipped,
    "weights": lambda asked: asked.with_outcomes(weights=asked.outcomes.weights * np.linspace(1, 1.1, 36)),
    "patients": lambda asked: asked.with_outcomes(patients=(asked.outcomes.patients + 2) % 30),
    "filters": lambda asked: asked.with_settings(filters=[{"name": "variance", "min_variance": 0.1}]),
    "no filters": lambda asked: asked.with_settings(filters=[]),
    "blocks": lambda asked: asked.with_selection(blocks=blocks_of([(2, False), (3, True)])),
    "seed": lambda asked: asked.with_selection(seed=8),
    "l1_ratio": lambda asked: asked.with_settings(l1_ratio=0.5),
    "lambda": lambda asked: asked.with_settings(**{"lambda": "1se"}),
    "n_lambdas": lambda asked: asked.with_settings(n_lambdas=13),
    "min_lambda_ratio": lambda asked: asked.with_settings(min_lambda_ratio=0.02),
    "n_folds": lambda asked: asked.with_settings(n_folds=4),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_it_depends_on_has_it_computed_again(asked: Asked, count: Callable[[], int], change: str) -> None:
    asked.select()
    n_before = count()
    changed = CHANGES[change](asked)
    assert same(changed.select().lasso, expected(changed))
    assert count() > n_before


SAME: dict[str, Callable[[Asked], Asked]] = {
    "name": lambda asked: asked.with_settings(name="mine"),
    "resamples": lambda asked: asked.with_settings(n_bootstrap=0),
    "the order of keys": lambda asked: asked.with_selection(
        settings=dict(reversed(list(asked.selection.settings.items())))
    ),
    "memory": lambda asked: replace(asked, X=np.asfortranarray(asked.X)),
    "copies": lambda asked: pickle.loads(pickle.dumps(asked)),
}


@pytest.mark.parametrize("change", SAME)
def test_whatever_it_does_not_depend_on_finds_it(asked: Asked, count: Callable[[], int], change: str) -> None:
    first = asked.select()
    n_before = count()
    assert same(SAME[change](asked).select().lasso, first.lasso)
    assert count() == n_before


NOTHING: dict[str, Callable[[Asked], Asked]] = {
    "no column": lambda asked: replace(asked, X=np.zeros((36, 0))).with_selection(blocks=()),
    "a block without a column": lambda asked: replace(asked, X=np.zeros((36, 0))).with_selection(
        blocks=blocks_of([(0, True)])
    ),
    "no column left": lambda asked: asked.with_settings(
        filters=[{"name": "variance", "min_variance": 1e6}]
    ).with_selection(blocks=blocks_of([(5, True)])),
}


@pytest.mark.parametrize("nothing", NOTHING)
def test_no_columns_are_a_model_of_the_prevalence(asked: Asked, nothing: str) -> None:
    bare = NOTHING[nothing](asked)
    n_columns = bare.X.shape[1]
    for _ in range(2):  # Computed, and read back.
        selected = bare.select()
        assert selected.columns.tolist() == bare.filter().tolist() == []
        assert selected.lasso.path is not None
        assert selected.lasso.path.coefficients.shape == (1, n_columns)
        np.testing.assert_allclose(selected.linear_predictor(bare.X), 0, atol=1e-9)  # Half of the patients.
    np.testing.assert_array_equal(bare.frequency(selected), np.zeros(n_columns))
    assert Selected.from_state(selected.state()).columns.tolist() == []


def test_a_state_is_plain_and_comes_back(asked: Asked) -> None:
    selected = asked.select()
    again = Selected.from_state(selected.state())
    assert again.lasso.path is None
    assert again.state() == selected.state()
    np.testing.assert_array_equal(again.linear_predictor(asked.X), selected.linear_predictor(asked.X))
    np.testing.assert_array_equal(again.columns, selected.columns)


def test_filters_alone_are_kept_too(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append("apply_filters")
        return apply_filters(*args, **kwargs)

    monkeypatch.setattr(module, "apply_filters", counted)
    assert asked.filter().tolist() == asked.filter().tolist() == [0, 1, 3, 4]
    assert len(calls) == 1
    for changed in ("a number", "a label", "patients", "filters", "blocks", "seed"):
        n_before = len(calls)
        CHANGES[changed](asked).filter()
        assert len(calls) == n_before + 1
    for unchanged in SAME.values():
        n_before = len(calls)
        unchanged(asked).filter()
        assert len(calls) == n_before


def test_without_filters_every_column_passes(asked: Asked) -> None:
    assert asked.with_settings(filters=[]).filter().tolist() == [0, 1, 2, 3, 4]
    assert not list(asked.selection.cache_dir.iterdir())


class TestFrequency:
    def test_filters_are_run_on_every_resample(self, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = asked.with_settings(filters=DIFFERENT)
        selected = asked.select()
        resamples: list[NDArray[np.int64]] = []

        def spied(X: Any, y: Any, *, patients: NDArray[np.int64], **settings: Any) -> Any:
            resamples.append(patients)
            return apply_filters(X, y, patients=patients, **settings)

        monkeypatch.setattr(module, "apply_filters", spied)
        shares = asked.frequency(selected)
        assert len(resamples) == 4
        # A patient who is drawn twice is two patients.
        assert all(len(np.unique(patients)) == 30 for patients in resamples)
        assert shares[1] == 1.0
        assert shares[2:].max() < 1.0

    def test_it_is_that_of_the_lasso_where_nothing_is_filtered(self, asked: Asked) -> None:
        asked = asked.with_settings(filters=[])
        selected, outcomes = asked.select(), asked.outcomes
        shares = selection_frequency(
            asked.X,
            outcomes.y,
            weights=outcomes.weights,
            patients=outcomes.patients,
            lasso=selected.lasso,
            l1_ratio=1.0,
            n_bootstrap=4,
            seed=7,
        )
        np.testing.assert_array_equal(asked.frequency(selected), shares)

    def test_it_is_kept_under_what_it_depends_on(self, asked: Asked, count: Callable[[], int]) -> None:
        selected = asked.select()
        n_before = count()
        asked.frequency(selected)
        asked.frequency(selected)
        assert count() == n_before + 1
        weaker = asked.with_settings(**{"lambda": "1se"}).select()
        n_before = count()
        asked.with_selection(seed=8).frequency(selected)
        asked.with_settings(n_bootstrap=3).frequency(selected)
        asked.with_settings(filters=[]).frequency(selected)
        asked.frequency(weaker)
        CHANGES["a number"](asked).frequency(selected)
        assert count() == n_before + 5

    def test_it_is_nan_where_no_resamples_are_asked_for(self, asked: Asked, count: Callable[[], int]) -> None:
        selected = asked.select()
        n_before = count()
        shares = asked.with_settings(n_bootstrap=0).frequency(selected)
        assert shares.shape == (5,)
        assert np.isnan(shares).all()
        assert count() == n_before

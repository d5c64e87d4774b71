import io
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from fusion.classical import deep
from fusion.classical.blocks import Block, DeepBlock, block_from_state, fit_block
from fusion.classical.fit import Fitting
from fusion.imaging.store import Crops
from fusion.records import Case, FeatureTable

NAMES = ("clinical", "ultrasound", "radiomics", "deep")
LACKING = {"clinical": ["case 4/0"], "ultrasound": ["case 4/0"], "radiomics": ["case 2/0", "case 3/0"]}
LACKING["deep"] = ["case 2/0"]


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a block does with an embedding does not depend on how good it is."""

    def build(cohort: Any, fold: Any, *, crops: Any, config: Any, title: str) -> Any:
        torch.manual_seed(0)
        return deep._build(deep._settings(config), n_labels=2).eval()

    monkeypatch.setattr(deep, "_fit", build)


@pytest.fixture
def data(data: Any) -> Any:
    """The shape is what an ultrasound shows."""
    age, shape, grade = data.cohort.clinical_columns
    return replace(
        data, cohort=replace(data.cohort, clinical_columns=(age, replace(shape, source="ultrasound"), grade))
    )


def fit(name: str, made: Fitting, cases: list[Case], stable: Any = None) -> Block:
    return fit_block(
        name,
        made.cohort,
        cases,
        sources=made.sources,
        stable=stable,
        config=made.config,
        fold_number=0,
        keeps_network=True,
        title="",
    )


def through_a_file(state: dict[str, Any]) -> Any:
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


class Fixed:
    """Embeddings as they are given."""

    def __init__(self, embeddings: NDArray[np.float64]) -> None:
        self.embeddings = embeddings

    def embed(self, cases: Any, *, crops: Any, accelerator: str) -> NDArray[np.float64]:
        return self.embeddings

    def state(self) -> dict[str, Any]:
        return {}


def project(fitted_on: NDArray[np.float64], n: int | None, applied_to: NDArray[np.float64] | None = None) -> Any:
    """The block, and its columns of the rows."""
    embedder: Any = Fixed(fitted_on if applied_to is None else applied_to)
    block = DeepBlock.fit(embedder, fitted_on, n)
    nowhere: Any = SimpleNamespace(crops=None, accelerator="cpu")
    return block, block.transform((), nowhere)


@pytest.fixture
def embeddings() -> NDArray[np.float64]:
    draw = np.random.default_rng(0)
    return draw.normal(size=(40, 8)) @ draw.normal(size=(8, 8)) * 10.0 ** np.arange(-3, 5) + draw.normal(size=8)


def test_the_ultrasound_block_has_the_ultrasound_columns_alone(data: Any, fitting: Callable[..., Fitting]) -> None:
    made, cases = fitting(data), data.cases("train")
    clinical, ultrasound = (fit(name, made, cases) for name in ("clinical", "ultrasound"))
    assert clinical.names == ("age", "shape=irregular", "shape=oval", "shape=round", "grade")
    assert ultrasound.names == ("shape=irregular", "shape=oval", "shape=round")
    assert (clinical.n_candidates, ultrasound.n_candidates) == (5, 3)
    columns = clinical.transform(cases, made.sources)[:, 1:4]
    np.testing.assert_array_equal(ultrasound.transform(cases, made.sources), columns)


def test_a_cohort_without_ultrasound_columns_gives_a_block_without_columns(
    data: Any, fitting: Callable[..., Fitting]
) -> None:
    cohort = replace(data.cohort, clinical_columns=data.cohort.clinical_columns[:1])
    block = fit("ultrasound", fitting(replace(data, cohort=cohort)), data.cases("train"))
    assert (block.names, block.n_candidates) == ((), 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_without_the_block_is_a_row_of_nan(data: Any, fitting: Callable[..., Fitting], name: str) -> None:
    made = fitting(data)
    rows = fit(name, made, data.cases("train")).transform(data.cohort.cases, made.sources)
    ids = np.array([case.case_id for case in data.cohort.cases])
    assert ids[np.isnan(rows).all(axis=1)].tolist() == LACKING[name]
    assert ids[np.isnan(rows).any(axis=1)].tolist() == LACKING[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_components", [None, 4])
def test_a_block_survives_a_file(
    data: Any, fitting: Callable[..., Fitting], name: str, n_components: int | None
) -> None:
    made = fitting(data, deep__n_components=n_components)
    block = fit(name, made, data.cases("train"))
    again = block_from_state(name, through_a_file(block.state()))
    assert (again.names, again.n_candidates) == (block.names, block.n_candidates)
    rows = [each.transform(data.cohort.cases, made.sources) for each in (block, again)]
    np.testing.assert_allclose(rows[1], rows[0], atol=1e-5 if name == "deep" else 0)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_rows_that_it_is_fitted_on_matter(data: Any, fitting: Callable[..., Fitting], name: str) -> None:
    trained = {case.case_id for case in data.cases("train")}
    array = np.array(data.crops.array)
    array[[row for row, case_id in enumerate(data.crops.case_ids) if case_id not in trained]] = 255
    values = data.features.values.copy()
    values[[row for row, case_id in enumerate(data.features.case_ids) if case_id not in trained]] = 1e9
    nonsense = {"age": 1e9, "shape": "square", "grade": None}
    cases = [case if case.case_id in trained else replace(case, clinical=nonsense) for case in data.cohort.cases]
    spoiled = replace(
        data,
        cohort=replace(data.cohort, cases=tuple(cases)),
        crops=Crops(case_ids=data.crops.case_ids, array=array, key="spoiled"),
        features=FeatureTable(case_ids=data.features.case_ids, names=data.features.names, values=values),
    )
    made, other = fitting(data), fitting(spoiled)
    one, two = fit(name, made, data.cases("train")), fit(name, other, data.cases("train"))
    np.testing.assert_array_equal(
        two.transform(data.cases("train"), other.sources), one.transform(data.cases("train"), made.sources)
    )
    # And they do matter.
    fewer = [case for case in data.cases("train")[1:] if name != "ultrasound" or case.clinical.get("shape") != "oval"]
    three = fit(name, made, fewer)
    others = three.transform(data.cases("train"), made.sources)
    assert not np.array_equal(others, one.transform(data.cases("train"), made.sources), equal_nan=True)


def test_columns_are_standardized(data: Any, fitting: Callable[..., Fitting]) -> None:
    made = fitting(data)
    for name in ("radiomics", "deep"):
        block = fit(name, made, data.cases("train"))
        rows = block.transform(data.cases("train"), made.sources)
        np.testing.assert_allclose(np.nanmean(rows, axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(np.nanstd(rows, axis=0), 1, atol=1e-6)


def test_redundant_features_are_left_to_the_filters_and_unstable_ones_dropped(
    data: Any, fitting: Callable[..., Fitting]
) -> None:
    table = data.features
    values = np.column_stack([table.values, table.values[:, 0]])
    twice = FeatureTable(case_ids=table.case_ids, names=(*table.names, "again"), values=values)
    made = fitting(replace(data, features=twice))
    block = fit("radiomics", made, data.cases("train"))
    assert block.names == (*table.names, "again")
    assert fit("radiomics", made, data.cases("train"), stable={"feature 3", "again"}).names == ("feature 3", "again")


def test_a_cohort_without_features_gives_a_block_without_columns(data: Any, fitting: Callable[..., Fitting]) -> None:
    nothing = FeatureTable(case_ids=(), names=(), values=np.zeros((0, 0)))
    made = fitting(replace(data, features=nothing))
    block = fit("radiomics", made, data.cases("train"))
    assert (block.names, block.n_candidates) == ((), 0)
    assert block.transform(data.cohort.cases, made.sources).shape == (36, 0)


def test_a_table_without_rows_is_radiomics_that_nobody_has(data: Any, fitting: Callable[..., Fitting]) -> None:
    """A cohort without a single mask is scored: its table has no names either."""
    made = fitting(data)
    block = fit("radiomics", made, data.cases("train"))
    nothing = FeatureTable(case_ids=(), names=(), values=np.zeros((0, 0)))
    rows = block.transform(data.cases("test"), replace(made.sources, features=nothing))
    assert rows.shape == (len(data.cases("test")), 6)
    assert np.isnan(rows).all()


class TestPrincipalComponents:
    def test_they_are_those_of_scikit_learn(self, embeddings: NDArray[np.float64]) -> None:
        new = embeddings[:7] * 1.3 + 1
        block, rows = project(embeddings, 5, new)
        means, scales = embeddings.mean(axis=0), embeddings.std(axis=0)
        theirs = PCA(n_components=5, whiten=True, svd_solver="full").fit((embeddings - means) / scales)
        # scikit-learn divides the variance by N - 1.
        expected = theirs.transform((new - means) / scales) * np.sqrt(len(embeddings) / (len(embeddings) - 1))
        signs = np.sign((block.components * theirs.components_).sum(axis=1))
        np.testing.assert_allclose(rows, expected * signs, rtol=1e-6, atol=1e-8)
        assert block.names == ("deep_pc_1", "deep_pc_2", "deep_pc_3", "deep_pc_4", "deep_pc_5")
        assert block.n_candidates == 8

    def test_training_rows_are_uncorrelated_and_of_unit_variance(self, embeddings: NDArray[np.float64]) -> None:
        _, rows = project(embeddings, 8)
        np.testing.assert_allclose(rows.T @ rows / 40, np.eye(8), atol=1e-8)
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-10)

    def test_an_axis_points_where_its_largest_entry_is_positive(self, embeddings: NDArray[np.float64]) -> None:
        block, rows = project(embeddings, 8)
        largest = np.abs(block.components).argmax(axis=1)
        assert (block.components[np.arange(8), largest] > 0).all()
        # The decomposition of mirrored rows may have its axes the other way round.
        mirrored, turned = project(-embeddings, 8)
        np.testing.assert_allclose(mirrored.components, block.components, atol=1e-8)
        np.testing.assert_allclose(turned, -rows, atol=1e-8)

    @pytest.mark.parametrize(("n_rows", "n_kept"), [(40, 8), (6, 5), (2, 1)])
    def test_there_are_no_more_than_the_rows_allow(
        self, embeddings: NDArray[np.float64], n_rows: int, n_kept: int
    ) -> None:
        block, rows = project(embeddings[:n_rows], 32, embeddings)
        assert rows.shape == (40, n_kept) == (40, len(block.names))
        assert np.isfinite(rows).all()

    def test_directions_without_variance_are_left_out(self, embeddings: NDArray[np.float64]) -> None:
        flat = np.column_stack([embeddings[:, :3], embeddings[:, 0], np.full(40, 1e6)])
        block, rows = project(flat, 5)
        assert len(block.names) == 3
        assert np.isfinite(rows).all()

    def test_embeddings_that_are_all_the_same_have_no_component(self) -> None:
        block, rows = project(np.full((10, 4), 0.1), 3)
        assert block.names == ()
        assert rows.shape == (10, 0)

    def test_a_row_of_nan_stays_one(self, embeddings: NDArray[np.float64]) -> None:
        new = embeddings[:2].copy()
        new[1] = np.nan
        _, rows = project(embeddings, 3, new)
        assert np.isnan(rows).any(axis=1).tolist() == [False, True]
        assert np.isnan(rows[1]).all()


def test_without_components_the_embedding_is_standardized(embeddings: NDArray[np.float64]) -> None:
    constant = np.column_stack([embeddings, np.full(40, 0.1), np.zeros(40)])
    block, rows = project(constant, None)
    np.testing.assert_allclose(rows[:, :8], (embeddings - embeddings.mean(axis=0)) / embeddings.std(axis=0))
    # A column that does not vary in training says nothing, and blows nothing up.
    np.testing.assert_allclose(rows[:, 8:], 0, atol=1e-12)
    assert block.names[:2] == ("deep_1", "deep_2")
    assert len(block.names) == block.n_candidates == 10
    assert block.state()["components"] is None

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri

from fusion.cohorts.simulation.chart import draw_quantiles, draw_row, level_at
from fusion.cohorts.simulation.settings import Category, Finding, Findings, Missing, Number

LEVELS = {"regular": 0.5, "lobulated": 0.3, "irregular": 0.2}


def finding(agreement: float) -> Finding:
    return Finding(levels=LEVELS, agreement=agreement)


class Settings:
    """The part of the settings that the chart reads."""

    numbers = {"age": Number(mean=50.0, sd=10.0, low=30.0, high=70.0, decimals=0, loading=0.8)}  # noqa: RUF012
    categories = {"pain": Category(levels={"no": 0.7, "yes": 0.3}, loading=0.9)}  # noqa: RUF012
    findings = Findings(
        shape=finding(0.0),
        edge=finding(1.0),
        echogenicity=finding(0.5),
        cystic_areas=finding(1.0),
        calcification=finding(1.0),
        posterior_enhancement=finding(1.0),
    )
    finding_loadings = {"edge": 0.6, "calcification": -0.9}  # noqa: RUF012
    size_error = 0.0
    missing = Missing(word="n/a", fraction=0.25, columns=("edge",))


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, list[dict[str, float]], list[dict[str, str]]]:
    rng = np.random.default_rng(0)
    clinical, shape = rng.standard_normal((2, 3000))
    settings: Any = Settings
    quantiles = [draw_quantiles(settings, shape=s, clinical=c, rng=rng) for s, c in zip(shape, clinical, strict=True)]
    rows = [
        draw_row(settings, clinical=c, quantiles=q, length_mm=12.0, rng=rng)
        for c, q in zip(clinical, quantiles, strict=True)
    ]
    return clinical, quantiles, rows


def test_levels_are_as_wide_as_their_frequencies() -> None:
    assert [level_at(LEVELS, q) for q in (0.0, 0.49, 0.51, 0.79, 0.81, 1.0)] == [
        "regular", "regular", "lobulated", "lobulated", "irregular", "irregular"
    ]  # fmt: skip


def test_columns_correlate_with_the_factor_by_their_loading(drawn: Any) -> None:
    clinical, _, rows = drawn
    ages = np.array([float(row["age"]) for row in rows])
    assert np.corrcoef(clinical, ages)[0, 1] == pytest.approx(0.8, abs=0.03)
    assert (ages.min(), ages.max()) == (30, 70)
    pain = np.array([row["pain"] == "yes" for row in rows])
    assert pain.mean() == pytest.approx(0.3, abs=0.03)
    assert clinical[pain].mean() - clinical[~pain].mean() > 1


@pytest.mark.parametrize(("name", "agreement"), [("shape", 0.0), ("echogenicity", 0.5), ("cystic_areas", 1.0)])
def test_a_reader_agrees_with_the_truth_as_often_as_configured(drawn: Any, name: str, agreement: float) -> None:
    _, quantiles, rows = drawn
    right = [row[name] == level_at(LEVELS, q[name]) for row, q in zip(rows, quantiles, strict=True)]
    by_chance = sum(frequency**2 for frequency in LEVELS.values())
    assert np.mean(right) == pytest.approx(agreement + (1 - agreement) * by_chance, abs=0.03)


def test_gaps_are_where_they_are_asked_for(drawn: Any) -> None:
    _, _, rows = drawn
    assert np.mean([row["edge"] == "n/a" for row in rows]) == pytest.approx(0.25, abs=0.03)
    assert {name for row in rows for name, value in row.items() if value == "n/a"} == {"edge"}
    assert {row["size_mm"] for row in rows} == {"12.0"}


def test_only_the_reading_of_the_shape_knows_the_shape_factor() -> None:
    settings: Any = Settings
    low, high = (draw_quantiles(settings, shape=s, clinical=0.3, rng=np.random.default_rng(0)) for s in (-1.0, 1.0))
    assert (low.pop("shape"), high.pop("shape")) == pytest.approx((0.1587, 0.8413), abs=1e-4)
    assert low == high


@pytest.mark.parametrize(
    ("name", "loading"), [("edge", 0.6), ("calcification", -0.9), ("echogenicity", 0.0), ("shape", 0.0)]
)
def test_findings_correlate_with_the_clinical_factor_by_their_loading(drawn: Any, name: str, loading: float) -> None:
    clinical, quantiles, _ = drawn
    values = np.array([q[name] for q in quantiles])
    assert np.corrcoef(clinical, ndtri(values))[0, 1] == pytest.approx(loading, abs=0.04)
    np.testing.assert_allclose(np.quantile(values, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.03)


def test_without_loadings_findings_know_nothing_of_the_clinical_factor() -> None:
    settings: Any = SimpleNamespace(findings=Settings.findings, finding_loadings=None)
    low, high = (draw_quantiles(settings, shape=0.0, clinical=c, rng=np.random.default_rng(0)) for c in (-2.0, 2.0))
    assert low == high

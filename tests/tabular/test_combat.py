"""Literal values are those of Bioconductor's sva 3.46.0, the authors' implementation, iterated to its end:

Rscript -e 'library(sva); f <- sva:::it.sol; formals(f)$conv <- 1e-13; assignInNamespace("it.sol", f, "sva")
            X <- cbind(c(1,3,2,4,2,9,7,8,11,10), c(0.5,0.1,...), c(100,130,...)); b <- rep(c("a","b"), each=5)
            age <- c(-1,0.5,...); print(ComBat(t(X), b, par.prior=TRUE), digits=12)         # or par.prior=FALSE,
            print(ComBat(t(X), b, mod=model.matrix(~age)), digits=12)'                      # or mod=

neuroCombat 0.2.12 gives the same to the four digits that its iteration is exact to; combatlearn 2.3.0 does not.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.tabular.combat import CombatParameters, estimate_combat

VALUES = np.array(
    [
        [1, 3, 2, 4, 2, 9, 7, 8, 11, 10],
        [0.5, 0.1, 0.9, 0.4, 0.6, 0.2, 0.8, 0.7, 0.3, 1.4],
        [100, 130, 90, 120, 110, 70, 60, 95, 85, 40],
    ],
    dtype=float,
).T
CENTERS = np.repeat([0, 1], 5)
AGE = np.array([[-1, 0.5, 1, 0, -0.5, 2, -2, 0, 1, 0.25]]).T
NOTHING = np.zeros((10, 0))
PARAMETRIC = [
    *[[4.0181268806, 6.2545236991, 5.1363252898, 7.3727221083, 5.1363252898]],
    *[[5.8620135156, 4.3244680504, 5.0932407830, 7.3995589809, 6.6307862482]],
    *[[0.5951963704, 0.1461899194, 1.0442028214, 0.4829447577, 0.7074479832]],
    *[[0.2138480963, 0.6749622196, 0.5981098657, 0.2907004502, 1.1360763428]],
    *[[80.1676682923, 113.6999868153, 68.9902287846, 102.5225473076, 91.3451078000]],
    *[[88.1285303120, 80.4402186878, 107.3493093726, 99.6609977484, 65.0635954394]],
]
EMPIRICAL = [
    *[[0.3855620864, 2.8089772748, 1.5972696806, 4.0206848690, 1.5972696806]],
    *[[7.9139656229, 6.4310229309, 7.1724942769, 9.3969083149, 8.6554369689]],
    *[[0.0470701096, -0.3800130923, 0.4741533114, -0.0597006909, 0.1538409100]],
    *[[0.6089113113, 1.0798976264, 1.0013999072, 0.6874090305, 1.5508839414]],
    *[[107.3284887582, 143.6797165877, 95.2114128151, 131.5626406445, 119.4455647014]],
    *[[71.9815917033, 64.5668783857, 90.5183749973, 83.1036616797, 49.7374517505]],
]
WITH_AGE = [
    *[[4.1125160548, 6.1272731842, 5.1067489007, 7.1477974678, 5.1225237633]],
    *[[6.1258132471, 3.9825377240, 5.0541754855, 7.6159209442, 6.7075751392]],
    *[[0.6076632723, 0.2035592065, 1.0186074476, 0.5078587040, 0.7103993161]],
    *[[0.1433278379, 0.7137667404, 0.5905401638, 0.2454393449, 1.1522364576]],
    *[[80.7926751576, 111.2536532782, 70.5320377392, 101.0999939047, 90.9463345311]],
    *[[89.6046056358, 79.6468436840, 108.9235881493, 101.2889188500, 64.4936597180]],
]


def adjust(fitted: CombatParameters, values: Any, centers: Any, covariates: Any) -> NDArray[np.float64]:
    expected = fitted.means + covariates @ fitted.effects
    standardized = (values - expected) / fitted.scales
    return np.asarray(
        (standardized - fitted.shifts[centers]) / np.sqrt(fitted.spreads[centers]) * fitted.scales + expected
    )


@pytest.mark.parametrize(
    ("covariates", "parametric", "expected"),
    [(NOTHING, True, PARAMETRIC), (NOTHING, False, EMPIRICAL), (AGE, True, WITH_AGE)],
    ids=["parametric", "empirical", "covariate"],
)
def test_it_is_that_of_the_authors(covariates: Any, parametric: bool, expected: list[list[float]]) -> None:
    fitted = estimate_combat(VALUES, CENTERS, covariates, parametric=parametric)
    found = adjust(fitted, VALUES, CENTERS, covariates)
    assert found.T.ravel() == pytest.approx(np.ravel(expected), abs=2e-9)


def test_means_and_scales_by_hand() -> None:
    fitted = estimate_combat(VALUES, CENTERS, NOTHING, parametric=True)
    # Sums of squares about the centers' means 2.4 and 9: 5.2 and 10, over ten cases.
    assert fitted.means[0] == pytest.approx(5.7)
    assert fitted.scales[0] == pytest.approx((15.2 / 10) ** 0.5)


@pytest.mark.parametrize("parametric", [True, False])
def test_units_do_not_matter(parametric: bool) -> None:
    scale, offset = np.array([1e9, 1e-9, 1.0]), np.array([1e9, 0.0, -5.0])
    fitted = [
        estimate_combat(values, CENTERS, AGE, parametric=parametric) for values in (VALUES, VALUES * scale + offset)
    ]
    first, second = (
        adjust(one, values, CENTERS, AGE) for one, values in zip(fitted, (VALUES, VALUES * scale + offset), strict=True)
    )
    np.testing.assert_allclose(second, first * scale + offset, rtol=1e-6)


def test_covariates_that_repeat_each_other_change_nothing() -> None:
    level = (AGE > 0).astype(float)
    once = estimate_combat(VALUES, CENTERS, level, parametric=True)
    dummies = np.hstack([level, 1 - level])
    twice = estimate_combat(VALUES, CENTERS, dummies, parametric=True)
    np.testing.assert_allclose(adjust(twice, VALUES, CENTERS, dummies), adjust(once, VALUES, CENTERS, level), rtol=1e-9)
    # A level that training did not know has an effect between those of the known ones, whatever the feature's mean.
    unknown = adjust(twice, VALUES, CENTERS, 0 * dummies)
    sides = [adjust(twice, VALUES, CENTERS, 0 * dummies + side) for side in ([1, 0], [0, 1])]
    assert (unknown >= np.minimum(*sides) - 1e-9).all()
    assert (unknown <= np.maximum(*sides) + 1e-9).all()


@pytest.mark.parametrize("parametric", [True, False])
@pytest.mark.parametrize("n_features", [0, 1, 2])
def test_few_features_need_no_prior(n_features: int, parametric: bool) -> None:
    fitted = estimate_combat(VALUES[:, :n_features], CENTERS, NOTHING, parametric=parametric)
    found = adjust(fitted, VALUES[:, :n_features], CENTERS, NOTHING)
    assert found.shape == (10, n_features)
    assert np.isfinite(found).all()
    if n_features == 1:
        assert found[:5].mean() == pytest.approx(found[5:].mean())
        assert found[:5].var() == pytest.approx(found[5:].var())


@pytest.mark.parametrize("parametric", [True, False])
def test_awkward_features_stay_finite(parametric: bool) -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(240, 6))
    centers = np.repeat([0, 1, 2], [200, 38, 2])
    values[:200, 1] = 3.0  # Constant in a center.
    values[:, 2] = values[:, 0]  # A copy.
    values[:, 3] *= 1e-12
    values[238:] = values[238]  # A center whose cases are all alike.
    values[5, 4] = 1e6
    fitted = estimate_combat(values, centers, np.zeros((240, 0)), parametric=parametric)
    assert np.isfinite(adjust(fitted, values, centers, np.zeros((240, 0)))).all()
    assert (fitted.spreads > 0).all()


def test_features_that_all_spread_alike_keep_their_spread() -> None:
    """The prior of the spread is a point then."""
    draw = np.random.default_rng(0)
    base = draw.normal(size=(20, 1))
    values = np.hstack([base, -base, base + 7])
    fitted = estimate_combat(values, np.repeat([0, 1], 10), np.zeros((20, 0)), parametric=True)
    assert np.isfinite(fitted.shifts).all()
    assert fitted.spreads == pytest.approx(np.repeat(fitted.spreads[:, :1], 3, axis=1), rel=1e-6)

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fusion.cohorts.simulation.acoustics import Medium
from fusion.cohorts.simulation.anatomy import Traits, draw_medium
from fusion.cohorts.simulation.outline import Outline
from fusion.cohorts.simulation.settings import read_settings

DEFAULT = yaml.safe_load((Path(__file__).parents[3] / "conf" / "cohort" / "phantom.yaml").read_text())["simulation"]
for number, layer in enumerate(DEFAULT["tissue"]["layers"]):
    # No two layers attenuate alike, so that a pixel tells its layer.
    layer["attenuation_db_cm_mhz"] = 0.5 + 0.01 * number
SETTINGS = read_settings(DEFAULT)
OUTLINE = Outline(row_px=80.0, column_px=128.0, radius_px=np.full(1440, 30.0), length_px=60.0)
INSIDE = OUTLINE.depth_inside_px(SETTINGS.frame) > 4


def drawn(
    *, outline: Outline = OUTLINE, texture: float = 0.0, n_cysts: int = 0, n_calcifications: int = 0, **quantiles: float
) -> Medium:
    middle = {"edge": 0.0, "echogenicity": 0.5, "posterior_enhancement": 0.5}
    traits: Any = Traits(
        texture=texture,
        shape=0.0,
        quantiles={**middle, **quantiles},
        n_cysts=n_cysts,
        n_calcifications=n_calcifications,
    )
    rng = np.random.default_rng(0)
    return draw_medium(outline, SETTINGS.tissue, SETTINGS.lesion, traits, frame=SETTINGS.frame, rng=rng)


@pytest.mark.parametrize(("factor", "end"), [(-2.0, 0), (2.0, 1)])
def test_the_texture_factor_sets_the_scatterers_of_the_lesion_alone(factor: float, end: int) -> None:
    medium, other = drawn(texture=factor), drawn(texture=0.5)
    assert medium.scatterers_per_mm2[INSIDE] == pytest.approx(SETTINGS.lesion.scatterers_per_mm2[end])
    assert medium.scatterers_per_mm2[150, 20] == pytest.approx(SETTINGS.tissue.scatterers_per_mm2)
    assert np.array_equal(medium.level_db, other.level_db)
    assert np.array_equal(medium.attenuation_db_cm_mhz, other.attenuation_db_cm_mhz)


def test_findings_set_what_they_name() -> None:
    lowest, highest = SETTINGS.lesion.level_db
    levels = [drawn(echogenicity=quantile).level_db[INSIDE].mean() for quantile in (0.0, 1.0)]
    assert levels[0] == pytest.approx(lowest, abs=2 * SETTINGS.lesion.wander_db)
    assert levels[1] - levels[0] == pytest.approx(highest - lowest, abs=0.5)
    enhancing, shadowing = SETTINGS.lesion.attenuation_db_cm_mhz
    assert drawn(posterior_enhancement=1.0).attenuation_db_cm_mhz[INSIDE] == pytest.approx(enhancing)
    assert drawn(posterior_enhancement=0.0).attenuation_db_cm_mhz[INSIDE] == pytest.approx(shadowing)
    border = np.abs(OUTLINE.depth_inside_px(SETTINGS.frame)) < 4
    steepness = [np.abs(np.diff(drawn(edge=edge).level_db, axis=1))[border[:, 1:]].max() for edge in (0.0, 1.0)]
    assert steepness[0] > 2 * steepness[1]


def test_cysts_are_empty_and_calcifications_bright_and_opaque() -> None:
    cystic, calcified = drawn(n_cysts=1), drawn(n_calcifications=1)
    fluid = cystic.level_db == SETTINGS.lesion.cyst_level_db
    assert 30 < fluid.sum() < INSIDE.sum() / 2
    assert np.all(cystic.attenuation_db_cm_mhz[fluid] == 0)
    stone = calcified.attenuation_db_cm_mhz == SETTINGS.lesion.calcification_attenuation_db_cm_mhz
    assert stone.any()
    assert np.all(calcified.level_db[stone] == SETTINGS.lesion.calcification_level_db)


@pytest.mark.parametrize("row_px", [58.0, 80.0, 118.0])
def test_layers_bend_around_the_lesion(row_px: float) -> None:
    gland = np.float32(SETTINGS.tissue.layers[2].attenuation_db_cm_mhz)
    skin = np.float32(SETTINGS.tissue.layers[0].attenuation_db_cm_mhz)
    medium = drawn(outline=replace(OUTLINE, row_px=row_px))
    assert np.all(medium.attenuation_db_cm_mhz[0] == skin)
    for row in (row_px - 33, row_px + 33):
        assert np.all(medium.attenuation_db_cm_mhz[int(row), 118:138] == gland)

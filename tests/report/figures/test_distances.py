from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fusion.report.figures.distances import distances_table, draw_distances, plan_distances


def run(table: pd.DataFrame | None, n_models: int = 2) -> SimpleNamespace:
    return SimpleNamespace(distances=table, n_models=n_models)


TABLE = pd.DataFrame(
    {
        "case_id": ["a", "a", "b", "b", "a"],
        "fold": [0, 1, 0, 1, 0],
        "branch": ["image"] * 4 + ["radiomics"],
        "percentile": [0.02, 0.99, 0.97, 1.0, 0.5],
    }
)


def test_bars_are_shares_of_cases_and_models() -> None:
    plan = plan_distances(run(TABLE))  # type: ignore[arg-type]
    assert plan is not None
    assert plan.table is not None
    image = plan.table[plan.table["branch"] == "image"]
    assert image["share"].iloc[0] == 0.25
    assert image["share"].iloc[-1] == 0.75
    assert image["share"].sum() == pytest.approx(1)
    assert set(plan.table["expected"]) == {0.05}
    assert "Of each image and model" in plan.caption
    one = plan_distances(run(TABLE, 1))  # type: ignore[arg-type]
    assert one is not None
    assert "Of each image, the share" in one.caption


def test_a_row_per_branch_with_what_would_be_expected(tmp_path: Path) -> None:
    percentiles = {"image": np.array([0.1, 0.9]), "radiomics": np.array([1.0])}
    figure = draw_distances(percentiles)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "What the network makes of the image",
        "Radiomics features",
    ]
    for axes in figure.axes:
        (line,) = axes.lines
        assert line.get_ydata() == pytest.approx([0.05, 0.05])
    assert len(distances_table(percentiles)) == 40


def test_without_distances_there_is_no_figure() -> None:
    assert plan_distances(run(None)) is None  # type: ignore[arg-type]
    assert plan_distances(run(TABLE.head(0))) is None  # type: ignore[arg-type]

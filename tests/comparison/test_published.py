from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fusion.comparison.published import Published, read_published
from fusion.errors import FusionError

RUN = Path("runs/xia")


@pytest.mark.parametrize("published", [None, {"value": None, "source": "a paper", "by_model": {"deep": 0.7}}])
def test_a_run_may_have_none(published: Any) -> None:
    assert read_published({"published": published}, RUN) is None
    assert read_published({}, RUN) is None


def test_value_and_source() -> None:
    content = {"value": 0.807, "source": "a paper", "by_model": {"radiomics_deep": 0.807}}
    assert read_published({"published": content}, RUN) == Published(0.807, "a paper")


@pytest.mark.parametrize(
    "published",
    [0.8, {}, {"source": "a"}, {"value": 0.8}, {"value": 80.7, "source": "a"}, {"value": "0.8", "source": "a"},
     {"value": True, "source": "a"}, {"value": 0.8, "source": ""}, {"value": float("nan"), "source": "a"}],
)  # fmt: skip
def test_anything_else_is_refused(published: Any) -> None:
    with pytest.raises(FusionError, match=r"config\.yaml: published: required \{value: AUC from 0 to 1.* came "):
        read_published({"published": published}, RUN)


# What each paper's abstract gives, by model and classifier.
OF_XIA = {
    "ultrasound": {"lr": 0.421},
    "radiomics": {"lr": 0.636},
    "deep": {"lr": 0.763},
    "radiomics_deep": {"mlp": 0.807},
    "combined": {"mlp": 0.711},
}
OF_SU = {"radiomics": {"lr": 0.819}, "deep": {"lr": 0.836}, "composite": {"lr": 0.962}}


@pytest.mark.parametrize(
    ("experiment", "figures", "overrides", "value"),
    [
        ("xia2025", OF_XIA, ["model=combined"], 0.711),
        ("xia2025", OF_XIA, ["model=ultrasound"], 0.421),
        ("xia2025", OF_XIA, ["model=ultrasound", "classifier=svm"], None),
        ("xia2025", OF_XIA, ["model=radiomics_deep", "classifier=lr"], None),
        ("xia2025", OF_XIA, ["model=late"], None),
        ("xia2025", OF_XIA, ["model=fusion"], None),
        ("su2025", OF_SU, [], 0.962),
        ("su2025", OF_SU, ["classifier=svm"], None),
        ("su2025", OF_SU, ["model=late"], None),
        ("su2025", OF_SU, ["model=fusion"], None),
    ],
)
def test_an_experiments_models_have_the_papers_figures_and_no_other(
    experiment: str,
    figures: dict[str, Any],
    overrides: list[str],
    value: float | None,
    compose: Callable[[Sequence[str]], dict[str, Any]],
) -> None:
    config = compose([f"experiment={experiment}", *overrides])
    assert config["published"]["by_model"] == figures
    found = read_published(config, RUN)
    assert (found and found.value) == value
    if overrides == ["model=late"]:
        assert config.get("classifier") is None
    if experiment == "xia2025":
        # The network is out of fold as the classical models are, so that the inner AUCs rank against each other.
        assert config["split"]["n_inner_folds"] == 5

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


# The paper's figure of each model, where it is trained as the experiment has it, and of no other.
OF_XIA = {"ultrasound": 0.421, "radiomics": 0.636, "deep": 0.763, "radiomics_deep": 0.807, "combined": 0.711}
OF_SU = {"composite": 0.962, "radiomics": 0.819, "deep": 0.836}
MODELS = (
    *("ultrasound", "clinical", "radiomics", "deep", "radiomics_deep", "combined", "composite", "late", "stacked"),
    "fusion",
)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("experiment", "figures"), [("xia2025", OF_XIA), ("su2025", OF_SU)])
def test_an_experiments_models_have_the_papers_figures(
    experiment: str, figures: dict[str, float], model: str, compose: Callable[[Sequence[str]], dict[str, Any]]
) -> None:
    config = compose([f"experiment={experiment}", f"model={model}"])
    found = read_published(config, RUN)
    assert (found and found.value) == figures.get(model)
    # Out of fold for the network as well, so that the inner AUCs of the paper's table are of one kind.
    assert (config["split"]["n_inner_folds"] > 1) == (experiment == "xia2025" or model != "fusion")


@pytest.mark.parametrize(
    ("experiment", "model", "classifier"),
    [("xia2025", "radiomics", "svm"), ("xia2025", "radiomics_deep", "lr"), ("su2025", "composite", "svm"),
     ("su2025", "composite", "mlp")],
)  # fmt: skip
def test_another_classifier_has_no_figure_of_the_paper(
    experiment: str, model: str, classifier: str, compose: Callable[[Sequence[str]], dict[str, Any]]
) -> None:
    config = compose([f"experiment={experiment}", f"model={model}", f"classifier={classifier}"])
    assert read_published(config, RUN) is None


@pytest.mark.parametrize("experiment", ["xia2025", "su2025"])
def test_late_fusion_in_an_experiment_has_no_classifier(
    experiment: str, compose: Callable[[Sequence[str]], dict[str, Any]]
) -> None:
    assert compose([f"experiment={experiment}", "model=late"]).get("classifier") is None

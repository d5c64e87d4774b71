from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion.classical.check import check_classical, check_outcomes
from fusion.errors import InputError

COMPOSITE = {
    "name": "composite",
    "inputs": {"clinical": "features", "radiomics": "score", "deep": "score"},
    "select": True,
    "combine": "classifier",
}
LATE = {"name": "late", "inputs": {"clinical": "score", "deep": "score"}, "select": False, "combine": "mean"}


@pytest.fixture
def problems(config: Callable[..., dict[str, Any]]) -> Callable[..., list[str]]:
    """What is wrong with a configuration of the composite model, with dotted keys changed and some of its keys."""

    def find(model: dict[str, Any] | None = None, changes: dict[str, Any] | None = None) -> list[str]:
        settings = config({"split.n_inner_folds": 3, **(changes or {})}) | {"model": COMPOSITE | (model or {})}
        if settings["model"]["combine"] == "mean" and "classifier.name" not in (changes or {}):
            settings["classifier"] = None
        try:
            check_classical(settings)
        except InputError as error:
            return [str(problem) for problem in error.problems]
        return []

    return find


def test_every_model_of_conf_is_right(root: Path, problems: Callable[..., list[str]]) -> None:
    found = [yaml.safe_load(path.read_text()) for path in sorted((root / "conf" / "model").glob("*.yaml"))]
    classical = [each for each in found if "model" in each]
    assert len(classical) == 9
    for each in classical:
        assert problems(each["model"], {"split.n_inner_folds": each["split"]["n_inner_folds"]}) == []


def test_nothing_is_asked_of_the_network(config: Callable[..., dict[str, Any]]) -> None:
    settings = config({"split.n_inner_folds": 1, "selection.n_folds": -1, "deep.n_components": 0})
    check_classical(settings)
    check_outcomes(settings, None)  # type: ignore[arg-type]  # It is not looked at.


@pytest.mark.parametrize("inputs", [{}, None, ["radiomics"], "radiomics"])
def test_inputs_are_a_mapping_of_blocks(problems: Callable[..., list[str]], inputs: Any) -> None:
    required = "a mapping of some of deep, radiomics, clinical, ultrasound to features or score"
    assert problems({"inputs": inputs}) == [f"model.inputs: required {required}, came {inputs!r}"]


def test_a_block_has_to_be_one(problems: Callable[..., list[str]]) -> None:
    assert problems({"inputs": {"radiomics": "score", "image": "features"}}) == [
        "model.inputs: required some of deep, radiomics, clinical, ultrasound, came image"
    ]


@pytest.mark.parametrize("enters", ["scores", None, ["score"]])
@pytest.mark.parametrize("combine", ["classifier", "mean"])
def test_a_block_enters_as_features_or_score(problems: Callable[..., list[str]], enters: Any, combine: str) -> None:
    found = problems({"inputs": {"radiomics": enters}, "select": False, "combine": combine})
    assert f"model.inputs.radiomics: required features or score, came {enters!r}" in found
    assert len(found) == (2 if combine == "mean" else 1)


def test_the_ultrasound_findings_do_not_enter_twice(problems: Callable[..., list[str]]) -> None:
    (problem,) = problems({"inputs": {"clinical": "features", "ultrasound": "score"}})
    required = "clinical or ultrasound: the ultrasound findings are among the clinical columns"
    assert problem == f"model.inputs: required {required}, came both"


def test_stages_are_combined_by_a_classifier_or_a_mean(problems: Callable[..., list[str]]) -> None:
    assert problems({"combine": "median"}) == ["model.combine: required classifier or mean, came 'median'"]


@pytest.mark.parametrize("wrong", [{"select": True}, {"inputs": {"clinical": "features", "deep": "score"}}])
def test_a_mean_is_of_scores_and_selects_nothing(problems: Callable[..., list[str]], wrong: dict[str, Any]) -> None:
    assert problems(LATE) == []
    (problem,) = problems(LATE | wrong)
    asked = LATE | wrong
    assert problem == (
        "model.inputs: required scores alone and model.select=false for model.combine=mean, "
        f"came {asked['inputs']}, select={asked['select']}"
    )


@pytest.mark.parametrize(("enters", "least"), [("features", 2), ("score", 3)])
def test_scores_within_inner_folds_need_one_fold_more(
    problems: Callable[..., list[str]], enters: str, least: int
) -> None:
    inputs = {"inputs": {"radiomics": enters}}
    assert problems(inputs, {"split.n_inner_folds": least}) == []
    for too_few in (least - 1, 1, None, 2.5):
        assert problems(inputs, {"split.n_inner_folds": too_few}) == [
            f"split.n_inner_folds: required from {least}: calibration, thresholds and scores of training patients are "
            f"out of fold, came {too_few!r}"
        ]


@pytest.mark.parametrize("n_components", [0, -1, 2.5, True, "all"])
def test_components_are_counted(problems: Callable[..., list[str]], n_components: Any) -> None:
    assert problems(None, {"deep.n_components": n_components}) == [
        f"deep.n_components: required a whole number from 1, or null, came {n_components!r}"
    ]
    # A model without deep features is not asked.
    assert problems({"inputs": {"radiomics": "score"}}, {"deep.n_components": n_components}) == []
    assert problems(None, {"deep.n_components": None}) == problems(None, {"deep.n_components": 1}) == []


WRONG: dict[str, tuple[str, list[Any]]] = {
    "l1_ratio": ("a number above 0, up to 1 (1 is the LASSO)", [0, 0.0, -0.5, 1.01, "1", True, None]),
    "lambda": ("one of min, 1se", ["max", None, 0.1]),
    "n_lambdas": ("a whole number from 2", [1, 2.5, "10", None, True]),
    "min_lambda_ratio": ("a number between 0 and 1", [0, 1, 1.5, None]),
    "n_folds": ("a whole number from 2", [1, 2.5, None]),
    "n_bootstrap": ("a whole number from 0", [-1, 0.5, None, True]),
}


@pytest.mark.parametrize("key", WRONG)
def test_settings_of_the_selection_are_in_range(problems: Callable[..., list[str]], key: str) -> None:
    required, values = WRONG[key]
    for value in values:
        assert problems(None, {f"selection.{key}": value}) == [f"selection.{key}: required {required}, came {value!r}"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("l1_ratio", 1), ("l1_ratio", 0.01), ("lambda", "1se"), ("n_lambdas", 2), ("n_folds", 2), ("n_bootstrap", 0)],
)
def test_limits_are_allowed(problems: Callable[..., list[str]], key: str, value: Any) -> None:
    assert problems(None, {f"selection.{key}": value}) == []


def test_everything_that_is_wrong_is_told_at_once(config: Callable[..., dict[str, Any]]) -> None:
    settings = config(
        {
            "selection.n_folds": 1,
            "selection.lambda": "max",
            "selection.n_bootstrap": -1,
            "selection.filters": [{"name": "magic"}],
            "classifier.imbalance": "ignore",
            "split.n_inner_folds": 1,
        }
    )
    settings |= {"model": COMPOSITE | {"inputs": {"image": "score", "radiomics": "all"}}}
    with pytest.raises(InputError, match=r"^model=composite: 8 problems\n") as raised:
        check_classical(settings)
    assert str(raised.value).endswith("\nSee conf/model and conf/selection.")


def test_filters_and_the_classifier_are_checked_too(problems: Callable[..., list[str]]) -> None:
    (problem,) = problems(None, {"selection.filters": [{"name": "magic"}]})
    assert problem.startswith("selection.filters[0].name: required one of variance,")
    (problem,) = problems(None, {"classifier.imbalance": "ignore"})
    assert problem == "imbalance: required one of none, weights, smote, came 'ignore'"


def test_a_mean_has_no_classifier_and_a_classifier_is_needed_else(
    problems: Callable[..., list[str]], config: Callable[..., dict[str, Any]]
) -> None:
    assert problems(LATE, {"classifier.name": "lr"}) == [
        "classifier: required none: a weighted mean has no classifier, came classifier=lr"
    ]
    settings = config({"split.n_inner_folds": 3}) | {"model": COMPOSITE, "classifier": None}
    with pytest.raises(InputError, match=r"estimator: required a value, came none"):
        check_classical(settings)


def test_a_key_that_only_the_network_has_is_told(problems: Callable[..., list[str]]) -> None:
    assert problems({"branches": ["image"]}) == [
        "model.branches: required one of combine, inputs, name, select: composite is a classical model, came branches"
    ]


def test_three_outcomes_are_refused(make_data: Callable[..., Any], config: Callable[..., dict[str, Any]]) -> None:
    cohort = make_data(label_names=("normal", "benign", "malignant")).cohort
    settings = config() | {"model": COMPOSITE}
    with pytest.raises(
        InputError,
        match=r"model=composite: 1 problem\n  - cohort.label.names: required two outcomes, or model=fusion, "
        r"came normal, benign, malignant\nJoin labels",
    ):
        check_outcomes(settings, cohort)
    check_outcomes(config(), cohort)
    check_outcomes(settings, replace(cohort, cases=(), label_names=("benign", "malignant")))

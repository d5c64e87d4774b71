from pathlib import Path
from typing import Any

import pytest

from fusion.comparison.names import name_runs

BASE: dict[str, Any] = {
    "name": "breast",
    "l1": 0.001,
    "cache_dir": "a",
    "cohort": {"name": "breast", "root": "x"},
    "model": {"name": "fusion", "branches": ["image", "clinical"]},
    "backbone": {"name": "resnet18", "weights": "none", "options": {}},
    "trainer": {"accelerator": "cpu", "max_epochs": 5},
}


def names(*changes: dict[str, Any]) -> list[tuple[str, ...]]:
    """Names of runs that differ from BASE in keys like ``model.branches``."""
    configs = []
    for change in changes:
        config = {key: dict(value) if isinstance(value, dict) else value for key, value in BASE.items()}
        for key, value in change.items():
            group, _, leaf = key.partition(".")
            if leaf:
                config[group][leaf] = value
            else:
                config[key] = value
        configs.append(config)
    return name_runs(configs, [Path("runs") / str(number) for number in range(len(changes))])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{}, {"backbone.name": "vit"}], [("resnet18",), ("vit",)]),
        ([{}, {"backbone.name": "vit", "backbone.options": {"dynamic": True}}], [("resnet18",), ("vit",)]),
        (
            [{}, {"backbone.name": "vit", "l1": 0.0}],
            [("l1=0.001", "backbone=resnet18"), ("l1=0", "backbone=vit")],
        ),
        ([{}, {"backbone.weights": "hub"}], [("backbone.weights=none",), ("backbone.weights=hub",)]),
        (
            [{}, {"model.branches": ["clinical"]}],
            [("model.branches=[image,clinical]",), ("model.branches=[clinical]",)],
        ),
        ([{}, {"model.name": "su2025", "backbone": None}], [("fusion",), ("su2025",)]),
        ([{}, {"model.name": None}], [("fusion",), ("null",)]),
        ([{"name": "ours"}, {"name": "theirs", "l1": 0.0}], [("ours",), ("theirs",)]),
        ([{"l1": None}, {"l1": True}], [("l1=null",), ("l1=true",)]),
        ([{}, {"cache_dir": "b", "cohort.root": "y", "trainer.accelerator": "gpu"}], [("0",), ("1",)]),
        ([{}, {}, {"l1": 0.0}], [("l1=0.001", "0"), ("l1=0.001", "1"), ("l1=0",)]),
        ([{}, {"new": 1}], [("0",), ("new=1",)]),
        # The keys of a group stay together, also those that only a later run has.
        (
            [{"cohort.a": 1, "l1": 0.0}, {"cohort.b": 2}],
            [("l1=0", "cohort.a=1"), ("l1=0.001", "cohort.b=2")],
        ),
        (
            [{"cohort.a": 1, "trainer.x": 1}, {"cohort.b": 2, "trainer.x": 2}],
            [("cohort.a=1", "trainer.x=1"), ("cohort.b=2", "trainer.x=2")],
        ),
    ],
)
def test_runs_are_called_by_what_tells_them_apart(
    changes: list[dict[str, Any]], expected: list[tuple[str, ...]]
) -> None:
    assert names(*changes) == expected


def test_folders_of_one_name_are_told_apart_by_their_path() -> None:
    paths = [Path("a/run"), Path("b/run")]
    assert name_runs([BASE, BASE], paths) == [("a/run",), ("b/run",)]


def config(model: str, *, classifier: str | None = None, selection: str = "lasso", **root: Any) -> dict[str, Any]:
    """Of a sweep over models, which set more than themselves."""
    is_network = model == "fusion"
    own = "mlp" if model == "radiomics_deep" else "lr"
    return {
        "name": "xia2025",
        "l1": 0.001,
        "split": {
            "name": "given",
            "n_inner_folds": 1 if is_network else 5,
            "grid": [{"l1": [0.1]}] if is_network else [],
        },
        "model": {"name": model} | ({"branches": ["image"]} if is_network else {"inputs": {model: "features"}}),
        "classifier": {"name": classifier or own, "estimator": {"_target_": classifier or own}, "grid": {"C": [1]}},
        "selection": {"name": selection, "l1_ratio": 1.0 if selection == "lasso" else 0.5},
        "published": {"value": len(model) / 100, "source": "a paper", "by_model": {"radiomics": 0.6}},
        **root,
    }


def called(*configs: dict[str, Any]) -> list[str]:
    return [", ".join(parts) for parts in name_runs(configs, [Path(str(number)) for number in range(len(configs))])]


def test_a_sweep_over_models_is_called_by_the_models() -> None:
    models = ("ultrasound", "radiomics", "deep", "radiomics_deep", "fusion")
    assert called(*(config(model) for model in models)) == list(models)


def test_a_sweep_over_classifiers_is_called_by_the_classifiers() -> None:
    assert called(*(config("composite", classifier=name) for name in ("lr", "svm"))) == ["lr", "svm"]


def test_a_sweep_over_models_and_classifiers_is_called_by_the_groups_options() -> None:
    swept = [config(model, classifier=name) for model in ("radiomics", "radiomics_deep") for name in ("lr", "svm")]
    assert called(*swept) == [
        "radiomics, lr",
        "radiomics, svm",
        "radiomics_deep, lr",
        "radiomics_deep, svm",
    ]
    with_l1 = [*swept, config("radiomics", classifier="lr", l1=0.0)]
    assert called(*with_l1)[1] == "l1=0.001, model=radiomics, classifier=svm"
    assert called(*with_l1)[-1] == "l1=0, model=radiomics, classifier=lr"


def test_what_the_model_implies_is_not_told() -> None:
    swept = [
        config(m, selection=s) for m in ("radiomics", "radiomics_deep", "fusion") for s in ("lasso", "elastic_net")
    ]
    expected = [f"{m}, {s}" for m in ("radiomics", "radiomics_deep", "fusion") for s in ("lasso", "elastic_net")]
    assert called(*swept) == expected
    assert (
        called(*(run | {"classifier": None} if run["model"]["name"] == "fusion" else run for run in swept)) == expected
    )


def late(classifier: str) -> dict[str, Any]:
    return config("late", classifier=classifier) | {
        "model": {"name": "late", "inputs": {"deep": "score"}, "combine": "mean"}
    }


@pytest.mark.parametrize("without", [late, lambda classifier: config("fusion", classifier=classifier)])
def test_a_model_without_a_classifier_is_not_called_by_one(without: Any) -> None:
    kind = without("lr")["model"]["name"]
    swept = [without("lr"), config("radiomics", classifier="lr"), config("radiomics", classifier="svm")]
    assert called(*swept) == [kind, "radiomics, lr", "radiomics, svm"]
    no_group = {key: value for key, value in swept[0].items() if key != "classifier"}
    assert called(no_group, *swept[1:]) == [kind, "radiomics, lr", "radiomics, svm"]
    # They are the same model twice, which its folder alone tells apart.
    assert called(without("lr"), without("svm"), swept[1], swept[2]) == [
        f"{kind}, 0", f"{kind}, 1", "radiomics, lr", "radiomics, svm",
    ]  # fmt: skip


def test_an_option_with_a_changed_value_is_told_by_the_value() -> None:
    changed = config("radiomics")
    changed["classifier"] = changed["classifier"] | {"grid": {"C": [1, 10]}}
    assert called(config("radiomics"), changed) == ["classifier.grid.C=[1]", "classifier.grid.C=[1,10]"]


def test_a_group_that_a_run_does_not_have_is_told_by_its_option_where_it_is() -> None:
    assert called(config("deep"), config("deep") | {"classifier": None}) == ["lr", "1"]


def test_a_group_without_a_name_is_told_by_its_values() -> None:
    runs = [config("deep"), config("deep", tabular={"clip": 5}), config("deep", tabular={"clip": 3})]
    assert called(*runs) == ["0", "tabular.clip=5", "tabular.clip=3"]


def test_a_published_figure_is_no_name() -> None:
    assert called(config("deep"), config("deep", published=None)) == ["0", "1"]


def test_a_list_of_groups_reads_as_it_is_given() -> None:
    grids = [[{"l1": [0.0, 0.0001]}], []]
    runs = [config("deep", split={"name": "nested", "grid": grid}) for grid in grids]
    assert called(*runs) == ["split.grid=[{l1:[0,0.0001]}]", "split.grid=[]"]

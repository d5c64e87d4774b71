import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fusion.comparison.compare import Asked, compare_runs
from fusion.errors import FusionError
from fusion.evaluation.calibration import brier
from fusion.evaluation.discrimination import delong, delong_difference

ASKED: dict[str, Any] = {
    "primary": None,
    "reclassification": False,
    "n_permutations": 99,
    "within_centers": False,
    "net_benefit_at": [0.2],
}
# Of each model, by fold.
CUTS = ((0.2, 0.5, 0.7), (0.6, 0.3, 0.5))


def compare(*runs: Any, **asked: Any) -> dict[str, Any]:
    result = compare_runs([str(run) for run in runs], Asked(**(ASKED | asked)))
    json.dumps(result, allow_nan=False)
    return result


def backbone(name: str) -> dict[str, Any]:
    return {"backbone": {"name": name, "weights": "none"}}


def skipped(result: dict[str, Any]) -> dict[str, str]:
    return {skip["what"]: skip["why"] for skip in result["skipped"]}


def test_every_figure_is_that_of_the_function_it_names(study: Callable[..., Any]) -> None:
    one = study()
    tables = [one.predictions(strength, seed=seed) for seed, strength in enumerate((1.0, 1.6))]
    runs = [
        one.write(name, table, changes=backbone(name), thresholds={"youden": cut})
        for name, table, cut in zip(("resnet18", "vit"), tables, CUTS, strict=True)
    ]
    result = compare(*runs)
    rows = [table.select(part == "test" for part in table.parts) for table in tables]
    labels = np.array([label == "malignant" for label in rows[0].labels], dtype=np.int64)
    scores = [row.probabilities[:, 1] for row in rows]
    (pair,) = result["comparisons"]
    assert (pair["model"], pair["reference"]) == ("vit", "resnet18")
    expected = delong_difference(labels, scores[1], scores[0], level=0.95)
    assert pair["auc"]["delong"] == {
        "difference": expected.difference.as_json(),
        "p": expected.p,
        "p_holm": pytest.approx(expected.p),
    }
    for place, model in enumerate(result["models"]):
        assert model["figures"]["auc"] == delong(labels, scores[place], level=0.95).as_json()
        values = brier(labels, rows[place].probabilities, level=0.95, n_bootstrap=200, seed=3)
        assert model["figures"]["brier"] == values.as_json()
    first, second = (model["figures"]["brier"]["value"] for model in result["models"])
    assert pair["brier"]["value"] == pytest.approx(second - first)
    folds = np.array(rows[0].folds)
    cuts = [np.array(of_folds)[folds] for of_folds in CUTS]
    right = [(score >= cut) == (labels == 1) for score, cut in zip(scores, cuts, strict=True)]
    assert pair["calls"]["accuracy"]["only_model_right"] == int(np.sum(right[1] & ~right[0]))
    assert pair["calls"]["sensitivity"]["only_reference_right"] == int(np.sum((right[0] & ~right[1])[labels == 1]))
    assert [model["figures"]["accuracy"]["value"] for model in result["models"]] == [r.mean() for r in right]
    by_fold = [
        delong_difference(labels[folds == k], scores[1][folds == k], scores[0][folds == k], level=0.95)
        for k in range(3)
    ]
    assert list(pair["resampled_t"]["by_fold"].values()) == pytest.approx([d.difference.value for d in by_fold])
    assert (pair["resampled_t"]["n_train"], pair["resampled_t"]["n_test"]) == (40, 20)
    assert not pair["resampled_t"]["is_repeated"]
    assert (result["level"], result["n_bootstrap"], result["seed"]) == (0.95, 200, 3)
    assert "reclassification" not in pair
    assert result["skipped"] == []


def test_the_family_is_every_model_against_the_primary_one(study: Callable[..., Any]) -> None:
    one = study()
    names = ("resnet18", "vit", "tiny", "other")
    runs = [one.write(n, one.predictions(0.5 + k / 2, seed=k), changes=backbone(n)) for k, n in enumerate(names)]
    result = compare(*runs, primary="vit")
    pairs = [(pair["model"], pair["reference"]) for pair in result["comparisons"]]
    assert pairs == [("resnet18", "vit"), ("tiny", "vit"), ("other", "vit")]
    assert [model["name"] for model in result["models"]] == list(names), "in the order given, not of their figures"
    assert [model["is_primary"] for model in result["models"]] == [False, True, False, False]
    assert (result["primary"], result["primary_declared_in"]) == ("vit", "the command line")
    smallest = min((pair["auc"]["delong"] for pair in result["comparisons"]), key=lambda test: test["p"])
    assert smallest["p_holm"] == pytest.approx(3 * smallest["p"])


def test_without_a_primary_model_the_family_is_all_pairs(study: Callable[..., Any]) -> None:
    one = study()
    names = ("resnet18", "vit", "tiny")
    runs = [one.write(n, one.predictions(1.0, seed=k), changes=backbone(n)) for k, n in enumerate(names)]
    result = compare(*runs)
    pairs = [(pair["model"], pair["reference"]) for pair in result["comparisons"]]
    assert pairs == [("vit", "resnet18"), ("tiny", "resnet18"), ("tiny", "vit")]
    assert result["primary"] is None
    best = result["best_of_k"]
    aucs = {model["name"]: model["figures"]["auc"]["value"] for model in result["models"]}
    assert best["best"] == max(aucs, key=lambda name: aucs[name])
    assert best["auc"] == pytest.approx(max(aucs.values()))
    assert sum(best["histogram"]["counts"]) == best["n_permutations"] == 99


def test_the_configuration_declares_the_primary_model(study: Callable[..., Any]) -> None:
    one = study()
    changes = [backbone(name) | {"primary": "vit"} for name in ("resnet18", "vit")]
    runs = [one.write(str(k), one.predictions(1.0, seed=k), changes=change) for k, change in enumerate(changes)]
    result = compare(*runs)
    assert (result["primary"], result["primary_declared_in"]) == ("vit", "config.yaml")
    assert [pair["model"] for pair in result["comparisons"]] == ["resnet18"]


def test_reclassification_only_on_request_and_with_its_warning(study: Callable[..., Any]) -> None:
    one = study()
    tables = [one.predictions(strength, seed=k) for k, strength in enumerate((0.5, 1.5))]
    runs = [one.write(str(k), table) for k, table in enumerate(tables)]
    asked = compare(*runs, reclassification=True)
    (pair,) = asked["comparisons"]
    assert {"nri", "nri_at_threshold", "idi"} <= set(pair["reclassification"])
    shares = [pair["calls"][name]["difference"]["value"] for name in ("sensitivity", "specificity")]
    assert pair["reclassification"]["nri_at_threshold"]["value"] == pytest.approx(sum(shares))
    assert "Hilden & Gerds" in asked["reclassification_warning"]
    assert "reclassification_warning" not in compare(*runs)


def test_labels_are_permuted_within_centers_on_request(study: Callable[..., Any]) -> None:
    one = study()
    runs = [one.write(str(k), one.predictions(1.0, seed=k)) for k in range(2)]
    everywhere, within = (compare(*runs, within_centers=wanted)["best_of_k"] for wanted in (False, True))
    assert (everywhere["within_centers"], within["within_centers"]) == (False, True)
    assert everywhere["luck"] != within["luck"]


def test_identical_models_are_said_to_be(study: Callable[..., Any]) -> None:
    one = study()
    runs = [one.write(name, one.predictions(1.0)) for name in "ab"]
    (pair,) = compare(*runs, reclassification=True)["comparisons"]
    assert pair["identical"]
    assert (pair["auc"]["delong"]["difference"]["value"], pair["auc"]["delong"]["p"]) == (0.0, 1.0)
    assert pair["auc"]["bootstrap"]["difference"]["value"] == 0.0
    assert pair["calls"]["accuracy"]["p"] == pair["resampled_t"]["p"] == 1.0
    assert pair["reclassification"]["nri"]["value"] == 0.0


def test_the_best_by_inner_auc_is_chosen_whatever_the_test_patients_say(study: Callable[..., Any]) -> None:
    one = study()
    runs = []
    for name, of_inner, of_test in (("resnet18", 0.3, 3.0), ("vit", 2.0, 0.5), ("tiny", 1.0, 0.5)):
        weak, strong = one.predictions(of_inner), one.predictions(of_test)
        is_test = np.array([part == "test" for part in weak.parts])[:, None]
        both = replace(weak, probabilities=np.where(is_test, strong.probabilities, weak.probabilities))
        runs.append(one.write(name, both, changes=backbone(name)))
    result = compare(*runs)
    assert result["best_by_inner"] == "vit"
    assert result["best_of_k"]["best"] == "resnet18"
    inner = result["models"][1]["inner"]
    table = one.predictions(2.0)
    held_out = table.select(part == "validation" for part in table.parts)
    aucs = []
    for fold in range(3):
        rows = held_out.select(other == fold for other in held_out.folds)
        labels = np.array([label == "malignant" for label in rows.labels], dtype=np.int64)
        aucs.append(delong(labels, rows.probabilities[:, 1], level=0.95).value)
    assert inner == {
        "auc": pytest.approx(np.mean(aucs)),
        "n_patients": len(set(held_out.patient_ids)),
        "n_folds": 3,
        "n_inner_folds": 5,
        "n_settings": 1,
    }
    assert result["not_ranked_by_inner"] == []
    assert result["inputs"]["model"] == "vit"
    assert "attributions/inputs.csv" in result["inputs"]["absent"]


def test_the_inputs_are_those_of_the_best_by_inner_auc(study: Callable[..., Any]) -> None:
    one = study()
    runs = []
    for name, strength in (("deep", 0.5), ("composite", 2.0)):
        changes = {"model": {"name": name, "inputs": {"clinical": "features"}}}
        runs.append(one.write(name, one.predictions(strength), changes=changes))
        (runs[-1] / "attributions").mkdir()
        rows = "".join(f"1,0,{name} {k},{k},0,logit\n" for k in range(20))
        (runs[-1] / "attributions" / "inputs.csv").write_text(
            f"case_id,fold,name,value,completeness_error,unit\n{rows}"
        )
    inputs = compare(*runs)["inputs"]
    assert (inputs["model"], inputs["method"], inputs["n_inputs"]) == ("composite", "shap", 20)
    assert [of["name"] for of in inputs["ranking"]] == [f"composite {k}" for k in range(19, 4, -1)]


def test_without_inner_predictions_of_every_model_none_is_best(study: Callable[..., Any]) -> None:
    one = study()
    runs = [one.write(n, one.predictions(1.0), changes=backbone(n), has_inner=n == "vit") for n in ("tiny", "vit")]
    result = compare(*runs)
    assert result["best_by_inner"] is result["inputs"] is None
    assert [model["inner"] is None for model in result["models"]] == [True, False]
    why = "no inner predictions of training patients with every label (predictions_inner.csv)"
    assert result["not_ranked_by_inner"][0] == {"model": "tiny", "why": why}
    reason = skipped(result)["The best model by inner AUC, and its inputs"]
    assert reason.startswith(f"No two inner figures are of one kind. tiny: {why}; vit: of ")


def test_the_best_by_inner_auc_is_none_whose_inner_patients_chose_its_epoch(study: Callable[..., Any]) -> None:
    one = study()
    runs = [
        f"{name}={one.write(name, one.predictions(strength), changes={'split': {'name': 'kfold', 'n_inner_folds': n}})}"
        for name, strength, n in (("lr", 0.5, 5), ("net", 3.0, 1), ("svm", 1.0, 5))
    ]
    result = compare(*runs)
    inner = [model["inner"]["auc"] for model in result["models"]]
    assert inner[1] > inner[2] > inner[0]
    assert result["best_by_inner"] == result["inputs"]["model"] == "svm"
    (of_network,) = result["not_ranked_by_inner"]
    assert of_network["model"] == "net"
    assert "whose loss also chose the epoch (split.n_inner_folds=1)" in of_network["why"]
    assert "The best model by inner AUC, and its inputs" not in skipped(result)


def test_what_a_paper_reported_stands_beside_and_enters_nothing(study: Callable[..., Any]) -> None:
    one = study()
    published = {"value": 0.807, "source": "a paper", "by_model": {"composite": 0.807}}
    tables = [one.predictions(1.0, seed=k) for k in range(2)]
    plain = [one.write(f"plain{k}", t, changes=backbone(str(k))) for k, t in enumerate(tables)]
    beside = [
        one.write(f"beside{k}", t, changes=backbone(str(k)) | {"published": (published, None)[k]})
        for k, t in enumerate(tables)
    ]
    without, result = compare(*plain), compare(*beside)
    assert [model["published"] for model in result["models"]] == [{"value": 0.807, "source": "a paper"}, None]
    assert [model["published"] for model in without["models"]] == [None, None]
    assert [model["name"] for model in result["models"]] == ["0", "1"]
    for key in ("comparisons", "best_of_k", "skipped"):
        assert result[key] == without[key]


def test_repeated_folds_count_a_patient_once(study: Callable[..., Any]) -> None:
    one = study(n_folds=3, n_repeats=2)
    result = compare(*(one.write(str(k), one.predictions(1.0, seed=k)) for k in range(2)))
    (pair,) = result["comparisons"]
    assert (result["n_patients"], result["n_rows"]) == (60, 120)
    assert pair["resampled_t"]["is_repeated"]
    assert pair["resampled_t"]["df"] == 5
    for figure in (pair["auc"]["delong"]["difference"], pair["brier"], pair["calls"]["accuracy"]["difference"]):
        assert figure["n"] == 60


def test_one_division_has_no_test_over_folds(study: Callable[..., Any]) -> None:
    one = study(n_folds=1)
    result = compare(*(one.write(str(k), one.predictions(1.0, seed=k)) for k in range(2)))
    assert result["comparisons"][0]["resampled_t"] is None
    assert "at least two folds" in skipped(result)["The corrected resampled t-test"]


def test_unfinished_folds_are_named(study: Callable[..., Any]) -> None:
    one = study()
    result = compare(*(one.write(str(k), one.predictions(1.0, seed=k, finished=[0, 2])) for k in range(2)))
    assert result["folds"] == {"finished": [0, 2], "planned": 3}
    assert skipped(result)["1 of 3 folds"] == "The runs have not finished them."


def test_three_labels(study: Callable[..., Any]) -> None:
    one = study(labels=("benign", "primary", "secondary"))
    runs = [one.write(name, one.predictions(1.0, seed=k), changes=backbone(name)) for k, name in enumerate("abc")]
    result = compare(*runs, reclassification=True)
    for pair in result["comparisons"]:
        assert set(pair["auc"]) == {"bootstrap"}
        assert pair["auc"]["bootstrap"]["p_holm"] >= pair["auc"]["bootstrap"]["p"]
        assert set(pair["calls"]) == {"accuracy"}
        assert pair["net_benefit"] is pair["reclassification"] is None
        assert pair["resampled_t"]["p"] is not None
    assert result["best_of_k"]["k"] == 3
    assert skipped(result)["DeLong’s test, net benefit, NRI and IDI"] == "They need two labels."


def test_test_patients_of_one_label(study: Callable[..., Any]) -> None:
    one = study()
    runs = []
    for k in range(2):
        table = one.predictions(1.0, seed=k)
        kept = [not (p == "test" and label == "malignant") for p, label in zip(table.parts, table.labels, strict=True)]
        runs.append(one.write(str(k), table.select(kept)))
    result = compare(*runs, reclassification=True)
    (pair,) = result["comparisons"]
    assert pair["auc"] is pair["resampled_t"] is result["best_of_k"] is None
    assert pair["brier"]["value"] is not None
    assert pair["calls"]["sensitivity"]["p"] is None
    assert pair["calls"]["specificity"]["p"] is not None
    assert result["models"][0]["figures"]["auc"]["value"] is None
    assert "only the label benign" in skipped(result)["AUC, its differences and the best of k"]


def test_folds_without_both_labels_are_left_out_of_the_test_over_folds(study: Callable[..., Any]) -> None:
    one = study()
    runs = []
    for k in range(2):
        table = one.predictions(1.0, seed=k)
        rows = zip(table.parts, table.folds, table.labels, strict=True)
        kept = [not (part == "test" and fold == 1 and label == "malignant") for part, fold, label in rows]
        runs.append(one.write(str(k), table.select(kept)))
    result = compare(*runs)
    assert result["comparisons"][0]["resampled_t"]["folds_left_out"] == [1]
    assert "Folds 1 in the corrected resampled t-test" in skipped(result)


def test_ten_patients_with_certain_probabilities(study: Callable[..., Any]) -> None:
    one = study(n_patients=10, n_folds=2)
    runs = []
    for k in range(2):
        table = one.predictions(1.0, seed=k)
        runs.append(one.write(str(k), replace(table, probabilities=np.round(table.probabilities))))
    result = compare(*runs, reclassification=True)
    assert result["n_patients"] == 10
    (pair,) = result["comparisons"]
    assert -1 <= pair["auc"]["delong"]["difference"]["ci_low"] <= pair["auc"]["delong"]["difference"]["ci_high"] <= 1


def test_without_thresholds_calls_are_skipped(study: Callable[..., Any]) -> None:
    one = study()
    runs = [one.write(str(k), one.predictions(1.0, seed=k), thresholds={"cost_5": 0.2}) for k in range(2)]
    result = compare(*runs, reclassification=True)
    assert result["comparisons"][0]["calls"] is result["comparisons"][0]["reclassification"] is None
    assert result["operating_point"] is None
    assert "“youden”" in skipped(result)["Calls at the frozen threshold, NRI and IDI"]


def test_what_is_asked_has_its_limits() -> None:
    with pytest.raises(FusionError, match="permutations: required at least 1, came 0"):
        Asked(**(ASKED | {"n_permutations": 0}))
    with pytest.raises(FusionError, match="net benefit: required probabilities above 0 and below 1, came 1, 20"):
        Asked(**(ASKED | {"net_benefit_at": [0.5, 1, 20]}))

import csv
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fusion.report.comparison import write_comparison
from fusion.report.comparison_notes import inner_note, input_caption, input_unit, not_ranked_note
from fusion.report.comparison_terminal import print_comparison
from fusion.report.comparison_words import explanations, findings, warnings
from fusion.report.figures.comparison import plan_comparison


def estimate(value: float | None, half: float = 0.05) -> dict[str, Any]:
    low, high = (None, None) if value is None else (value - half, value + half)
    return {"value": value, "ci_low": low, "ci_high": high, "n": 252}


def pair(model: str, value: float, p: float, n: int) -> dict[str, Any]:
    calls = {"only_model_right": 12, "only_reference_right": 2, "p": 0.0129, "mid_p": 0.0074, "p_holm": 0.0129 * n}
    return {
        "model": model,
        "reference": "ours",
        "identical": False,
        "auc": {
            "delong": {"difference": estimate(value), "p": p, "p_holm": min(1.0, p * n)},
            "bootstrap": {"difference": estimate(value, 0.06)},
        },
        "resampled_t": {
            "difference": estimate(value + 0.001),
            "t": 2.1234,
            "df": 4,
            "p": 0.1012,
            "p_holm": 0.1012 * n,
            "n_train": 200.0,
            "n_test": 50.0,
            "by_fold": {str(k): value for k in range(5)},
            "folds_left_out": [],
            "is_repeated": False,
        },
        "brier": estimate(-value / 2),
        "net_benefit": [{"threshold": 0.2, "difference": estimate(0.0123)}],
        "calls": {name: {"difference": estimate(0.04), **calls} for name in ("accuracy", "sensitivity", "specificity")},
    }


@pytest.fixture
def content() -> dict[str, Any]:
    """What comparison.json holds, of three models."""
    figures = ("auc", "auc_fold_mean", "brier", "accuracy", "sensitivity", "specificity")
    return {
        "cohort": "salivary",
        "is_simulated": False,
        "split": "kfold",
        "split_sha256": "ab12" * 16,
        "folds": {"finished": [0, 1, 2, 3, 4], "planned": 5},
        "label_names": ["benign", "malignant"],
        "n_patients": 252,
        "n_by_label": {"benign": 154, "malignant": 98},
        "n_rows": 252,
        "primary": "ours",
        "primary_declared_in": "config.yaml",
        "level": 0.95,
        "n_bootstrap": 2000,
        "seed": 0,
        "operating_point": "youden",
        "models": [
            {
                "name": name,
                "run": f"runs/{name}",
                "is_primary": name == "ours",
                "inner": {
                    "auc": value + 0.012,
                    "n_patients": 200,
                    "n_folds": 5,
                    "n_inner_folds": 5,
                    "n_settings": 1,
                },
                "figures": {figure: estimate(value) for figure in figures},
                "published": None,
            }
            for name, value in (("lasso", 0.8), ("ours", 0.86), ("<b>forest</b>", 0.75))
        ],
        "best_by_inner": "ours",
        "not_ranked_by_inner": [],
        "inputs": {
            "model": "ours",
            "method": "shap",
            "inputs_of": "final stage",
            "unit": "logit",
            "n_cases": 252,
            "n_folds": 5,
            "n_folds_without_input": 0,
            "n_inputs": 4,
            "completeness_error": 0.00213,
            "ranking": [
                {"name": name, "strength": strength, "n_folds": n}
                for name, strength, n in (("deep score", 0.9, 5), ("<i>age</i>", 0.41234, 3))
            ],
        },
        "comparisons": [pair("lasso", -0.06, 0.0712, 2), pair("<b>forest</b>", -0.11, 0.0002, 2)],
        "best_of_k": {
            "k": 3,
            "best": "ours",
            "auc": 0.86,
            "p": 0.0005,
            "n_permutations": 1999,
            "within_centers": False,
            "luck": {
                f"{who}_q{q}": value + 0.01 * (who == "best")
                for who in ("best", "one")
                for q, value in ((50, 0.5), (95, 0.56), (99, 0.59))
            },
            "histogram": {"edges": [0.4, 0.5, 0.6], "counts": [900, 1099]},
        },
        "skipped": [],
    }


class Page(HTMLParser):
    """Tags with their attributes, the text, and the ``<data>`` values by the row that they are in."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.values, self._table, self._row = "", {}, "", ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "table":
            self._table = attributes.get("id") or ""
        if tag == "tr":
            names = ("data-model", "data-pair", "data-share", "data-measure")
            self._row = " ".join(str(attributes[name]) for name in names if name in attributes)
        if tag == "data":
            self.values.setdefault((self._table, self._row), []).append(float(str(attributes["value"])))

    def handle_data(self, data: str) -> None:
        self.text += data


def numbers(of: dict[str, Any]) -> list[float]:
    return [of[key] for key in ("value", "ci_low", "ci_high")]


def test_the_page_has_the_numbers_of_the_comparison(content: dict[str, Any], tmp_path: Path) -> None:
    page = Page(write_comparison(content, tmp_path))
    assert json.loads((tmp_path / "comparison.json").read_text()) == content
    for model in content["models"]:
        shown = ("auc", "auc_fold_mean", "brier", "sensitivity", "specificity", "accuracy")
        expected = [model["inner"]["auc"], *(x for name in shown for x in numbers(model["figures"][name]))]
        assert page.values["models-table", model["name"]] == expected
    for of in content["comparisons"]:
        row = f"{of['model']} less ours"
        delong, folds = of["auc"]["delong"], of["resampled_t"]
        assert page.values["auc-table", row] == [
            *numbers(delong["difference"]), delong["p"], delong["p_holm"],
            *numbers(of["auc"]["bootstrap"]["difference"]), *numbers(of["brier"]),
        ]  # fmt: skip
        assert page.values["folds-table", row] == [
            *numbers(folds["difference"]),
            folds["t"],
            folds["p"],
            folds["p_holm"],
        ]
        test = of["calls"]["sensitivity"]
        tested = [*numbers(test["difference"]), test["p"], test["mid_p"], test["p_holm"]]
        assert page.values["calls-table", f"{row} sensitivity"] == tested
        assert page.values["net-benefit-table", row] == numbers(of["net_benefit"][0]["difference"])
    assert page.values["luck-table", ""][-2:] == [0.86, 0.0005]
    assert "details" not in [tag for tag, _ in page.tags]


def test_nothing_leaves_the_page_and_names_are_text(content: dict[str, Any], tmp_path: Path) -> None:
    path = write_comparison(content, tmp_path)
    page = Page(path)
    assert {"script", "link", "iframe", "img", "b"}.isdisjoint(tag for tag, _ in page.tags)
    assert "<b>forest</b>" in page.text
    fetched = [a[name] for _, a in page.tags for name in ("src", "href", "xlink:href") if name in a]
    assert all(str(value).startswith("#") for value in fetched)
    assert not re.search(r"@import|url\((?!#)", path.read_text())
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))


def texts(path: Path) -> list[str]:
    return [element.text or "" for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_the_forest_plots_show_every_model_in_the_order_given(content: dict[str, Any], tmp_path: Path) -> None:
    write_comparison(content, tmp_path)
    drawn = texts(tmp_path / "figures" / "models.svg")
    names = [text for text in drawn if text in ("lasso", "ours (primary)", "<b>forest</b>")]
    assert names == ["lasso", "ours (primary)", "<b>forest</b>"]
    assert "0.860 (0.810 to 0.910)" in drawn
    differences = texts(tmp_path / "figures" / "differences.svg")
    assert {"Difference from ours", "−0.060 (−0.110 to −0.010)", "0.142", "< 0.001"} <= set(differences)
    assert "observed, 0.860" in texts(tmp_path / "figures" / "luck.svg")


def test_the_axis_of_differences_is_centered_on_0(content: dict[str, Any]) -> None:
    plans = {plan.name: plan for plan in plan_comparison(content)}
    low, high = plans["differences"].figure.axes[1].get_xlim()
    assert low == -high
    assert 0.16 < high < 0.2


def test_the_same_comparison_gives_the_same_bytes(content: dict[str, Any], tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        write_comparison(content, folder)
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert [str(path) for path in files] == [
        "comparison.csv",
        "comparison.html",
        "comparison.json",
        *(
            f"figures/{name}.{kind}"
            for name in ("differences", "inputs", "luck", "models")
            for kind in ("csv", "pdf", "svg")
        ),
    ]
    for path in files:
        assert (first / path).read_bytes() == (second / path).read_bytes()


def test_figures_of_an_earlier_comparison_do_not_stay(content: dict[str, Any], tmp_path: Path) -> None:
    write_comparison(content, tmp_path)
    content["models"], content["comparisons"] = content["models"][:2], content["comparisons"][:1]
    content["best_of_k"]["k"] = 2
    content["best_by_inner"] = content["inputs"] = None
    page = Page(write_comparison(content, tmp_path))
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"differences", "models"}
    assert "What luck gives" not in page.text
    assert len(findings(content)) == 2


def test_findings_say_what_differs_and_what_luck_gives(content: dict[str, Any]) -> None:
    primary, apart, unconfirmed, inner, luck = findings(content)
    assert primary == "The primary model, ours, has an AUC of 0.860 (0.810 to 0.910)."
    assert apart == (
        "In 1 of 2 comparisons with it the AUCs of these trained models are further apart than chance puts them: "
        "<b>forest</b> −0.110 (DeLong p < 0.001, resampled t p = 0.202)."
    )
    assert "resampled t-test" in unconfirmed
    assert "does not confirm 1 of 1: training again may not show this difference." in unconfirmed
    assert inner == (
        "The best model by inner AUC, which takes no test patient to know, is ours (0.872); on the test patients its "
        "AUC is 0.860 (0.810 to 0.910)."
    )
    assert "The largest AUC of the 3 is 0.860 (ours). If none of them knew anything, the largest would be 0.510" in luck
    assert "above 0.570 once in twenty cohorts; for a model that was not picked, that limit is 0.560" in luck
    assert "p < 0.001" in luck


def test_no_difference_is_no_proof_of_equality(content: dict[str, Any]) -> None:
    for of in content["comparisons"]:
        of["auc"]["delong"]["p_holm"] = 0.05
    assert "That is no proof that the models are alike" in findings(content)[1]


def test_without_a_primary_model_the_better_one_of_each_pair_is_named(content: dict[str, Any]) -> None:
    content["primary"] = content["primary_declared_in"] = None
    apart, *_ = findings(content)
    assert "In 1 of 2 pairs of models" in apart
    assert "ours is above <b>forest</b> by 0.110" in apart
    assert "No primary model was declared." in warnings(content)[0]


def test_a_difference_that_the_folds_confirm_needs_no_second_sentence(content: dict[str, Any]) -> None:
    content["comparisons"][1]["resampled_t"]["p_holm"] = 0.01
    assert "(DeLong p < 0.001, resampled t p = 0.010)" in findings(content)[1]
    assert not any("does not confirm" in sentence for sentence in findings(content))
    content["comparisons"][1]["resampled_t"] = None
    assert "−0.110 (DeLong p < 0.001)." in findings(content)[1]


def test_under_repeated_cross_validation_the_resampled_t_test_decides(content: dict[str, Any]) -> None:
    for of, p in zip(content["comparisons"], (0.03, 0.65), strict=True):
        of["resampled_t"] |= {"is_repeated": True, "p_holm": p}
    _, apart, alone, *_ = findings(content)
    assert apart == (
        "In 1 of 2 comparisons with it the mean AUCs of the repeated folds are further apart than chance puts them: "
        "lasso −0.059 (resampled t p = 0.030, DeLong p = 0.142)."
    )
    assert alone.startswith("For these trained models alone 1 pair is apart (DeLong)")
    content["comparisons"][0]["resampled_t"]["p_holm"] = 0.35
    assert "the mean AUCs of the repeated folds are not further apart" in findings(content)[1]


def test_a_long_pair_keeps_the_word_between_its_models(content: dict[str, Any]) -> None:
    content["primary"] = None
    long = "split.grid.optimizer.lr=[0.001,0.01], calibration.name="
    content["comparisons"][0] |= {"model": f"{long}platt", "reference": f"{long}none"}
    plans = {plan.name: plan for plan in plan_comparison(content)}
    drawn = [text.get_text() for text in plans["differences"].figure.axes[0].texts]
    (name,) = [text for text in drawn if "platt" in text]
    first, second = name.split("\n")
    assert first.endswith("platt")
    assert second.startswith("minus split")
    assert second.endswith("none")
    assert "<b>forest</b> minus ours" in drawn


def test_warnings_come_where_they_belong(content: dict[str, Any]) -> None:
    assert warnings(content) == []
    content |= {"is_simulated": True, "primary_declared_in": "the command line"}
    content["folds"]["finished"] = [0, 1]
    content["comparisons"][0]["identical"] = True
    said = " ".join(warnings(content))
    for sentence in ("Simulated cohort", "Figures of 2 of 5 folds", "named on the command line", "lasso and ours gave"):
        assert sentence in said


def test_only_tests_that_were_used_are_explained(content: dict[str, Any]) -> None:
    names = [explanation.name for explanation in explanations(content)]
    assert names == [
        "DeLong, paired", "Bootstrap, paired", "Brier score", "Net benefit", "McNemar, exact",
        "Corrected resampled t-test", "Holm", "Best of k",
    ]  # fmt: skip
    assert all(explanation.source for explanation in explanations(content))
    lone = deepcopy(content) | {"comparisons": content["comparisons"][:1]}
    lone["comparisons"][0] |= {"resampled_t": None, "calls": None}
    lone["best_of_k"]["k"] = 2
    assert [explanation.name for explanation in explanations(lone)] == names[:4]


def undefined(content: dict[str, Any]) -> dict[str, Any]:
    """The same with test patients of one label."""
    content["best_of_k"] = None
    for model in content["models"]:
        model["figures"] = {"auc": estimate(None), "brier": estimate(0.2)}
    for of in content["comparisons"]:
        of |= {"auc": None, "resampled_t": None}
    content["skipped"] = [{"what": "AUC", "why": "The test patients have only the label benign."}]
    return content


def test_what_is_not_defined_is_said(content: dict[str, Any], tmp_path: Path) -> None:
    page = Page(write_comparison(undefined(content), tmp_path))
    assert "The test patients do not have all labels, so no AUC is defined." in page.text
    assert "AUC: The test patients have only the label benign." in page.text
    assert [path.name for path in (tmp_path / "figures").glob("*.svg")] == ["inputs.svg"]


def test_three_labels(content: dict[str, Any], tmp_path: Path) -> None:
    content["label_names"] = ["benign", "primary", "secondary"]
    for of in content["comparisons"]:
        of["auc"] = {"bootstrap": of["auc"]["delong"]}
        of["net_benefit"] = None
        of["calls"] = {"accuracy": of["calls"]["accuracy"]}
    page = Page(write_comparison(content, tmp_path))
    assert "Mean one-vs-rest AUC" in page.text
    assert "DeLong" not in page.text
    row = page.values["auc-table", "lasso less ours"]
    assert row[3:5] == [0.0712, 0.1424]


def test_reclassification_has_its_warning_beside_it(content: dict[str, Any], tmp_path: Path) -> None:
    parts = ("", "_positive", "_negative")
    for of in content["comparisons"]:
        of["reclassification"] = {
            f"{name}{part}": estimate(0.1 * k)
            for name in ("nri", "nri_at_threshold", "idi")
            for k, part in enumerate(parts)
        }
    content["reclassification_warning"] = "Read this first."
    page = Page(write_comparison(content, tmp_path))
    assert "Read this first." in page.text
    assert len(page.values["reclassification-table", "lasso less ours idi"]) == 9


def test_the_best_by_inner_auc_is_marked_and_its_inputs_are_ranked(content: dict[str, Any], tmp_path: Path) -> None:
    page = Page(write_comparison(content, tmp_path))
    row = page.text.partition("In the order in which the models were given")[2]
    assert row.index("ours primary best by inner AUC") < row.index("<b>forest</b>")
    assert row.count("ours primary best by inner AUC") == 1
    assert "What ours, the best by inner AUC, looks at" in page.text
    assert page.values["inputs-table", "deep score"] == [0.9]
    assert page.values["inputs-table", "<i>age</i>"] == [0.41234]
    assert "ours, the strongest 2 of 4 inputs: the mean over 252 test cases of 5 folds, 0 in a fold whose" in page.text
    assert "They leave at most 0.0021 of an output unexplained." in page.text
    drawn = texts(tmp_path / "figures" / "inputs.svg")
    assert {"deep score", "5 of 5 folds", "3 of 5 folds", "Mean absolute SHAP value (log-odds)"} <= set(drawn)


def test_a_model_that_is_not_ranked_by_inner_auc_has_a_mark_and_a_reason(
    content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not_ranked_note(content) is None
    plain = inner_note(content)
    assert plain is not None
    assert plain.startswith("Inner AUC: of 200 training patients, each")
    assert plain.endswith("so a model may be picked by it.")
    content["models"][0]["inner"] |= {"n_patients": 40, "n_inner_folds": 1}
    content["models"][2]["inner"] = None
    content["not_ranked_by_inner"] = [
        {"model": "lasso", "why": "of 40 training patients whose loss also chose the epoch"},
        {"model": "<b>forest</b>", "why": "no inner predictions"},
    ]
    page = Page(write_comparison(content, tmp_path))
    note = (
        "Not ranked by inner AUC, which is of another kind. lasso: of 40 training patients whose loss also chose the "
        "epoch; <b>forest</b>: no inner predictions."
    )
    assert note in page.text
    assert "Inner AUC: of 40 to 200 training patients" in page.text
    assert "so one of the ranked models may be picked by it. Where a model has no inner folds" in page.text
    table = page.text.partition("In the order in which")[2]
    assert [table.count(text) for text in ("0.812*", "0.872*", "–*")] == [1, 0, 1]
    assert "The best of the ranked models (1 of 3) by inner AUC" in findings(content)[3]
    monkeypatch.setenv("COLUMNS", "80")
    print_comparison(content, written=tmp_path)
    shown = capsys.readouterr().out
    assert f"* {note}" in shown
    assert [shown.count(text) for text in ("0.812*", "0.872*", "–*")] == [1, 0, 1]
    with (tmp_path / "comparison.csv").open(newline="") as stream:
        assert [row["is_ranked_by_inner"] for row in csv.DictReader(stream)] == ["0", "1", "0"]


def test_where_no_model_is_ranked_by_inner_auc_none_may_be_picked_by_it(content: dict[str, Any]) -> None:
    content["best_by_inner"] = content["inputs"] = None
    content["not_ranked_by_inner"] = [{"model": model["name"], "why": "so"} for model in content["models"]]
    note = inner_note(content)
    assert note is not None
    assert note.endswith("The test patients take no part in it.")
    assert (
        not_ranked_note(content) == "Not ranked by inner AUC, which is of another kind. lasso, ours, <b>forest</b>: so."
    )
    for model in content["models"]:
        model["inner"] = None
    assert inner_note(content) is not_ranked_note(content) is None


def test_folds_without_an_input_are_said(content: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing was selected" not in input_caption(content["inputs"])
    for n, folds in ((1, "1 further fold"), (2, "2 further folds")):
        content["inputs"]["n_folds_without_input"] = n
        said = f"In {folds} nothing was selected: the final stage has no input there"
        (drawn,) = [plan for plan in plan_comparison(content) if plan.name == "inputs"]
        assert said in drawn.caption
        print_comparison(content, written=Path("out"))
        assert f"; {folds} without input;" in capsys.readouterr().out


def test_inputs_of_the_network_say_by_what_method(content: dict[str, Any], tmp_path: Path) -> None:
    content["inputs"] |= {"inputs_of": "tabular branches", "unit": "probability"}
    caption = input_caption(content["inputs"])
    assert "SHAP values of the radiomics and clinical inputs against training patients" in caption
    assert "every patient’s image being what it is: what the image itself moved is not in it." in caption
    assert input_unit(content["inputs"]) == "Mean absolute SHAP value (probability)"
    content["inputs"] |= {"method": "integrated_gradients", "unit": "logit", "n_inputs": 2, "n_folds": 1}
    page = Page(write_comparison(content, tmp_path))
    assert "Mean absolute integrated gradient (log-odds)" in page.text
    assert "what the pixels of the image moved is not in it" in page.text
    assert "Folds that have it" not in page.text
    assert "ours, every input: the mean over 252 test cases." in page.text


def test_absent_attributions_are_said(
    content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content["inputs"] = {"model": "ours", "absent": "The run has no attributions."}
    page = Page(write_comparison(content, tmp_path))
    assert "Not drawn. The run has no attributions." in page.text
    print_comparison(content, written=tmp_path)
    assert "strongest inputs of ours: none to show. The run has no attributions." in capsys.readouterr().out


def test_a_published_column_is_named_as_what_it_is(
    content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Published" not in Page(write_comparison(content, tmp_path)).text
    content["models"][0]["published"] = {"value": 0.807, "source": "Xia et al. <2025>"}
    page = Page(write_comparison(content, tmp_path))
    # After the inner figure and the test AUC with its interval.
    assert page.values["models-table", "lasso"][4] == 0.807
    assert len(page.values["models-table", "ours"]) == len(page.values["models-table", "lasso"]) - 1
    note = (
        "Published: the test AUC that the paper reports for its model of this kind (Xia et al. <2025>). It is of other "
        "patients and other data: no target, not comparable with ours, and in no test or difference."
    )
    assert note in page.text
    monkeypatch.setenv("COLUMNS", "80")
    print_comparison(content, written=tmp_path)
    shown = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    assert ["lasso", "0.812", "0.800", "0.750 to 0.850", "0.800", "0.807"] in rows
    assert note in shown


def test_of_many_pairs_the_terminal_has_those_of_the_best_by_inner_auc(
    content: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    content["primary"] = content["primary_declared_in"] = None
    content |= many_pairs(content, 6)
    print_comparison(content, written=Path("out"))
    shown = capsys.readouterr().out
    assert "Difference from m2, the best by inner AUC; the page has all 21 pairs" in " ".join(shown.split())
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    of_pairs = [row for row in rows if len(row) == 6]
    assert [row[0] for row in of_pairs] == ["m0", "m1", "m3", "m4", "m5", "m6"]
    # m2 is 0.02 above m1, and m3 0.02 above m2: from m2, m1 is below it.
    assert of_pairs[1][1:] == ["-0.020", "-0.070 to 0.030", "1.000", "0.010", "0.271"]
    assert of_pairs[2][1:] == ["0.020", "-0.030 to 0.070", "1.000", "-0.010", "0.271"]
    content["best_by_inner"] = None
    print_comparison(content, written=Path("out"))
    assert "m6 minus m5" in capsys.readouterr().out


def test_of_many_pairs_the_figure_has_those_of_the_best_by_inner_auc_and_the_tables_fold(
    content: dict[str, Any], tmp_path: Path
) -> None:
    content["primary"] = content["primary_declared_in"] = None
    content |= many_pairs(content, 10)
    path = write_comparison(content, tmp_path)
    drawn = texts(tmp_path / "figures" / "differences.svg")
    assert "Difference from m2" in drawn
    assert [text for text in drawn if re.fullmatch(r"m\d+", text)] == [f"m{k}" for k in range(11) if k != 2]
    # m0 and m1 are below m2, the others above.
    assert drawn.count("−0.020 (−0.070 to 0.030)") == 2
    assert drawn.count("0.020 (−0.030 to 0.070)") == 8
    page = Page(path)
    assert "right of the dashed line a model is better than m2." in page.text
    assert "Of 55 pairs these are the ones with m2, the best by inner AUC; the tables have them all." in page.text
    assert "AUC and Brier score: all 55 pairs" in page.text
    assert ("auc-table", "m10 less m9") in page.values


def many_pairs(content: dict[str, Any], last: int) -> dict[str, Any]:
    """Of models m0 to m``last``, each 0.02 above those before it; m2 is the best by inner AUC."""
    return {
        "models": [content["models"][0] | {"name": f"m{k}"} for k in range(last + 1)],
        "best_by_inner": "m2",
        "comparisons": [
            pair(f"m{k}", 0.02, 0.5, 21) | {"reference": f"m{of}"}
            for of in range(last + 1)
            for k in range(of + 1, last + 1)
        ],
    }


def test_the_models_as_csv(content: dict[str, Any], tmp_path: Path) -> None:
    content["models"][0]["published"] = {"value": 0.807, "source": "Xia et al., 2025"}
    content["models"][2]["inner"] = None
    write_comparison(content, tmp_path)
    with (tmp_path / "comparison.csv").open(newline="") as stream:
        first, ours, last = csv.DictReader(stream)
    assert (first["model"], first["run"], first["published_auc"], first["published_source"]) == (
        "lasso", "runs/lasso", "0.807", "Xia et al., 2025",
    )  # fmt: skip
    assert [float(ours[key]) for key in ("inner_auc", "auc", "auc_ci_low", "auc_ci_high", "brier")] == [
        0.872, *numbers(content["models"][1]["figures"]["auc"]), 0.86,
    ]  # fmt: skip
    assert (ours["is_primary"], ours["is_best_by_inner"], first["is_primary"], first["is_best_by_inner"]) == tuple(
        "1100"
    )
    assert (last["inner_auc"], last["published_auc"]) == ("", "")


def test_too_many_pairs_are_a_table_only(content: dict[str, Any], tmp_path: Path) -> None:
    content["comparisons"] = [pair(f"m{k}", -0.01, 0.5, 50) for k in range(50)]
    page = Page(write_comparison(content, tmp_path))
    assert "There are too many pairs for a figure" in page.text
    assert ("auc-table", "m49 less ours") in page.values


def test_terminal(content: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    content["reclassification_warning"] = "Read this first."
    content["skipped"] = [{"what": "Something", "why": "a reason [x]."}]
    print_comparison(content, written=Path("out/comparison.html"))
    shown = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    assert [row[1:] for row in rows if row[0].startswith("ours")] == [
        ["0.872", "0.860", "0.810 to 0.910", "0.860", "0.860", "0.860"]
    ]
    named = "".join(row[0] for row in rows).replace(" ", "")
    assert "ours(primary)(bestbyinnerAUC)" in named
    assert "strongest inputs of ours: deep score 0.9, <i>age</i> 0.412. Mean absolute SHAP value (log-odds)" in shown
    assert "published" not in shown
    assert ["<b>forest</b>", "-0.110", "-0.160 to -0.060", "< 0.001", "0.055", "0.026"] in rows
    for text in ("Difference from ours, the primary model", "warning: Read this first.",
                 "not computed: Something: a reason [x].", "written: out/comparison.html"):  # fmt: skip
        assert text in shown
    print_comparison(undefined(content), written=Path("out"))
    assert "so the models cannot be ranked" in capsys.readouterr().out


def test_a_browser_opens_it_without_a_request_or_an_error(
    content: dict[str, Any], behaves: Callable[[Path], float], tmp_path: Path
) -> None:
    behaves(write_comparison(content, tmp_path))

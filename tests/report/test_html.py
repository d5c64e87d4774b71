import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml

from fusion.errors import InputError
from fusion.report.figures.write import _of_classical, _of_network
from fusion.report.html import write_report
from fusion.report.metric_names import METRIC_NAMES
from fusion.report.run_folder import read_run

SECTIONS = ("headline", "centers", "branches-alone", "reader-differences", "reader-cuts", "center-probe")
SECTIONS += ("subgroup-figures", "mistakes", "published")


class Page(HTMLParser):
    """Every tag with its attributes, the text, and the ``<data>`` values, by the id of the table or headline."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.values, self._path = [], "", {}, []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if attributes.get("id") in SECTIONS or "data-of" in attributes:
            self._section = attributes.get("id") or attributes["data-of"]
        if tag == "data":
            self.values.setdefault(self._section, []).append(float(attributes["value"]))

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without figures: for tests of words and tables, since drawing takes seconds."""
    monkeypatch.setattr("fusion.report.html.write_figures", lambda run: {})


@pytest.fixture
def drawn_classical(monkeypatch):
    """Pages with the figures of a classical model alone."""
    monkeypatch.setattr("fusion.report.figures.write._plans", _of_classical)


def edit(run_dir, name, change):
    path = run_dir / name
    read, write = (yaml.safe_load, yaml.safe_dump) if name.endswith("yaml") else (json.loads, json.dumps)
    content = read(path.read_text())
    change(content)
    path.write_text(write(content))


def figures_of(estimate):
    return [estimate[key] for key in ("value", "ci_low", "ci_high") if estimate[key] is not None]


def in_order(figures):
    keys = [key for key in METRIC_NAMES if key in figures]
    assert len(keys) == len(figures)
    return [x for key in keys for x in figures_of(figures[key])]


def test_numbers_equal_metrics_json(finished):
    page = Page(finished / "report.html")
    metrics = json.loads((finished / "metrics.json").read_text())
    test = metrics["test"]
    headline = [x for name in ("auc", "sensitivity", "specificity", "brier") for x in figures_of(test[name])]
    assert page.values["headline"] == headline + figures_of(test["auc_fold_mean"])
    for part in ("test", "test_cases", "validation", "train"):
        assert page.values[part] == in_order(metrics[part])
    for center, figures in metrics["centers"].items():
        assert page.values[f"center-{center}"] == in_order(figures)
    rows = [*metrics["centers"].values(), test]
    names = ("auc", "sensitivity", "specificity", "brier", "calibration_slope")
    expected = [x for row in rows for name in names for x in figures_of(row[name])]
    assert page.values["centers"][: len(expected)] == expected
    branches = [*(branch["auc"] for branch in metrics["branches"].values()), test["auc"]]
    assert page.values["branches-alone"] == [x for estimate in branches for x in figures_of(estimate)]


def test_shown_numbers_are_rounded_ones_of_metrics_json(finished):
    text = Page(finished / "report.html").text
    auc = json.loads((finished / "metrics.json").read_text())["test"]["auc"]
    assert f"an AUC of {auc['value']:.3f} ({auc['ci_low']:.3f} to {auc['ci_high']:.3f})" in text


def test_nothing_leaves_the_page(finished):
    path = finished / "report.html"
    page = Page(path)
    fetched = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data")
    ]
    assert fetched
    assert all(value.startswith(("#", "data:image/webp;base64,")) for value in fetched)
    assert {"link", "iframe", "object", "base"}.isdisjoint(tag for tag, _ in page.tags)
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]
    assert not re.search(r"@import|url\((?!#)", path.read_text())
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    (script,) = re.findall(r"<script>(.*?)</script>", path.read_text(), flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy


def test_ids_of_the_page_are_unique_and_references_resolve(finished):
    path = finished / "report.html"
    ids = [attributes["id"] for _, attributes in Page(path).tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', path.read_text())) <= set(ids)


def test_markup_in_ids_centers_and_labels_shows_as_text(tmp_path, fake):
    simulation = fake.Simulation(60, centers=("<script>alert(1)</script>", "$x$ & co"))
    evil = '<img src="http://evil.example/x">'
    for name in ("patients", "cases"):
        predictions = getattr(simulation, name)
        ids = tuple(f"{evil}{patient}" for patient in predictions.patient_ids)
        setattr(simulation, name, replace(predictions, patient_ids=ids))
    run_dir = fake.write_run(tmp_path / "run", simulation, optional=False)
    edit(run_dir, "config.yaml", lambda config: config.update(name="</title><script>alert(2)</script>"))
    page = Page(write_report(run_dir))
    assert not [a for _, a in page.tags if "evil" in str(a.get("src"))]
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert evil in page.text
    assert "<script>alert(1)</script>" in page.text
    assert "$x$ & co (n = " in page.text


def test_figures_and_page_are_the_same_every_time(finished, run_dir):
    write_report(run_dir)
    for path in [*(finished / "figures").iterdir(), finished / "report.html"]:
        assert (run_dir / path.relative_to(finished)).read_bytes() == path.read_bytes()


@pytest.mark.usefixtures("undrawn")
def test_simulated_cohort_and_random_start_are_said_plainly(tmp_path, finished, fake):
    simulation = fake.Simulation(40, centers=("One",))
    run_dir = fake.write_run(tmp_path / "run", simulation, optional=False, cohort="phantom")
    edit(run_dir, "config.yaml", lambda config: config["backbone"].update(weights="none"))
    said, unsaid = Page(write_report(run_dir)).text, Page(finished / "report.html").text
    for sentence in (
        "Simulated cohort: figures say nothing about patients.",
        "The image branch was trained from random initialization, not pretrained.",
    ):
        assert sentence in said
        assert sentence not in unsaid


def test_missing_optional_files_are_explained(tmp_path, fake):
    run_dir = fake.write_run(tmp_path / "run", fake.Simulation(40), optional=False)
    for section in ("branches", "operating_points"):
        edit(run_dir, "metrics.json", lambda metrics, section=section: metrics.pop(section))
    edit(run_dir, "manifest.json", dict.clear)
    text = Page(write_report(run_dir)).text
    for reason in (
        "no attributions/branches.csv",
        "no features.csv",
        "no attributions of the radiomics inputs",
        "no attributions of the clinical inputs",
        "no attributions/images/*.png",
        "metrics.json has no “branches”",
        "recorded no thresholds",
        "revision not recorded",
    ):
        assert reason in text
    assert not (run_dir / "figures" / "gates.svg").exists()


def test_missing_required_files_are_all_named(tmp_path):
    with pytest.raises(InputError) as caught:
        write_report(tmp_path)
    for name in ("config.yaml", "manifest.json", "metrics.json", "predictions.csv"):
        assert name in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def test_three_labels(tmp_path, fake):
    simulation = fake.Simulation(80, label_names=("benign", "primary", "secondary"))
    page = Page(write_report(fake.write_run(tmp_path / "run", simulation, optional=False)))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert page.values["headline"] == [x for name in ("auc", "accuracy", "brier") for x in figures_of(metrics[name])]
    assert "AUC, secondary against the rest" in page.text
    assert "Is a patient of the cohort “salivary” benign, primary or secondary?" in page.text
    assert "Too few patients?" not in page.text
    assert "DeLong’s on the logit scale for an AUC of one label" in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_single_branch_is_not_called_fused(run_dir, finished):
    edit(run_dir, "config.yaml", lambda config: config.update(model={"branches": ["clinical"]}))
    edit(run_dir, "metrics.json", lambda metrics: metrics["branches"].pop("image"))
    edit(run_dir, "metrics.json", lambda metrics: metrics["branches"].pop("radiomics"))
    text = Page(write_report(run_dir)).text
    text = text[: text.index("Configuration")].replace("salivary-fusion", "")
    assert "the model told malignant from benign" in text
    assert "fused" not in text
    assert "the fused model told malignant from benign" in Page(finished / "report.html").text


@pytest.mark.usefixtures("undrawn")
def test_the_stated_prevalence_is_printed_with_its_figures(run_dir, fake):
    edit(run_dir, "config.yaml", lambda config: config["evaluation"].update(prevalence=0.12))
    edit(
        run_dir,
        "metrics.json",
        lambda metrics: metrics["operating_points"]["youden"]["figures"].update(
            ppv_at_prevalence=fake.estimate(0.4, 9)
        ),
    )
    text = Page(write_report(run_dir)).text
    assert "Positive predictive value at a prevalence of 12\N{NO-BREAK SPACE}%" in text
    assert "the cohort’s own prevalence, or at the stated one of 12\N{NO-BREAK SPACE}%" in text


@pytest.mark.usefixtures("undrawn")
def test_out_of_fold_choices_are_told_from_those_of_the_inner_part(run_dir, finished):
    edit(run_dir, "config.yaml", lambda config: config["split"].update(n_inner_folds=3))
    inner, others = Page(finished / "report.html").text, Page(write_report(run_dir)).text
    assert "was chosen on predictions of each fold’s inner part, which also chose the epoch" in inner
    assert "Inner part (chose epoch, thresholds and calibration)" in inner
    assert "inner part, which also" not in others
    assert "was chosen on out-of-fold predictions of all training patients of each fold (3 inner folds)" in others
    assert "Inner part (chose epoch)" in others


def test_unlabeled_test_patients_make_a_page_without_figures_of_merit(tmp_path, simulation, fake):
    run_dir = fake.write_run(tmp_path / "run", simulation, optional=False)
    blind = replace(simulation.patients, labels=("",) * len(simulation.patients.labels))
    fake.write_predictions(run_dir / "predictions.csv", blind)
    (run_dir / "metrics.json").write_text("{}")
    text = Page(write_report(run_dir)).text
    assert "No test patient has a label, so nothing can be said" in text
    assert "No figures by center" in text


def test_gallery_shows_the_worst_judged_cases_first(finished, simulation):
    page = Page(finished / "report.html")
    images = [a for tag, a in page.tags if tag == "img" and a["alt"].startswith("Attribution overlay")]
    assert len(images) == 24
    shown = [a["alt"].removeprefix("Attribution overlay of case ") for a in images]
    own = {
        case_id: probabilities[simulation.label_names.index(label)]
        for case_id, part, label, probabilities in zip(
            simulation.cases.case_ids,
            simulation.cases.parts,
            simulation.cases.labels,
            simulation.cases.probabilities,
            strict=True,
        )
        if part == "test"
    }
    assert [own[case_id] for case_id in shown] == sorted(own[case_id] for case_id in shown)
    assert "24 of 30 overlays" in page.text


def test_operating_points_readers_and_probe_equal_metrics_json(finished):
    page = Page(finished / "report.html")
    metrics = json.loads((finished / "metrics.json").read_text())
    for name, point in metrics["operating_points"].items():
        assert page.values[f"point-{name}"] == in_order(point["figures"])
    readers = metrics["readers"]
    for name in ("reader", "model", "model_and_reader"):
        assert page.values[f"reader-{name}"] == in_order(readers[name])
    differences = [x for d in readers["differences"] for x in figures_of(d["difference"])]
    assert page.values["reader-differences"] == differences
    assert metrics["between_centers"]["probe"]["text"] in page.text
    for words in ("youden (primary)", "0.410 to 0.550 (5 folds)", "< 0.001", "Model and reader − model"):
        assert words in page.text
    assert "sensitivity of at least 90\N{NO-BREAK SPACE}%" in page.text


@pytest.mark.usefixtures("undrawn")
def test_an_older_run_has_none_of_the_new_sections(run_dir):
    new = ("curves", "between_centers", "subgroups", "readers", "operating_points", "sample_size", "folds")
    for section in new:
        edit(run_dir, "metrics.json", lambda metrics, section=section: metrics.pop(section))
    edit(run_dir, "config.yaml", lambda config: config["evaluation"].pop("threshold"))
    page = Page(write_report(run_dir))
    ids = {attributes.get("id") for _, attributes in page.tags}
    for absent in ("use", "operating-points", "readers", "subgroups", "center-probe", "sample-size"):
        assert absent not in ids
    assert {"headline", "centers"} <= ids


@pytest.mark.usefixtures("undrawn")
def test_sections_of_null_are_left_out(run_dir):
    def nothing(metrics):
        metrics["between_centers"] = {"auc": None, "left_out": ["Fudan"], "probe": None}
        metrics |= {"readers": None, "subgroups": {}, "curves": {}, "operating_points": {}, "sample_size": None}

    edit(run_dir, "metrics.json", nothing)
    assert "Not in the random-effects summary: Fudan." in Page(write_report(run_dir)).text


def test_undefined_figures_are_said_everywhere(run_dir):
    def undefine(content):
        for key, value in content.items():
            if isinstance(value, dict) and {"value", "ci_low", "ci_high"} <= set(value) and key != "auc":
                content[key] = value | dict.fromkeys(("value", "ci_low", "ci_high"))
            elif isinstance(value, dict):
                undefine(value)

    edit(run_dir, "metrics.json", undefine)
    assert "not defined" in Page(write_report(run_dir)).text


@pytest.mark.usefixtures("undrawn")
def test_an_unfinished_run_and_too_few_patients_stand_at_the_top(run_dir):
    edit(run_dir, "metrics.json", lambda metrics: metrics["folds"].update(planned=7))
    text = Page(write_report(run_dir)).text
    top = text[: text.index("Before these numbers are trusted")]
    assert "these are the figures of 5 of 7 folds" in top
    assert "84 training patients, 1712 are advised." in top
    assert "kfold, 5 of 7 folds" in top


@pytest.mark.usefixtures("undrawn")
def test_a_patient_mistaken_in_several_repeats_is_named_once(tmp_path, fake):
    simulation = fake.Simulation(60)
    run_dir = fake.write_run(tmp_path / "run", simulation, optional=False)
    test = simulation.patients.select(part == "test" for part in simulation.patients.parts)
    again = replace(test, folds=tuple(fold + 5 for fold in test.folds))
    rows = {
        name: getattr(test, name) + getattr(again, name)
        for name in ("patient_ids", "centers", "parts", "folds", "labels")
    }
    both = replace(test, probabilities=np.tile(test.probabilities, (2, 1)), **rows)
    fake.write_predictions(run_dir / "predictions.csv", both)
    text = Page(write_report(run_dir)).text
    assert "of 60 test patients are on the wrong side in at least one repeat" in text


@pytest.mark.usefixtures("drawn_classical")
def test_a_classical_run_has_its_own_section_and_figures(classical_dir):
    page = Page(write_report(classical_dir))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    figures = ["nomogram", "shap", "selection", "selection_deep", "selection_radiomics"]
    figures += ["lasso", "lasso_deep", "lasso_radiomics"]
    assert [name for name in ids if name.removeprefix("figure-") in figures] == [f"figure-{name}" for name in figures]
    assert {"made-of", "branches-alone"} <= set(ids)
    assert {"branches", "gallery", "figure-gates", "figure-features", "figure-attribution_clinical"}.isdisjoint(ids)
    text = page.text[: page.text.index("Configuration")]
    for words in ("fused", "Image branch", "chose the epoch", "head “", "no “branches”", "L1 penalty"):
        assert words not in text
    metrics = json.loads((classical_dir / "metrics.json").read_text())
    alone = [*(block["auc"] for block in metrics["branches"].values()), metrics["test"]["auc"]]
    assert page.values["branches-alone"] == [x for estimate in alone for x in figures_of(estimate)]


def test_shap_values_of_a_network_stand_with_its_branches(run_dir, fake, monkeypatch):
    header = ["case_id", "fold", "name", "value", "completeness_error", "unit"]
    rows = [["1", 0, "age", 0.1, 0.0, "probability"], ["1", 0, "energy", -0.2, 0.0, "probability"]]
    fake.write_csv(run_dir / "attributions" / "inputs.csv", header, rows)
    edit(run_dir, "config.yaml", lambda config: config.update(model={"name": "fusion", "branches": ["clinical"]}))
    plans = [plan for plan in _of_network(read_run(run_dir)) if plan.name in ("shap", "attribution_radiomics")]
    monkeypatch.setattr("fusion.report.figures.write._plans", lambda run: iter(plans))
    page = Page(write_report(run_dir))
    known = ("figure-shap", "figure-attribution_radiomics", "gallery")
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id") in known]
    assert ids == ["figure-shap", "figure-attribution_radiomics", "gallery"]
    assert "SHAP value (probability)" in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_published_figure_is_named_as_of_others(classical_dir, finished):
    page = Page(write_report(classical_dir))
    assert page.values["published"] == [0.962]
    assert "reported for such a model of other patients and other data (Su et al., Int Dent J" in page.text
    assert "was reported for such a model" not in Page(finished / "report.html").text
    edit(classical_dir, "config.yaml", lambda config: config["published"].update(value=None))
    assert "was reported for such a model" not in Page(write_report(classical_dir)).text


@pytest.mark.usefixtures("undrawn")
def test_late_fusion_of_which_the_cohort_has_one_block_makes_a_page(classical_dir, fake):
    fake.write_late(classical_dir)
    fake.write_facts(classical_dir, candidates=[{"clinical": 24}] * 5, weights=[{"clinical score": 1.0}] * 5)
    text = Page(write_report(classical_dir)).text
    assert "The deep features and the radiomics features were left out" in text
    for words in ("PyRadiomics features", "fine-tuned", "were filtered", "Backbone of"):
        assert words not in text[: text.index("Configuration")]


@pytest.mark.usefixtures("undrawn")
def test_the_random_start_of_a_backbone_is_said_only_where_one_is_used(classical_dir):
    edit(classical_dir, "config.yaml", lambda config: config["backbone"].update(weights="none"))
    said = "The backbone of the deep features was trained from random initialization"
    assert said in Page(write_report(classical_dir)).text
    edit(classical_dir, "config.yaml", lambda config: config["model"].update(inputs={"clinical": "features"}))
    assert "random initialization" not in Page(write_report(classical_dir)).text


@pytest.mark.usefixtures("drawn_classical")
def test_markup_in_names_of_a_classical_run_shows_as_text(classical_dir):
    evil = "<script>alert(1)</script>"
    for name in ("nomogram.csv", "selection.csv", "lasso_path.csv", "lasso_cv.csv", "attributions/inputs.csv"):
        path = classical_dir / name
        lines = [line for line in path.read_text().splitlines() if ",radiomics," not in line]  # quicker drawn
        path.write_text("\n".join(lines).replace("us_node_status", evil).replace(",deep,", f",{evil},") + "\n")
    edit(classical_dir, "config.yaml", lambda config: config["classifier"].update(name=evil))
    edit(classical_dir, "config.yaml", lambda config: config["published"].update(source=evil))
    page = Page(write_report(classical_dir))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count("alert(1)") >= 8


@pytest.mark.usefixtures("drawn_classical")
def test_a_classical_run_without_any_table_makes_a_page(classical_dir):
    for name in ("nomogram.csv", "selection.csv", "lasso_path.csv", "lasso_cv.csv", "attributions/inputs.csv"):
        (classical_dir / name).unlink()
    edit(classical_dir, "metrics.json", lambda metrics: metrics.update(branches={}))
    ids = {attributes.get("id") for _, attributes in Page(write_report(classical_dir)).tags}
    assert "made-of" in ids
    assert {"branches-alone", "figure-nomogram", "figure-lasso"}.isdisjoint(ids)


EVIL = "<script>alert(3)</script>"


def answered(number, status, file, **more):
    evidence = [{"file": file, "key": "test.auc"}, {"file": "model.ckpt", "key": None}] if status != "human" else []
    return {
        "number": number, "section": "Methods", "topic": f"Topic {number}", "answer": f"Answer {EVIL}",
        "evidence": evidence, "status": status, "stated": False, **more,
    }  # fmt: skip


@pytest.fixture
def guidelines():
    items = [answered("1", "auto", EVIL), answered("2a", "human", "")]
    weighted = [answered("1", "partial", "metrics.json", weight=0.074, applies=True, met=None)]
    score = {"percent": 12.3, "at_most": 45.6, "n_met": 3, "n_not_met": 4, "n_open": 5, "n_without": 6}
    counts = {"auto": 1, "partial": 0, "human": 1}
    return {
        "clear": {"title": "CLEAR", "citation": "Kocak", "counts": counts, "stated": 7, "items": items},
        "metrics": {
            "title": "METRICS", "citation": "Kocak", "counts": {"auto": 0, "partial": 1, "human": 0}, "stated": 0,
            "items": weighted, "score": score,
        },
    }  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_reporting_guidelines_are_a_part_of_the_page(run_dir, guidelines):
    path = write_report(run_dir, guidelines=guidelines)
    page, text = Page(path), path.read_text()
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [name for name in ids if name in ("methods", "guidelines", "limitations")] == [
        "methods", "guidelines", "limitations",
    ]  # fmt: skip
    assert {"clear", "metrics", "clear-1", "clear-2a", "metrics-1"} <= set(ids)
    assert ("a", {"href": "#guidelines"}) in page.tags
    assert re.search(r"CLEAR</a></th><td>2</td><td>1</td><td>0</td><td>1</td><td>7</td>", text)
    assert "score 12.3" in page.text.lower().replace("\N{NO-BREAK SPACE}", " ")
    assert "3 items are met, 4 are not, 5 are open, 6 do not apply." in page.text
    assert "open, weight 0.074" in page.text
    assert "<code>model.ckpt</code>" in text
    assert "<code>metrics.json: test.auc</code>" in text
    # What comes from the cohort is shown as text; all items are folded away, and stay so in print.
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count(f"Answer {EVIL}") == 3
    folded = [attributes for tag, attributes in page.tags if tag == "details" and attributes.get("id") in guidelines]
    assert folded == [{"class": "screen", "id": name} for name in guidelines]


@pytest.mark.usefixtures("undrawn")
def test_without_guidelines_the_page_has_no_part_of_them(run_dir):
    page = Page(write_report(run_dir))
    assert ("a", {"href": "#guidelines"}) not in page.tags
    assert "guidelines" not in {attributes.get("id") for _, attributes in page.tags}


@pytest.mark.usefixtures("undrawn")
def test_with_other_names_for_patients_the_guidelines_stay(run_dir, guidelines):
    page = Page(write_report(run_dir, naming=lambda kind, name: f"{kind}-{name}-hidden", guidelines=guidelines))
    assert "clear-2a" in {attributes.get("id") for _, attributes in page.tags}

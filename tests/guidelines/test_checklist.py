from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion.guidelines.checklist import Answered, Checklist, as_plain, guideline_summary
from fusion.guidelines.claim import Places
from fusion.guidelines.guideline import NAMES

WriteRun = Callable[..., Path]
Items = dict[tuple[str, str], Answered]


def summary(run_dir: Path) -> dict[str, Checklist]:
    return {checklist.guideline.name: checklist for checklist in guideline_summary(run_dir)}


def item(run_dir: Path, guideline: str, number: str) -> Answered:
    (found,) = (each for each in summary(run_dir)[guideline].items if each.item.number == number)
    return found


@pytest.fixture(scope="session")
def before(finished: Path) -> dict[tuple[str, str], Answered]:
    """Every item of the whole run."""
    return {
        (checklist.guideline.name, each.item.number): each
        for checklist in guideline_summary(finished)
        for each in checklist.items
    }


def write_candidates(run_dir: Path, **blocks: int) -> None:
    for fold in (0, 1):
        (run_dir / f"fold_{fold}" / "fold.json").write_text(json.dumps({"candidates": blocks}))


def drop_key(path: Path, *keys: str) -> None:
    content = json.loads(path.read_text()) if path.suffix == ".json" else yaml.safe_load(path.read_text())
    at = content
    for key in keys[:-1]:
        at = at[key]
    del at[keys[-1]]
    path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content))


def test_every_guideline_is_answered_in_order(before: Items) -> None:
    assert tuple(dict.fromkeys(name for name, _ in before)) == NAMES


def test_no_item_is_auto_or_partial_without_evidence_that_holds(finished: Path, before: Items) -> None:
    places = Places(finished)
    for answered in before.values():
        assert (answered.status == "human") == (not answered.evidence)
        assert all(map(places.hold, answered.evidence))
        assert answered.answer


def test_a_run_says_nothing_to_what_only_authors_know(before: Items) -> None:
    for key in (("clear", "8"), ("tripod_ai", "18a"), ("claim", "44"), ("metrics", "6")):
        answered = before[key]
        assert answered.status == "human"
        assert answered.answer.startswith("Not stated: only the authors know")


@pytest.mark.parametrize(
    ("file", "guideline", "number", "falls_to"),
    [
        ("split.csv", "clear", "15", "partial"),
        ("split.csv", "metrics", "18", "partial"),
        ("fold_1/model.ckpt", "tripod_ai", "12g", "partial"),
        ("fold_0/fold.json", "clear", "27", "partial"),
        ("table_one.json", "clear", "29", "partial"),
        ("patient_flow.json", "tripod_ai", "11", "partial"),
        ("attributions/pixels.csv", "clear", "43", "partial"),
        ("attributions", "clear", "43", "human"),
        ("predictions_inner.csv", "clear", "37", "partial"),
        ("fold_0/metrics.csv", "claim", "28", "partial"),
    ],
)
def test_the_status_falls_where_the_evidence_is_deleted(
    run_dir: Path, before: Items, file: str, guideline: str, number: str, falls_to: str
) -> None:
    assert before[guideline, number].status == "auto"
    path = run_dir / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    answered = item(run_dir, guideline, number)
    assert answered.status == falls_to
    assert file not in [place.file for place in answered.evidence]
    assert answered.met is not True


@pytest.mark.parametrize(
    ("file", "keys", "guideline", "number", "falls_to"),
    [
        ("metrics.json", ("test", "calibration_slope"), "metrics", "22", "auto"),
        ("metrics.json", ("curves",), "claim", "28", "auto"),
        ("metrics.json", ("test",), "claim", "37", "human"),
        ("metrics.json", ("split_sha256",), "claim", "19", "human"),
        ("config.yaml", ("stability",), "metrics", "14", "human"),
        ("config.yaml", ("radiomics", "settings", "imageType"), "clear", "24", "human"),
        ("config.yaml", ("tabular", "clip"), "clear", "32", "partial"),
        ("manifest.json", ("versions",), "claim", "23", "human"),
    ],
)
def test_the_status_falls_where_the_key_is_deleted(
    run_dir: Path, before: Items, file: str, keys: tuple[str, ...], guideline: str, number: str, falls_to: str
) -> None:
    assert before[guideline, number].status == "auto"
    drop_key(run_dir / file, *keys)
    after = item(run_dir, guideline, number)
    assert after.status == falls_to
    assert after.answer != before[guideline, number].answer


def test_a_met_item_without_its_file_lowers_the_score(run_dir: Path) -> None:
    whole = summary(run_dir)["metrics"].score
    (run_dir / "split.csv").unlink()
    without = summary(run_dir)["metrics"].score
    assert whole is not None
    assert without is not None
    assert without.percent < whole.percent
    assert without.at_most == pytest.approx(whole.at_most)


def test_what_was_not_done_says_so(before: Items) -> None:
    assert "Not done" in before["clear", "31"].answer
    assert "not harmonized" in before["clear", "36"].answer
    assert "Not done" in before["claim", "30"].answer
    assert before["metrics", "14"].met is False
    assert before["metrics", "16"].met is False


def test_what_was_done_is_named(write_run: WriteRun) -> None:
    run_dir = write_run({"stability": "perturbation", "harmonization": "combat", "calibration": "platt"}, {})
    asked = summary(run_dir)
    # It was asked for, but there is nothing to show for it.
    assert [each.met for each in asked["metrics"].items if each.item.number == "14"] == [None]
    assert [each.status for each in asked["clear"].items if each.item.number == "31"] == ["human"]
    (run_dir / "stability.csv").write_text("fold,feature,icc\n")
    done = summary(run_dir)
    assert [each.met for each in done["metrics"].items if each.item.number == "14"] == [True]
    answers = " ".join(each.answer for each in (*done["clear"].items, *done["claim"].items))
    assert "perturbed outlines" in answers
    assert "harmonized between the centers by combat" in answers
    assert "recalibrated (platt)" in answers


def test_a_table_without_centers_is_no_single_center(before: Items) -> None:
    assert "one center" not in " ".join(each.answer for each in before.values())
    assert "names no center" in before["clear", "13"].answer
    assert before["metrics", "4"].met is None
    assert before["metrics", "27"].met is False


def test_centers_of_the_test_part_say_whether_it_was_internal(write_run: WriteRun) -> None:
    run_dir = write_run({}, {"cohort.center": "Hospital"})
    answered = item(run_dir, "metrics", "26")
    assert (answered.met, "also gave training patients" in answered.answer) == (True, True)
    lines = (run_dir / "predictions.csv").read_text().splitlines()
    moved = [line.replace("north", "west") if ",test," in line else line for line in lines]
    (run_dir / "predictions.csv").write_text("\n".join(moved))
    found = {each.item.number: each for each in summary(run_dir)["metrics"].items}
    assert (found["26"].met, "Some test patients" in found["26"].answer) == (False, True)
    # That another center is another institution, the run cannot know.
    assert found["27"].met is None


def test_a_patient_on_both_sides_is_not_said_to_be_on_one(run_dir: Path) -> None:
    lines = (run_dir / "predictions_cases.csv").read_text().splitlines()
    other = lines[1].replace("cp0", "cp0b").replace(",test,", ",train,")
    (run_dir / "predictions_cases.csv").write_text("\n".join([*lines, other]))
    found = summary(run_dir)
    assert [each.status for each in found["claim"].items if each.item.number == "20"] == ["human"]
    assert [each.met for each in found["metrics"].items if each.item.number == "18"] == [None]


@pytest.mark.parametrize(
    ("options", "values", "without"),
    [
        ({}, {}, {"9"}),
        ({}, {"model.branches": ["clinical"]}, {"9", "12", "14", "15", "16", "17"}),
        ({}, {"model.branches": ["image"]}, {"9", "12", "14", "15", "16"}),
        ({}, {"model.branches": ["radiomics", "clinical"]}, {"9", "17"}),
        ({"model": "radiomics"}, {}, {"9", "17"}),
        ({"model": "deep"}, {}, {"9", "12", "17"}),
        ({}, {"cohort.mask": None}, {"8", "9", "10"}),
    ],
)
def test_items_of_metrics_apply_under_their_conditions(
    write_run: WriteRun, options: dict[str, str], values: dict[str, Any], without: set[str]
) -> None:
    run_dir = write_run(options, values)
    write_candidates(run_dir, radiomics=753, clinical=40, deep=512)
    items = summary(run_dir)["metrics"].items
    assert {each.item.number for each in items if not each.applies} == without


def test_principal_components_remove_no_redundancy(write_run: WriteRun) -> None:
    values = {"selection.filters": [], "model.inputs": {"deep": "features"}, "model.select": False}
    run_dir = write_run({"model": "deep"}, values)
    write_candidates(run_dir, deep=512)
    assert item(run_dir, "metrics", "15").met is False


def test_the_authors_answer_what_they_know(run_dir: Path) -> None:
    (run_dir / "study.yaml").write_text(
        "clear: {1: Radiomics is in the title., 18: By histology.}\n"
        "metrics: {3: {met: yes, text: Histology.}, 5: A guideline., 25: {met: yes, text: Compared elsewhere.}}\n"
    )
    said = summary(run_dir)
    found = {(name, each.item.number): each for name, of in said.items() for each in of.items}
    title, outcome = found["clear", "1"], found["clear", "18"]
    assert (title.status, title.answer, title.stated) == ("human", "Authors: Radiomics is in the title.", True)
    assert [str(place) for place in title.evidence] == ["study.yaml"]
    assert outcome.status == "partial"
    assert outcome.answer.endswith("Authors: By histology.")
    assert "Not stated" not in outcome.answer
    assert [found["metrics", number].met for number in ("3", "5", "25")] == [True, None, True]
    assert said["metrics"].n_stated == 3


def test_automated_segmentation_counts_once_the_authors_speak_of_it(run_dir: Path, before: Items) -> None:
    assert not before["metrics", "9"].applies
    (run_dir / "study.yaml").write_text("metrics: {9: {met: no, text: It was not evaluated.}}\n")
    answered = item(run_dir, "metrics", "9")
    assert (answered.applies, answered.met) == (True, False)


@pytest.mark.parametrize("model", ["combined", "late", "stacked", "ultrasound"])
def test_classical_models_are_answered_too(write_run: WriteRun, model: str) -> None:
    run_dir = write_run({"model": model}, {})
    write_candidates(run_dir, radiomics=753, clinical=40, deep=512, ultrasound=30)
    found = {each.item.number: each for each in summary(run_dir)["clear"].items}
    assert found["34"].status == "auto"
    assert "The model takes" in found["34"].answer
    assert "the epoch" not in found["37"].answer


def test_with_three_labels_there_is_no_threshold_and_no_slope(run_dir: Path) -> None:
    for name in ("predictions.csv", "predictions_cases.csv"):
        header, *lines = (run_dir / name).read_text().splitlines()
        (run_dir / name).write_text("\n".join([f"{header},prob_other", *(f"{line},0.0" for line in lines)]))
    content = json.loads((run_dir / "metrics.json").read_text())
    for key in ("operating_points", "readers", "curves", "subgroups"):
        del content[key]
    content["test"] = {name: content["test"][name] for name in ("auc", "accuracy", "brier")}
    content["sample_size"] = {"n_train": 10, "n_events": 2, "n_parameters": 30, "required_n": None, "warning": "Why."}
    (run_dir / "metrics.json").write_text(json.dumps(content))
    found = summary(run_dir)
    answers = {each.item.number: each for each in found["metrics"].items}
    assert [answers[number].met for number in ("16", "20", "22", "24")] == [None, None, False, False]
    assert "There are no thresholds" in " ".join(each.answer for each in found["claim"].items)


def test_losses_that_are_not_drawn_leave_the_figures_of_a_network_open(write_run: WriteRun, before: Items) -> None:
    assert "Losses by epoch" in before["metrics", "20"].answer
    assert before["metrics", "20"].met is None
    run_dir = write_run({"model": "radiomics"}, {})
    write_candidates(run_dir, radiomics=753)
    assert item(run_dir, "metrics", "20").met is True


def test_counts_are_of_all_items(finished: Path) -> None:
    for checklist in guideline_summary(finished):
        assert sum(checklist.counts.values()) == len(checklist.items)


@pytest.mark.parametrize(
    ("file", "guideline", "number", "words"),
    [
        ("table_one.json", "clear", "44", "Of 3 characteristics 1 have p below 0.05"),
        ("table_one.json", "claim", "36", "(largest: Age, 0.90)"),
        ("table_one.json", "tripod_ai", "20b", "Patients with a missing value, of 20: Age 3; 1 column without any."),
        ("table_one.json", "tripod_ai", "20c", "Training and test patients were not compared"),
        ("patient_flow.json", "clear", "45", "4 rows of 4 patients where Classification is normal"),
        ("patient_flow.json", "claim", "35", "20 cases of 20 patients came into the run"),
        ("patient_flow.json", "tripod_ai", "20a", "The table has 24 rows"),
        ("patient_flow.json", "tripod_ai", "11", "Kept, though incomplete: 2 cases without a mask."),
        ("features.csv", "clear", "46", "2 radiomics features are left"),
        ("attributions/shapley.csv", "claim", "31", "of 2 test cases, and the interaction"),
        ("attributions/inputs.csv", "claim", "31", "SHAP values"),
        ("attributions/clinical.csv", "claim", "31", "branch clinical: integrated gradients"),
        ("attributions/radiomics.csv", "clear", "43", "branch radiomics: integrated gradients"),
        ("attributions/pixels.csv", "clear", "43", "their shares in the lesion"),
        (
            "attributions/pixel_checks.csv",
            "claim",
            "31",
            "Grad-CAM: faithful in 1 fold; Grad-CAM: unfaithful in 1 fold.",
        ),
        ("attributions/images", "clear", "43", "Overlays of 1 case"),
        ("attributions/branches.csv", "clear", "43", "weight that the head gives"),
        ("predictions_inner.csv", "claim", "26", "No choice of a fold rests on a test patient"),
    ],
)
def test_a_sentence_goes_with_its_file(
    run_dir: Path, before: Items, file: str, guideline: str, number: str, words: str
) -> None:
    answered = before[guideline, number]
    assert words in answered.answer
    assert file in [place.file for place in answered.evidence]
    path = run_dir / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    after = item(run_dir, guideline, number)
    assert words not in after.answer
    assert file not in [place.file for place in after.evidence]


def test_the_report_is_no_evidence_of_itself(finished: Path, before: Items) -> None:
    assert not (finished / "report.html").exists()
    assert "report.html" not in {place.file for answered in before.values() for place in answered.evidence}


def test_no_answer_names_a_patient_or_a_case(write_run: WriteRun) -> None:
    run_dir = write_run({}, {"cohort.exclude": {"CaseID": ["p98", "p99"]}})
    flow = json.loads((run_dir / "patient_flow.json").read_text())
    flow["excluded"] = [{"column": "CaseID", "word": "p98", "rows": 1, "patients": 1}]
    (run_dir / "patient_flow.json").write_text(json.dumps(flow))
    content = as_plain(guideline_summary(run_dir))
    texts = [each["answer"] for of in content.values() for each in of["items"]]
    texts += [place["file"] for of in content.values() for each in of["items"] for place in each["evidence"]]
    assert any("CaseID is one of 2 names" in text for text in texts)
    assert any("1 row of 1 patient where CaseID is one of 1 name" in text for text in texts)
    assert not [text for text in texts if re.search(r"\bc?p\d+\b", text)]


def test_the_wrong_ones_are_a_confusion_matrix(before: Items) -> None:
    assert before["claim", "39"].answer.startswith(
        "4 of 20 test patients were given the wrong label at the frozen thresholds: of 10 benign 8 were called so "
        "(2 malignant instead); of 10 malignant 8 were called so (2 benign instead)."
    )


def test_a_holdout_compares_its_parts(run_dir: Path) -> None:
    content = json.loads((run_dir / "table_one.json").read_text())
    content |= {"n_folds": 1, "part": {"groups": {"training": 10, "test": 10}, "variables": [
        {"name": "Age", "p": 0.4, "smd": 0.3}, {"name": "Sex", "p": 0.01, "smd": None},
    ]}}  # fmt: skip
    (run_dir / "table_one.json").write_text(json.dumps(content))
    assert (
        "table_one.json compares training and test patients by Age and Sex. Of 2 characteristics 1 have p below 0.05 "
        "(not corrected for their number), 1 a standardized difference above 0.1 (largest: Age, 0.30)."
    ) in item(run_dir, "tripod_ai", "20c").answer


def test_a_test_patient_who_took_part_in_a_choice_is_not_passed_over(run_dir: Path) -> None:
    header, *lines = (run_dir / "predictions_inner.csv").read_text().splitlines()
    (run_dir / "predictions_inner.csv").write_text("\n".join([header, *lines, "p0,north,0,train,benign,0.9,0.1"]))
    assert "No choice" not in item(run_dir, "clear", "37").answer


def test_another_split_than_that_of_the_figures_is_not_met(run_dir: Path) -> None:
    (run_dir / "split.csv").write_text("patient_id,center,fold,part\np9,north,0,test\n")
    answered = item(run_dir, "metrics", "18")
    assert answered.met is False
    assert "its sha256 is another one" in answered.answer


def test_where_parts_share_a_patient_nobody_is_said_to_be_unseen(run_dir: Path) -> None:
    lines = (run_dir / "predictions_cases.csv").read_text().splitlines()
    other = lines[1].replace("cp0", "cp0b").replace(",test,", ",train,")
    (run_dir / "predictions_cases.csv").write_text("\n".join([*lines, other]))
    found = {(name, each.item.number): each for name, of in summary(run_dir).items() for each in of.items}
    assert "had not seen" not in found["clear", "45"].answer
    assert "took no part" not in found["clear", "38"].answer
    assert found["metrics", "26"].met is not True


def test_a_network_that_was_not_trained_to_do_without_a_branch_says_so(write_run: WriteRun) -> None:
    answer = item(write_run({}, {"model.branch_dropout": 0}), "claim", "12").answer
    assert "it was not trained for that (branch_dropout is 0)" in answer

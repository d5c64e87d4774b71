from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion.guidelines.checklist import Answered, Checklist, guideline_summary
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
        ("features.csv", "clear", "46", "human"),
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
        ("metrics.json", ("split_sha256",), "clear", "15", "human"),
        ("config.yaml", ("stability",), "clear", "32", "human"),
        ("config.yaml", ("radiomics", "settings", "imageType"), "clear", "24", "human"),
        ("config.yaml", ("tabular", "clip"), "clear", "33", "human"),
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
    assert "Not done" in before["clear", "32"].answer
    assert "not harmonized" in before["clear", "30"].answer
    assert "Not done" in before["claim", "30"].answer
    assert before["metrics", "14"].met is False
    assert before["metrics", "16"].met is False


def test_what_was_done_is_named(write_run: WriteRun) -> None:
    run_dir = write_run({"stability": "perturbation", "harmonization": "combat", "calibration": "platt"}, {})
    asked = summary(run_dir)
    # It was asked for, but there is nothing to show for it.
    assert [each.met for each in asked["metrics"].items if each.item.number == "14"] == [None]
    assert [each.status for each in asked["clear"].items if each.item.number == "32"] == ["human"]
    (run_dir / "stability.csv").write_text("fold,feature,icc\n")
    done = summary(run_dir)
    assert [each.met for each in done["metrics"].items if each.item.number == "14"] == [True]
    answers = " ".join(each.answer for each in (*done["clear"].items, *done["claim"].items))
    assert "perturbed outlines" in answers
    assert "harmonized between the centers by combat" in answers
    assert "recalibrated (platt)" in answers


def test_a_table_without_centers_is_no_single_center(before: Items) -> None:
    assert "one center" not in " ".join(each.answer for each in before.values())
    assert "names no center" in before["clear", "12"].answer
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
    assert found["35"].status == "auto"
    assert "The model takes" in found["35"].answer
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
    assert [answers[number].met for number in ("16", "20", "22", "24")] == [None, True, False, False]
    assert "There are no thresholds" in " ".join(each.answer for each in found["claim"].items)


def test_losses_that_are_not_in_the_folder_leave_the_figures_open(write_run: WriteRun) -> None:
    assert item(write_run({}, {"logger": {}}), "metrics", "20").met is None


def test_counts_are_of_all_items(finished: Path) -> None:
    for checklist in guideline_summary(finished):
        assert sum(checklist.counts.values()) == len(checklist.items)

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Rows = list[dict[str, str]]
# What is not asked about is not explained: it takes seconds.
SCORED = ("explain=none",)
NOT_CLINICAL = {"id", "center", "diagnosis", "mask_id"}


def rows_of(path: Path) -> Rows:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def probabilities_of(path: Path, *keys: str) -> dict[tuple[str, ...], float]:
    return {tuple(row[key] for key in keys): float(row["prob_malignant"]) for row in rows_of(path)}


def test_a_run_folder_elsewhere_gives_the_same_probabilities(
    command: Any, tiny: tuple[str, ...], trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = command(
        "predict.py", f"run={trained}", "cohort=phantom", tiny[0], *SCORED, f"hydra.run.dir={out}"
    ).succeeded()
    expected = probabilities_of(trained / "predictions.csv", "patient_id")
    assert len(expected) == 36
    assert probabilities_of(out / "predictions.csv", "patient_id") == pytest.approx(expected, abs=1e-6)
    assert json.loads((out / "metrics.json").read_text())["test"]["auc"]["n"] == 36
    assert "were in the training" in ended.stdout
    assert ended.stderr == ""
    assert not list(out.rglob(".*")), "a temporary file is left"


def test_each_fold_gives_the_same_probabilities_and_they_are_averaged(
    command: Any, tiny: tuple[str, ...], crossvalidated: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(crossvalidated, tmp_path / "copy"))
    out = tmp_path / "out"
    command("predict.py", f"run={run}", "cohort=phantom", tiny[0], *SCORED, f"hydra.run.dir={out}").succeeded()
    expected = probabilities_of(run / "predictions.csv", "patient_id", "fold")
    folds = probabilities_of(out / "predictions_folds.csv", "patient_id", "fold")
    assert len(expected) == 3 * 36
    assert folds == pytest.approx(expected, abs=1e-6)
    ensemble = probabilities_of(out / "predictions.csv", "patient_id")
    for (patient,), probability in ensemble.items():
        assert probability == pytest.approx(sum(folds[patient, str(fold)] for fold in range(3)) / 3)


def bare(rows: Rows) -> Rows:
    """The first patient without a mask, the second without a clinical row."""
    for number, row in enumerate(rows):
        row["mask_id"] = "" if number == 0 else row["id"]
        if number == 1:
            row.update(dict.fromkeys(set(row) - NOT_CLINICAL, ""))
    return rows


def test_a_patient_may_lack_the_mask_or_the_clinical_row(
    command: Any, trained: Path, cohort: Any, tmp_path: Path
) -> None:
    overrides = (*cohort(bare), "cohort.mask='masks/{mask_id}.png'")
    out = tmp_path / "out"
    ended = command("predict.py", f"run={trained}", *overrides, *SCORED, f"hydra.run.dir={out}").succeeded()
    found = probabilities_of(out / "predictions.csv", "patient_id")
    expected = probabilities_of(trained / "predictions.csv", "patient_id")
    ids = [row["patient_id"] for row in rows_of(out / "predictions.csv")]
    assert set(found) == set(expected)
    changed = {patient for patient in expected if abs(found[patient] - expected[patient]) > 1e-6}
    assert changed == {(ids[0],), (ids[1],)}
    branches = {row["case_id"]: row for row in rows_of(out / "attributions/branches.csv")}
    assert [float(branches[ids[0]][f"gate_{name}"]) for name in ("image", "radiomics", "clinical")] == [0, 0, 1]
    assert float(branches[ids[1]]["gate_clinical"]) == 0
    assert branches[ids[1]]["clinical_prob_malignant"] == ""
    assert "1 of 36 cases are scored without the image branch" in ended.stdout
    assert "1 of 36 cases are scored without the clinical branch" in ended.stdout


def test_a_patient_with_nothing_is_named(command: Any, trained: Path, cohort: Any, tmp_path: Path) -> None:
    def nothing(rows: Rows) -> Rows:
        rows = bare(rows)
        rows[2] |= dict.fromkeys(set(rows[2]) - NOT_CLINICAL | {"mask_id"}, "")
        return rows

    overrides = (*cohort(nothing), "cohort.mask='masks/{mask_id}.png'")
    ended = command("predict.py", f"run={trained}", *overrides, *SCORED, f"hydra.run.dir={tmp_path / 'out'}")
    assert ended.status == 1
    assert "came none for 1 case(s): P003;" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_without_outcomes_there_are_probabilities_and_no_figures(
    command: Any, trained: Path, cohort: Any, tmp_path: Path
) -> None:
    def unlabeled(rows: Rows) -> Rows:
        for row in rows:
            del row["diagnosis"]
        return rows

    out = tmp_path / "out"
    command("predict.py", f"run={trained}", *cohort(unlabeled), *SCORED, f"hydra.run.dir={out}").succeeded()
    expected = probabilities_of(trained / "predictions.csv", "patient_id")
    assert probabilities_of(out / "predictions.csv", "patient_id") == pytest.approx(expected, abs=1e-6)
    assert {row["label"] for row in rows_of(out / "predictions.csv")} == {""}
    assert not json.loads((out / "metrics.json").read_text()).get("test")


def test_other_columns_and_another_outcome_are_no_obstacle(
    command: Any, trained: Path, cohort: Any, tmp_path: Path
) -> None:
    def other(rows: Rows) -> Rows:
        for row in rows:
            row["diagnosis"] = {"benign": "Warthin", "malignant": "adenoma"}[row["diagnosis"]]
            row["smoker"] = "12"
        return rows

    overrides = (
        "cohort.label.names=[Warthin,adenoma]",
        "~cohort.clinical.age",
        "+cohort.clinical.smoker={kind: number}",
    )
    out = tmp_path / "out"
    ended = command(
        "predict.py", f"run={trained}", *cohort(other), *overrides, *SCORED, f"hydra.run.dir={out}"
    ).succeeded()
    assert "clinical columns of training that the cohort does not have: age" in ended.stdout
    assert set(rows_of(out / "predictions.csv")[0]) >= {"prob_benign", "prob_malignant"}
    assert {row["label"] for row in rows_of(out / "predictions.csv")} == {""}


def test_a_column_of_another_kind_is_refused(command: Any, trained: Path, cohort: Any, tmp_path: Path) -> None:
    overrides = (*cohort(), "~cohort.clinical.age", "+cohort.clinical.age={kind: category}")
    ended = command("predict.py", f"run={trained}", *overrides, *SCORED, f"hydra.run.dir={tmp_path / 'out'}")
    assert ended.status == 1
    assert "clinical column 'age': required the kind 'number', as in training, came the kind 'category'" in ended.stderr
    assert not (tmp_path / "out/predictions.csv").exists()


def test_a_run_without_a_finished_fold_is_one_message(
    command: Any, tiny: tuple[str, ...], trained: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    (run / "fold_0/predictions_cases.csv").unlink()
    ended = command("predict.py", f"run={run}", "cohort=phantom", tiny[0], *SCORED, f"hydra.run.dir={tmp_path / 'out'}")
    assert ended.status == 1
    assert f"python train.py resume={run}" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_run_and_cohort_have_to_be_given(command: Any) -> None:
    ended = command("predict.py")
    assert ended.status == 1
    assert ended.stderr.strip().startswith("required a value for cohort.image")
    assert "run=..." in ended.stderr


def test_what_it_did_without_how_far_it_is_and_what_moved_it(
    command: Any, crossvalidated: Path, cohort: Any, tmp_path: Path
) -> None:
    def darker(rows: Rows) -> Rows:
        for path in (tmp_path / "cohort/images").iterdir():
            with Image.open(path) as image:
                dark = image.point(lambda value: value // 6)
            dark.save(path)
        return rows

    overrides = cohort(darker)
    out = tmp_path / "out"
    few = ("explain.n_cases=1", "explain.n_steps=8", "explain.pixels.most_steps=8", "explain.network.n_cases=3")
    few += ("explain.pixels.randomization.n_networks=1", "explain.pixels.n_random_orders=1")
    ended = command(
        *(
            "predict.py",
            f"run={crossvalidated}",
            *overrides,
            "~cohort.clinical",
            "+cohort.clinical={}",
            "cohort.name=elsewhere",
            *few,
        ),
        f"hydra.run.dir={out}",
    ).succeeded()
    assert "36 of 36 cases are scored without the clinical branch" in ended.stdout
    found = json.loads((out / "applicability.json").read_text())
    assert {"age", "pain"} <= {*found["columns"]["absent"]}
    assert found["branches"] == {"image": 0, "radiomics": 0, "clinical": 36}
    assert found["distances"]["image"]["share_far"] > 0.5
    probabilities = probabilities_of(out / "predictions_cases.csv", "case_id")
    rows = rows_of(out / "attributions/shapley.csv")
    assert len(rows) == 3 * 36
    for (case_id,), probability in probabilities.items():
        own = [row for row in rows if row["case_id"] == case_id]
        moved = sum(float(row["image"]) + float(row["radiomics"]) for row in own)
        assert {row["clinical"] for row in own} == {""}
        base = sum(float(row["base"]) for row in own)
        assert moved / 3 == pytest.approx(probability - base / 3, abs=1e-6)
    assert len(list((out / "attributions/images").iterdir())) == 3
    page = (out / "report.html").read_text()
    assert "No image has what the clinical branch needs" in page
    assert "the mean of 3 models" in page
    assert (out / "figures/distances.pdf").exists()


def test_one_patient_is_explained_by_some_of_three_models(
    command: Any, crossvalidated: Path, cohort: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    few = ("explain.n_steps=4", "explain.pixels.most_steps=4", "explain.pixels.randomization.n_networks=1")
    arguments = ("predict.py", f"run={crossvalidated}", *cohort(lambda rows: rows[:1]), *few, f"hydra.run.dir={out}")
    command(*arguments).succeeded()
    assert len(rows_of(out / "attributions/shapley.csv")) == 3
    assert len(list((out / "attributions/images").iterdir())) == 1
    again = command(*arguments)
    assert again.status == 1
    assert "required a new folder" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1

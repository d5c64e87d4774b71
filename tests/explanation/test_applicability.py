import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.explanation.applicability import (
    applicability_notes,
    measure_distances,
    summarize_distances,
    write_applicability,
)
from fusion.explanation.references import REFERENCES, write_references
from fusion.explanation.training_distance import TrainingDistance
from fusion.records import Cohort, Fold
from fusion.runs.folder import RunFolder


def fold(n_train: int) -> Fold:
    names = [f"patient {i}" for i in range(20)]
    return Fold(
        number=0, seed=0, train=frozenset(names[:n_train]), validation=frozenset(), test=frozenset(names[n_train:])
    )


def measure(example: Any, path: Path, **changed: Any) -> list[Any]:
    given = {"crops": example.crops, "features": example.features, "accelerator": "cpu"}
    write_references(path, example.model, example.cases, fold=fold(15), **given)
    from fusion.explanation.references import read_references

    cases = changed.pop("cases", example.cases[30:])
    return measure_distances([example.model], [read_references(path)], cases, **(given | changed))


def test_cases_of_the_same_kind_are_near_and_others_far(many: Any, tmp_path: Path) -> None:
    same = summarize_distances(measure(many, tmp_path / REFERENCES))
    assert {*same} == {"image", "radiomics"}
    for figures in same.values():
        assert figures["n"] == 10
        assert figures["n_reference"] == 6
        assert figures["expected_far"] == pytest.approx(1 / 7)
        assert 0.05 < figures["mean_percentile"] < 0.95
        assert figures["share_far"] < 1
    dark = np.array(many.crops.array)
    dark[30:, 0] //= 8
    np.save(tmp_path / "dark.npy", dark)
    others = replace(many.crops, array=np.load(tmp_path / "dark.npy", mmap_mode="r"))
    far = summarize_distances(measure(many, tmp_path / "again.npz", crops=others))
    assert far["image"]["share_far"] == 1
    assert far["radiomics"] == same["radiomics"]


def test_a_summary_is_over_cases_and_models_not_over_their_means(many: Any, tmp_path: Path) -> None:
    (image, _) = measure(many, tmp_path / REFERENCES, cases=many.cases[28:32])
    first = replace(image, percentiles=np.array([1.0, 0.2, 0.96, 0.0]))
    second = replace(image, fold=1, percentiles=np.array([0.2, 0.4, 0.2, 0.0]), n_reference=7)
    found = summarize_distances([first, second])["image"]
    assert found["n"] == 4
    assert found["n_reference"] == image.n_reference + 7
    assert found["share_far"] == 2 / 8
    assert found["mean_percentile"] == pytest.approx(2.96 / 8)
    assert {*found["centers"]} == {"A", "B"}
    assert found["centers"]["B"] == {"n": 2, "mean_percentile": pytest.approx(1.16 / 4), "share_far": 1 / 4}


def test_a_branch_that_no_case_has_and_a_model_without_reference(many: Any, tmp_path: Path) -> None:
    none = replace(many.features, case_ids=many.features.case_ids[:30], values=many.features.values[:30])
    assert [each.branch for each in measure(many, tmp_path / REFERENCES, features=none)] == ["image"]
    given = {"crops": many.crops, "features": many.features, "accelerator": "cpu"}
    assert measure_distances([many.model], [{}], many.cases, **given) == []


@pytest.fixture
def run(many: Any, tmp_path: Path) -> RunFolder:
    """With one finished fold."""
    run = RunFolder.begin(tmp_path / "run", {"cohort": {"name": "other"}})
    folder = run.fold(0)
    folder.mkdir()
    write_references(
        folder / REFERENCES,
        many.model,
        many.cases,
        fold=fold(15),
        crops=many.crops,
        features=many.features,
        accelerator="cpu",
    )
    (folder / "predictions_cases.csv").write_text("")
    (run.path / "split.csv").write_text("patient_id,center,fold,part\npatient 3,A,0,train\n")
    return run


def apply(run: RunFolder, example: Any, out_dir: Path, **changed: Any) -> dict[str, Any]:
    cohort = Cohort(
        name=changed.pop("name", "here"),
        cases=example.cases,
        label_names=("benign", "malignant"),
        clinical_columns=changed.pop("clinical_columns", ()),
    )
    given = {"crops": example.crops, "features": example.features, "accelerator": "cpu"} | changed
    return write_applicability(out_dir, run=run, models=[example.model], cohort=cohort, **given)


def test_what_is_lacking_and_how_far_it_is_are_written_and_said(run: RunFolder, many: Any, tmp_path: Path) -> None:
    bare = replace(many, cases=tuple(replace(case, clinical={}) for case in many.cases))
    content = apply(run, bare, tmp_path)
    assert json.loads((tmp_path / "applicability.json").read_text()) == content
    assert content["columns"] == {"absent": ["age", "shape"], "missing": {}}
    assert content["branches"] == {"image": 0, "radiomics": 0, "clinical": 40}
    assert content["n_seen"] == 0
    with (tmp_path / "distances.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 80
    assert {row["branch"] for row in rows} == {"image", "radiomics"}
    far = [float(row["percentile"]) > 0.95 for row in rows if row["branch"] == "image"]
    assert np.mean(far) == content["distances"]["image"]["share_far"]
    assert content["distances"]["image"]["expected_far"] == pytest.approx(1 / 7)
    notes = applicability_notes(content)
    assert all("14% would be expected of one kind" in note for note in notes[2:])
    assert notes[:2] == [
        "clinical columns of training that the cohort does not have: age, shape",
        "40 of 40 cases are scored without the clinical branch",
    ]
    assert [note.partition(" of ")[2].partition(" lie")[0] for note in notes[2:]] == [
        "40 images",
        "40 lesions (radiomics features)",
    ]


def test_patients_of_training_are_told(run: RunFolder, many: Any, tmp_path: Path) -> None:
    content = apply(run, many, tmp_path, name="other")
    assert content["n_seen"] == 1
    assert applicability_notes(content)[-1].startswith("1 patient was in the training of at least one fold")


def test_a_run_that_kept_no_reference_leaves_no_distances(run: RunFolder, many: Any, tmp_path: Path) -> None:
    (run.fold(0) / REFERENCES).unlink()
    content = apply(run, many, tmp_path)
    assert content["distances"] == {}
    assert not (tmp_path / "distances.csv").exists()


def test_percentiles_come_from_the_reference(many: Any, tmp_path: Path) -> None:
    (image, _) = measure(many, tmp_path / REFERENCES)
    rows = many.model.image_rows(many.cases, crops=many.crops, features=many.features, accelerator="cpu")["image"]
    patients = [case.patient_id for case in many.cases[:30]]
    expected = TrainingDistance.fit(rows[:30], patients=patients, held_out=rows[:0])
    assert image.percentiles == pytest.approx(expected.percentiles(expected.gaussian.distances(rows[30:])), abs=0.09)

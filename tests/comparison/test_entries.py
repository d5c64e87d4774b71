from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.comparison.entries import read_entries
from fusion.errors import FusionError
from fusion.storage import file_digest


def test_models_stand_side_by_side(study: Callable[..., Any]) -> None:
    one = study()
    first = one.predictions(1.0)
    shuffled = np.random.default_rng(0).permutation(len(first.labels))
    second = replace(
        first,
        probabilities=first.probabilities[shuffled],
        **{
            name: tuple(getattr(first, name)[row] for row in shuffled)
            for name in ("patient_ids", "centers", "parts", "folds", "labels")
        },
    )
    a, b = one.write("a", first), one.write("b", second, thresholds={"youden": 0.4})
    entries = read_entries([str(a), f"other={b}"])
    test = entries.models[0].test
    assert [model.name for model in entries.models] == ["a", "other"]
    assert len(test.labels) == 60
    assert set(test.parts) == {"test"}
    assert entries.models[1].test.patient_ids == test.patient_ids
    assert np.array_equal(entries.models[1].test.probabilities, test.probabilities)
    assert entries.models[1].thresholds == {"youden": {0: 0.4, 1: 0.4, 2: 0.4}}
    assert entries.split_sha256 == file_digest(a / "split.csv")
    assert entries.fold_sizes == {0: (40, 20), 1: (40, 20), 2: (40, 20)}
    assert entries.n_planned == 3


def test_the_folder_of_a_sweep_has_equals_signs_of_its_own(study: Callable[..., Any]) -> None:
    one = study()
    runs = [one.write(f"backbone=tiny,l1={l1}", one.predictions(1.0), changes={"l1": l1}) for l1 in (0.0, 0.1)]
    entries = read_entries([str(runs[0]), f"l1 of a tenth={runs[1]}"])
    assert [model.name for model in entries.models] == ["l1=0", "l1 of a tenth"]
    assert {"l1=0.1", "l1 of a tenth", "backbone=tiny,l1=0.1"} <= entries.models[1].aliases


def test_a_model_answers_to_the_options_of_its_groups(study: Callable[..., Any]) -> None:
    one = study()
    runs = [
        one.write(
            f"{name}-{kind}", one.predictions(1.0), changes={"model": {"name": kind}, "classifier": {"name": name}}
        )
        for name in ("lr", "svm")
        for kind in ("composite", "deep")
    ]
    entries = read_entries([str(run) for run in runs])
    assert [model.name for model in entries.models][:2] == [
        "composite, lr",
        "deep, lr",
    ]
    for alias in ("model=deep", "model.name=deep", "deep", "svm", "classifier=svm", "classifier.name=svm"):
        assert alias in entries.models[3].aliases
        assert alias not in entries.models[0].aliases


def test_a_model_does_not_answer_to_a_classifier_that_it_lacks(study: Callable[..., Any]) -> None:
    one = study()
    models = {
        "late": {"name": "late", "inputs": {"deep": "score"}, "combine": "mean"},
        "deep": {"name": "deep", "inputs": {"deep": "features"}, "combine": "classifier"},
    }
    runs = [
        str(one.write(name, one.predictions(1.0), changes={"model": model, "classifier": {"name": "svm"}}))
        for name, model in models.items()
    ]
    aliases = [entry.aliases for entry in read_entries(runs).models]
    assert ["classifier=svm" in of_model for of_model in aliases] == [False, True]


def test_inner_predictions_are_labeled_and_of_patients(study: Callable[..., Any]) -> None:
    one = study()
    runs = [one.write(name, one.predictions(1.0), has_inner=name == "a") for name in ("a", "b")]
    header, first, *rows = (runs[0] / "predictions_inner.csv").read_text().splitlines()
    unlabeled = first.replace("benign", "").replace("malignant", "")
    (runs[0] / "predictions_inner.csv").write_text("\n".join([header, unlabeled, *rows, f"view2{rows[0]}"]) + "\n")
    inner, without = (model.inner for model in read_entries([str(run) for run in runs]).models)
    assert inner is not None
    assert (inner.case_ids, set(inner.parts), len(inner.labels)) == (None, {"validation"}, len(rows))
    assert without is None
    (runs[0] / "predictions_inner.csv").write_text("case_id,patient_id\n1,2\n")
    with pytest.raises(FusionError, match=r"tables of predictions and fold\.json as a run writes them"):
        read_entries([str(run) for run in runs])


def test_what_is_done_within_the_training_patients_divides_nobody(study: Callable[..., Any]) -> None:
    one = study()
    network = one.write("a", one.predictions(1.0), changes={"split": {"name": "kfold", "n_inner_folds": 1}})
    inner = {"name": "kfold", "n_inner_folds": 5, "grid": [{"l1": [0.0, 0.1]}]}
    classical = one.write("b", one.predictions(1.5), changes={"model": {"name": "deep"}, "split": inner})
    assert [model.name for model in read_entries([str(network), str(classical)]).models] == ["fusion", "deep"]
    larger = study(n_patients=63)
    other = larger.write("c", larger.predictions(1.0), changes={"split": inner, "seed": 4})
    with pytest.raises(FusionError, match=r"(?m)the likely cause: seed 4 against 3$") as caught:
        read_entries([str(network), str(other)])
    assert "n_inner_folds" not in str(caught.value)


def test_a_published_figure_that_is_none_is_refused(study: Callable[..., Any]) -> None:
    one = study()
    runs = [one.write(name, one.predictions(1.0), changes={"published": 0.8}) for name in ("a", "b")]
    with pytest.raises(FusionError, match="published: required"):
        read_entries([str(run) for run in runs])


def test_another_split_is_refused_with_what_differs(study: Callable[..., Any]) -> None:
    one = study()
    first = one.write("a", one.predictions(1.0))
    moved = one.folds[0]
    patient, other = sorted(moved.test)[0], sorted(moved.train)[0]
    one.folds[0] = replace(moved, test=moved.test - {patient} | {other}, train=moved.train - {other} | {patient})
    second = one.write("b", one.predictions(1.0))
    with pytest.raises(FusionError) as caught:
        read_entries([str(first), str(second)])
    message = str(caught.value)
    assert f"{second / 'split.csv'}: required the split of {first}: 60 patients, came 60 patients" in message
    assert "2 patients are in other folds or parts; first: " in message
    assert message.partition("first: ")[2][:3] in (patient, other)
    assert "the same cohort, split and seed" in message


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"seed": 2}, "the likely cause: seed 2 against 3"),
        (
            {"split": {"name": "holdout", "test_fraction": 0.3}, "cohort": {"name": "salivary", "root": "elsewhere"}},
            "the likely cause: split.name holdout against kfold",
        ),
        (
            {"cohort": {"name": "breast"}, "seed": 1},
            "the likely cause: seed 1 against 3, cohort.name breast against sal",
        ),
        ({"l1": 0.5}, "configured alike, so probably the cohort’s table has changed in between"),
    ],
)
def test_the_likely_cause_of_another_split_is_named(
    study: Callable[..., Any], changes: dict[str, Any], cause: str
) -> None:
    small, large = study(n_patients=57), study(n_patients=60)
    runs = [small.write("a", small.predictions(1.0)), large.write("b", large.predictions(1.0), changes=changes)]
    with pytest.raises(FusionError) as caught:
        read_entries([str(run) for run in runs])
    assert "cohort.root" not in str(caught.value)
    assert f"; {cause}" in str(caught.value) or f"seed, split and cohort are {cause}" in str(caught.value)


def test_other_patients_are_named(study: Callable[..., Any]) -> None:
    small, large = study(n_patients=57), study(n_patients=60)
    runs = [small.write("a", small.predictions(1.0)), large.write("b", large.predictions(1.0))]
    with pytest.raises(FusionError, match=r"required the split .*: 57 patients, came 60 patients; .*3 patients are on"):
        read_entries([str(run) for run in runs])
    with pytest.raises(FusionError, match=r"3 patients are missing; first: 05"):
        read_entries([str(run) for run in reversed(runs)])


def test_another_order_of_the_split_is_another_split(study: Callable[..., Any]) -> None:
    one = study()
    runs = [one.write(name, one.predictions(1.0)) for name in ("a", "b")]
    header, *rows = (runs[1] / "split.csv").read_text().splitlines()
    (runs[1] / "split.csv").write_text("\n".join([header, *reversed(rows)]) + "\n")
    with pytest.raises(FusionError, match="the same folds, but other centers or another order of the rows"):
        read_entries([str(run) for run in runs])


def test_other_folds_labels_and_rows_are_refused_all_at_once(study: Callable[..., Any]) -> None:
    one = study()
    whole = one.predictions(1.0)
    test = [row for row, part in enumerate(whole.parts) if part == "test"]
    labels = list(whole.labels)
    labels[test[0]] = "malignant" if labels[test[0]] == "benign" else "benign"
    runs = [
        one.write("a", whole),
        one.write("b", one.predictions(1.0, finished=[0, 2])),
        one.write("c", replace(whole, labels=tuple(labels))),
        one.write("d", replace(whole, label_names=("malignant", "benign"))),
        one.write("e", whole.select(row != test[1] for row in range(len(labels)))),
    ]
    with pytest.raises(FusionError) as caught:
        read_entries([str(run) for run in runs])
    lines = str(caught.value).splitlines()
    assert lines[0] == "These runs cannot be compared: 4 problems"
    assert f"{runs[1]}: required the finished folds of {runs[0]}, 0, 1, 2, came 0, 2" in lines[1]
    assert "came 1 other ones; first: patient 000 in fold" in lines[2]
    assert f"required the labels benign, malignant of {runs[0]}, in this order, came malignant, benign" in lines[3]
    assert "60 rows, came 59 rows; 1 are in only one of the two, first: patient" in lines[4]


def test_too_few_runs_and_runs_that_are_none(study: Callable[..., Any], tmp_path: Path) -> None:
    one = study()
    run = one.write("a", one.predictions(1.0))
    with pytest.raises(FusionError, match="at least two run folders to compare, came 1"):
        read_entries([str(run)])
    with pytest.raises(FusionError, match="came the same folder more than once"):
        read_entries([str(run), f"again={run.parent / '.' / 'a'}"])
    with pytest.raises(FusionError, match=r"required a run folder of train.py, came nowhere"):
        read_entries([str(run), "nowhere"])
    other = one.write("b", one.predictions(1.0))
    with pytest.raises(FusionError, match="a name of its own for every run, came more than once: same"):
        read_entries([f"same={run}", f"same={other}"])


def test_unfinished_and_broken_runs_are_all_named(study: Callable[..., Any]) -> None:
    one = study()
    runs = [one.write(name, one.predictions(1.0)) for name in "abc"]
    (runs[0] / "predictions.csv").unlink()
    (runs[1] / "predictions.csv").write_text("patient_id,center\n1,a\n")
    (runs[2] / "fold_0" / "fold.json").write_text("{")
    with pytest.raises(FusionError) as caught:
        read_entries([str(run) for run in runs])
    message = str(caught.value)
    assert message.startswith("Runs to compare: 3 problems")
    assert f"{runs[0] / 'predictions.csv'}: required a file of a finished run, came no such file" in message
    assert all(f"{run}: required" in message for run in runs[1:])


def test_without_labels_there_is_nothing_to_compare(study: Callable[..., Any]) -> None:
    one = study()
    blind = one.predictions(1.0)
    blind = replace(blind, labels=("",) * len(blind.labels))
    with pytest.raises(FusionError, match="required labeled test patients, came none"):
        read_entries([str(one.write(name, blind)) for name in ("a", "b")])

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.errors import FusionError
from fusion.records import Predictions
from fusion.runs.tables import (
    branch_column,
    concatenate,
    read_branch_predictions,
    read_predictions,
    read_rows,
    write_predictions,
    write_rows,
)

IDS = ("007", 'a "quoted", one', "two\nlines", "Zoë", "")


def predictions(case_ids: Sequence[str] | None = None, **changes: Any) -> Predictions:
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "model": "m",
        "label_names": ("benign", "prob_odd, one"),
        "patient_ids": IDS,
        "centers": ("Köln", "A, B", "1", "1", "NA"),
        "parts": ("train", "validation", "test", "test", "test"),
        "folds": (0, 1, 2, 10, 3),
        "labels": ("benign", "prob_odd, one", "", "benign", "benign"),
        "probabilities": rng.dirichlet((0.01, 0.01), size=5),
        "case_ids": case_ids,
    }
    return Predictions(**(columns | changes))


def assert_equal(read: Predictions, written: Predictions) -> None:
    names = ("model", "label_names", "patient_ids", "centers", "parts", "folds", "labels", "case_ids")
    assert {name: getattr(read, name) for name in names} == {name: getattr(written, name) for name in names}
    np.testing.assert_array_equal(read.probabilities, written.probabilities)
    assert read.probabilities.shape == written.probabilities.shape


def test_every_float_survives(tmp_path: Path) -> None:
    floats = [0.1 + 0.2, 1 / 3, 1e-5, 5e-324, sys.float_info.max, -0.0, 123456789.12345679, np.nextafter(0.5, 1)]
    floats += np.random.default_rng(0).standard_normal(500).tolist()
    write_rows(tmp_path / "a.csv", ("value",), ([value] for value in floats))
    header, rows = read_rows(tmp_path / "a.csv")
    assert header == ["value"]
    assert [float(value).hex() for (value,) in rows] == [float(value).hex() for value in floats]


@pytest.mark.parametrize("case_ids", [None, ("v1", "v2", "v3", "v4", "v5")])
def test_predictions_survive_exactly(tmp_path: Path, case_ids: tuple[str, ...] | None) -> None:
    written = predictions(case_ids)
    write_predictions(tmp_path / "p.csv", written)
    assert_equal(read_predictions(tmp_path / "p.csv", model="m"), written)


def test_no_predictions_survive_too(tmp_path: Path) -> None:
    nothing = predictions().select([False] * 5)
    write_predictions(tmp_path / "p.csv", nothing)
    assert_equal(read_predictions(tmp_path / "p.csv", model="m"), nothing)


def test_the_columns_are_those_of_the_contract(tmp_path: Path) -> None:
    made = Predictions(
        model="m",
        label_names=("benign", "malignant"),
        patient_ids=("p",),
        centers=("A",),
        parts=("test",),
        folds=(4,),
        labels=("benign",),
        probabilities=np.array([[0.75, 0.25]]),
    )
    write_predictions(tmp_path / "p.csv", made)
    assert (tmp_path / "p.csv").read_bytes() == (
        b"patient_id,center,fold,part,label,prob_benign,prob_malignant\np,A,4,test,benign,0.75,0.25\n"
    )


def test_tables_are_joined_in_order_under_one_header(tmp_path: Path) -> None:
    for name, rows in (("a", [["1", "x,y"]]), ("b", []), ("c", [["3", "z"], ["2", "w"]])):
        write_rows(tmp_path / name, ("id", "text"), rows)
    concatenate([tmp_path / name for name in "abc"], tmp_path / "deep" / "all.csv")
    assert read_rows(tmp_path / "deep" / "all.csv") == (["id", "text"], [["1", "x,y"], ["3", "z"], ["2", "w"]])


@pytest.mark.parametrize("other", [("text", "id"), ("id", "text", "more"), ("id",)])
def test_tables_of_other_columns_are_not_joined(tmp_path: Path, other: tuple[str, ...]) -> None:
    write_rows(tmp_path / "a.csv", ("id", "text"), [])
    write_rows(tmp_path / "b.csv", other, [])
    with pytest.raises(FusionError, match=rf"b\.csv: required the columns of .*a\.csv, id, text, came {other[0]}"):
        concatenate([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "all.csv")
    assert not (tmp_path / "all.csv").exists()


def test_a_branch_is_read_where_a_case_has_it(tmp_path: Path) -> None:
    labels = ("benign", "malignant")
    header = ["case_id", "patient_id", "center", "fold", "part", "label", "gate_image"]
    header += [branch_column(branch, label) for branch in ("image", "clinical") for label in labels]
    rows = [
        ["1", "p1", "A", 0, "test", "benign", 0.5, 0.9, 0.1, "", ""],
        ["2", "p2", "B", 1, "train", "", 0.5, 1 / 3, 1 - 1 / 3, 0.4, 0.6],
    ]
    write_rows(tmp_path / "branches.csv", header, rows)
    image = read_branch_predictions(tmp_path / "branches.csv", "image", labels)
    clinical = read_branch_predictions(tmp_path / "branches.csv", "clinical", labels)
    assert (image.model, image.label_names, image.case_ids) == ("image", labels, ("1", "2"))
    assert image.probabilities.tolist() == [[0.9, 0.1], [1 / 3, 1 - 1 / 3]]
    assert (clinical.case_ids, clinical.patient_ids, clinical.centers) == (("2",), ("p2",), ("B",))
    assert (clinical.folds, clinical.parts, clinical.labels) == ((1,), ("train",), ("",))
    assert clinical.probabilities.tolist() == [[0.4, 0.6]]


def test_a_branch_that_no_case_has_is_empty(tmp_path: Path) -> None:
    header = ["case_id", "patient_id", "center", "fold", "part", "label", "image_prob_a", "image_prob_b"]
    write_rows(tmp_path / "branches.csv", header, [["1", "p1", "A", 0, "test", "a", "", ""]])
    nothing = read_branch_predictions(tmp_path / "branches.csv", "image", ("a", "b"))
    assert nothing.case_ids == ()
    assert nothing.probabilities.shape == (0, 2)


def test_a_failed_table_leaves_the_old_one(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", ("id",), [["1"]])
    with pytest.raises(csv.Error):
        write_rows(tmp_path / "a.csv", ("id",), iter([["2"], 3]))  # type: ignore[arg-type]
    assert read_rows(tmp_path / "a.csv") == (["id"], [["1"]])

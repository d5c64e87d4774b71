from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.errors import FusionError
from fusion.explanation.references import REFERENCES, read_references, write_references
from fusion.explanation.training_distance import Gaussian
from fusion.records import Fold


def fold(n_train: int, n_validation: int) -> Fold:
    names = [f"patient {i}" for i in range(20)]
    parts = (names[:n_train], names[n_train : n_train + n_validation], names[n_train + n_validation :])
    train, validation, test = map(frozenset, parts)
    return Fold(number=0, seed=0, train=train, validation=validation, test=test)


def write(example: Any, path: Path, division: Fold, **changed: Any) -> dict[str, Any]:
    given = {"crops": example.crops, "features": example.features, **changed}
    write_references(path, example.model, example.cases, fold=division, accelerator="cpu", **given)
    return read_references(path)


def test_the_training_part_is_measured_against_the_validation_part(many: Any, tmp_path: Path) -> None:
    found = write(many, tmp_path / REFERENCES, fold(12, 3))
    assert {*found} == {"image", "radiomics"}
    rows = many.model.image_rows(many.cases, crops=many.crops, features=many.features, accelerator="cpu")
    for branch, reference in found.items():
        expected = Gaussian.fit(rows[branch][:24])
        assert reference.gaussian.mean == pytest.approx(expected.mean, rel=1e-5, abs=1e-5)
        assert reference.reference == pytest.approx(np.sort(expected.distances(rows[branch][24:30])), rel=1e-3)


def test_nothing_is_read_of_the_test_part(many: Any, tmp_path: Path) -> None:
    kept = write(many, tmp_path / "kept.npz", fold(12, 3))
    values = many.features.values.copy()
    values[30:] = 1e6
    pixels = np.array(many.crops.array)
    pixels[30:] = 0
    np.save(tmp_path / "spoiled.npy", pixels)
    spoiled = replace(many.crops, array=np.load(tmp_path / "spoiled.npy", mmap_mode="r"))
    again = write(
        many, tmp_path / "again.npz", fold(12, 3), crops=spoiled, features=replace(many.features, values=values)
    )
    for branch in kept:
        assert np.array_equal(kept[branch].reference, again[branch].reference)
        assert np.array_equal(kept[branch].gaussian.mean, again[branch].gaussian.mean)


def test_without_a_validation_part_a_fifth_of_the_training_patients_takes_its_place(many: Any, tmp_path: Path) -> None:
    found = write(many, tmp_path / REFERENCES, fold(15, 0))
    # Both images of three of fifteen patients.
    assert len(found["image"].reference) == 6


def test_a_case_without_a_branch_and_a_branch_of_few_cases(many: Any, tmp_path: Path) -> None:
    few = tuple(case.case_id for case in many.cases[:9])
    features = replace(many.features, case_ids=few, values=many.features.values[:9])
    assert {*write(many, tmp_path / "few.npz", fold(12, 3), features=features)} == {"image"}
    fewer = replace(many.features, case_ids=many.features.case_ids[2:], values=many.features.values[2:])
    assert np.isfinite(write(many, tmp_path / "fewer.npz", fold(12, 3), features=fewer)["radiomics"].reference).all()


def test_a_run_that_kept_none_and_a_file_that_is_none(tmp_path: Path) -> None:
    assert read_references(tmp_path / REFERENCES) == {}
    (tmp_path / REFERENCES).write_text("no archive")
    with pytest.raises(FusionError, match=r"required a file that train\.py wrote"):
        read_references(tmp_path / REFERENCES)
    np.savez(tmp_path / "other.npz", **{"image/mean": np.zeros(3)})
    with pytest.raises(FusionError, match=r"required a file that train\.py wrote"):
        read_references(tmp_path / "other.npz")
    whole = (tmp_path / "other.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FusionError, match=r"required a file that train\.py wrote"):
        read_references(tmp_path / "cut.npz")

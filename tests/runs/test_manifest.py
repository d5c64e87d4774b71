import json
import platform
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusion.records import Case, Cohort
from fusion.runs import manifest as module
from fusion.runs.folder import RunFolder
from fusion.runs.manifest import Manifest, describe_cohort, describe_environment, digest_inputs


def on_disk(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def case(case_id: str, patient_id: str, center: str, label: str | None, *, folder: Path, mask: bool = True) -> Case:
    return Case(
        case_id=case_id,
        patient_id=patient_id,
        center=center,
        image=folder / f"{case_id}.png",
        mask=folder / f"{case_id}_mask.png" if mask else None,
        label=label,
        clinical={},
    )


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    cases = (
        case("1", "p1", "A", "benign", folder=tmp_path),
        case("2", "p1", "A", "benign", folder=tmp_path),
        case("3", "p2", "B", "malignant", folder=tmp_path, mask=False),
        case("4", "p3", "A", None, folder=tmp_path),
    )
    return Cohort(name="small", cases=cases, label_names=("benign", "malignant"), clinical_columns=())


@pytest.fixture
def digests(cohort: Cohort) -> dict[Path, str]:
    return {path: f"digest of {path.name}" for made in cohort.cases for path in (made.image, made.mask) if path}


def test_it_is_on_disk_after_each_stage(tmp_path: Path) -> None:
    manifest = Manifest(RunFolder(tmp_path))
    assert manifest.stages == {}
    with manifest.stage("cohort"):
        manifest.record(seed=3)
        assert on_disk(tmp_path / "manifest.json") == {"seed": 3}
    assert list(on_disk(tmp_path / "manifest.json")["stages"]) == ["cohort"]
    with manifest.stage("images"):
        pass
    content = on_disk(tmp_path / "manifest.json")
    assert (content["seed"], list(content["stages"])) == (3, ["cohort", "images"])
    assert content["stages"] == manifest.stages


def test_a_stage_has_its_seconds_and_peak_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.3456])
    # Of this module alone: the locks have their own time.
    monkeypatch.setattr("fusion.runs.manifest.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    manifest = Manifest(RunFolder(tmp_path))
    with manifest.stage("cohort"):
        pass
    assert manifest.stages["cohort"]["seconds"] == 2.346
    # An interpreter with numpy takes more than 20 MB and less than all that a machine has.
    assert 20 < manifest.stages["cohort"]["peak_memory_mb"] < 1e6


def test_a_failed_stage_leaves_those_before_it(tmp_path: Path) -> None:
    manifest = Manifest(RunFolder(tmp_path))
    with manifest.stage("cohort"):
        pass
    with pytest.raises(KeyboardInterrupt), manifest.stage("images"):
        raise KeyboardInterrupt
    assert list(on_disk(tmp_path / "manifest.json")["stages"]) == ["cohort"]


def test_a_resumed_run_keeps_what_is_known(tmp_path: Path) -> None:
    first = Manifest(RunFolder(tmp_path))
    with first.stage("fold_0"):
        first.record(seed=3, device="cpu")
    resumed = Manifest(RunFolder(tmp_path))
    assert resumed.stages == first.stages
    with resumed.stage("fold_1"):
        resumed.record(device="cuda")
    content = on_disk(tmp_path / "manifest.json")
    assert (content["seed"], content["device"], list(content["stages"])) == (3, "cuda", ["fold_0", "fold_1"])
    assert content["stages"]["fold_0"] == first.stages["fold_0"]


def test_two_processes_of_a_run_keep_each_others_stages(tmp_path: Path) -> None:
    first, second = Manifest(RunFolder(tmp_path)), Manifest(RunFolder(tmp_path))
    with first.stage("fold_0"), second.stage("fold_1"):
        pass
    assert sorted(on_disk(tmp_path / "manifest.json")["stages"]) == ["fold_0", "fold_1"]


def test_facts_that_json_cannot_hold_leave_the_file_whole(tmp_path: Path) -> None:
    manifest = Manifest(RunFolder(tmp_path))
    manifest.record(seed=3)
    with pytest.raises(ValueError, match="JSON"):
        manifest.record(auc=np.nan)
    assert on_disk(tmp_path / "manifest.json") == {"seed": 3}


def test_the_environment_names_every_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PACKAGES", ("numpy", "no-such-package"))
    described = describe_environment()
    assert described["versions"] == {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "no-such-package": "not installed",
    }
    revision = described["git"]["revision"]
    assert revision is None or (len(revision) == 40 and int(revision, 16) > 0)
    assert json.loads(json.dumps(described)) == described


def test_without_git_the_revision_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert describe_environment()["git"] == {"revision": None, "dirty": None}


def test_a_cohort_is_counted_by_patient(cohort: Cohort) -> None:
    assert describe_cohort(cohort) == {
        "patients": 3,
        "cases": 4,
        "labels": {"benign": 1, "malignant": 1, "None": 1},
        "centers": {"A": 2, "B": 1},
    }


def test_digests_of_the_inputs_do_not_depend_on_their_order(
    tmp_path: Path, cohort: Cohort, digests: dict[Path, str]
) -> None:
    (tmp_path / "table.csv").write_text("abc")
    files = {"table": tmp_path / "table.csv", "weights": tmp_path / "none"}
    found = digest_inputs(digests, cohort, files)
    backwards = Cohort(name="b", cases=cohort.cases[::-1], label_names=cohort.label_names, clinical_columns=())
    assert found == digest_inputs(digests, backwards, files)
    # Of contents, not of names.
    names = tmp_path / "1.png", tmp_path / "4.png"
    assert found == digest_inputs(digests | {names[0]: digests[names[1]], names[1]: digests[names[0]]}, cohort, files)
    assert found["table"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert set(found) == {"table", "images", "masks"}


@pytest.mark.parametrize(("changed", "key"), [("4.png", "images"), ("1_mask.png", "masks")])
def test_one_changed_input_changes_its_digest(
    tmp_path: Path, cohort: Cohort, digests: dict[Path, str], changed: str, key: str
) -> None:
    before = digest_inputs(digests, cohort, {})
    after = digest_inputs(digests | {tmp_path / changed: "another"}, cohort, {})
    assert {name for name in before if before[name] != after[name]} == {key}

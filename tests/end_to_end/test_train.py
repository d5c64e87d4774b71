import csv
import json
import re
from pathlib import Path
from typing import Any

SHA256 = re.compile(r"[0-9a-f]{64}")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_file_of_the_run_folder_is_there(trained: Path) -> None:
    for name in (
        "config.yaml",
        "manifest.json",
        "split.csv",
        "predictions.csv",
        "predictions_cases.csv",
        "metrics.json",
        "fold_0/model.ckpt",
        "fold_0/metrics.csv",
        "features.csv",
        "attributions/branches.csv",
        "attributions/radiomics.csv",
        "attributions/clinical.csv",
        "attributions/inputs.csv",
        "figures/roc.svg",
        "figures/shap.svg",
        "report.html",
    ):
        assert (trained / name).stat().st_size > 0, name
    assert len(list((trained / "attributions/images").glob("*.png"))) == 6
    assert [path.name for path in trained.rglob(".*")] == [".locks"], "a temporary file is left"


def test_the_command_says_its_figures_and_nothing_else(first_run: tuple[Path, Any]) -> None:
    _, ended = first_run
    assert re.fullmatch(r"fold 0: 1 epochs, .*\n", ended.stderr)
    assert "phantom: test patients" in ended.stdout
    assert re.search(r"│ AUC +│ +0\.\d{3}", ended.stdout)
    assert re.search(r"written: .*trained-here/report\.html\n$", ended.stdout)


def test_metrics_have_values_intervals_and_counts(trained: Path) -> None:
    metrics = json.loads((trained / "metrics.json").read_text())
    for name in ("auc", "average_precision", "partial_auc", "sensitivity", "specificity", "f1", "brier"):
        figure = metrics["test"][name]
        assert 0 <= figure["ci_low"] <= figure["value"] <= figure["ci_high"] <= 1, name
        assert figure["n"] > 0
    assert set(metrics["branches"]) == {"image", "radiomics", "clinical"}
    assert metrics["test"]["auc"]["n"] == sum(row["part"] == "test" for row in rows_of(trained / "split.csv"))
    assert {"north", "east"} <= set(metrics["centers"])


def test_the_manifest_tells_where_the_numbers_come_from(trained: Path) -> None:
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["seed"] == 0
    assert {"python", "torch", "lightning", "pyradiomics", "fusion-radiomics"} <= set(manifest["versions"])
    assert set(manifest["git"]) == {"revision", "dirty"}
    assert SHA256.fullmatch(manifest["split_sha256"])
    assert set(manifest["sha256"]) == {"table", "images", "masks"}
    assert all(SHA256.fullmatch(digest) for digest in manifest["sha256"].values())
    assert {"cohort", "images", "radiomics", "fold_0", "evaluation", "report"} <= set(manifest["stages"])
    assert all(stage["seconds"] >= 0 and stage["peak_memory_mb"] > 0 for stage in manifest["stages"].values())


def test_the_checkpoint_is_plain(trained: Path) -> None:
    import torch

    content: dict[str, Any] = torch.load(trained / "fold_0/model.ckpt", weights_only=True)
    assert content["label_names"] == ["benign", "malignant"]
    assert 0 <= content["threshold"] <= 1


def test_every_patient_of_the_split_is_scored_once(trained: Path, crossvalidated: Path) -> None:
    for run in (trained, crossvalidated):
        keys = [
            {(row["patient_id"], row["fold"], row["part"]) for row in rows_of(run / name)}
            for name in ("split.csv", "predictions.csv")
        ]
        assert keys[0] == keys[1]
        assert len(keys[0]) == len(rows_of(run / "predictions.csv"))
    held_out = [row["patient_id"] for row in rows_of(crossvalidated / "predictions.csv") if row["part"] == "test"]
    assert len(set(held_out)) == len(held_out) == 36


def test_the_saved_configuration_gives_the_same_bytes(command: Any, trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    saved = ("--config-dir", trained, "--config-name", "config", "report=false")
    command("train.py", *saved, f"hydra.run.dir={run}").succeeded()
    for name in (
        "config.yaml",
        "predictions.csv",
        "predictions_cases.csv",
        "features.csv",
        "attributions/clinical.csv",
    ):
        assert (run / name).read_bytes() == (trained / name).read_bytes(), name


def test_the_same_command_gives_the_same_bytes_and_a_filled_cache_needs_no_pyradiomics(
    command: Any, tiny: tuple[str, ...], trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    lean = ("explain=none", "report=false")
    command("train.py", *tiny, *lean, f"hydra.run.dir={run}", hidden=("radiomics",)).succeeded()
    for name in ("predictions.csv", "features.csv", "split.csv"):
        assert (run / name).read_bytes() == (trained / name).read_bytes(), name


def test_without_pyradiomics_an_empty_cache_is_one_message_and_the_other_branches_train(
    command: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    run, options = tmp_path / "run", {"cache": tmp_path / "cache", "hidden": ("radiomics",)}
    ended = command("train.py", *tiny, f"hydra.run.dir={run}", **options)
    assert ended.status == 1
    assert "PyRadiomics" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not (run / "fold_0").exists()

    branches = "model.branches=[image,clinical]"
    command("train.py", *tiny, branches, f"hydra.run.dir={tmp_path / 'other'}", **options).succeeded()
    assert set(json.loads((tmp_path / "other/metrics.json").read_text())["branches"]) == {"image", "clinical"}

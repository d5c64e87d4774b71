import json
from pathlib import Path
from typing import Any


def test_a_sweep_is_a_folder_a_run_and_a_larger_penalty_leaves_fewer_features(
    command: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    # Enough steps for the gates to get from where they start to 0 under any penalty that matters.
    steps = ("trainer.batch_size=4", "optimizer.lr_gates=0.05", "explain=none")
    primary = ("primary='l1=0'", f"hydra.sweep.dir={tmp_path}")
    ended = command("train.py", "-m", "backbone=tiny", "l1=0,10", *tiny, *steps, *primary).succeeded()
    left = {}
    for folder in (path.parent for path in tmp_path.glob("*/config.yaml")):
        assert (folder / "report.html").exists()
        facts = json.loads((folder / "fold_0/fold.json").read_text())
        (l1,) = (part.removeprefix("l1=") for part in folder.name.split(",") if part.startswith("l1="))
        assert "backbone=tiny" in folder.name
        left[l1] = facts["radiomics_features"]
        if l1 == "0":
            assert facts["radiomics_features"] == facts["radiomics_candidates"] > 50
    assert set(left) == {"0", "10"}
    assert left["10"] < left["0"]

    comparison = json.loads((tmp_path / "comparison/comparison.json").read_text())
    assert comparison["primary"] == "l1=0"
    assert (tmp_path / "comparison/comparison.html").exists()
    assert "l1=10" in ended.stdout

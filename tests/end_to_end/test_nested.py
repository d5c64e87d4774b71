"""Nested cross-validation as a command, to the report at its end."""

from pathlib import Path
from typing import Any


def test_a_nested_run_ends_with_a_report_that_names_the_grid(
    command: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    nested = ("split=nested", "split.n_folds=2", "split.n_inner_folds=2", "split.grid=[{l1: [0.0, 0.01]}]")
    quick = (
        "split.validation_fraction=0.4",
        "model.branches=[clinical]",
        "explain=none",
        f"hydra.run.dir={tmp_path / 'run'}",
    )
    command("train.py", *tiny, *nested, *quick).succeeded()
    page = (tmp_path / "run/report.html").read_text()
    assert "Tried in each fold: l1: 0.0, 0.01. Chosen: l1 0" in page

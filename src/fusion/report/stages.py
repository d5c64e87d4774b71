"""The stages of a classical model that select features: its final stage, and each block's own score."""

from __future__ import annotations

import re

import pandas as pd

from fusion.report.run_folder import FinishedRun

FINAL = "final"


def stages(run: FinishedRun) -> list[str]:
    """Those that the run's tables name, the final one first."""
    tables = [table for table in (run.lasso_cv, run.selection) if table is not None]
    found = {str(stage) for table in tables for stage in table["stage"]}
    return sorted(found, key=lambda stage: (stage != FINAL, stage))


def stage_text(stage: str) -> str:
    """``the final stage`` or ``the radiomics score``."""
    return "the final stage" if stage == FINAL else f"the {stage} score"


def figure_name(kind: str, stage: str) -> str:
    """Of a stage's figure: ``lasso``, ``lasso_radiomics``; letters only, since it becomes the name of a file."""
    return kind if stage == FINAL else f"{kind}_{re.sub(r'[^A-Za-z0-9]', '_', stage)}"


def of_stage(table: pd.DataFrame, stage: str) -> pd.DataFrame:
    """The rows of one stage."""
    return table[table["stage"] == stage]


def of_first_fold(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows of the fold with the lowest number, and that number."""
    fold = min(int(other) for other in table["fold"])
    return table[table["fold"].astype(int) == fold], fold


def fold_text(run: FinishedRun, fold: int) -> str:
    """Which fold is shown, for a caption; empty where there is only one."""
    return "" if run.n_folds == 1 else f"Of fold {fold}, one of {run.n_folds}: the others’ differ. "

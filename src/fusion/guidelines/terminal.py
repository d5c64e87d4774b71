"""What `fusion checklist` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fusion.guidelines.checklist import STATUSES, Checklist
from fusion.guidelines.write import FOLDER


def print_checklists(checklists: Sequence[Checklist], *, run_dir: Path) -> None:
    """Items by status for each guideline, the scores, and where the files are."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Items by who answers them")
    for column in ("guideline", *STATUSES, "stated by the authors"):
        table.add_column(column, justify="left" if column == "guideline" else "right")
    for checklist in checklists:
        counts = (str(checklist.counts[status]) for status in STATUSES)
        table.add_row(checklist.guideline.title, *counts, str(checklist.n_stated))
    console = Console()
    console.print(table)
    for checklist in checklists:
        if score := checklist.score:
            console.print(
                f"METRICS score {score.percent:.1f} % (open items counted as not met), {score.at_most:.1f} % at most: "
                f"{score.n_met} items met, {score.n_not_met} not met, {score.n_open} open, {score.n_without} do not "
                "apply",
                highlight=False,
                soft_wrap=True,
            )
    print(f"written: {run_dir / FOLDER}/checklist.html, .md, .docx, .json; {run_dir}/model_card.html, .md")

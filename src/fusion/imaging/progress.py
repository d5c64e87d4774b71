"""A progress bar for those who would wait, and nothing for the others."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")
_PATIENCE_SECONDS = 2.0


def show_progress(items: Iterable[Item], *, total: int, description: str) -> Iterator[Item]:
    """Pass the items on; on a terminal, a bar appears once they have taken two seconds."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
    task = progress.add_task(description, total=total)
    begun = time.monotonic()
    try:
        for item in items:
            yield item
            progress.advance(task)
            if time.monotonic() - begun > _PATIENCE_SECONDS:
                progress.start()
    finally:
        progress.stop()

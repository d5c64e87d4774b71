"""What a place where jobs run has to be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Running(Protocol):
    """A command that was started."""

    def poll(self) -> int | None:
        """Exit status; negative for the signal that killed it; None while it runs or waits."""

    def cancel(self) -> None:
        """End it, and return when it has ended."""


class Backend(Protocol):
    """Starts command lines elsewhere.

    Attributes:
        n_jobs: Most of them at once.
    """

    n_jobs: int

    def start(self, command: Sequence[str], *, name: str, log: Path) -> Running:
        """Start a command in the working directory of this process.

        Args:
            command: The program and its arguments.
            name: For people.
            log: Gets what the command prints, after what is there already.
        """

    def close(self) -> None:
        """Leave nothing behind."""

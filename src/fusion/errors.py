"""The one exception whose message is written for the person at the keyboard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class FusionError(Exception):
    """Something the user can mend; the message says what was required, what came, where, and what to do.

    The commands print it without a traceback and exit with status 1.
    """


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with the input.

    Attributes:
        where: File, row or case, e.g. ``clinical.xlsx, row 12 (case 12)``.
        required: What was required there.
        came: What was found instead.
    """

    where: str
    required: str
    came: str

    def __str__(self) -> str:
        return f"{self.where}: required {self.required}, came {self.came}"


class InputError(FusionError):
    """All problems of one input at once, so that a table is mended in one go."""

    def __init__(self, subject: str, problems: Iterable[Problem], advice: str) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"{subject}: {count} problem{'s' * (count != 1)}\n{lines}\n{advice}")

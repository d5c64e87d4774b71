"""The one exception whose message is written for the person at the keyboard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_N_SHOWN = 50


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
    """All problems of one input at once, so that a table is mended in one go.

    Attributes:
        subject: What the problems are of.
        problems: All of them; the message shows the first 50.
        advice: What to do.
    """

    def __init__(self, subject: str, problems: Iterable[Problem], advice: str) -> None:
        self.subject, self.problems, self.advice = subject, tuple(problems), advice
        count = len(self.problems)
        lines = [f"  - {problem}" for problem in self.problems[:_N_SHOWN]]
        if count > _N_SHOWN:
            lines.append(f"  and {count - _N_SHOWN} more")
        super().__init__("\n".join((f"{subject}: {count} problem{'s' * (count != 1)}", *lines, advice)))

    def __reduce__(self) -> tuple[type[Self], tuple[str, tuple[Problem, ...], str]]:
        # Workers raise it across processes; an exception is otherwise made again from its message alone.
        return type(self), (self.subject, self.problems, self.advice)


class Pruned(Exception):  # noqa: N818  # It is no error.
    """A run was given up, since its inner scores promise less than those of the runs before."""

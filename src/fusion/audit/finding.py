"""One thing that the audit found: what, where, why it matters, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
# (top, left, bottom, right) in pixels; bottom and right are the first row and column outside.
Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A thumbnail that shows a finding.

    Attributes:
        case_id: Whose image.
        caption: Below it.
        boxes: What is to be seen, in pixels of the image.
        whole: The whole image; False for the lesion and its surroundings.
    """

    case_id: str
    caption: str
    boxes: tuple[Box, ...] = ()
    whole: bool = True


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A record of ``check.json``.

    Attributes:
        kind: Of a fixed list, e.g. ``duplicate_images``; docs/checking.md explains each.
        severity: ``error`` must be mended before training, a ``warning`` be looked at, a ``note`` be known.
        where: Column, center or part of the cohort.
        found: What, with the figures.
        why: Why it matters.
        advice: What to do.
        cases: Ids of the cases, where it is of some cases and not of all.
        figures: The figures as plain content.
        details: A row each; together they are all that was found.
        pictures: Groups of pictures to be looked at together, for the page only.
    """

    kind: str
    severity: Severity
    where: str
    found: str
    why: str
    advice: str
    cases: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    details: tuple[Mapping[str, Any], ...] = ()
    pictures: tuple[tuple[Picture, ...], ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """Plain content, without the pictures."""
        texts = {name: getattr(self, name) for name in ("kind", "severity", "where", "found", "why", "advice")}
        return {
            **texts,
            "cases": list(self.cases),
            "figures": dict(self.figures),
            "details": [dict(row) for row in self.details],
        }


def counted(n: int, thing: str, things: str | None = None) -> str:
    """``1 image``, ``2 images``."""
    return f"{n} {thing if n == 1 else things or thing + 's'}"


def listed(items: tuple[str, ...], n_shown: int = 6) -> str:
    """The first items, and how many more there are."""
    more = f" and {len(items) - n_shown} more" if len(items) > n_shown else ""
    return ", ".join(items[:n_shown]) + more

"""A guideline as its YAML file lists it: numbers, topics in our own words, and which facts answer them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# In the order in which they are shown.
NAMES = ("clear", "metrics", "tripod_ai", "claim")
_FOLDER = Path(__file__).parent / "items"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item of a guideline.

    Attributes:
        number: As the guideline counts, e.g. ``12a``.
        section: Of the guideline.
        topic: In our own words.
        facts: Names of the facts that answer it; none where a run knows nothing of it.
        authors: What is left for the authors to say; None where the facts are the whole answer.
        weight: In the guideline's score; None where it has none.
        condition: Name of the condition under which the item is asked; None for always.
    """

    number: str
    section: str
    topic: str
    facts: tuple[str, ...]
    authors: str | None
    weight: float | None
    condition: str | None


@dataclass(frozen=True, kw_only=True)
class Guideline:
    """A guideline.

    Attributes:
        name: One of ``NAMES``.
        title: Its name among people, with its version.
        citation: Of the paper.
        items: In its own order.
    """

    name: str
    title: str
    citation: str
    items: tuple[Item, ...]


@cache
def read_guideline(name: str) -> Guideline:
    """The guideline of that name, one of ``NAMES``."""
    content = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    items = tuple(_item(item, section) for section, entries in content["sections"].items() for item in entries)
    return Guideline(name=name, title=content["title"], citation=content["citation"], items=items)


def _item(content: Mapping[str, Any], section: str) -> Item:
    return Item(
        number=str(content["number"]),
        section=section,
        topic=content["topic"],
        facts=tuple(content.get("facts", ())),
        authors=content.get("authors"),
        weight=content.get("weight"),
        condition=content.get("condition"),
    )

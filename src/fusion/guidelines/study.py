"""``study.yaml``: what only the authors of a study know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fusion.errors import FusionError, InputError, Problem
from fusion.guidelines.guideline import NAMES, read_guideline

STUDY_FILE = "study.yaml"
# What the model card asks the authors.
CARD = {
    "intended_use": "what the model is for, and at which point of care",
    "intended_users": "who is to use it, with what training",
    "not_for": "uses that the authors rule out beyond those that follow from the run",
    "population": "whom the patients stand for, where and when they were seen",
    "ethics": "approval, consent, risks for patients",
    "license": "under which terms the model may be used",
    "contact": "whom to ask",
}
_CARD = "model_card"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What the authors say to an item.

    Attributes:
        text: Their words.
        met: Of a scored guideline: whether the item is met; None where they do not say so.
    """

    text: str
    met: bool | None


@dataclass(frozen=True, kw_only=True)
class Study:
    """What the authors say.

    Attributes:
        file: Relative to the run folder, where it is kept; None where there is none.
        statements: By guideline and item number.
        card: Of the model card, by key of ``CARD``.
    """

    file: str | None
    statements: Mapping[tuple[str, str], Statement]
    card: Mapping[str, str]


NOBODY = Study(file=None, statements={}, card={})


def read_study(path: Path, *, file: str) -> Study:
    """Read what the authors say.

    Args:
        path: A mapping of guidelines to items to text, e.g. ``clear: {1: Radiomics is in the title.}``. An item of a
            scored guideline may also be ``{met: yes, text: …}``. ``model_card`` holds keys of ``CARD``.
        file: Where in the run folder it is kept.

    Raises:
        FusionError: If there is no such file.
        InputError: With every key and value that is unknown.
    """
    if not path.is_file():
        raise FusionError(f"required a file with what the authors say, came {path}, which is no file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FusionError(f"{path}: required YAML such as `clear: {{1: text}}`, came none: {error}") from error
    content = {} if content is None else content
    problems = list(_problems(content))
    if problems:
        raise InputError(str(path), problems, "docs/guidelines.md says what may stand in it.")
    statements = {
        (name, str(number)): _statement(value) for name in NAMES for number, value in (content.get(name) or {}).items()
    }
    return Study(file=file, statements=statements, card=dict(content.get(_CARD) or {}))


def _statement(value: Any) -> Statement:
    if isinstance(value, str):
        return Statement(text=value, met=None)
    return Statement(text=value["text"], met=value["met"])


def _problems(content: Any) -> Iterator[Problem]:
    if not isinstance(content, Mapping):
        yield Problem(where="the file", required="a mapping of guidelines to items", came=type(content).__name__)
        return
    for name in sorted(set(map(str, content)) - {*NAMES, _CARD}):
        yield Problem(where=name, required=f"one of {', '.join((*NAMES, _CARD))}", came="another key")
    for name in (*NAMES, _CARD):
        items = content.get(name) or {}
        if not isinstance(items, Mapping):
            yield Problem(where=name, required="a mapping of items to text", came=type(items).__name__)
            continue
        for key, value in items.items():
            yield from _item_problems(name, str(key), value)


def _item_problems(name: str, key: str, value: Any) -> Iterator[Problem]:
    if name == _CARD:
        known, is_scored = set(CARD), False
    else:
        items = read_guideline(name).items
        known, is_scored = {item.number for item in items}, any(item.weight for item in items)
    where = f"{name}.{key}"
    if key not in known:
        required = f"one of {', '.join(CARD)}" if name == _CARD else f"an item of {read_guideline(name).title}"
        yield Problem(where=where, required=required, came=repr(key))
    elif is_scored and isinstance(value, Mapping):
        if set(value) != {"met", "text"} or not isinstance(value["met"], bool) or not _is_text(value["text"]):
            yield Problem(where=where, required="text, or {met: yes or no, text: text}", came=repr(dict(value)))
    elif not _is_text(value):
        yield Problem(where=where, required="text (in quotes where YAML reads it as something else)", came=repr(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())

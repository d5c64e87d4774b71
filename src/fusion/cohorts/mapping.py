"""The ``cohort`` config of a table → a checked mapping of its columns; conf/cohort/table.yaml documents the keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from fusion.cohorts.section import Section
from fusion.cohorts.values import ColumnFormat, normalized
from fusion.errors import InputError, Problem
from fusion.records import ClinicalColumn, Kind, Source

ADVICE = (
    "Mend the table, or the mapping in conf/cohort/ (table.yaml there documents every key), or override a key on the "
    "command line; `fusion check` tests it again."
)
_KEYS = (
    *("name", "simulation", "root", "table", "sheet", "join", "exclude", "key", "patient", "center", "image", "mask"),
    *(
        "second_mask",
        "mask_label",
        "mask_optional",
        "frame",
        "label",
        "missing",
        "clinical",
        "banned",
        "reader_score",
        "fold",
    ),
)
_KEYS_OF_KIND: Mapping[str, tuple[str, ...]] = {
    "number": ("unit",),
    "category": (),
    "ordered": ("levels",),
    "set": ("separator", "empty"),
    "yes_no": ("yes", "no"),
}
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, kw_only=True)
class PathTemplate:
    """Path of a case's file, relative to the root: ``{Column}`` is filled in, then texts are replaced."""

    template: str
    replacements: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the template names."""
        return tuple(_PLACEHOLDER.findall(self.template))

    def fill(self, cells: Mapping[str, str]) -> str:
        """The path of a row, given the text of ``columns``."""
        path = _PLACEHOLDER.sub(lambda match: cells[match.group(1)], self.template)
        for old, new in self.replacements.items():
            path = path.replace(old, new)
        return path


@dataclass(frozen=True, kw_only=True)
class TableMapping:
    """What the columns of a table mean. The name of a column is None where the cohort has no such column.

    Attributes:
        joins: (file, column to join by) of each further table.
        exclude: Words by column, in the form of ``normalized``: a row with one of them is left out.
        labels: Words by label name, in that form too, the positive name last.
        missing: Words, in that form too, that mean a missing value; "" is one of them.
        formats: The clinical columns, in order.
        banned: Columns that must be there but never an input.
        reader: The reader's own score, whether it is an input or not.
    """

    name: str
    root: str
    table: str
    sheet: str | int | None
    joins: tuple[tuple[str, str], ...]
    exclude: Mapping[str, tuple[str, ...]]
    key: str
    patient: str | None
    center: str | None
    image: PathTemplate | None
    mask: PathTemplate | None
    second_mask: PathTemplate | None
    mask_label: int | None
    mask_optional: bool
    frame: str | None
    label: str | None
    labels: Mapping[str, tuple[str, ...]]
    missing: frozenset[str]
    formats: tuple[ColumnFormat, ...]
    banned: tuple[str, ...]
    reader: ColumnFormat | None
    fold: str | None

    @property
    def identifying(self) -> Iterator[tuple[str, str]]:
        """(key of the mapping, column) of what every table must have."""
        for key in ("key", "patient", "center", "frame"):
            if (column := getattr(self, key)) is not None:
                yield f"cohort.{key}", column
        for key, template in (("image", self.image), ("mask", self.mask), ("second_mask", self.second_mask)):
            for column in template.columns if template is not None else ():
                yield f"cohort.{key}", column

    @property
    def descriptive(self) -> Iterator[tuple[str, str]]:
        """(key of the mapping, column) of what a table for prediction may lack."""
        yield from (("cohort.clinical", layout.column.name) for layout in self.formats)
        yield from (("cohort.exclude", column) for column in self.exclude)
        yield from (("cohort.banned", column) for column in self.banned)
        yield from (("cohort.label.column", column) for column in (self.label,) if column is not None)
        yield from (("cohort.reader_score.column", layout.column.name) for layout in (self.reader,) if layout)
        yield from (("cohort.fold", column) for column in (self.fold,) if column is not None)

    def without(self, absent: Collection[str]) -> TableMapping:
        """The mapping of a table that lacks some columns; the key stays."""
        names = {key: getattr(self, key) for key in ("patient", "center", "frame", "label", "fold")}
        templates = {"image": self.image, "mask": self.mask, "second_mask": self.second_mask}
        changed: dict[str, Any] = {key: None for key, name in names.items() if name in absent}
        changed |= {key: None for key, path in templates.items() if path and not set(path.columns).isdisjoint(absent)}
        return replace(
            self,
            exclude={column: words for column, words in self.exclude.items() if column not in absent},
            formats=tuple(layout for layout in self.formats if layout.column.name not in absent),
            reader=self.reader if self.reader and self.reader.column.name not in absent else None,
            **changed,
        )


def read_mapping(config: Mapping[str, Any]) -> tuple[TableMapping, list[Problem]]:
    """Check the plain ``cohort`` config.

    Returns:
        The mapping, without what is wrong with it, and what that is.

    Raises:
        InputError: If a mandatory value is missing or unusable, so that no table can be read.
    """
    section = Section(config, "cohort", [])
    section.allow(_KEYS)
    for key in _KEYS:
        if key not in section.keys:
            section.complain(key, "every key of conf/cohort/table.yaml (`defaults: [table, _self_]` brings them)", None)
    outcome, score = section.section("label"), section.section("reader_score")
    outcome.allow(("column", "names"))
    score.allow(("column", "levels", "as_input"))
    score_column, score_is_input = score.optional_text("column"), score.flag("as_input")
    banned = (*section.words("banned"), *([score_column] if score_column and not score_is_input else []))
    formats = list(_formats(section.section("clinical")))
    # Without levels it is banned and no more: a score whose order is unknown cannot be evaluated.
    reader = (
        _format(score_column, "ordered", "ultrasound", score)
        if score_column and (score_is_input or score.words("levels"))
        else None
    )
    if score_is_input:
        formats.append(reader)
    mapping = TableMapping(
        name=section.text("name"),
        root=section.text("root"),
        table=section.text("table"),
        sheet=section.number("sheet", 0) if isinstance(section.value("sheet"), int) else section.optional_text("sheet"),
        joins=tuple(_join(join) for join in section.sections("join")),
        exclude=_forms_by_key(section.section("exclude")),
        key=section.text("key"),
        patient=section.optional_text("patient"),
        center=section.optional_text("center"),
        image=_template("image", section),
        mask=None if section.value("mask") is None else _template("mask", section),
        second_mask=None if section.value("second_mask") is None else _template("second_mask", section),
        mask_label=section.number("mask_label", 1),
        mask_optional=section.flag("mask_optional"),
        frame=section.optional_text("frame"),
        label=outcome.text("column"),
        labels=_labels(outcome),
        missing=frozenset({"", *section.forms("missing")}),
        formats=tuple(layout for layout in formats if layout is not None),
        banned=banned,
        reader=reader,
        fold=section.optional_text("fold"),
    )
    if not all((mapping.name, mapping.root, mapping.table, mapping.key, mapping.label, mapping.image, mapping.labels)):
        raise InputError(f"Cohort {mapping.name or '(no name)'}", section.problems, ADVICE)
    return _only_inputs(mapping, section), section.problems


def _only_inputs(mapping: TableMapping, section: Section) -> TableMapping:
    """Note and leave out the clinical columns that must not be inputs, or come twice."""
    reserved: dict[str | None, str] = {
        **dict.fromkeys(mapping.banned, "a banned column (cohort.banned, cohort.reader_score.as_input)"),
        mapping.fold: "the column of the given split",
        mapping.patient: "the patient",
        mapping.key: "the key",
        mapping.label: "the label",
    }
    kept: dict[str, ColumnFormat] = {}
    for layout in mapping.formats:
        name = layout.column.name
        if name in reserved or name in kept:
            section.complain(
                "clinical", "columns that may be inputs, each once", f"{name}: {reserved.get(name, 'twice')}"
            )
        else:
            kept[name] = layout
    return replace(mapping, formats=tuple(kept.values()))


def _join(section: Section) -> tuple[str, str]:
    section.allow(("table", "by"))
    return section.text("table"), section.text("by")


def _forms_by_key(section: Section) -> dict[str, tuple[str, ...]]:
    return {key: section.forms(key) for key in section.keys}


def _template(key: str, parent: Section) -> PathTemplate | None:
    if not isinstance(parent.value(key), Mapping):
        template = parent.text(key)
        return PathTemplate(template=template, replacements={}) if template else None
    section = parent.section(key)
    section.allow(("template", "replace"))
    replacements = section.section("replace")
    template = section.text("template")
    texts = {old: replacements.text(old) for old in replacements.keys}
    return PathTemplate(template=template, replacements=texts) if template else None


def _labels(outcome: Section) -> dict[str, tuple[str, ...]]:
    n_problems = len(outcome.problems)
    if isinstance(outcome.value("names"), Mapping):
        labels = _forms_by_key(outcome.section("names"))
    else:
        labels = {name: (normalized(name),) for name in outcome.words("names")}
    if len(outcome.problems) > n_problems:
        return {}
    words = [word for of_name in labels.values() for word in of_name]
    if len(labels) < 2 or not all(labels.values()) or len(set(words)) < len(words):
        outcome.complain(
            "names", "two or more names, each with its own words, the positive one last", outcome.value("names")
        )
        return {}
    return labels


def _formats(clinical: Section) -> Iterator[ColumnFormat | None]:
    for name in clinical.keys:
        section = clinical.section(name)
        kind = section.value("kind")
        if kind in get_args(Kind):
            section.allow(("kind", *_KEYS_OF_KIND[kind], "source"))
            yield _format(name, kind, _source(section), section)
        else:
            section.complain("kind", f"one of {', '.join(get_args(Kind))}", kind)


def _source(section: Section) -> Source:
    source = section.value("source")
    if source not in (None, *get_args(Source)):
        section.complain("source", f"{' or '.join(get_args(Source))} (when left out: patient)", source)
    return "ultrasound" if source == "ultrasound" else "patient"


def _format(name: str, kind: Kind, source: Source, section: Section) -> ColumnFormat | None:
    keys = _KEYS_OF_KIND[kind]
    n_problems = len(section.problems)
    words = {key: section.words(key) if key in keys else () for key in ("levels", "empty", "yes", "no")}
    separator = section.expression("separator") if "separator" in keys else None
    unit = section.optional_text("unit") if "unit" in keys else None
    if kind == "ordered" and len(set(words["levels"])) < max(2, len(words["levels"])):
        section.complain("levels", "two or more different levels, from low to high", list(words["levels"]))
    for key in ("yes", "no") if kind == "yes_no" else ():
        if not words[key]:
            section.complain(key, f'the words that mean {key}, in quotes, such as ["{key}"]', section.value(key))
    if len(section.problems) > n_problems:
        return None
    return ColumnFormat(
        column=ClinicalColumn(name=name, kind=kind, unit=unit, levels=words["levels"], source=source),
        separator=separator,
        **{key: tuple(normalized(word) for word in words[key]) for key in ("empty", "yes", "no")},
    )

"""A section of the config whose values are read one by one, noting all that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from fusion.cohorts.values import normalized
from fusion.errors import Problem

MANDATORY = "???"
# YAML reads the bare words yes, no, on and off as booleans, keys included.
_BARE_KEYS = {True: "yes", False: "no"}


class Section:
    """A mapping of the config; each reader gives a neutral value for what it notes as a problem.

    Attributes:
        where: Key of the section from the root of the config, as one types it to override it.
        problems: Shared by the sections of one config.
    """

    def __init__(self, config: Mapping[Any, Any], where: str, problems: list[Problem]) -> None:
        self.where = where
        self.problems = problems
        self._config = {_BARE_KEYS[key] if isinstance(key, bool) else str(key): config[key] for key in config}

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys in the order of the config."""
        return tuple(self._config)

    def value(self, key: str) -> Any:
        """The unchecked value, None where the key is absent."""
        return self._config.get(key)

    def complain(self, key: str, required: str, came: object) -> None:
        """Note what is wrong with a key."""
        shown = "nothing" if came is None or came == MANDATORY else repr(came)
        self.problems.append(Problem(where=f"{self.where}.{key}", required=required, came=shown))

    def allow(self, keys: Sequence[str]) -> None:
        """Note every other key."""
        for key in self.keys:
            if key not in keys:
                came = f"an unknown key ({closest(key, keys)})"
                self.problems.append(Problem(where=f"{self.where}.{key}", required="a known key", came=came))

    def section(self, key: str) -> Section:
        """A mapping, empty for None."""
        value = self.value(key)
        if value is not None and not isinstance(value, Mapping):
            self.complain(key, "a mapping of keys to values", value)
            value = None
        return Section(value or {}, f"{self.where}.{key}", self.problems)

    def sections(self, key: str) -> tuple[Section, ...]:
        """A list of mappings, empty for None."""
        values = self.value(key) or []
        if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
            self.complain(key, "a list of mappings", values)
            return ()
        return tuple(Section(value, f"{self.where}.{key}[{i}]", self.problems) for i, value in enumerate(values))

    def text(self, key: str) -> str:
        """A text or number, as text; "" where it is none."""
        value = self.value(key)
        if _is_word(value) and value not in ("", MANDATORY):
            return str(value)
        hint = "yes, no, on, off, true and false in quotes" if isinstance(value, bool) else f"{self.where}.{key}=..."
        self.complain(key, f"a text ({hint})", value)
        return ""

    def optional_text(self, key: str) -> str | None:
        """A text, or None."""
        return None if self.value(key) is None else self.text(key) or None

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts or numbers, as texts; empty for None."""
        values = self.value(key)
        if values is None:
            return ()
        if not isinstance(values, list) or not all(_is_word(value) for value in values):
            self.complain(key, "a list of words (yes, no, on, off, true and false in quotes)", values)
            return ()
        return tuple(str(value) for value in values)

    def forms(self, key: str) -> tuple[str, ...]:
        """A list of words in the form in which they are compared."""
        return tuple(normalized(word) for word in self.words(key))

    def number(self, key: str, lowest: int) -> int | None:
        """A whole number from ``lowest``, or None."""
        value = self.value(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= lowest):
            return value
        self.complain(key, f"a whole number from {lowest}, or null", value)
        return None

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.value(key)
        if not isinstance(value, bool):
            self.complain(key, "true or false", value)
        return value is True

    def expression(self, key: str) -> str | None:
        """A regular expression."""
        text = self.text(key)
        try:
            re.compile(text)
        except re.error as error:
            self.complain(key, f"a regular expression ({error})", text)
            return None
        return text or None


def closest(name: str, existing: Collection[str]) -> str:
    """What there is instead of a name that is not there: the closest, or else all."""
    by_form = {normalized(other): other for other in existing}
    close = [by_form[form] for form in get_close_matches(normalized(name), by_form, n=3)]
    return f"{'closest' if close else 'available'}: {', '.join(repr(other) for other in close or existing) or 'none'}"


def _is_word(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)

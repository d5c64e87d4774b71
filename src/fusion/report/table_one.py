"""Table 1 as people read it: rounded, a line per variable, and lines of its levels below."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fusion.report.figures.style import number_text, percent_text

TESTS = {
    "mann_whitney": "Mann–Whitney",
    "kruskal_wallis": "Kruskal–Wallis",
    "chi_squared": "χ²",
    "fisher": "Fisher, exact",
    "fisher_drawn": "Fisher, simulated",
}
_N_FOR_DECIMALS = 100  # below it a tenth of a percent is a tenth of a patient
_N_DIGITS = 3
_TITLES = {"part": "Training and test patients", "label": "Patients by label"}

Summary = Mapping[str, Any]


class Line(NamedTuple):
    """A line of the table.

    Attributes:
        name: Of a variable, a level, or what the cells are.
        cells: Of all patients, then of each group.
        variable: Its ``test``, ``p`` and ``smd``, where the line is the first one of a variable.
    """

    name: str
    cells: Sequence[str]
    variable: Mapping[str, Any] | None = None


class TableOne(NamedTuple):
    """A table.

    Attributes:
        key: ``part`` or ``label``.
        title: Above it.
        caption: How it is read.
        heads: Of the columns of cells.
        lines: From top to bottom.
    """

    key: str
    title: str
    caption: str
    heads: Sequence[str]
    lines: Sequence[Line]


def table_one_tables(content: Mapping[str, Any] | None) -> list[TableOne]:
    """By part, where there are parts to compare, and by label; none in a run that did not record it.

    Args:
        content: Of table_one.json.
    """
    if content is None:
        return []
    return [_table(key, content) for key in ("part", "label") if content[key] is not None]


def _table(key: str, content: Mapping[str, Any]) -> TableOne:
    comparison = content[key]
    heads = [f"All (n = {content['patients']})"]
    heads += [f"{name} (n = {n})" for name, n in comparison["groups"].items()]
    lines = [line for variable in comparison["variables"] for line in _lines(variable)]
    return TableOne(key, _TITLES[key], _caption(key, content), heads, lines)


def _caption(key: str, content: Mapping[str, Any]) -> str:
    groups = content[key]["groups"]
    folds = content["n_folds"]
    no_parts = (
        f" There is no table by part: of {folds} folds, those who are tested in one train in others, so that there are "
        "no two groups to compare."
    )
    about = {
        "part": "The training patients include the inner part. A difference between the parts is of chance where the "
        "parts were drawn, and of the centers or times where these were divided.",
        "label": f"All patients of the run. No feature was chosen by these tests.{no_parts if folds > 1 else ''}",
    }
    return (
        f"{about[key]} Numbers: median (quartiles), below it mean ± standard deviation; others: patients (share of "
        "those with a value). Patients without a value are in no other line of the variable, test or difference. p: "
        "Mann–Whitney’s test (of more than two groups Kruskal and Wallis’) for numbers and ordered levels, else "
        "Pearson’s χ² (Yates’ correction for 2 × 2), or Fisher’s test where fewer than 5 patients are expected in a "
        "cell; not corrected for the number of variables. SMD: standardized mean difference, "
        f"{'the largest between any two groups, ' if len(groups) > 2 else ''}which does not grow with the number of "
        "patients; 0 is none, above 0.1 is often called an imbalance. [Austin, Stat Med 2009;28:3083; of several "
        "levels Yang & Dalton, SAS Global Forum 2012:335]"
    )


def _lines(variable: Mapping[str, Any]) -> Iterator[Line]:
    summaries = [variable["all"], *variable["groups"].values()]
    name = f"{variable['name']} ({variable['unit']})" if variable["unit"] else str(variable["name"])
    if variable["kind"] == "number":
        yield Line(name, _each(summaries, _quartiles), variable)
        yield Line("mean ± SD", _each(summaries, _mean))
    elif variable["kind"] == "yes_no":
        yield Line(name, _each(summaries, _share_of("yes")), variable)
    else:
        yield Line(name, [""] * len(summaries), variable)
        for level in variable["all"]["counts"]:
            yield Line(level, _each(summaries, _share_of(level)))
    if variable["all"]["missing"]:
        yield Line("missing", [str(of["missing"]) for of in summaries])


def _each(summaries: Sequence[Summary], text: Callable[[Summary], str]) -> list[str]:
    return [text(of) if of["n"] else "–" for of in summaries]


def _share_of(level: str) -> Callable[[Summary], str]:
    def text(of: Summary) -> str:
        n = of["counts"][level]
        return f"{n} ({percent_text(n / of['n'], digits=int(of['n'] >= _N_FOR_DECIMALS))})"

    return text


def _quartiles(of: Summary) -> str:
    median, q1, q3 = _rounded(of["median"], of["q1"], of["q3"])
    return f"{median} ({q1} to {q3})"


def _mean(of: Summary) -> str:
    if of["sd"] is None:
        return _rounded(of["mean"])[0]
    mean, sd = _rounded(of["mean"], of["sd"])
    return f"{mean} ± {sd}"


def _rounded(*values: float) -> list[str]:
    """All with the same decimals: none where all are whole, else as many as give the largest three digits."""
    largest = max(abs(value) for value in values)
    is_whole = all(float(value).is_integer() for value in values)
    digits = 0 if is_whole or largest == 0 else max(0, _N_DIGITS - 1 - math.floor(math.log10(largest)))
    return [number_text(value, digits) for value in values]

"""The flow of the patients as boxes, from the rows of the table to the parts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fusion.audit.finding import counted
from fusion.report.figures.style import INK, MUTED, PAGE_IN, Plan, short_text, style
from fusion.report.flow import Group, flow_groups, kept_without, labels_text, left_out

_SIZE = 7.5
_LINE_IN, _PAD_IN, _GAP_IN = 0.145, 0.09, 0.26
_MAIN_IN, _SIDE_IN = (0.05, 3.25), (3.6, PAGE_IN - 0.05)
_PER_IN = 16  # characters of an inch, with room for wide ones
_N_CENTERS = 12  # more are in the table
_N_NAME = 24


class Box(NamedTuple):
    """A box: its left and right edge and its upper one, in inches, and its lines, the first of them bold."""

    left: float
    right: float
    top: float
    lines: Sequence[str]

    @property
    def bottom(self) -> float:
        return self.top + 2 * _PAD_IN + _LINE_IN * len(self.lines)


def plan_flow(flow: Mapping[str, Any] | None, *, label_names: Sequence[str]) -> Plan | None:
    """The flow diagram; None in a run that did not record it.

    Args:
        flow: The content of patient_flow.json.
        label_names: In their order.
    """
    if flow is None:
        return None
    caption = (
        "From the rows of the table to the patients of each part, as far as the run knows it: who was screened or left "
        "out before the table was made is not in it. The text and the table below it say the same. "
        "[STARD 2015: Bossuyt et al., BMJ 2015;351:h5527; TRIPOD+AI: Collins et al., BMJ 2024;385:e078378]"
    )
    groups = flow_groups(flow, label_names=label_names)
    return Plan("flow", "Flow of the patients", caption, draw_flow(flow, groups), flow_table(flow, groups))


def flow_table(flow: Mapping[str, Any], groups: Sequence[Group]) -> pd.DataFrame:
    """A row per number: ``step, detail, center, label, rows, cases, patients``."""
    without = {name: of for name, of in flow["without"].items() if of}
    rows: list[dict[str, Any]] = [
        {"step": "rows of the table", "rows": flow["rows"]},
        *(
            {
                "step": "left out",
                "detail": f"{of['column']} is {of['word']}",
                "rows": of["rows"],
                "patients": of["patients"],
            }
            for of in flow["excluded"]
        ),
        {"step": "cohort", "cases": flow["cases"], "patients": flow["patients"]},
        *({"step": "kept without", "detail": name, **of} for name, of in without.items()),
        *({"step": "in no part", "label": label, "patients": n} for label, n in flow["unused"].items()),
        *(
            {"step": group.title, "center": center, "label": label, "patients": n}
            for group in groups
            for center, counts in group.centers.items()
            for label, n in counts.items()
        ),
    ]
    columns = ["step", "detail", "center", "label", "rows", "cases", "patients"]
    return pd.DataFrame(rows, columns=columns).convert_dtypes()


def draw_flow(flow: Mapping[str, Any], groups: Sequence[Group]) -> Figure:
    """Boxes from top to bottom, beside them who went another way.

    Args:
        flow: The content of patient_flow.json.
        groups: At the bottom, beside each other.
    """
    middle = sum(_MAIN_IN) / 2
    table = Box(*_MAIN_IN, 0.32, ["Rows of the table", f"n = {flow['rows']}"])
    out = _side(table.bottom - 0.12, "Left out by cohort.exclude", left_out(flow) or ["no row"])
    cohort_lines = [
        "Patients of the run",
        f"n = {flow['patients']} ({counted(flow['cases'], 'case')}), all with a label",
    ]
    cohort = Box(*_MAIN_IN, max(table.bottom, out.bottom) + _GAP_IN, cohort_lines)
    beside = [_side(cohort.top, "Kept, though incomplete", kept_without(flow) or ["no case lacks an input"])]
    if flow["unused"]:
        beside.append(_side(beside[-1].bottom + 0.12, "In no part of the split", [labels_text(flow["unused"])]))
    below = max(cohort.bottom, beside[-1].bottom) + _GAP_IN
    ends = list(_ends(groups, below))
    height = max(box.bottom for box in ends) + 0.05
    with style():
        figure = Figure(figsize=(PAGE_IN, height))
        figure.set_layout_engine("none")
        page = figure.add_axes((0, 0, 1, 1), xlim=(0, PAGE_IN), ylim=(height, 0))  # in inches
        page.set_axis_off()
        page.text(
            middle, 0.14, "Screened before the table was made: not recorded", fontsize=_SIZE, color=MUTED, ha="center",
            va="center",
        )  # fmt: skip
        for box in (table, out, cohort, *beside, *ends):
            _draw_box(page, box)
        _arrow(page, (middle, table.bottom), (middle, cohort.top))
        _arrow(page, (cohort.right, _middle(cohort)), (beside[0].left, _middle(cohort)))
        for box in (out, *beside[1:]):
            _arrow(page, (middle, _middle(box)), (box.left, _middle(box)))
        fork = below - _GAP_IN / 2
        page.plot([middle, middle], [cohort.bottom, fork], color=INK, linewidth=0.8)
        for box in ends:
            x = middle if len(ends) == 1 else (box.left + box.right) / 2
            page.plot([middle, x], [fork, fork], color=INK, linewidth=0.8)
            _arrow(page, (x, fork), (x, box.top))
        return figure


def _side(top: float, title: str, texts: Sequence[str]) -> Box:
    width = int((_SIDE_IN[1] - _SIDE_IN[0] - 2 * _PAD_IN) * _PER_IN)
    return Box(*_SIDE_IN, top, [title, *(line for text in texts for line in textwrap.wrap(text, width))])


def _ends(groups: Sequence[Group], top: float) -> Iterator[Box]:
    """One across, or two beside each other."""
    edges = [(_MAIN_IN[0], _SIDE_IN[1])] if len(groups) == 1 else [_MAIN_IN, _SIDE_IN]
    # Of several centers also the only one of a part is named.
    is_named = len({center for group in groups for center in group.centers}) > 1
    for group, (left, right) in zip(groups, edges, strict=True):
        width = int((right - left - 2 * _PAD_IN) * _PER_IN)
        shown = list(group.centers.items())[:_N_CENTERS] if is_named else []
        hidden = len(group.centers) - len(shown) if shown else 0
        texts = [
            f"n = {group.n}: {labels_text(group.labels)}",
            *([group.note] if group.note else []),
            *(f"{short_text(center, _N_NAME)}: {labels_text(counts)}" for center, counts in shown),
            *([f"and {counted(hidden, 'center')} more, in the table"] if hidden else []),
        ]
        yield Box(left, right, top, [group.title, *(line for text in texts for line in textwrap.wrap(text, width))])


def _middle(box: Box) -> float:
    return (box.top + box.bottom) / 2


def _draw_box(page: Axes, box: Box) -> None:
    size = (box.right - box.left, box.bottom - box.top)
    page.add_patch(Rectangle((box.left, box.top), *size, facecolor="none", edgecolor=INK, linewidth=0.8))
    for number, line in enumerate(box.lines):
        y = box.top + _PAD_IN + _LINE_IN * (number + 0.5)
        page.text(box.left + _PAD_IN, y, line, fontsize=_SIZE, va="center", weight="normal" if number else "bold")


def _arrow(page: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
    page.annotate("", end, start, arrowprops=arrow)

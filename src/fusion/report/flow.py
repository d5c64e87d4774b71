"""The flow of the patients in words and numbers: from the rows of the table to the parts, as the run recorded it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fusion.audit.finding import counted

# A run is told neither.
UNKNOWN = (
    "How many patients were screened, and how many of them were left out before the table was made, is not recorded in "
    "the run: only the authors know."
)
_WITHOUT = {
    "image": "without an image",
    "mask": "without a mask",
    "clinical": "without any clinical value",
    "radiomics": "whose radiomics features could not be extracted",
}
_TRAINING = ("train", "validation")


class Group(NamedTuple):
    """Patients at the end of the flow.

    Attributes:
        title: Of the part.
        note: What else is to be known of it.
        centers: Center → label → patients.
    """

    title: str
    note: str
    centers: Mapping[str, Mapping[str, int]]

    @property
    def labels(self) -> dict[str, int]:
        """Patients by label, of all centers."""
        totals: dict[str, int] = defaultdict(int)
        for counts in self.centers.values():
            for label, n in counts.items():
                totals[label] += n
        return dict(totals)

    @property
    def n(self) -> int:
        return sum(self.labels.values())


def flow_groups(flow: Mapping[str, Any], *, label_names: Sequence[str]) -> list[Group]:
    """Training and test patients; under cross-validation, where everybody is in both, all of them together.

    Args:
        flow: The content of patient_flow.json.
        label_names: In their order.
    """
    parts = flow["parts"]
    folds = sorted({row["fold"] for row in parts})
    if len(folds) == 1:
        n_inner = sum(row["patients"] for row in parts if row["part"] == "validation")
        inner = f"of them {n_inner} in the inner part"
        training, test = ([row for row in parts if row["part"] in names] for names in (_TRAINING, ("test",)))
        return [
            Group("Training", inner, _centers(training, label_names)),
            Group("Test", "", _centers(test, label_names)),
        ]
    sizes = {
        name: [sum(row["patients"] for row in parts if row["fold"] == fold and row["part"] in of) for fold in folds]
        for name, of in (("train", _TRAINING), ("test", ("test",)))
    }
    note = (
        f"each fold trains on {_range(sizes['train'])} and tests on {_range(sizes['test'])}; the test patients of a "
        "fold are in no other part of it"
        # Of an older run it is not known.
        f"{f'; {untested} patients are tested in none' if (untested := flow.get('untested')) and folds[1:] else ''}"
    )
    # Every fold divides the same patients.
    everybody = [row for row in parts if row["fold"] == folds[0]]
    return [Group(f"Cross-validation, {len(folds)} folds", note, _centers(everybody, label_names))]


def left_out(flow: Mapping[str, Any]) -> list[str]:
    """A line for every word that leaves rows out."""
    return [
        f"{of['column']} is “{of['word']}”: {counted(of['rows'], 'row')} ({counted(of['patients'], 'patient')})"
        for of in flow["excluded"]
    ]


def kept_without(flow: Mapping[str, Any]) -> list[str]:
    """A line for every input that some cases lack and were kept without."""
    lacking = {name: of for name, of in flow["without"].items() if of and of["cases"]}
    return [f"{counted(of['cases'], 'case')} {_WITHOUT[name]}" for name, of in lacking.items()]


def flow_sentences(flow: Mapping[str, Any], *, label_names: Sequence[str]) -> list[str]:
    """The whole flow for who does not see the figure."""
    excluded = left_out(flow)
    rows = sum(of["rows"] for of in flow["excluded"])
    left = f"{counted(rows, 'row')} left out by cohort.exclude ({'; '.join(excluded)})" if excluded else "none left out"
    without = kept_without(flow)
    sentences = [
        UNKNOWN,
        f"The table has {counted(flow['rows'], 'row')}, {left}.",
        f"{counted(flow['cases'], 'case')} of {counted(flow['patients'], 'patient')} came into the run, each with a "
        "label: a run does not start without.",
        f"Kept, though incomplete: {', '.join(without)}." if without else "No case lacks an input that was looked for.",
    ]
    if flow["unused"]:
        sentences.append(f"In no part of the split, and not used: {labels_text(flow['unused'])}.")
    for group in flow_groups(flow, label_names=label_names):
        note = f"; {group.note}" if group.note else ""
        sentences.append(f"{group.title}: {counted(group.n, 'patient')} ({labels_text(group.labels)}){note}.")
    return sentences


def labels_text(labels: Mapping[str, int]) -> str:
    """``97 benign, 43 malignant``."""
    return ", ".join(f"{n} {label}" for label, n in labels.items())


def _centers(rows: Iterable[Mapping[str, Any]], label_names: Sequence[str]) -> dict[str, dict[str, int]]:
    centers: dict[str, dict[str, int]] = {}
    for row in rows:
        counts = centers.setdefault(row["center"], dict.fromkeys(label_names, 0))
        counts[row["label"]] += row["patients"]
    return dict(sorted(centers.items()))


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"

"""A model card (Mitchell et al., FAT* 2019:220-229) from a finished run and what its authors say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fusion.guidelines.checklist import known_facts
from fusion.guidelines.claim import Claim, Evidence, Places, in_config, in_metrics
from fusion.guidelines.facts.settings import branches, estimate_text, setting
from fusion.guidelines.study import CARD, Study
from fusion.report.inner import listed
from fusion.report.metric_names import in_order, metric_name
from fusion.report.run_folder import FinishedRun

CITATION = "Mitchell et al. Model Cards for Model Reporting. FAT* 2019:220-229. doi:10.1145/3287560.3287596"
# Title, facts, what the authors are asked.
_SECTIONS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Model", ("algorithm", "initialization", "specification", "software"), ("license", "contact")),
    ("Intended use", (), ("intended_use", "intended_users")),
    ("Must not be used for", (), ("not_for",)),
    ("Data", ("source", "excluded", "outcome", "centers", "predictors", "segmentation"), ("population",)),
    ("Splits", ("split", "parts", "testing"), ()),
    ("Figures", ("uncertainty",), ()),
    ("Calibration and thresholds", ("calibration", "output"), ()),
    ("Subgroups", ("subgroups", "fairness"), ()),
    ("Centers", ("clusters",), ()),
    ("Limitations", ("limits",), ()),
    ("Ethics", (), ("ethics",)),
)


class Row(NamedTuple):
    """A line of a table of figures."""

    name: str
    n: str
    value: str


class Asked(NamedTuple):
    """A question to the authors.

    Attributes:
        question: In words.
        text: Their answer; None where they gave none.
    """

    question: str
    text: str | None


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the card.

    Attributes:
        title: Above it.
        claims: What the run says, each with its evidence.
        asked: What the authors say, or do not say.
        rows: Figures, if there are any.
    """

    title: str
    claims: Sequence[Claim]
    asked: Sequence[Asked]
    rows: Sequence[Row]


def model_card(run: FinishedRun, study: Study) -> list[Section]:
    """The card's sections; what nobody has said is said to be missing."""
    known, places = known_facts(run), Places(run.path)
    own = {"Must not be used for": _not_for(run)}
    tables = {"Figures": _figure_rows(run), "Subgroups": _subgroup_rows(run)}
    sections = []
    for title, facts, questions in _SECTIONS:
        claims = [claim for name in facts for claim in known(name)[0]]
        claims += [claim for claim in own.get(title, ()) if all(map(places.hold, claim.evidence))]
        asked = [Asked(CARD[question], study.card.get(question)) for question in questions]
        rows = list(tables.get(title, ()))
        sections.append(Section(title=title, claims=list(dict.fromkeys(claims)), asked=asked, rows=rows))
    return sections


def _not_for(run: FinishedRun) -> Iterator[Claim]:
    """What follows from how the model was made and tested."""
    if run.is_simulated:
        yield Claim("Any patient: the cohort is simulated.", in_config("cohort.simulation"))
    yield Claim(
        "Decisions about patients without a prospective study: the figures are of data that were gathered before the "
        "model existed.",
        (Evidence("predictions.csv", "part"),),
    )
    if (names := run.patients.label_names) and setting(run, "cohort.label.column"):
        yield Claim(
            f"Telling apart anything but {listed(list(names))}: every patient gets one of these labels.",
            in_config("cohort.label"),
        )
    if setting(run, "cohort.mask") is not None and branches(run) & {"image", "radiomics"}:
        yield Claim("Finding a lesion: where it is was given by a mask.", in_config("cohort.mask"))
    slope = (run.metrics.get("test") or {}).get("calibration_slope")
    if slope and slope["ci_low"] is not None and not slope["ci_low"] <= 1 <= slope["ci_high"]:
        yield Claim(
            "Reading the probabilities as risks: the calibration slope differs from 1.",
            in_metrics("test.calibration_slope"),
        )


def _figure_rows(run: FinishedRun) -> Iterator[Row]:
    test: Mapping[str, Any] = run.metrics.get("test") or {}
    names = run.patients.label_names
    for key in in_order(test, label_names=names):
        title = metric_name(key, label_names=names, is_pooled=run.n_folds > 1, prevalence=run.prevalence)
        yield Row(title, str(test[key]["n"]), estimate_text(test[key]))


def _subgroup_rows(run: FinishedRun) -> Iterator[Row]:
    for name, levels in (run.metrics.get("subgroups") or {}).items():
        for level in levels:
            figures = level["figures"]
            value = f"AUC {estimate_text(figures['auc'])}" if figures else str(level["note"])
            yield Row(f"{name}: {level['level']}", str(level["n"]), value)

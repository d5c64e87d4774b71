"""A finished run and what its authors say → every item of every guideline answered, or said to be open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fusion.guidelines.claim import Claim, Evidence, Fact, Places
from fusion.guidelines.facts import FACTS
from fusion.guidelines.facts.settings import branches, is_end_to_end, setting
from fusion.guidelines.guideline import NAMES, Guideline, Item, read_guideline
from fusion.guidelines.score import Score, score_items
from fusion.guidelines.study import NOBODY, STUDY_FILE, Statement, Study, read_study
from fusion.report.run_folder import FinishedRun, read_run
from fusion.runs.folder import require_run

Status = Literal["auto", "partial", "human"]
STATUSES: tuple[Status, ...] = ("auto", "partial", "human")
NOT_STATED = "Not stated: only the authors know"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """An item with its answer.

    Attributes:
        item: Of the guideline.
        answer: In sentences.
        evidence: Where each of them is shown.
        status: ``auto`` where the run's files answer all of it, ``partial`` where the authors have to add to it,
            ``human`` where only the authors can answer.
        stated: Whether the authors said anything to it.
        applies: Whether the condition of the item holds; True where it has none.
        met: Of a scored guideline, whether the item is met; None where that is open.
    """

    item: Item
    answer: str
    evidence: tuple[Evidence, ...]
    status: Status
    stated: bool
    applies: bool
    met: bool | None

    def as_json(self) -> dict[str, Any]:
        """Plain content."""
        plain = {
            "number": self.item.number,
            "section": self.item.section,
            "topic": self.item.topic,
            "answer": self.answer,
            "evidence": [place._asdict() for place in self.evidence],
            "status": self.status,
            "stated": self.stated,
        }
        if self.item.weight is not None:
            plain |= {"weight": self.item.weight, "applies": self.applies, "met": self.met}
        return plain


@dataclass(frozen=True, kw_only=True)
class Checklist:
    """A guideline, answered.

    Attributes:
        guideline: Which.
        items: All of its items, in order.
        score: None where the guideline has none.
    """

    guideline: Guideline
    items: tuple[Answered, ...]
    score: Score | None

    @property
    def counts(self) -> dict[str, int]:
        """Items by status."""
        found = Counter(item.status for item in self.items)
        return {status: found[status] for status in STATUSES}

    @property
    def n_stated(self) -> int:
        """Items to which the authors said something."""
        return sum(item.stated for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """Plain content."""
        return {
            "title": self.guideline.title,
            "citation": self.guideline.citation,
            "counts": self.counts,
            "stated": self.n_stated,
            **({} if self.score is None else {"score": self.score.as_json()}),
            "items": [item.as_json() for item in self.items],
        }


def guideline_summary(run_dir: Path) -> list[Checklist]:
    """Every guideline answered by a run folder, with its ``study.yaml`` where it has one. Nothing is written.

    Raises:
        InputError: With every file of the run that is missing or unreadable, or every unknown key of ``study.yaml``.
    """
    return answer_all(read_run(run_dir), study_of(run_dir))


def as_plain(checklists: Sequence[Checklist]) -> dict[str, Any]:
    """Plain content by name of the guideline: of ``checklist.json``, and what the run's report takes."""
    return {checklist.guideline.name: checklist.as_json() for checklist in checklists}


def study_of(run_dir: Path) -> Study:
    """What ``study.yaml`` of the run folder says; nothing where there is none."""
    path = run_dir / STUDY_FILE
    return read_study(path, file=STUDY_FILE) if path.exists() else NOBODY


def answer_all(run: FinishedRun, study: Study) -> list[Checklist]:
    """Every guideline, in the order of ``NAMES``."""
    known = known_facts(run)
    return [_answer_guideline(read_guideline(name), run, known, study) for name in NAMES]


def known_facts(run: FinishedRun) -> Callable[[str], tuple[list[Claim], list[Evidence], bool | None]]:
    """By name of a fact: its claims that evidence holds now, the evidence that is missing, and whether it is met."""
    require_run(run.path, run.config)
    places = Places(run.path)
    found: dict[str, Fact] = {}

    def look_up(name: str) -> tuple[list[Claim], list[Evidence], bool | None]:
        if name not in found:
            found[name] = FACTS[name](run)
        claims = found[name].claims
        missing = [place for claim in claims for place in claim.evidence if not places.hold(place)]
        shown = [claim for claim in claims if claim.evidence and not set(claim.evidence) & set(missing)]
        return shown, missing, found[name].met

    return look_up


def _answer_guideline(
    guideline: Guideline,
    run: FinishedRun,
    known: Callable[[str], tuple[list[Claim], list[Evidence], bool | None]],
    study: Study,
) -> Checklist:
    conditions = _conditions(run)
    items = tuple(
        _answer(item, known, study.statements.get((guideline.name, item.number)), study.file, conditions)
        for item in guideline.items
    )
    weighted = [(item.item.weight, item.applies, item.met) for item in items if item.item.weight is not None]
    return Checklist(guideline=guideline, items=items, score=score_items(weighted) if weighted else None)


def _conditions(run: FinishedRun) -> dict[str, Claim | None]:
    """By condition of METRICS: why it does not hold; None where it holds."""
    taken = branches(run)
    model = (Evidence("config.yaml", "model"),)
    has_table = "radiomics" in taken or "deep" in run.inputs
    masks = (Evidence("config.yaml", "cohort.mask"),)
    # What a run did not record is not taken to be absent.
    is_known = bool(taken)
    unless = {
        "segmentation": (
            "mask" not in run.config["cohort"] or setting(run, "cohort.mask") is not None,
            Claim("Does not apply: the cohort has no masks.", masks),
        ),
        "handcrafted": (
            not is_known or "radiomics" in taken,
            Claim("Does not apply: the model takes no hand-crafted features.", model),
        ),
        "tabular": (
            not is_known or has_table,
            Claim("Does not apply: no table of image features stands between the pixels and the outcome.", model),
        ),
        "end_to_end": (
            not is_known or is_end_to_end(run),
            Claim("Does not apply: no network goes from the pixels to the outcome.", model),
        ),
    }
    return {name: None if holds else reason for name, (holds, reason) in unless.items()}


def _answer(
    item: Item,
    known: Callable[[str], tuple[list[Claim], list[Evidence], bool | None]],
    statement: Statement | None,
    study_file: str | None,
    conditions: Mapping[str, Claim | None],
) -> Answered:
    reason = conditions.get(item.condition or "")
    if reason is not None:
        return _answered(item, reason.text, reason.evidence, "auto", statement=None, applies=False, met=None)
    looked_up = [known(name) for name in item.facts]
    claims = list(dict.fromkeys(claim for shown, _, _ in looked_up for claim in shown))
    missing = list(dict.fromkeys(place for _, lost, _ in looked_up for place in lost))
    status = _status(item, claims, is_whole=bool(claims) and not missing and all(shown for shown, _, _ in looked_up))
    sentences = [claim.text for claim in claims]
    evidence = [place for claim in claims for place in claim.evidence]
    if statement is not None and study_file is not None:
        sentences.append(f"Authors: {statement.text}")
        evidence.append(Evidence(study_file, None))
    elif status != "auto":
        sentences.append(_open_text(item, missing))
    met = _met([each for _, _, each in looked_up], status, statement)
    # Whether segmentation was automated, only the authors know; the official tool takes it that it was not.
    applies = item.condition != "automated" or statement is not None
    return _answered(item, " ".join(sentences), evidence, status, statement=statement, applies=applies, met=met)


def _answered(
    item: Item,
    answer: str,
    evidence: Sequence[Evidence],
    status: Status,
    *,
    statement: Statement | None,
    applies: bool,
    met: bool | None,
) -> Answered:
    return Answered(
        item=item,
        answer=answer,
        evidence=tuple(dict.fromkeys(evidence)),
        status=status,
        stated=statement is not None,
        applies=applies,
        met=met,
    )


def _status(item: Item, claims: Sequence[Claim], *, is_whole: bool) -> Status:
    if not claims:
        return "human"
    return "auto" if is_whole and item.authors is None else "partial"


def _met(facts: Sequence[bool | None], status: Status, statement: Statement | None) -> bool | None:
    """What the authors say counts; else the run, which confirms only what its files show in full."""
    if statement is not None and statement.met is not None:
        return statement.met
    if any(met is False for met in facts):
        return False
    return True if status == "auto" and any(facts) else None


def _open_text(item: Item, missing: Sequence[Evidence]) -> str:
    lost = f"The run has nothing that shows it (missing: {', '.join(map(str, missing))}). " if missing else ""
    what = f" ({item.authors})" if item.authors else ""
    if item.facts and item.authors is None and not missing:
        return "The run did not record it; put it in study.yaml."
    if item.authors is None:
        return f"{lost}Put it in study.yaml."
    return f"{lost}{NOT_STATED}{what}; put it in study.yaml."

"""Every test patient: how it was judged, what it looks like, and what moved its prediction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from fusion.report.case_waterfalls import BranchView, branch_waterfalls, input_waterfalls
from fusion.report.pictures import embed_small
from fusion.report.run_folder import FinishedRun
from fusion.report.verdicts import NEAR, Verdict
from fusion.report.waterfall import Waterfall

THUMBNAILS = Path("attributions") / "thumbnails"


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """One image of a patient. What the run does not have is None.

    Attributes:
        case_id: Of the case.
        thumbnail, small_overlay, picture: Data URIs: the crop, the crop under its explanation, and all of it, large.
        inputs: What its inputs did.
        branches: What the branches did.
    """

    case_id: str
    thumbnail: str | None
    small_overlay: str | None
    picture: str | None
    inputs: Waterfall | None
    branches: BranchView | None

    @property
    def is_explained(self) -> bool:
        return bool(self.picture or self.inputs or self.branches)


@dataclass(frozen=True, kw_only=True)
class PatientView:
    """A row of the page's table.

    Attributes:
        verdict: How the patient was judged.
        cases: Its images; none where the run has no ``predictions_cases.csv``.
    """

    verdict: Verdict
    cases: list[CaseView]

    @property
    def is_explained(self) -> bool:
        return any(case.is_explained for case in self.cases)


def patient_views(run: FinishedRun, judged: Sequence[Verdict], pictures: Mapping[str, str]) -> list[PatientView]:
    """Of test patients, in their order.

    Args:
        run: With its predictions and explanations.
        judged: Of the patients.
        pictures: Data URIs of the large pictures by case id.

    Raises:
        InputError: If a table of explanations is not as a run writes it.
    """
    cases = _cases_of(run)
    shown = {case_id for verdict in judged for case_id in cases.get(verdict.patient_id, ())}
    thumbnails, small_overlays = (_small(run.path / folder, shown) for folder in (THUMBNAILS, THUMBNAILS / "overlays"))
    inputs, branches = input_waterfalls(run), branch_waterfalls(run)

    def view(case_id: str) -> CaseView:
        return CaseView(
            case_id=case_id,
            thumbnail=thumbnails.get(case_id),
            small_overlay=small_overlays.get(case_id),
            picture=pictures.get(case_id),
            inputs=inputs.get(case_id),
            branches=branches.get(case_id),
        )

    return [
        PatientView(verdict=verdict, cases=[view(case_id) for case_id in cases.get(verdict.patient_id, ())])
        for verdict in judged
    ]


def rule_text(run: FinishedRun) -> str:
    """What is called wrong and what uncertain, for people."""
    repeated = len(set(run.test.patient_ids)) < len(run.test.patient_ids)
    if run.is_binary:
        frozen = "its fold’s frozen threshold" if run.by_fold is None else "the frozen threshold"
        threshold = frozen if run.thresholds else "0.5, since the run recorded no threshold"
        wrong = f"Wrong: on the wrong side of {threshold}"
        near = f"within {NEAR:g} of it"
    else:
        wrong, near = "Wrong: another label was the most probable", f"the two most probable labels within {NEAR:g}"
    if repeated:
        wrong += ", in at least one of the repeats that tested the patient"
        near += " in the mean, or the repeats do not agree"
        return f"{wrong}. Uncertain: {near}; a patient may be both. Probabilities are the mean of the repeats."
    return f"{wrong}. Uncertain: {near}; a patient may be both."


def _cases_of(run: FinishedRun) -> dict[str, list[str]]:
    """Case ids by patient, in the order of the table."""
    found: dict[str, dict[str, None]] = {}
    if run.cases is not None and run.cases.case_ids is not None:
        for patient_id, case_id, part in zip(run.cases.patient_ids, run.cases.case_ids, run.cases.parts, strict=True):
            if part == "test":
                found.setdefault(patient_id, {})[case_id] = None
    return {patient_id: list(case_ids) for patient_id, case_ids in found.items()}


def _small(folder: Path, shown: Collection[str]) -> dict[str, str]:
    paths = [path for path in sorted(folder.glob("*.webp")) if unquote(path.stem) in shown]
    return {unquote(stem): uri for stem, uri in embed_small(paths).items()}

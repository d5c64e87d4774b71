from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from fusion.guidelines.claim import Places
from fusion.guidelines.model_card import Section, model_card
from fusion.guidelines.study import NOBODY, Study
from fusion.report.run_folder import read_run

WriteRun = Callable[..., Path]


def card(run_dir: Path, study: Study = NOBODY) -> dict[str, Section]:
    return {section.title: section for section in model_card(read_run(run_dir), study)}


def test_every_claim_has_evidence_that_holds(finished: Path) -> None:
    places = Places(finished)
    for section in card(finished).values():
        for claim in section.claims:
            assert claim.evidence
            assert all(map(places.hold, claim.evidence))


def test_what_nobody_said_is_missing(finished: Path) -> None:
    found = card(finished)
    assert [asked.text for asked in found["Intended use"].asked] == [None, None]
    assert [asked.text for asked in found["Must not be used for"].asked] == [None]


def test_what_the_authors_say_is_there(finished: Path) -> None:
    said = Study(file="study.yaml", statements={}, card={"intended_use": "Triage."})
    assert card(finished, said)["Intended use"].asked[0].text == "Triage."


def test_figures_and_subgroups_come_with_patients_and_intervals(finished: Path) -> None:
    found = card(finished)
    assert ("Sensitivity", "20", "0.700 (0.600 to 0.800)") in found["Figures"].rows
    assert ("Age: >= 50", "8", "too few") in found["Subgroups"].rows


def test_a_slope_off_one_forbids_reading_risks(run_dir: Path) -> None:
    def warns() -> bool:
        return any("as risks" in claim.text for claim in card(run_dir)["Must not be used for"].claims)

    assert warns()
    content = json.loads((run_dir / "metrics.json").read_text())
    content["test"]["calibration_slope"] |= {"ci_low": 0.8, "ci_high": 1.2}
    (run_dir / "metrics.json").write_text(json.dumps(content))
    assert not warns()


def test_a_simulated_cohort_is_for_no_patient(write_run: WriteRun) -> None:
    run_dir = write_run({}, {"cohort.simulation": {"seed": 1}})
    assert card(run_dir)["Must not be used for"].claims[0].text.startswith("Any patient")


def test_missing_evidence_takes_its_claim_along(run_dir: Path) -> None:
    (run_dir / "fold_0" / "model.ckpt").unlink()
    assert not any("model.ckpt" in claim.text for claim in card(run_dir)["Model"].claims)

"""The methods section of a paper, from the settings that a run really used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion.guidelines.checklist import as_plain, guideline_summary, known_facts
from fusion.guidelines.pages import as_text
from fusion.report.run_folder import FinishedRun, read_run

# Heading → what a reader of it asks, as facts.
_PARAGRAPHS = {
    "Patients": ("flow", "outcome", "centers"),
    "Division": ("split", "train_test", "selection"),
    "Images": ("segmentation", "preprocessing"),
    "Radiomics": (
        *("extraction", "image_types", "discretization", "feature_classes", "resampling", "n_features"),
        *("reduction", "scaling", "stability", "harmonization"),
    ),
    "Clinical data": ("predictors", "missing_data"),
    "Model": ("algorithm", "initialization", "training", "imbalance", "output", "ensemble"),
    "Evaluation": ("testing", "uncertainty", "subgroups"),
    "Explanations": ("explanation",),
    "Software": ("software", "source"),
}


def methods_section(run: FinishedRun) -> dict[str, str]:
    """Paragraphs by heading, each of sentences that the run's files show; nothing is said twice."""
    known, said = known_facts(run), set[str]()
    section = {}
    for heading, facts in _PARAGRAPHS.items():
        claims = [claim.text for name in facts for claim in known(name)[0]]
        sentences = [text for text in dict.fromkeys(claims) if text not in said]
        said.update(sentences)
        if sentences:
            section[heading] = " ".join(sentences)
    return section


def section_markdown(section: Mapping[str, str]) -> str:
    """The section with its headings."""
    paragraphs = [f"## {as_text(heading)}\n\n{as_text(text)}\n" for heading, text in section.items()]
    return "\n".join(["# Methods\n", *paragraphs])


def report_parts(run_dir: Path) -> dict[str, Any]:
    """What ``write_report`` takes of the guidelines: ``guidelines`` and ``methods_section``.

    Raises:
        InputError: With every file of the run that is missing or unreadable, or every unknown key of ``study.yaml``.
    """
    return {
        "guidelines": as_plain(guideline_summary(run_dir)),
        "methods_section": methods_section(read_run(run_dir)),
    }

"""The page of a run that was applied to other patients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fusion.explanation.applicability import counted_patients
from fusion.report.figures.style import percent_text
from fusion.report.figures.write import write_figures
from fusion.report.html import page_context, report_template, write_page
from fusion.report.inner import listed
from fusion.report.methods import applied_methods
from fusion.report.run_folder import FinishedRun
from fusion.runs.pseudonyms import Naming

_TEMPLATE = "prediction.html.j2"
_SEEN_BY = {"image": "in what the network makes of them", "radiomics": "in their radiomics features"}
# Of the images, that are far: above it more than chance, whatever the cohort's size.
_MANY = 0.25


def write_prediction(out_dir: Path, *, naming: Naming | None) -> Path:
    """Write ``figures/`` and ``report.html`` of what ``predict.py`` left; no request leaves the page.

    Args:
        out_dir: With config.yaml, manifest.json, metrics.json, predictions.csv and applicability.json.
        naming: What patients and cases are called in the figures and on the page; None: what they are called in the
            tables.

    Returns:
        The path of the page.

    Raises:
        InputError: With every file that is missing or unreadable.
    """
    return write_page(out_dir, naming=naming, render=_render)


def _render(run: FinishedRun) -> str:
    page = page_context(run, write_figures(run))
    assert run.applicability is not None
    own = {
        "title": f"{run.config['name']}, applied to {page['cohort']}",
        "facts": _facts(run),
        "of_whom": _of_whom(run),
        "whom": "of this cohort",
        "told_by": "the model" if run.n_models == 1 else f"the mean of {run.n_models} models",
        "applied_to": applied_to(run.applicability),
        "applicability": run.applicability,
        "warnings": [*page["warnings"], *_seen(run.applicability)],
        "limitations": [*page["limitations"], *doubts(run.applicability)],
        "methods": applied_methods(run),
        "guidelines": None,
    }
    return report_template(_TEMPLATE).render({**page, **own})


def applied_to(applicability: Mapping[str, Any]) -> list[str]:
    """What the models did without and how far the images lie from those of training, in sentences."""
    n_cases, columns = applicability["n_cases"], applicability["columns"]["absent"]
    lacking = {branch: n for branch, n in applicability["branches"].items() if n}
    gone = [branch for branch, n in lacking.items() if n == n_cases]
    some = [f"{branch} in {n} of {n_cases}" for branch, n in lacking.items() if n < n_cases]
    sentences = [
        *([f"No image has what the {listed(gone)} branch needs: it was left out."] if gone else []),
        *([f"Branches that single images lack were left out: {'; '.join(some)}."] if some else []),
        *([f"The cohort has none of the columns {listed(columns)} of training."] if columns else []),
    ]
    whole = [] if sentences else ["Nothing was lacking: every branch and every clinical column of training is there."]
    return [*(sentences or whole), *(_distance(*found) for found in applicability["distances"].items())]


def _distance(branch: str, found: Mapping[str, Any]) -> str:
    return (
        f"{percent_text(found['share_far'])} of {found['n']} images lie further from those of training, "
        f"{_SEEN_BY[branch]}, than 95\N{NO-BREAK SPACE}% of the training cohort’s own unseen images do; of one kind it "
        "would be 5\N{NO-BREAK SPACE}%."
    )


def doubts(applicability: Mapping[str, Any]) -> list[str]:
    """What of it speaks against trusting the figures; empty where no rule applies."""
    n_cases = applicability["n_cases"]
    gone = [branch for branch, n in applicability["branches"].items() if n == n_cases]
    far = [branch for branch, found in applicability["distances"].items() if found["share_far"] > _MANY]
    return [
        *(
            [f"The model that was validated in training had the {listed(gone)} branch; this one had to do without it."]
            if gone
            else []
        ),
        *(
            [
                f"Many images are unlike those of training ({listed([_SEEN_BY[branch] for branch in far])}): another "
                "scanner, another preset, another way to crop or to outline. The figures are of such images, and "
                "thresholds and probabilities were set on others."
            ]
            if far
            else []
        ),
    ]


def _seen(applicability: Mapping[str, Any]) -> Iterator[str]:
    n_seen = applicability["n_seen"]
    if n_seen:
        yield (
            f"{counted_patients(n_seen)} in the training of at least one of the models: figures of them say nothing "
            "about new patients."
        )


def _of_whom(run: FinishedRun) -> str:
    labels = dict(zip(run.patients.patient_ids, run.patients.labels, strict=True))
    counts = [f"{list(labels.values()).count(name)} {name}" for name in run.patients.label_names]
    n_unknown = len(labels) - len(set(run.test.patient_ids))
    unknown = [f"{n_unknown} of unknown outcome"] if n_unknown else []
    models = "one model" if run.n_models == 1 else f"the mean of {run.n_models} models"
    trained_on = run.config["applied"]["cohort"]
    return (
        f"{len(labels)} patients, {listed([*counts, *unknown] if run.test.labels else unknown)}, scored by {models} "
        f"trained on the cohort “{trained_on}”. Nothing was fitted to them."
    )


def _facts(run: FinishedRun) -> dict[str, str]:
    counts = run.manifest["cohort"]
    return {
        "Patients": str(counts["patients"]),
        "Images": str(counts["cases"]),
        "Centers": str(len(counts["centers"])) if run.names_centers else "not named",
        "Models": f"{run.n_models}, of {run.config['applied']['run']}",
        "Trained on": str(run.config["applied"]["cohort"]),
    }

"""The page of a run that was applied to other patients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fusion.audit.finding import counted
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
_MANY, _LEVEL = 0.25, 0.05


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
    # A case that lacks a block: the network and a weighted mean do without it.
    is_mean = run.is_classical and run.config["model"]["combine"] != "mean"
    own = {
        "title": f"{run.config['name']}, applied to {page['cohort']}",
        "facts": _facts(run),
        "of_whom": _of_whom(run),
        "whom": "of this cohort",
        "told_by": "the model" if run.n_models == 1 else f"the mean of {run.n_models} models",
        "applied_to": applied_to(run.applicability, is_mean=is_mean),
        "applicability": run.applicability,
        "is_mean": is_mean,
        "warnings": [*page["warnings"], *_seen(run.applicability)],
        "limitations": [*page["limitations"], *doubts(run.applicability)],
        "methods": applied_methods(run),
        "guidelines": None,
    }
    return report_template(_TEMPLATE).render({**page, **own})


def applied_to(applicability: Mapping[str, Any], *, is_mean: bool) -> list[str]:
    """What the models did without and how far the images lie from those of training, in sentences.

    Args:
        applicability: Of ``applicability.json``.
        is_mean: Whether a block that a case lacks counts as its training mean, as most classical models have it.
    """
    n_cases, columns = applicability["n_cases"], applicability["columns"]["absent"]
    lacking = {branch: n for branch, n in applicability["branches"].items() if n}
    gone = [branch for branch, n in lacking.items() if n == n_cases]
    some = [f"{branch} in {n} of {n_cases}" for branch, n in lacking.items() if n < n_cases]
    values = [f"{name} in {n} of {n_cases}" for name, n in applicability["columns"]["missing"].items() if n]
    done = "counts as its training mean" if is_mean else "was left out"
    sentences = [
        *([f"No image has what the {listed(gone)} branch needs: it {done}."] if gone else []),
        *([f"What single images lack {done}: {'; '.join(some)}."] if some else []),
        *([f"The cohort has none of the columns {listed(columns)} of training."] if columns else []),
        *([f"Clinical values are missing, and were filled in from training: {'; '.join(values)}."] if values else []),
    ]
    whole = [] if sentences else ["Nothing was lacking: every branch and every clinical value of training is there."]
    return [*(sentences or whole), *(_distance(*found) for found in applicability["distances"].items())]


def _distance(branch: str, found: Mapping[str, Any]) -> str:
    return (
        f"{percent_text(found['share_far'])} of {found['n']} images lie further from those of training, "
        f"{_SEEN_BY[branch]}, than 95\N{NO-BREAK SPACE}% of the training cohort’s own that the distance was not "
        f"fitted to; of one kind it would be {percent_text(found['expected_far'])}."
    )


def doubts(applicability: Mapping[str, Any]) -> list[str]:
    """What of it speaks against trusting the figures; empty where no rule applies."""
    n_cases = applicability["n_cases"]
    gone = [branch for branch, n in applicability["branches"].items() if n == n_cases]
    far = [_SEEN_BY[branch] for branch, found in applicability["distances"].items() if _is_far(found)]
    sentences = []
    if gone:
        sentences.append(
            f"The model that was validated in training had the {listed(gone)} branch; this one had to do without it."
        )
    if far:
        sentences.append(
            f"Many images are unlike those of training ({listed(far)}): another scanner, another preset, another way "
            "to crop or to outline. The figures are of such images; thresholds and probabilities were set on others."
        )
    return sentences


def _is_far(found: Mapping[str, Any]) -> bool:
    """More than a quarter, and more than chance would have it: images taken as independent."""
    from scipy.stats import binom

    n_far = round(found["share_far"] * found["n"])
    by_chance = float(binom.sf(n_far - 1, found["n"], found["expected_far"]))
    return bool(found["share_far"] > _MANY and by_chance < _LEVEL)


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
    who = listed([*counts, *unknown] if run.test.labels else unknown)
    scored = f"{counted(len(labels), 'patient')}, {who}, scored by {models}"
    return f"{scored} trained on the cohort “{trained_on}”. {_known(run.applicability or {})}"


def _known(applicability: Mapping[str, Any]) -> str:
    n_seen = applicability["n_seen"]
    return f"{counted_patients(n_seen)} in their training." if n_seen else "Nothing was fitted to these patients."


def _facts(run: FinishedRun) -> dict[str, str]:
    counts = run.manifest["cohort"]
    return {
        "Patients": str(counts["patients"]),
        "Images": str(counts["cases"]),
        "Centers": str(len(counts["centers"])) if run.names_centers else "not named",
        "Models": f"{run.n_models}, of {run.config['applied']['run']}",
        "Trained on": str(run.config["applied"]["cohort"]),
    }

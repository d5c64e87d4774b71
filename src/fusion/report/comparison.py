"""A comparison for people: comparison.json, its figures, and one self-contained page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusion.comparison.compare import Asked, compare_runs
from fusion.report.comparison_notes import inner_note, input_unit, not_ranked_note, published_note
from fusion.report.comparison_terminal import print_comparison
from fusion.report.comparison_words import explanations, findings, short_p, warnings
from fusion.report.figures.comparison import plan_comparison
from fusion.report.figures.style import percent_text
from fusion.report.figures.write import Drawing, write_drawings
from fusion.report.html import page_environment
from fusion.runs.tables import write_rows
from fusion.storage import atomic_path, write_json

_TEMPLATE = "comparison.html.j2"
RECLASSIFICATION_NAMES = {
    "nri": "NRI, category-free",
    "nri_at_threshold": "NRI at the frozen threshold",
    "idi": "IDI",
}


def report_comparison(runs: Sequence[str], asked: Asked, *, out_dir: Path | None) -> Path:
    """Compare runs, write what comes of it, and print it.

    Args:
        runs: Run folders, or NAME=FOLDER.
        asked: What is wanted.
        out_dir: Where to; None for ``comparison`` in the folder that all runs lie in.

    Returns:
        The path of the page.

    Raises:
        FusionError: If the runs cannot be compared; it says in what they differ.
    """
    comparison = compare_runs(runs, asked)
    folders = [Path(model["run"]).resolve().parent for model in comparison["models"]]
    page = write_comparison(comparison, out_dir or Path(os.path.commonpath(folders)) / "comparison")
    print_comparison(comparison, written=page)
    return page


def write_comparison(comparison: Mapping[str, Any], out_dir: Path) -> Path:
    """Write ``comparison.json``, ``comparison.csv`` (a row per model), ``figures/*.svg`` and ``comparison.html``.

    No request leaves the page.

    Args:
        comparison: The content of comparison.json.
        out_dir: Made where it is not there; files of an earlier comparison are replaced.

    Returns:
        The path of the page.
    """
    write_json(out_dir / "comparison.json", comparison)
    write_rows(out_dir / "comparison.csv", *_table(comparison))
    drawings = write_drawings(plan_comparison(comparison), out_dir / "figures")
    page = (
        page_environment(p_value=short_p, percent=percent_text)
        .get_template(_TEMPLATE)
        .render(_context(comparison, drawings))
    )
    path = out_dir / "comparison.html"
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _table(comparison: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """Header and rows of the models; what is not defined is empty."""
    figures = list(comparison["models"][0]["figures"])
    parts = ("value", "ci_low", "ci_high")
    not_ranked = {of["model"] for of in comparison["not_ranked_by_inner"]}
    header = ["model", "run", "is_primary", "is_best_by_inner", "is_ranked_by_inner", "inner_auc"]
    header += [name if part == "value" else f"{name}_{part}" for name in figures for part in parts]
    rows: list[list[object]] = [
        [
            model["name"],
            model["run"],
            int(model["is_primary"]),
            int(model["name"] == comparison["best_by_inner"]),
            int(model["name"] not in not_ranked),
            (model["inner"] or {}).get("auc"),
            *(model["figures"][name][part] for name in figures for part in parts),
            *((model["published"] or {}).get(key) for key in ("value", "source")),
        ]
        for model in comparison["models"]
    ]
    return [*header, "published_auc", "published_source"], rows


def _context(comparison: Mapping[str, Any], drawings: Mapping[str, Drawing]) -> dict[str, Any]:
    return {
        "c": comparison,
        "drawings": drawings,
        "facts": _facts(comparison),
        "findings": findings(comparison),
        "warnings": warnings(comparison),
        "explanations": explanations(comparison),
        "inner_note": inner_note(comparison),
        "not_ranked_note": not_ranked_note(comparison),
        "not_ranked": [of["model"] for of in comparison["not_ranked_by_inner"]],
        "published_note": published_note(comparison),
        "input_unit": input_unit(comparison["inputs"]) if (comparison["inputs"] or {}).get("ranking") else None,
        "calls": [name for name in ("accuracy", "sensitivity", "specificity") if name in _calls(comparison)],
        "reclassification_names": RECLASSIFICATION_NAMES,
    }


def _calls(comparison: Mapping[str, Any]) -> Mapping[str, Any]:
    return comparison["comparisons"][0]["calls"] or {}


def _facts(comparison: Mapping[str, Any]) -> dict[str, str]:
    n_folds, planned = len(comparison["folds"]["finished"]), comparison["folds"]["planned"]
    folds = (
        "one division" if planned == 1 else f"{n_folds} of {planned} folds" if n_folds < planned else f"{n_folds} folds"
    )
    facts = {
        "Models": str(len(comparison["models"])),
        "Test patients": str(comparison["n_patients"]),
        "Labels": ", ".join(f"{n} {label}" for label, n in comparison["n_by_label"].items()),
        "Split": f"{comparison['split'] or 'unnamed'}, {folds}",
    }
    if comparison["n_rows"] > comparison["n_patients"]:
        facts["Predictions of each model"] = str(comparison["n_rows"])
    return facts | {"Intervals": percent_text(comparison["level"])}

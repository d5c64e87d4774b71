"""The end of a sweep for people: ``sweep.json``, ``sweep.html``, and the ranking on the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fusion.comparison.best_of_k import best_of_k, quantiles
from fusion.comparison.entries import read_entries
from fusion.comparison.rows import side_by_side
from fusion.errors import FusionError
from fusion.guidelines.paper import report_parts
from fusion.report.html import write_report
from fusion.report.sweep import write_sweep
from fusion.report.sweep_terminal import print_sweep
from fusion.runs.folder import RunFolder
from fusion.runs.pseudonyms import names_of
from fusion.storage import file_lock
from fusion.sweeps.importance import measure_importance
from fusion.sweeps.leading import compare_leading
from fusion.sweeps.ranking import Ranking, SweptRun, rank_runs
from fusion.sweeps.records import read_records

_N_LEADING = 3
_N_BINS = 40
_LEVELS_OF_LUCK = (0.5, 0.95, 0.99)


def finish_sweep(sweep_dir: Path, settings: Mapping[str, Any]) -> None:
    """Write what came of a sweep, print it, and write the report of the run that has the best inner score.

    Args:
        sweep_dir: Of the sweep.
        settings: ``conf/sweep``.
    """
    # Of several processes that end a sweep together each writes all of it.
    with file_lock(sweep_dir / ".jobs" / "finish.lock"):
        ranking = rank_runs(sweep_dir, read_records(sweep_dir))
        if not (*ranking.ranked, *ranking.others):
            return
        if ranking.chosen is not None and not (sweep_dir / ranking.chosen.folder / "report.html").is_file():
            chosen = RunFolder.open(sweep_dir / ranking.chosen.folder)
            write_report(chosen.path, naming=names_of(chosen.config), **report_parts(chosen.path))
        content = describe_sweep(sweep_dir, ranking, settings)
        page = write_sweep(content, sweep_dir)
    print_sweep(content, written=page)


def describe_sweep(sweep_dir: Path, ranking: Ranking, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``sweep.json``: the runs in the order of their inner scores, and what follows from that order.

    Test figures are in it of the chosen run alone, or with ``test: all`` of every finished one.

    Args:
        sweep_dir: Of the sweep.
        ranking: Of its runs.
        settings: ``conf/sweep``.
    """
    runs = (*ranking.ranked, *ranking.others)
    ends = ranking.chosen or next((run for run in runs if (sweep_dir / run.folder / "config.yaml").is_file()), None)
    config = {} if ends is None else RunFolder.open(sweep_dir / ends.folder).config
    cohort = config.get("cohort") or {}
    return {
        "name": sweep_dir.name,
        "cohort": cohort.get("name"),
        "is_simulated": cohort.get("simulation") is not None,
        "test": settings["test"],
        "states": dict(Counter(run.state for run in runs)),
        "swept": list(ranking.swept),
        "chosen": None if ranking.chosen is None else ranking.chosen.folder,
        "runs": [_run(sweep_dir, run, ranking, shows_all=settings["test"] == "all") for run in runs],
        "importance": measure_importance(
            [run.values for run in ranking.ranked],
            [run.inner.auc for run in ranking.ranked if run.inner is not None],
            keys=ranking.swept,
            seed=config.get("seed", 0),
        ),
        "leading": _leading(sweep_dir, ranking, config),
        "best_of_k": _best_of_k(sweep_dir, ranking, settings) if settings["test"] == "all" else None,
    }


def _run(sweep_dir: Path, run: SweptRun, ranking: Ranking, *, shows_all: bool) -> dict[str, Any]:
    place = ranking.ranked.index(run) if run in ranking.ranked else None
    shows_test = run.state == "finished" and (shows_all or run == ranking.chosen)
    return {
        "rank": None if place is None else place + 1,
        "folder": run.folder,
        "values": dict(run.values),
        "state": run.state,
        "inner": None if run.inner is None else run.inner.as_json(),
        "not_ranked": ranking.not_ranked.get(run.folder),
        "test": _test(sweep_dir / run.folder) if shows_test else None,
        "seconds": run.seconds,
        "overhead": run.overhead,
        "error": run.error,
    }


def _test(run_dir: Path) -> dict[str, Any] | None:
    """Test AUC of a run, and the mean of the folds' where there are several."""
    test = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8")).get("test", {})
    return {name: test[name] for name in ("auc", "auc_fold_mean") if name in test} or None


def _leading(sweep_dir: Path, ranking: Ranking, config: Mapping[str, Any]) -> dict[str, Any]:
    if len(ranking.ranked) < 2:
        return {"absent": "It takes two ranked runs."}
    evaluation = config["evaluation"]
    intervals = {"level": evaluation["level"], "n_bootstrap": evaluation["n_bootstrap"], "seed": config["seed"]}
    folders = [run.folder for run in ranking.ranked[:_N_LEADING]]
    return {**intervals, "pairs": compare_leading(sweep_dir, folders, **intervals)}


def _best_of_k(sweep_dir: Path, ranking: Ranking, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the largest test AUC of the finished runs is worth, or why that cannot be said."""
    asked = settings["comparison"]
    folders = [run.folder for run in (*ranking.ranked, *ranking.others) if run.state == "finished"]
    try:
        entries = read_entries([str(sweep_dir / folder) for folder in folders])
    except FusionError as error:
        return {"absent": str(error)}
    rows = side_by_side(entries, None)
    found = best_of_k(
        rows.labels,
        rows.scores,
        n_permutations=asked["n_permutations"],
        seed=entries.models[0].config["seed"],
        patients=rows.patients,
        strata=rows.centers if asked["within_centers"] else None,
    )
    if found is None:
        return {"absent": "The test patients do not have all labels."}
    best, edges = found.luck.max(1), np.histogram_bin_edges(found.luck.max(1), bins=_N_BINS)
    return {
        "k": len(folders),
        "best": folders[found.best],
        "auc": float(found.aucs[found.best]),
        "p": found.p,
        "n_permutations": asked["n_permutations"],
        "within_centers": asked["within_centers"],
        "luck": quantiles(found.luck, _LEVELS_OF_LUCK),
        "histogram": {"edges": edges.tolist(), "counts": np.histogram(best, edges)[0].tolist()},
    }

"""A run applied to other patients: its configuration, and where its numbers come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion.records import Cohort
from fusion.runs.folder import RunFolder
from fusion.runs.manifest import describe_cohort, describe_environment, digest_inputs
from fusion.storage import atomic_path, write_json, write_yaml

_HEADER = "# What predict.py applied to whom: the configuration of the run, with the other cohort in it.\n"


def record_application(
    out_dir: Path,
    *,
    run: RunFolder,
    config: Mapping[str, Any],
    cohort: Cohort,
    table: Path,
    digests: Mapping[Path, str],
    device: str,
) -> None:
    """Write ``config.yaml`` and ``manifest.json`` of a prediction.

    Args:
        out_dir: Of the prediction.
        run: That is applied.
        config: Of ``predict.py``.
        cohort: That it is applied to.
        table: Of the cohort.
        digests: Of the cohort's images and masks.
        device: That scored, in words.
    """
    trained = run.config
    own = trained["cohort"]
    is_simulated = own.get("simulation") is not None
    applied = {"run": str(run.path), "cohort": own["name"], "simulated": is_simulated, "folds": run.finished}
    merged = {**trained, **{key: config[key] for key in ("cohort", "explain")}, "applied": applied}
    with atomic_path(out_dir / "config.yaml") as temporary:
        temporary.write_text(_HEADER + write_yaml(merged), encoding="utf-8")
    manifest = {
        **describe_environment(),
        "seed": trained["seed"],
        "weights": trained["backbone"]["weights"],
        "device": device,
        "split_sha256": run.split_sha256,
        "cohort": describe_cohort(cohort),
        "sha256": digest_inputs(digests, cohort, {"table": table}),
    }
    write_json(out_dir / "manifest.json", manifest)

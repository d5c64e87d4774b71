"""Seconds, memory and bytes of a run as the cohort grows, and what they come to at 10^4, 10^5 and 10^6 patients.

    python -m benchmarks.scale                                                   about 6 minutes on two cores

Cohorts of growing size are made of a few simulated patients, linked over and over. ``train.py`` is run on them for
one epoch; its manifest has the stages and the peak memory. Radiomics is extracted from the few, and looked up
for all. What needs no image is measured on numbers alone, and on larger cohorts.

What lies beyond is extrapolated from the two largest sizes: along a straight line, or, where the exponent between
them is above 1.5, along that power. It is an order of magnitude, from one machine and one epoch of a small network.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fusion.storage import atomic_path

REPOSITORY = Path(__file__).parents[1]
RESULT = REPOSITORY / "benchmarks/results/scale.md"
TARGETS = (10_000, 100_000, 1_000_000)
# An exponent of two noisy times is off by some tenths; what grows with the square has 2.
CURVED = 1.5
N_DISTINCT = 24
MB = 1e6
# Of one quantity: what was measured, by the number of patients.
Measured = dict[int, float]
T = TypeVar("T")


def main() -> None:
    """Measure, print the tables and keep them."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        runs = _measure_runs(options.sizes, Path(folder))
    numbers: dict[str, Measured] = {}
    for size in options.numbers:
        for name, value in _alone(_measure_numbers, size).items():
            numbers.setdefault(name, {})[size] = value
    table = _page(runs, numbers, options.command)
    sys.stdout.write(table)
    with atomic_path(RESULT) as temporary:
        temporary.write_text(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 1000, 4000], help="patients with images")
    parser.add_argument("--numbers", type=int, nargs="+", default=[1000, 10_000, 40_000], help="patients without")
    options = parser.parse_args()
    options.command = " ".join(["python -m benchmarks.scale", *sys.argv[1:]])
    return options


def _alone(measure: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """In a process of its own, since peak memory never goes down again."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def _measure_runs(sizes: Sequence[int], folder: Path) -> dict[str, Measured]:
    from fusion.cohorts.phantom import simulate_cohort

    config = _config(["cohort=phantom"])
    few = simulate_cohort({**config["cohort"]["simulation"], "n_patients": N_DISTINCT}, cache_dir=folder)
    extraction = _extract(few, folder)
    found: dict[str, Measured] = {}
    for size in sizes:
        root = _grow(few, size, folder / f"cohort-{size}")
        for name, value in {**_run(root, folder / f"run-{size}", folder), **_alone(_look_up, root, folder)}.items():
            found.setdefault(name, {})[size] = value
    for name, value in extraction.items():
        found[name] = {size: value * size for size in sizes}
    return found


def _grow(few: Path, size: int, root: Path) -> Path:
    """A cohort of that size, made of the few patients under new names."""
    with (few / "table.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    with (root / "table.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        for number in range(size):
            row = rows[number % len(rows)]
            new = f"P{number:07}"
            writer.writerow(row | {"id": new})
            for name in ("images", "masks"):
                (root / name / f"{new}.png").hardlink_to(few / name / f"{row['id']}.png")
    return root


def _cohort(root: Path) -> list[str]:
    names = "cohort.label.names=[benign,malignant]"
    return ["cohort=phantom", "cohort.simulation=null", f"cohort.root={root}", "cohort.missing=[n/a]", names]


def _run(root: Path, run: Path, cache: Path) -> dict[str, float]:
    """What the manifest of a run of one epoch says, and what it leaves."""
    branches = ["model.branches=[image,clinical]", "trainer.max_epochs=1", "explain=none"]
    command = [sys.executable, "train.py", *_cohort(root), *branches, f"hydra.run.dir={run}"]
    crops = {*cache.glob("crops-*.npy")}
    environment = {**os.environ, "FUSION_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL)
    seconds = _seconds_of_stages(process.pid, run / "manifest.json")
    (made,) = {*cache.glob("crops-*.npy")} - crops
    return {
        "table read, s": seconds["cohort"],
        "images decoded into the crops file, s": seconds["images"],
        "files hashed, s": seconds["digests"],
        "one epoch and scoring, s": seconds["fold_0"],
        "every figure with its interval, s": seconds["evaluation"],
        "report, s": seconds["report"],
        "peak memory, MB": max(stage["peak_memory_mb"] for stage in _stages(run / "manifest.json").values()),
        "crops file (96 px), MB": made.stat().st_size / MB,
        "predictions_cases.csv, MB": (run / "predictions_cases.csv").stat().st_size / MB,
        "metrics.json, MB": (run / "metrics.json").stat().st_size / MB,
        "report.html, MB": (run / "report.html").stat().st_size / MB,
    }


def _seconds_of_stages(process: int, manifest: Path) -> dict[str, float]:
    """Processor time of each stage of a run, by when its end appears in the manifest."""
    spent: dict[str, float] = {}
    before = 0.0
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        now = usage.ru_utime + usage.ru_stime if ended else _processor_seconds(process)
        new = [name for name in _stages(manifest) if name not in spent]
        spent |= dict.fromkeys(new, (now - before) / max(len(new), 1))
        # Until there is a manifest, Python and its packages are loaded.
        if new or not manifest.exists():
            before = now
        if ended:
            if status:
                raise RuntimeError(f"train.py ended with {os.waitstatus_to_exitcode(status)}")
            return spent
        time.sleep(0.02)


def _stages(manifest: Path) -> dict[str, dict[str, float]]:
    return json.loads(manifest.read_text()).get("stages", {}) if manifest.exists() else {}


def _processor_seconds(process: int) -> float:
    # User and system time, of the process and of its children that have ended: see proc(5).
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _extract(few: Path, cache: Path) -> dict[str, float]:
    """Per patient, on one core: what extraction takes and leaves."""
    from fusion.radiomics.extract import extract_features

    cases = _cases(few, cache)
    radiomics = _config([])["radiomics"] | {"n_jobs": 1}
    # The first makes the extractor.
    extract_features(cases[:1], radiomics=radiomics, cache_dir=cache / "first")
    _, seconds = _timed(lambda: extract_features(cases, radiomics=radiomics, cache_dir=cache / "radiomics"))
    entries = [path.stat().st_size for path in (cache / "radiomics").rglob("*.json.gz")]
    return {
        "radiomics extracted on one core, s": seconds / len(cases),
        "radiomics cache, MB": sum(entries) / len(entries) / MB,
    }


def _look_up(root: Path, cache: Path) -> dict[str, float]:
    from fusion.radiomics.extract import extract_features

    cases, radiomics = _cases(root, cache), _config([])["radiomics"]
    before = _memory("VmRSS")
    table, seconds = _timed(lambda: extract_features(cases, radiomics=radiomics, cache_dir=cache / "radiomics"))
    return {
        "radiomics found in the cache, s": seconds,
        "memory while they are read, MB": _memory("VmHWM") - before,
        "radiomics table in memory, MB": table.values.nbytes / MB,
    }


def _cases(root: Path, cache: Path) -> Any:
    from fusion.cohorts.load import load_cohort

    return load_cohort(_config(_cohort(root))["cohort"], cache_dir=cache, require_labels=True).cases


def _measure_numbers(size: int) -> dict[str, float]:
    """What needs no image: simulated patients, predictions and features."""
    from fusion.evaluation.evaluate import evaluate
    from fusion.evaluation.settings import Settings
    from fusion.runs.tables import read_predictions, write_predictions
    from fusion.splits.folds import make_folds
    from fusion.tabular.radiomics import RadiomicsScaler

    config = _config(["split=kfold"])
    settings = Settings.from_config(config["evaluation"], seed=0)
    before = _memory("VmRSS")
    cohort = _simulated_cohort(size)
    of_cohort = _memory("VmRSS") - before
    _, seconds_of_folds = _timed(lambda: make_folds(cohort, split=config["split"], seed=0))
    predictions = _simulated_predictions(cohort)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.csv"
        _, seconds_to_write = _timed(lambda: write_predictions(path, predictions))
        _, seconds_to_read = _timed(lambda: read_predictions(path, model="simulated"))
        n_bytes = path.stat().st_size
    thresholds = {name: dict.fromkeys(range(5), 0.5) for name in settings.operating_points}
    _, seconds_of_figures = _timed(lambda: evaluate(predictions, predictions, thresholds=thresholds, settings=settings))
    found = {
        "cohort in memory, MB": of_cohort,
        "five folds drawn, s": seconds_of_folds,
        "predictions of the test parts as CSV, MB": n_bytes / MB,
        "the same written and read, s": seconds_to_write + seconds_to_read,
        "figures of a test part of all, four centers, s": seconds_of_figures,
        "peak memory so far, MB": _memory("VmHWM"),
    }
    features = _simulated_features(cohort)
    scaler = {"harmonization": {"name": "none"}, **{key: config["tabular"][key] for key in ("max_correlation", "clip")}}
    _, seconds = _timed(lambda: RadiomicsScaler.fit(features, cohort.cases, stable=None, columns=(), **scaler))
    return found | {"753 features cleaned and scaled, s": seconds, "peak memory with them, MB": _memory("VmHWM")}


def _simulated_cohort(size: int) -> Any:
    from fusion.records import Case, Cohort

    labels = ("benign", "malignant")
    drawn = np.random.default_rng(size).random(size) < 0.3
    cases = tuple(
        Case(
            case_id=f"P{row:07}",
            patient_id=f"P{row:07}",
            center=f"center {row % 4}",
            image=Path(f"/data/images/P{row:07}.png"),
            mask=Path(f"/data/masks/P{row:07}.png"),
            label=labels[int(positive)],
            clinical={f"column {column}": float(row % 7) for column in range(17)},
        )
        for row, positive in enumerate(drawn.tolist())
    )
    return Cohort(name="simulated", cases=cases, label_names=labels, clinical_columns=())


def _simulated_predictions(cohort: Any) -> Any:
    from fusion.records import Predictions

    positive = np.array([case.label == "malignant" for case in cohort.cases])
    scores = np.random.default_rng(1).normal(1.5 * positive - 1)
    probabilities = 1 / (1 + np.exp(-scores))
    ids = tuple(case.patient_id for case in cohort.cases)
    return Predictions(
        model="simulated",
        label_names=cohort.label_names,
        case_ids=None,
        patient_ids=ids,
        centers=tuple(case.center for case in cohort.cases),
        folds=tuple(row % 5 for row in range(len(ids))),
        parts=("test",) * len(ids),
        labels=tuple(case.label for case in cohort.cases),
        probabilities=np.stack([1 - probabilities, probabilities], axis=1),
    )


def _simulated_features(cohort: Any) -> Any:
    from fusion.records import FeatureTable

    values = np.random.default_rng(2).normal(size=(len(cohort.cases), 753))
    ids = tuple(case.case_id for case in cohort.cases)
    return FeatureTable(case_ids=ids, names=tuple(f"feature {column}" for column in range(753)), values=values)


def _config(overrides: Iterable[str]) -> dict[str, Any]:
    import hydra

    from fusion.entry import plain_config, register_resolvers

    register_resolvers()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(REPOSITORY / "conf")):
        return plain_config(hydra.compose("train", overrides=list(overrides)))


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    """Its result, and its seconds of processor time, which other programs disturb less than the clock."""
    begun = time.process_time()
    result = call()
    return result, time.process_time() - begun


def _memory(kind: str) -> float:
    """MB of this process: now (VmRSS), or at its peak (VmHWM); getrusage would count the parent's at the start, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{kind}:")[2].split()[0]) * 1024 / MB


def _exponent(measured: Measured) -> float | None:
    """Of the power that leads from the second largest size to the largest."""
    (small, before), (large, after) = sorted(measured.items())[-2:]
    return math.log(after / before) / math.log(large / small) if before > 0 and after > 0 else None


def _at(measured: Measured, target: int) -> float:
    (small, before), (large, after) = sorted(measured.items())[-2:]
    exponent = _exponent(measured)
    if exponent is not None and exponent > CURVED:
        return float(after * (target / large) ** exponent)
    return after + max(after - before, 0) / (large - small) * (target - large)


def _page(runs: Mapping[str, Measured], numbers: Mapping[str, Measured], command: str) -> str:
    load = os.getloadavg()[0]
    return "\n".join(
        [
            "# Scale: seconds, memory and bytes by the number of patients",
            "",
            f"`{command}`",
            "",
            f"{os.cpu_count()} cores, which other programs used too (load average at the end {load:.1f}); "
            f"Python {platform.python_version()}. Right of the exponent all is extrapolated from the two largest "
            f"sizes: along a straight line, or along the exponent where it is above {CURVED}. Seconds are of "
            "processor time, all threads together.",
            "",
            "## Runs of one epoch: tiny network, image and clinical branch; radiomics apart",
            "",
            *_table(runs),
            "",
            "## Numbers alone",
            "",
            *_table(numbers),
            "",
        ]
    )


def _table(rows: Mapping[str, Measured]) -> list[str]:
    sizes = sorted(next(iter(rows.values())))
    heads = [*(f"{size:,}" for size in sizes), "exponent", *(f"{target:,}" for target in TARGETS)]
    return [
        f"| | {' | '.join(heads)} |",
        f"| --- |{' ---: |' * len(heads)}",
        *(_line(name, [measured[size] for size in sizes], measured) for name, measured in rows.items()),
    ]


def _line(name: str, values: Sequence[float], measured: Measured) -> str:
    exponent = _exponent(measured)
    cells = [*map(_figure, values), "" if exponent is None else f"{exponent:.2f}"]
    return f"| {' | '.join([name, *cells, *(_figure(_at(measured, target)) for target in TARGETS)])} |"


def _figure(value: float) -> str:
    """Two digits are more than an extrapolation knows."""
    return f"{float(f'{value:.2g}'):,.{max(0, 1 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


if __name__ == "__main__":
    main()

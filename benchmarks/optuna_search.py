"""What a search by Optuna finds in few runs, beside random ones, on the simulated cohort.

    python -m benchmarks.optuna_search                                        about 30 minutes on two cores
    python -m benchmarks.optuna_search --seeds 0 --n-trials 6                 about 3 minutes, keeps nothing

Five values of the end-to-end network are searched in wide intervals: penalty, two learning rates, dropout and head. For
each seed the same number of runs is drawn at random and suggested by each sampler, with nothing pruned, so that each
has as many runs to its end. The figure is the best inner AUC, the mean over folds on training patients, which the
search maximizes; the seed is of the search, the patients and their folds are the same throughout. The median over the
seeds of what a search finds must be above that of the random runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from fusion.storage import atomic_path

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/optuna_search.md"
SAMPLERS = ("random", "tpe", "gp")
N_STARTUP_TRIALS = 4
SPACE = (
    "l1=tag(log,interval(1e-6,1e-1))",
    "optimizer.lr=tag(log,interval(1e-5,1e-1))",
    "optimizer.lr_backbone=tag(log,interval(1e-5,1e-1))",
    "model.dropout=interval(0,0.8)",
    "head=gated,concat",
)
SETTINGS = (
    "cohort.simulation.n_patients=160",
    "split=kfold",
    "split.n_folds=2",
    "imaging.n_px=32",
    "trainer.max_epochs=10",
    "trainer.accelerator=cpu",
    "explain=none",
    # Of the test figures, which nothing here looks at.
    "evaluation.n_bootstrap=100",
    "evaluation.subgroups.columns=[]",
)


def main() -> None:
    """Search, print the table, and keep it where everything was run."""
    options = _options()
    console = Console(stderr=True)
    best: dict[str, list[float]] = {name: [] for name in SAMPLERS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            for name in SAMPLERS:
                best[name].append(_search(Path(folder) / f"{name}_{seed}", name, seed, options.n_trials))
                console.print(f"seed {seed}, {name}: {best[name][-1]:.3f}")
    table = _table(best, options)
    sys.stdout.write(table)
    if options.seeds == _options([]).seeds:
        with atomic_path(RESULT) as temporary:
            temporary.write_text(table)


def _options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="of the searches (0 to 4)")
    parser.add_argument("--n-trials", type=int, default=12, help="runs of each search (12)")
    return parser.parse_args(arguments)


def _search(folder: Path, sampler: str, seed: int, n_trials: int) -> float:
    """The best inner AUC that a search finds."""
    settings = (
        "hydra/sweeper=optuna",
        f"hydra.sweep.dir={folder}",
        f"hydra.sweeper.n_trials={n_trials}",
        f"hydra.sweeper.seed={seed}",
        f"hydra.sweeper.sampler.name={sampler}",
        f"hydra.sweeper.sampler.n_startup_trials={N_STARTUP_TRIALS}",
        "hydra.sweeper.pruner.name=none",
    )
    command = [sys.executable, str(ROOT / "train.py"), "-m", *settings, *SETTINGS, *SPACE]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"{' '.join(command)}\n{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}")
    runs = json.loads((folder / "sweep.json").read_text())["runs"]
    return max(float(run["inner"]["auc"]) for run in runs if run["inner"])


def _table(best: dict[str, list[float]], options: argparse.Namespace) -> str:
    columns = [f"seed {seed}" for seed in options.seeds]
    bar = statistics.median(best["random"])
    rows = [
        f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} | {statistics.median(values):.3f} "
        f"| {sum(value > bar for value in values)} of {len(values)} | {_verdict(name, values, bar)} |"
        for name, values in best.items()
    ]
    return "\n".join(
        [
            f"# What {options.n_trials} runs find",
            "",
            "`python -m benchmarks.optuna_search`",
            "",
            f"Best inner AUC of {options.n_trials} runs, the first {N_STARTUP_TRIALS} random; simulated cohort of "
            "160 patients, two folds, the default network at 32 px. Searched: "
            f"{', '.join(f'`{value}`' for value in SPACE)}.",
            "",
            f"| sampler | {' | '.join(columns)} | median | above the random median | better |",
            f"| --- | {' | '.join('---:' for _ in columns)} | ---: | ---: | :---: |",
            *rows,
            "",
        ]
    )


def _verdict(name: str, values: list[float], bar: float) -> str:
    if name == "random":
        return ""
    return "yes" if statistics.median(values) > bar else "**no**"


if __name__ == "__main__":
    main()

"""Searches whose jobs are a function: what is asked for, told, shared between processes, and done again."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from fusion.errors import FusionError, InputError
from fusion.sweeps.journal import JOURNAL, open_study
from fusion.sweeps.optuna_search import Search, run_search
from fusion.sweeps.pruning import TRIAL
from fusion.sweeps.records import JobRecord
from fusion.sweeps.search_space import SearchSpace

SPACE = ("cohort=breast", "head=gated,concat", "lr=tag(log,interval(1e-5,1e-1))", "dropout=interval(0,0.7)")
# What a process of its own runs: it writes down each job, and stops at one where it is asked to.
WORKER = """
import sys, time
from pathlib import Path
from hydra.core.override_parser.overrides_parser import OverridesParser
from fusion.sweeps.journal import JOURNAL, open_study
from fusion.sweeps.optuna_search import Search, run_search
from fusion.sweeps.records import JobRecord
from fusion.sweeps.search_space import SearchSpace

folder, log, n_trials, stops_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
def launch(jobs, first):
    (job,) = jobs
    with log.open("a") as stream:
        print(first, *job, file=stream, flush=True)
    time.sleep(600 if first == stops_at else 0.1)
    score = 0.5 + first / 100
    return [JobRecord(number=first, overrides=job, folder="", fold="all", state="finished", inner_score=score)]

run_search(
    Search(n_trials=n_trials, seed=1, sampler={"name": "tpe", "n_startup_trials": 4}, pruner={"name": "none"}),
    SearchSpace.from_overrides(OverridesParser.create().parse_overrides(sys.argv[5:])),
    sweep_dir=folder, launch=launch, run_dir=Path, n_jobs=1, stop_on_failure=False,
)
print([trial.state.name for trial in open_study(folder / JOURNAL, pruner=None).trials])
"""


def score(overrides: Sequence[str]) -> float:
    """A hill; higher is better."""
    values = dict(override.split("=") for override in overrides)
    hill = 0.9 - 0.02 * (math.log10(float(values["lr"])) + 3) ** 2 - 0.3 * (float(values["dropout"]) - 0.2) ** 2
    return hill - 0.03 * (values["head"] == "concat")


class Jobs:
    """Launches nothing, and says what became of it."""

    def __init__(self, state: Callable[[int], str] = lambda number: "finished") -> None:
        self.state, self.launched, self.batches = state, [], []

    def __call__(self, jobs: Sequence[tuple[str, ...]], first: int) -> list[JobRecord]:
        self.launched += jobs
        self.batches.append((first, len(jobs)))
        return [self._record(first + place, job) for place, job in enumerate(jobs)]

    def _record(self, number: int, job: tuple[str, ...]) -> JobRecord:
        state = self.state(number)
        known = score(job) if state == "finished" else None
        return JobRecord(number=number, overrides=job, folder="", fold="all", state=state, inner_score=known)


def search(folder: Path, jobs: Jobs, *overrides: str, n_jobs: int = 1, stop_on_failure: bool = False, **changes: Any):
    """Run a search, and give the trials of its study."""
    settings: dict[str, Any] = {
        "n_trials": 8,
        "seed": 1,
        "sampler": {"name": "tpe", "n_startup_trials": 4},
        "pruner": {"name": "none"},
    }
    run_search(
        Search(**settings | changes),
        SearchSpace.from_overrides(OverridesParser.create().parse_overrides(list(overrides or SPACE))),
        sweep_dir=folder,
        launch=jobs,
        run_dir=lambda job: folder / ",".join(job),
        n_jobs=n_jobs,
        stop_on_failure=stop_on_failure,
    )
    return open_study(folder / JOURNAL, pruner=None).trials


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_suggests_the_same_also_where_the_study_goes_on(tmp_path: Path, sampler: str) -> None:
    settings = {"sampler": {"name": sampler, "n_startup_trials": 4}}
    at_once, in_two, other = Jobs(), Jobs(), Jobs()
    trials = search(tmp_path / "at once", at_once, **settings)
    search(tmp_path / "in two", in_two, n_trials=5, **settings)
    search(tmp_path / "in two", in_two, **settings)
    search(tmp_path / "other", other, seed=2, **settings)
    assert at_once.launched == in_two.launched
    assert len(set(at_once.launched)) == 8
    assert other.launched != at_once.launched
    assert [trial.value for trial in trials] == [score(job) for job in at_once.launched]
    assert all(job[0] == "cohort=breast" for job in at_once.launched)


def test_a_finished_study_does_nothing_and_grows_where_more_trials_are_wanted(tmp_path: Path) -> None:
    jobs = Jobs()
    search(tmp_path, jobs, n_trials=3)
    search(tmp_path, jobs, n_trials=3)
    assert len(jobs.launched) == 3
    search(tmp_path, jobs, n_trials=4)
    assert len(jobs.launched) == 4


def test_a_gaussian_process_begins_at_random_and_learns_from_there(tmp_path: Path) -> None:
    learned, random = Jobs(), Jobs()
    search(tmp_path / "gp", learned, n_trials=5, sampler={"name": "gp", "n_startup_trials": 4})
    search(tmp_path / "random", random, n_trials=5, sampler={"name": "random"})
    assert learned.launched[:4] == random.launched[:4]
    assert learned.launched[4] != random.launched[4]


def test_no_values_are_tried_twice_and_a_small_space_comes_to_its_end(tmp_path: Path) -> None:
    values = ("head=a,b", "layers=range(1,4)", "lr=1")
    jobs = Jobs(lambda number: "pruned")
    search(tmp_path / "tpe", jobs, *values, n_trials=50)
    assert len(jobs.launched) == len(set(jobs.launched)) == 6
    in_order = Jobs(lambda number: "pruned")
    search(tmp_path / "grid", in_order, *values, n_trials=4, sampler={"name": "grid"})
    expected = [("lr=1", f"head={head}", f"layers={n}") for head, n in (("a", 1), ("a", 2), ("a", 3), ("b", 1))]
    assert in_order.launched == expected


def test_failures_are_failed_trials_and_are_done_once_more_by_the_same_command(tmp_path: Path) -> None:
    states = {1: "failed", 2: "killed", 3: "pruned"}
    first = Jobs(lambda number: states.get(number, "finished"))
    trials = search(tmp_path, first, n_trials=5)
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "FAIL", "PRUNED", "COMPLETE"]
    again = Jobs()
    trials = search(tmp_path, again, n_trials=5)
    assert again.launched == first.launched[1:3]
    assert [trial.state.name for trial in trials[5:]] == ["COMPLETE", "COMPLETE"]
    nothing = Jobs()
    search(tmp_path, nothing, n_trials=5)
    assert nothing.launched == []


def test_a_finished_job_without_a_score_is_a_failed_trial(tmp_path: Path) -> None:
    class NoScore(Jobs):
        def _record(self, number: int, job: tuple[str, ...]) -> JobRecord:
            return JobRecord(number=number, overrides=job, folder="", fold="all", state="finished", inner_score=None)

    assert [trial.state.name for trial in search(tmp_path, NoScore(), n_trials=2)] == ["FAIL", "FAIL"]


def test_the_first_failure_ends_it_where_that_is_asked_for(tmp_path: Path) -> None:
    jobs = Jobs(lambda number: "failed" if number == 1 else "finished")
    search(tmp_path, jobs, stop_on_failure=True)
    assert len(jobs.launched) == 2


def test_a_job_that_was_interrupted_is_left_for_the_next_time(tmp_path: Path) -> None:
    first = Jobs(lambda number: "interrupted" if number == 2 else "finished")
    trials = search(tmp_path, first)
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "RUNNING"]
    again = Jobs()
    trials = search(tmp_path, again)
    assert again.launched[0] == first.launched[2]
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 8


def test_several_jobs_at_once_are_asked_for_together(tmp_path: Path) -> None:
    jobs = Jobs()
    search(tmp_path, jobs, n_jobs=3)
    assert jobs.batches == [(0, 3), (3, 3), (6, 2)]
    assert len(set(jobs.launched)) == 8


def test_a_job_learns_which_trial_it_is_where_it_may_be_pruned(tmp_path: Path) -> None:
    median = {"name": "median", "n_startup_trials": 2, "n_warmup_epochs": 1, "interval_epochs": 1}
    search(tmp_path, Jobs(), n_trials=2, pruner=median)
    assert len(list(tmp_path.glob(f"*/{TRIAL}"))) == 2
    search(tmp_path / "other", Jobs(), n_trials=2)
    assert not list((tmp_path / "other").glob(f"*/{TRIAL}"))


def test_a_folder_with_a_search_of_other_values_is_refused(tmp_path: Path) -> None:
    search(tmp_path, Jobs(), n_trials=1)
    others = ("cohort=table", *SPACE[1:2], "lr=interval(0,1)", SPACE[3])
    with pytest.raises(FusionError, match=r"came others \(cohort=breast, cohort=table, lr\); choose a new folder"):
        search(tmp_path, Jobs(), *others)


@pytest.mark.parametrize(
    "wrong", [{"n_trials": 0}, {"sampler": {"name": "cma"}}, {"pruner": {"name": "hyperband"}}], ids=str
)
def test_settings_are_checked_before_anything_is_run(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"hydra\.sweeper"):
        search(tmp_path, Jobs(), **wrong)


def test_a_line_that_was_not_written_to_its_end_is_dropped(tmp_path: Path) -> None:
    search(tmp_path, Jobs(), n_trials=2)
    with (tmp_path / JOURNAL).open("ab") as stream:
        stream.write(b'{"op_code":5,"trial_')
    assert len(search(tmp_path, Jobs(), n_trials=3)) == 3


def test_workers_share_a_study_and_do_again_what_a_killed_one_left(
    tmp_path: Path, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    script, log = tmp_path / "worker.py", tmp_path / "log"
    script.write_text(WORKER)

    def start(n_trials: int, stops_at: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(tmp_path / "sweep"), str(log), str(n_trials), str(stops_at), *SPACE]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    killed = start(9, 2)
    wait_until(lambda: log.exists() and log.read_text().count("\n") == 3)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    workers = [start(9, -1), start(9, -1)]
    outputs = [worker.communicate()[0] for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0]
    # Each ends when all are done, and the study has as many as were asked for, not as many for each.
    assert outputs == [f"{['COMPLETE'] * 9}\n"] * 2
    lines = log.read_text().splitlines()
    numbers = [int(line.split()[0]) for line in lines]
    assert sorted(numbers) == [0, 1, 2, 2, *range(3, 9)]
    first, again = (line for line in lines if line.startswith("2 "))
    assert first == again

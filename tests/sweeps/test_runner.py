import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from fusion.entry import INTERRUPTED, messages_for_people
from fusion.errors import FusionError
from fusion.runs.folder import RunFolder
from fusion.sweeps.job import Job
from fusion.sweeps.records import JobRecord
from fusion.sweeps.runner import AsCommands, InThisProcess, Outcome


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(
        record=JobRecord(number=0, overrides=("l1=0",), folder="it's=1,b", fold="2", state="waiting"),
        sweep_dir=tmp_path,
        composed=OmegaConf.create({"name": "x", "l1": 0, "fold": 2, "report": False, "hydra": {}}),
    )


def outcome(job: Job, call: Any) -> Outcome | None:
    return InThisProcess(call).start(job).outcome()


def test_a_job_here_that_returns_is_fine(job: Job) -> None:
    assert outcome(job, lambda _: None) == Outcome(status=0)


def test_a_job_here_that_raises_shows_its_traceback(job: Job) -> None:
    def call(_: Job) -> Any:
        try:
            raise ValueError("first\nlast")
        except ValueError as error:
            return error

    ended = outcome(job, call)
    assert ended is not None
    assert (ended.status, ended.error) == (1, "last")
    assert ended.lines[0].startswith("Traceback")
    assert "ValueError: first" in ended.lines


def test_a_message_that_was_printed_here_is_not_shown_twice(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    def call(_: Job) -> None:
        with messages_for_people():
            raise FusionError("required a, came b")

    assert outcome(job, call) == Outcome(status=1, error="required a, came b")
    assert capsys.readouterr().err.count("required a") == 1


def test_ctrl_c_in_a_job_ends_the_sweep(job: Job) -> None:
    with pytest.raises(KeyboardInterrupt):
        outcome(job, lambda _: sys.exit(INTERRUPTED))


@dataclass
class Place:
    """A backend whose commands have ended when they are looked at."""

    status: int
    prints: str = ""
    commands: list[Sequence[str]] = field(default_factory=list)
    n_jobs: int = 3

    def start(self, command: Sequence[str], *, name: str, log: Path) -> "Place":
        self.commands.append(command)
        with log.open("a") as stream:
            stream.write(self.prints)
        return self

    def poll(self) -> int:
        return self.status

    def cancel(self) -> None: ...

    def close(self) -> None: ...


def test_a_command_needs_nothing_but_the_folder(job: Job) -> None:
    place = Place(0)
    runner = AsCommands(place, command=("python", "train.py"))
    assert runner.start(job).outcome() == Outcome(status=0)
    assert runner.n_jobs == 3
    assert RunFolder.open(job.run_dir).config["l1"] == 0
    ((*script, resume, fold, report),) = place.commands
    assert script == ["python", "train.py"]
    assert (fold, report) == ("fold=2", "report=false")

    from hydra.core.override_parser.overrides_parser import OverridesParser

    (parsed,) = OverridesParser.create().parse_overrides([resume])
    assert (parsed.key_or_group, parsed.value()) == ("resume", str(job.run_dir))


def test_a_command_that_fails_shows_what_it_printed_and_not_what_an_earlier_one_did(job: Job) -> None:
    job.run_dir.mkdir()
    job.log.write_text("old error\n")
    ended = (
        AsCommands(Place(-9, "a\nboom\n\nSet the environment variable HYDRA_FULL_ERROR=1 for more.\n"), command=())
        .start(job)
        .outcome()
    )
    assert ended == Outcome(
        status=-9, lines=("a", "boom", "", "Set the environment variable HYDRA_FULL_ERROR=1 for more."), error="boom"
    )
    assert job.log.name == "job_fold_2.log"
    assert os.fspath(job.log.parent) == os.fspath(job.run_dir)

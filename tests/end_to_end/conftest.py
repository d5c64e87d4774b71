"""Commands as a user gives them, and the runs that many tests look at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fusion.storage import file_lock

Rows = list[dict[str, str]]
MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str

    @classmethod
    def of(cls, status: int, output: Path) -> Ended:
        """By what it wrote into a folder's files."""
        return cls(status, *((output / name).read_text() for name in ("stdout", "stderr")))

    def succeeded(self) -> Ended:
        """Itself, if all went well."""
        assert self.status == 0, self.stderr
        return self


class Started:
    """A command that runs."""

    def __init__(self, server: subprocess.Popen[str], output: Path) -> None:
        self._server, self._output = server, output
        assert server.stdout is not None
        self.process = int(server.stdout.readline())

    def is_running(self) -> bool:
        """False from its end on, also before that was waited for."""
        return ") Z " not in Path(f"/proc/{self.process}/stat").read_text()

    def wait(self) -> Ended:
        """Wait for its end."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(self.process, file=self._server.stdin, flush=True)
        return Ended.of(int(self._server.stdout.readline()), self._output)


class Commands:
    """Starts train.py and predict.py in a folder of their own, with a common cache."""

    def __init__(self, server: subprocess.Popen[str], root: Path, directory: Path, cache: Path) -> None:
        self._server, self._root, self.directory, self._cache = server, root, directory, cache

    def start(
        self, script: str, *arguments: object, cache: Path | None = None, hidden: tuple[str, ...] = ()
    ) -> Started:
        """Start ``python SCRIPT ARGUMENTS``, as if the packages ``hidden`` were not installed."""
        output = Path(tempfile.mkdtemp(dir=self.directory, prefix="output-"))
        request = {
            "script": str(self._root / script),
            "arguments": [str(argument) for argument in arguments],
            "directory": str(self.directory),
            "environment": {"FUSION_CACHE": str(cache or self._cache)},
            "output": str(output),
            "hidden": hidden,
        }
        assert self._server.stdin is not None
        print(json.dumps(request), file=self._server.stdin, flush=True)
        return Started(self._server, output)

    def __call__(self, script: str, *arguments: object, **options: Any) -> Ended:
        """Run it to its end."""
        return self.start(script, *arguments, **options).wait()


@pytest.fixture(scope="session")
def environment(fusion_cache: Path) -> dict[str, str]:
    """Of a command in a process that is started the usual way."""
    return {**os.environ, "FUSION_CACHE": str(fusion_cache), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@pytest.fixture(scope="session")
def command(
    environment: dict[str, str], root: Path, fusion_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Commands]:
    """``command("train.py", "l1=0")`` runs it."""
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("warm.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    yield Commands(server, root, tmp_path_factory.mktemp("work"), fusion_cache)
    server.stdin.close()
    server.wait()
    server.stdout.close()


@pytest.fixture(scope="session")
def made_once(fusion_cache: Path) -> MadeOnce:
    """The folder of a name: the first process of tests that asks for it makes it, and the others find it."""

    def find(name: str, make: Callable[[Path], None]) -> Path:
        place = fusion_cache.with_name(name)
        with file_lock(place.with_suffix(".lock")):
            if not place.exists():
                unfinished = Path(tempfile.mkdtemp(dir=place.parent, prefix=name))
                make(unfinished)
                unfinished.rename(place)
        return place

    return find


@pytest.fixture(scope="session")
def first_run(
    made_once: MadeOnce, root: Path, environment: dict[str, str], tiny: tuple[str, ...]
) -> tuple[Path, Ended]:
    """The folder of a holdout run, moved after training, and what the command said; to be read only."""

    def train(place: Path) -> None:
        arguments = [sys.executable, str(root / "train.py"), *tiny, f"hydra.run.dir={place / 'trained-here'}"]
        with (place / "stdout").open("w") as stdout, (place / "stderr").open("w") as stderr:
            status = subprocess.call(arguments, stdout=stdout, stderr=stderr, env=environment, cwd=place)
        Ended.of(status, place).succeeded()
        (place / "trained-here").rename(place / "moved")

    place = made_once("first", train)
    return place / "moved", Ended.of(0, place)


@pytest.fixture(scope="session")
def trained(first_run: tuple[Path, Ended]) -> Path:
    """The folder of a holdout run, moved after training; to be read only."""
    return first_run[0]


@pytest.fixture(scope="session")
def crossvalidated(made_once: MadeOnce, command: Commands, tiny: tuple[str, ...]) -> Path:
    """The folder of a run with three folds, without a report; to be read only."""
    folds = ("split=kfold", "split.n_folds=3", "explain=none", "report=false")

    def train(place: Path) -> None:
        command("train.py", *tiny, *folds, f"hydra.run.dir={place / 'run'}").succeeded()

    return made_once("kfold", train) / "run"


@pytest.fixture(scope="session")
def wait_for() -> Callable[[Callable[[], bool]], None]:
    """Waits until something is there. A minute is far more than any of these takes."""

    def wait(there: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not there():
            assert time.monotonic() < end, "it never came"
            time.sleep(0.02)

    return wait


@pytest.fixture
def cohort(
    compose: Callable[..., dict[str, Any]], tiny: tuple[str, ...], fusion_cache: Path, tmp_path: Path
) -> Callable[..., tuple[str, ...]]:
    """Copies the tiny cohort, with its table as a function (rows in, rows out) leaves it; gives the overrides."""
    import csv

    from fusion.cohorts.load import cohort_root

    source = cohort_root(compose(tiny)["cohort"], cache_dir=fusion_cache)

    def copy(change: Callable[[Rows], Rows] = lambda rows: rows) -> tuple[str, ...]:
        target = tmp_path / "cohort"
        shutil.copytree(source, target)
        with (source / "table.csv").open(newline="") as stream:
            rows = change(list(csv.DictReader(stream)))
        with (target / "table.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        names = "cohort.label.names=[benign,malignant]"
        return ("cohort=phantom", "cohort.simulation=null", f"cohort.root={target}", "cohort.missing=[n/a]", names)

    return copy

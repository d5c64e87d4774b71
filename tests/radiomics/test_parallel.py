from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rich.progress

from fusion.errors import FusionError
from fusion.radiomics.extract import extract_features
from fusion.radiomics.parallel import run_tasks


def test_results_keep_the_order_of_the_tasks_and_each_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = []
    monkeypatch.setattr(rich.progress.Progress, "update", lambda self, bar, completed: reported.append(completed))
    assert run_tasks(abs, [-3, 1, -2], backend="loky", n_jobs=1, title="Test") == [3, 1, 2]
    assert reported[:3] == [1, 2, 3]


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_backend_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, backend: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FusionError, match=rf"requires the package '{package}'.* 'fusion-radiomics\[{backend}\]'"):
        run_tasks(abs, [1], backend=backend, n_jobs=1, title="Test")


def processes_with(mark: str) -> list[str]:
    """Commands of the processes that were started with the mark in their environment."""
    commands = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                commands.append((folder / "cmdline").read_bytes().decode().replace("\0", " "))
        except OSError:
            continue
    return commands


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for left processes in /proc")
@pytest.mark.parametrize("backend", ["loky", "dask", "ray"])
def test_every_backend_gives_the_same_table_and_leaves_no_process(
    backend: str,
    tmp_path: Path,
    make_cases: Callable[..., Any],
    start_extraction: Callable[..., Any],
    original_only: dict[str, Any],
    pyradiomics: None,
) -> None:
    """In a process of its own: Ray changes joblib's classes for good."""
    if backend != "loky":
        pytest.importorskip({"dask": "distributed", "ray": "ray"}[backend])
    cases, mark = make_cases(2), uuid.uuid4().hex
    process = start_extraction({**original_only, "backend": backend, "n_jobs": 2}, tmp_path / "cache", MARK=mark)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    table = json.loads(output)
    expected = extract_features(cases, radiomics=original_only, cache_dir=tmp_path / "other")
    assert table["ids"] == ["00", "01"]
    assert bytes.fromhex(table["hex"]) == expected.values.tobytes()
    assert os.environ.get("MARK") != mark
    assert processes_with(mark) == []

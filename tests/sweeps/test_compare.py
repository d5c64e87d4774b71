from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusion.sweeps import compare
from fusion.sweeps.compare import compare_runs

SETTINGS: dict[str, Any] = {
    "n_permutations": 10,
    "net_benefit_at": [0.2],
    "within_centers": False,
    "reclassification": False,
}
Compare = Callable[[Path], list[str]]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], Any, Path]]:
    """What the sweep's end asks to be compared."""
    from fusion.report import comparison

    asked: list[tuple[list[str], Any, Path]] = []
    monkeypatch.setattr(
        comparison, "report_comparison", lambda runs, wanted, *, out_dir: asked.append((runs, wanted, out_dir))
    )
    return asked


def begin(path: Path, *, is_finished: bool = True) -> None:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("a: 1\n")
    if is_finished:
        (path / "predictions.csv").write_text("")


def end(sweep_dir: Path) -> None:
    compare_runs(sweep_dir, SETTINGS)


def test_finished_runs_are_compared_in_the_order_of_their_names(
    tmp_path: Path, compared: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("l1=10", "l1=2", "nested/l1=1"):
        begin(tmp_path / name)
    begin(tmp_path / "l1=3", is_finished=False)
    end(tmp_path)
    ((runs, asked, out_dir),) = compared
    assert runs == [str(tmp_path / name) for name in ("l1=2", "l1=10", "nested/l1=1")]
    assert (asked.primary, asked.n_permutations, asked.net_benefit_at) == (None, 10, (0.2,))
    assert out_dir == tmp_path / "comparison"
    assert f"not finished, and not in the comparison: {tmp_path / 'l1=3'}" in capsys.readouterr().err


def test_decimals_and_exponents_are_numbers_and_equal_ones_are_told_apart_by_their_path() -> None:
    values = ("-1", "0", "1e-4", "0.001", "0.01", "0.1", "2", "10")
    paths = [Path(f"sweep/l1={value}") for value in values]
    shuffled = [*paths[::2], *paths[1::2]]
    assert sorted(shuffled, key=compare._in_human_order) == paths
    names = [Path("lr=0.10"), Path("lr=0.1"), Path("resnet101"), Path("resnet18"), Path("a-2"), Path("a-10")]
    expected = ["a-2", "a-10", "lr=0.1", "lr=0.10", "resnet18", "resnet101"]
    for order in (names, names[::-1]):
        assert [str(path) for path in sorted(order, key=compare._in_human_order)] == expected


def test_one_run_is_no_comparison(tmp_path: Path, compared: list[Any]) -> None:
    begin(tmp_path / "only")
    end(tmp_path)
    assert compared == []


def test_runs_that_cannot_be_compared_are_no_failure_of_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        begin(tmp_path / name)
    end(tmp_path)
    message = capsys.readouterr().err
    assert "The runs of this sweep were not compared. Runs to compare: 2 problems" in message
    assert not (tmp_path / "comparison").exists()


def test_nothing_heavy_is_loaded_before_the_end() -> None:
    import subprocess
    import sys

    code = f"import sys, {compare.__name__}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pandas", "matplotlib", "scipy", "torch"} & set(loaded)

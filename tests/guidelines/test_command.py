from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from fusion.errors import InputError
from fusion.guidelines.command import add_checklist


def run_command(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    add_checklist(parser.add_subparsers(required=True))
    options = parser.parse_args(["checklist", *arguments])
    options.command(options)


def test_it_prints_items_by_status_and_the_score(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(str(run_dir))
    printed = capsys.readouterr().out
    assert "METRICS score" in printed
    assert "open items counted as not met" in printed
    for word in ("CLEAR", "TRIPOD+AI", "CLAIM", "auto", "partial", "human", "checklist.html"):
        assert word in printed
    assert (run_dir / "checklist" / "checklist.docx").is_file()


def test_what_the_authors_say_can_be_anywhere(run_dir: Path, tmp_path: Path) -> None:
    study = tmp_path / "said.yaml"
    study.write_text("clear: {99: x}\n")
    with pytest.raises(InputError, match=r"clear\.99"):
        run_command(str(run_dir), "--study", str(study))


def test_registering_it_imports_nothing_heavy_and_filling_in_no_torch() -> None:
    code = (
        "import sys, fusion.guidelines.command; heavy = {'pandas', 'jinja2', 'docx', 'torch'};"
        "print(sorted(heavy & set(sys.modules))); import fusion.guidelines.write; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "False"]

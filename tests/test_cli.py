import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusion import cli

CONF = Path(__file__).parents[1] / "conf"
MINE = """
defaults: [table, _self_]
name: mine
table: cases.csv
key: ID
center: Hospital
image: "{ID}.png"
mask: "{Mask}"
label: {column: Outcome, names: [benign, malignant]}
clinical: {Age: {kind: number}}
"""
TABLE = "ID,Hospital,Mask,Outcome,Age\n1,north,m1.png,benign,57\n2,[GE],m2.png,malignant,\n3,[GE],,benign,60\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small cohort, and a configuration that knows it."""
    shutil.copytree(CONF / "cohort", tmp_path / "conf/cohort")
    (tmp_path / "conf/train.yaml").write_text("defaults: [_self_, {cohort: mine}]\ncache_dir: cache\n")
    (tmp_path / "conf/cohort/mine.yaml").write_text(MINE)
    monkeypatch.setattr(cli, "_CONF_DIR", tmp_path / "conf")
    root = tmp_path / "data"
    root.mkdir()
    (root / "cases.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("1", "2", "3"):
        Image.fromarray(rng.integers(0, 200, (40, 40), dtype=np.uint8)).save(root / f"{name}.png")
    for name in ("m1", "m2"):
        Image.fromarray(np.pad(np.ones((20, 20), dtype=np.uint8), 10)).save(root / f"{name}.png")
    return root


def test_check_prints_the_cohort_by_center(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", f"cohort.root={root}"]) == 0
    captured = capsys.readouterr()
    summary, _, findings = captured.out.partition("Findings")
    rows = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in summary.splitlines()]
    assert "Cohort mine" in summary
    assert "warning" in findings
    assert "written: checks/mine/check.html, check.json" in findings
    assert {path.name for path in Path("checks/mine").iterdir()} == {"check.html", "check.json"}
    assert [row for row in rows if row] == [
        ["", "[GE]", "north", "all"],
        ["patients", "2", "1", "3"],
        ["benign", "1 (50%)", "1 (100%)", "2 (67%)"],
        ["malignant", "1 (50%)", "0 (0%)", "1 (33%)"],
        ["cases", "2", "1", "3"],
        ["benign", "1 (50%)", "1 (100%)", "2 (67%)"],
        ["malignant", "1 (50%)", "0 (0%)", "1 (33%)"],
        ["no image", "0 (0%)", "0 (0%)", "0 (0%)"],
        ["no mask", "1 (50%)", "0 (0%)", "1 (33%)"],
        ["cases without", "", "", ""],
        ["Age", "1 (50%)", "0 (0%)", "1 (33%)"],
    ]


def test_check_reports_the_problems_of_the_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "cases.csv").write_text(TABLE.replace("57", "fifty"))
    assert cli.main(["check", f"cohort.root={root}"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        "cases.csv, row 2 (case 1), column 'Age': required a number with a decimal point, came 'fifty'" in captured.err
    )
    assert "Traceback" not in captured.err


def test_check_reports_every_image_that_cannot_be_used(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.zeros((40, 40), dtype=np.uint8)).save(root / "m1.png")
    Image.fromarray(np.ones((40, 41), dtype=np.uint8)).save(root / "m2.png")
    (root / "3.png").write_bytes(b"no image")
    assert cli.main(["check", f"cohort.root={root}"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("Images of cohort mine: 3 problems")
    for name, case in (("m1.png", "1"), ("m2.png", "2"), ("3.png", "3")):
        (line,) = [line for line in message.splitlines() if f"{root / name}" in line]
        assert f"(case {case})" in line


def test_check_exits_with_1_on_an_error_and_writes_what_it_found(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(root / "1.png", root / "2.png")
    out = tmp_path / "audit"
    assert cli.main(["check", f"cohort.root={root}", "--out", str(out)]) == 1
    captured = capsys.readouterr()
    assert "1 pair of nearly the same image" in captured.out.replace("\n", " ")
    assert captured.err == f"Cohort mine: 1 error; mend before training: {out / 'check.html'}\n"
    findings = json.loads((out / "check.json").read_text())["findings"]
    assert [finding["kind"] for finding in findings if finding["severity"] == "error"] == [
        "duplicate_images_with_different_labels"
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("cohort=breats", "Could not find 'cohort/breats'"),
        ("cohort.rot=x", "Could not override 'cohort.rot'"),
        ("cohort.root=[", "cannot be composed"),
        ("cohort.key=a,b", "cannot be composed"),
    ],
)
def test_an_override_that_does_not_fit_is_one_message(
    override: str, message: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", override]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_extract_writes_the_features_of_the_cases_that_have_any(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("radiomics", reason="PyRadiomics is not installed: there is nothing to extract with")
    shutil.copytree(CONF / "radiomics", tmp_path / "conf/radiomics")
    (tmp_path / "conf/train.yaml").write_text(
        f"defaults: [_self_, {{cohort: mine}}, {{radiomics: ultrasound_2d}}, {{stability: none}}]\n"
        f"cache_dir: {tmp_path / 'cache'}\n"
    )
    shutil.copytree(CONF / "stability", tmp_path / "conf/stability")
    only_original = ["~radiomics.settings.imageType.Wavelet", "~radiomics.settings.imageType.LoG"]
    out = tmp_path / "features.csv"
    arguments = ["extract", "--out", str(out), f"cohort.root={root}", "radiomics.n_jobs=1", *only_original]
    assert cli.main(arguments) == 0
    header, *rows = out.read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["1", "2"]
    assert header.startswith("case_id,original_")
    assert f"features of 2 cases; 1 cases have none: {out}" in capsys.readouterr().out

    def cached() -> int:
        return sum(path.is_file() for path in (tmp_path / "cache").rglob("*"))

    n_plain = cached()
    once_more = "stability.perturbations=[{kind: grow, size: 0.1}]"
    assert cli.main([*arguments, "stability=perturbation", once_more]) == 0
    assert cached() == n_plain + 2


def test_a_mapping_that_is_no_yaml_is_one_message(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (root.parent / "conf/cohort/mine.yaml").open("a") as stream:
        stream.write("banned: [Age\n")
    assert cli.main(["check"]) == 1
    assert "mine.yaml" in capsys.readouterr().err


def test_a_root_that_is_not_given_is_one_message(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check"]) == 1
    assert "cohort.root: required a text (cohort.root=...), came nothing" in capsys.readouterr().err


def test_without_the_configuration_the_command_says_where_it_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_CONF_DIR", tmp_path / "conf")
    assert cli.main(["check"]) == 1
    assert (
        f"required the folder of the configuration {tmp_path / 'conf'}, came no such folder" in capsys.readouterr().err
    )


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"]])
def test_help_shows_an_example(arguments: list[str]) -> None:
    shown = subprocess.run([sys.executable, "-m", "fusion.cli", *arguments], capture_output=True, text=True, check=True)
    assert "fusion check cohort=breast cohort.root=DIR" in shown.stdout


def test_help_is_fast_because_it_loads_nothing() -> None:
    code = "import sys, fusion.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "fusion" in loaded
    assert not {"hydra", "numpy", "omegaconf", "pandas", "rich", "torch"} & set(loaded)

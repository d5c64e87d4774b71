"""`--help` answers at once because it loads nothing heavy; modules are counted, not seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "captum",
    "lightning",
    "matplotlib",
    "monai",
    "numpy",
    "pandas",
    "radiomics",
    "shap",
    "SimpleITK",
    "sklearn",
    "timm",
    "torch",
    "wandb",
)
# Runs the script as `python SCRIPT ARGUMENTS` does, then tells what is loaded.
CODE = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("loaded:", *{name.partition(".")[0] for name in sys.modules})
"""


def run(script: Path, *arguments: str) -> tuple[str, set[str]]:
    """What the command prints, and the packages that it has loaded by then."""
    command = [sys.executable, "-c", CODE, str(script), *arguments]
    shown, _, loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition("loaded:")
    return shown, set(loaded.split())


@pytest.mark.parametrize("script", ["train.py", "predict.py"])
def test_help_loads_nothing_heavy(root: Path, script: str) -> None:
    _, loaded = run(root / script, "--help")
    assert {"hydra", "fusion"} <= loaded
    assert not loaded & set(HEAVY)


def test_help_of_train_names_every_option_of_every_group(root: Path) -> None:
    shown, _ = run(root / "train.py", "--help")
    groups = {path.name: sorted(option.stem for option in path.glob("*.yaml")) for path in (root / "conf").iterdir()}
    for group, options in groups.items():
        if options:
            assert f"{group}: {', '.join(options)}" in shown
    assert "python train.py cohort=breast cohort.root=DIR split=kfold" in shown
    assert len(shown.splitlines()) < 60, "one screen, not the whole configuration"


def test_help_of_predict_says_what_has_to_be_given(root: Path) -> None:
    shown, _ = run(root / "predict.py", "--help")
    assert "python predict.py run=RUN_DIR cohort=breast cohort.root=DIR" in shown


def test_the_configuration_is_shown_without_loading_anything_heavy(root: Path) -> None:
    shown, loaded = run(root / "train.py", "--cfg", "job")
    assert "backbone:" in shown
    assert not loaded & set(HEAVY)


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import fusion; print(len(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "1\n"

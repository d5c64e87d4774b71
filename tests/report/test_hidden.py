"""With other names for its patients a run's page holds none of theirs."""

import json
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from fusion.report.hidden import hidden_copy
from fusion.report.html import write_report
from fusion.report.run_folder import read_run
from fusion.runs.pseudonyms import pseudonyms


@pytest.fixture
def run_dir(tmp_path: Path, fake) -> Path:
    """Of patients whose ids cannot be anything else, named in tables and file names."""
    run_dir = fake.write_run(tmp_path / "run", fake.Simulation(20))

    def name(kind: str, identifier: str) -> str:
        return f"Meyer/{identifier}"

    with hidden_copy(run_dir, name) as copy:
        return copy.rename(tmp_path / "named")


@pytest.fixture(autouse=True)
def drawn(monkeypatch) -> None:
    def draw(run) -> dict:
        (run.path / "figures").mkdir()
        (run.path / "figures" / "who.csv").write_text("\n".join(run.patients.patient_ids))
        return {}

    monkeypatch.setattr("fusion.report.html.write_figures", draw)


def test_nothing_of_the_page_or_its_figures_names_a_patient(run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "attributions/thumbnails").mkdir()
    for path in [*(run_dir / "attributions/images").iterdir()][:3]:
        (run_dir / "attributions/thumbnails" / f"{path.stem}.webp").write_bytes(b"RIFF")
    naming = pseudonyms(tmp_path / "key")
    page = write_report(run_dir, naming=naming)
    assert page == run_dir / "report.html"
    hidden, drawn = page.read_text(), (run_dir / "figures/who.csv").read_text()
    for text in (hidden, drawn):
        assert "Meyer" not in text
        assert naming("patient", "Meyer/007") in text
    assert naming("case", "Meyer/007_0") in hidden
    assert hidden.count('<img src="data:image/webp') == hidden.count("<img ") > 3


def test_with_the_names_of_the_run_the_page_names_them(run_dir: Path) -> None:
    assert write_report(run_dir).read_text().count("Meyer/007") > 2


def test_figures_of_an_earlier_time_do_not_stay_behind(run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "figures").mkdir()
    (run_dir / "figures" / "old.csv").write_text("Meyer")
    write_report(run_dir, naming=pseudonyms(tmp_path / "key"))
    assert [path.name for path in (run_dir / "figures").iterdir()] == ["who.csv"]


def test_the_run_itself_keeps_its_names(run_dir: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run_dir.rglob("*.*") if path.is_file()}
    write_report(run_dir, naming=pseudonyms(tmp_path / "key"))
    assert {path: path.read_bytes() for path in before} == before
    assert (run_dir / "attributions/images" / f"{quote('Meyer/000_0', safe=' ')}.png").is_file()
    assert json.loads((run_dir / "metrics.json").read_text())


def test_the_copy_holds_all_that_a_page_is_made_from(run_dir: Path, tmp_path: Path) -> None:
    for name in ("table_one", "patient_flow", "applicability"):
        (run_dir / f"{name}.json").write_text("{}")
    shutil.copyfile(run_dir / "predictions_cases.csv", run_dir / "predictions_folds.csv")
    (run_dir / "distances.csv").write_text("case_id,patient_id,fold,branch,percentile\nMeyer/1,Meyer/1,0,image,0.5\n")
    read = vars(read_run(run_dir))
    with hidden_copy(run_dir, pseudonyms(tmp_path / "key")) as copy:
        again = vars(read_run(copy))
    assert {name for name, value in again.items() if value is None} == {
        name for name, value in read.items() if value is None
    }
    assert read["applicability"] is not None
    assert read["distances"] is not None
    assert not again["distances"]["case_id"].str.contains("Meyer").any()


def test_a_row_that_was_excluded_by_its_id_is_not_named(run_dir: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    config["cohort"] |= {"key": "ID", "patient": "Patient", "exclude": {"ID": ["Meyer/3"], "Label": ["normal"]}}
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    naming = pseudonyms(tmp_path / "key")
    page = write_report(run_dir, naming=naming).read_text()
    assert "Meyer" not in page
    assert naming("case", "Meyer/3") in page
    assert "normal" in page

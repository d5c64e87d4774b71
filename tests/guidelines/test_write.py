from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from docx import Document
from markupsafe import escape

from fusion.errors import InputError
from fusion.guidelines.checklist import Checklist, as_plain, guideline_summary
from fusion.guidelines.guideline import NAMES, read_guideline
from fusion.guidelines.write import write_guidelines
from fusion.report.html import write_report
from fusion.runs.pseudonyms import pseudonyms

MARKUP = "<script>alert('1')</script> | _a_ `b`"
WriteRun = Callable[..., Path]


@pytest.fixture
def hostile(write_run: WriteRun) -> Path:
    """A run whose cohort has markup in its names."""
    values: dict[str, Any] = {"name": MARKUP, "cohort.label.column": MARKUP, "cohort.exclude": {MARKUP: ["a\x00b"]}}
    return write_run({}, values)


class Written(NamedTuple):
    run_dir: Path
    checklists: list[Checklist]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory, finished: Path) -> Written:
    """The run with its checklists, to be read only."""
    run_dir = Path(shutil.copytree(finished, tmp_path_factory.mktemp("written") / "run"))
    return Written(run_dir, write_guidelines(run_dir, study=None))


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_all_files_are_written_and_nothing_else(written: Written, finished: Path) -> None:
    assert files_of(written.run_dir) - files_of(finished) == {
        "checklist/checklist.json", "checklist/checklist.html", "checklist/checklist.md", "checklist/checklist.docx",
        "checklist/methods.md",
        "model_card.html", "model_card.md",
    }  # fmt: skip


def test_the_json_has_every_item_with_its_evidence(written: Written) -> None:
    run_dir, checklists = written
    content = json.loads((run_dir / "checklist/checklist.json").read_text())["guidelines"]
    assert tuple(content) == NAMES
    for name, of in content.items():
        assert [each["number"] for each in of["items"]] == [item.number for item in read_guideline(name).items]
        for each in of["items"]:
            assert (each["status"] == "human") == (each["evidence"] == [])
    score = checklists[1].score
    assert score is not None
    assert content["metrics"]["score"]["percent"] == round(score.percent, 1)
    assert "score" not in content["clear"]


def test_all_formats_have_the_same_answers(written: Written) -> None:
    run_dir, checklists = written
    document = Document(str(run_dir / "checklist/checklist.docx"))
    markdown = (run_dir / "checklist/checklist.md").read_text()
    page = (run_dir / "checklist/checklist.html").read_text()
    for checklist, table in zip(checklists, document.tables, strict=True):
        assert len(table.rows) == 1 + len(checklist.items)
        last = [cell.text for cell in table.rows[-1].cells]
        assert last[0] == checklist.items[-1].item.number
        assert last[2] == checklist.items[-1].answer
        assert page.count(f'id="{checklist.guideline.name}-') == len(checklist.items)
    assert sum(line.startswith("| ") for line in markdown.splitlines()) >= sum(len(each.items) for each in checklists)


def test_what_comes_from_the_cohort_is_escaped(hostile: Path) -> None:
    write_guidelines(hostile, study=None)
    for name in ("checklist/checklist.html", "checklist/checklist.md", "model_card.html", "model_card.md"):
        text = (hostile / name).read_text()
        assert "<script" not in text
        assert "&lt;script&gt;" in text
    for name in ("checklist/checklist.md", "model_card.md"):
        assert r"\| \_a\_ \`b\`" in (hostile / name).read_text()
    # Every row of a table keeps its five columns.
    rows = [line for line in (hostile / "checklist/checklist.md").read_text().splitlines() if line.startswith("| 10 |")]
    assert rows
    assert all(len(row.replace(r"\|", "").split("|")) == 7 for row in rows)
    document = Document(str(hostile / "checklist/checklist.docx"))
    assert any(MARKUP in paragraph.text for paragraph in document.paragraphs)


def test_no_request_leaves_the_pages(written: Written) -> None:
    for name in ("checklist/checklist.html", "model_card.html"):
        text = (written.run_dir / name).read_text()
        assert "default-src 'none'" in text
        assert not any(word in text for word in ("<script", "<link", "src=", "@import", "url("))


def test_a_study_from_elsewhere_is_kept_as_evidence(run_dir: Path, tmp_path: Path) -> None:
    study = tmp_path / "mine.yaml"
    study.write_text("clear: {1: In the title.}\nmodel_card: {intended_use: To learn.}\n")
    checklists = write_guidelines(run_dir, study=study)
    assert (run_dir / "checklist/study.yaml").read_text() == study.read_text()
    assert [str(place) for place in checklists[0].items[0].evidence] == ["checklist/study.yaml"]
    assert "To learn." in (run_dir / "model_card.md").read_text()


def test_a_study_with_unknown_keys_writes_nothing(run_dir: Path, tmp_path: Path) -> None:
    study = tmp_path / "mine.yaml"
    study.write_text("clear: {99: x}\n")
    with pytest.raises(InputError):
        write_guidelines(run_dir, study=study)
    assert not (run_dir / "checklist").exists()


def test_an_unfinished_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_guidelines(tmp_path, study=None)


def test_the_report_has_the_same_answers_and_names_nobody(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusion.report.html.write_figures", lambda run: {})
    checklists = guideline_summary(run_dir)
    page = write_report(run_dir, naming=pseudonyms(run_dir / "key"), guidelines=as_plain(checklists)).read_text()
    for checklist in checklists:
        assert page.count(f'id="{checklist.guideline.name}-') == len(checklist.items)
        assert escape(checklist.items[-1].answer) in page
    assert not re.search(r"\bc?p\d+\b", page[page.index('<section id="guidelines">') :])
    # Written into the folder, the page changes no answer.
    assert as_plain(guideline_summary(run_dir)) == as_plain(checklists)

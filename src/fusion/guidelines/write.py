"""Checklists and model card into the run folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from fusion.guidelines.checklist import Checklist, answer_all, as_plain, study_of
from fusion.guidelines.model_card import model_card
from fusion.guidelines.pages import card_markdown, card_page, checklist_markdown, checklist_page
from fusion.guidelines.paper import methods_section, section_markdown
from fusion.guidelines.study import STUDY_FILE, Study, read_study
from fusion.guidelines.word import write_word
from fusion.report.run_folder import FinishedRun, read_run
from fusion.storage import atomic_path, write_json

FOLDER = "checklist"


def write_guidelines(run_dir: Path, *, study: Path | None) -> list[Checklist]:
    """Write ``checklist/checklist.{json,html,md,docx}``, ``checklist/methods.md`` and ``model_card.{html,md}``.

    Args:
        run_dir: Of a finished run.
        study: A file with what the authors say, of which a copy is kept in ``checklist/``; None for the run folder's
            own ``study.yaml``, if it has one.

    Returns:
        What was written, a checklist for each guideline.

    Raises:
        FusionError: If the run or the file of the authors cannot be read, or the latter has unknown keys.
    """
    run = read_run(run_dir)
    said = study_of(run_dir) if study is None else _keep(study, run_dir)
    checklists = answer_all(run, said)
    title = str(run.config.get("name", run.config["cohort"].get("name", run_dir.name)))
    _write_checklists(run_dir / FOLDER, checklists, title=title)
    _write_text(run_dir / FOLDER / "methods.md", section_markdown(methods_section(run)))
    _write_card(run, said, title=title)
    return checklists


def _keep(study: Path, run_dir: Path) -> Study:
    file = f"{FOLDER}/{STUDY_FILE}"
    said = read_study(study, file=file)
    with atomic_path(run_dir / file) as temporary:
        shutil.copyfile(study, temporary)
    return said


def _write_checklists(folder: Path, checklists: Sequence[Checklist], *, title: str) -> None:
    write_json(folder / "checklist.json", {"run": title, "guidelines": as_plain(checklists)})
    _write_text(folder / "checklist.html", checklist_page(checklists, title=title))
    _write_text(folder / "checklist.md", checklist_markdown(checklists, title=title))
    write_word(folder / "checklist.docx", checklists, title=title)


def _write_card(run: FinishedRun, study: Study, *, title: str) -> None:
    sections = model_card(run, study)
    _write_text(run.path / "model_card.html", card_page(sections, title=title))
    _write_text(run.path / "model_card.md", card_markdown(sections, title=title))


def _write_text(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

import json
from pathlib import Path

import pytest
import yaml

from fusion.guidelines.paper import methods_section, report_parts, section_markdown
from fusion.report.html import write_report
from fusion.report.run_folder import read_run


def test_the_section_is_made_from_the_settings_that_were_used(run_dir: Path) -> None:
    before = methods_section(read_run(run_dir))
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    config["trainer"]["max_epochs"] = 1234
    config["imaging"]["n_px"] = 77
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    after = methods_section(read_run(run_dir))
    assert "1234" in after["Model"]
    assert "1234" not in before["Model"]
    assert "77 × 77" in after["Images"]
    versions = json.loads((run_dir / "manifest.json").read_text())["versions"]
    assert all(f"{name} {version}" in after["Software"] for name, version in versions.items())
    assert [*after] == list(before)


def test_nothing_is_said_twice_and_nothing_that_no_file_shows(run_dir: Path) -> None:
    section = methods_section(read_run(run_dir))
    sentences = [sentence for text in section.values() for sentence in text.split(". ") if len(sentence) > 40]
    assert len(sentences) == len(set(sentences)) > 15
    assert "Patients" in section
    (run_dir / "split.csv").unlink()
    assert section["Division"] != methods_section(read_run(run_dir)).get("Division")


def test_it_is_in_the_report_and_a_file_to_be_pasted(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusion.report.html.write_figures", lambda run: {})
    parts = report_parts(run_dir)
    page = write_report(run_dir, **parts).read_text()
    assert page.index('id="methods-section"') < page.index('id="guidelines"')
    assert "PyRadiomics" in page.partition('id="methods-section"')[2]
    text = section_markdown({"Model": "a_b [c] <d>", "Software": "e"})
    assert text == "# Methods\n\n## Model\n\na\\_b \\[c\\] &lt;d&gt;\n\n## Software\n\ne\n"

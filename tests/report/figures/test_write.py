import json
import re
import xml.etree.ElementTree as ET

import pytest

from fusion.report.figures.write import SUFFIXES, write_figures
from fusion.report.run_folder import read_run

NAMES = ["roc", "roc_centers", "distribution", "calibration", "decision", "impact", "centers", "subgroups"]
NAMES += ["gates", "features", "attribution_clinical"]
NEW = ("curves", "between_centers", "subgroups", "readers", "operating_points", "sample_size", "folds")


@pytest.fixture(scope="module")
def drawings(finished):
    return write_figures(read_run(finished))


def texts(path):
    return [element.text or "" for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_every_figure_with_numbers_is_written(finished, drawings):
    files = sorted(f"{name}{suffix}" for name in NAMES for suffix in SUFFIXES)
    assert sorted(path.name for path in (finished / "figures").iterdir()) == files
    assert drawings["attribution_radiomics"].absent is not None


def test_text_stays_text_and_no_date_is_inside(drawings):
    assert "Sensitivity" in texts(drawings["roc"].path)
    svg = drawings["roc"].path.read_text()
    assert "dc:date" not in svg
    assert "Matplotlib v" not in svg


def test_print_has_the_journal_s_width_its_fonts_and_no_date(drawings):
    widths = set()
    for name in NAMES:
        content = drawings[name].path.with_suffix(".pdf").read_bytes()
        width = re.search(rb"/MediaBox \[ 0 0 ([0-9.]+) ", content).group(1)
        widths.add(round(float(width) / 72 * 25.4, 1))
        assert b"/FontFile2" in content  # TrueType, embedded
        assert b"/Type3" not in content
        assert b"Date" not in content
        assert b"Matplotlib" not in content
    assert widths == {88.9, 177.8}


def test_the_same_run_gives_the_same_bytes(small_run):
    def written():
        write_figures(read_run(small_run))
        return {path.name: path.read_bytes() for path in (small_run / "figures").iterdir()}

    assert written() == written()


def test_every_caption_says_how_it_is_read(drawings):
    for name in ("roc", "calibration", "decision", "impact", "centers", "subgroups"):
        assert "[" in drawings[name].caption
        assert len(drawings[name].caption) > 150


def test_an_older_run_has_the_older_figures_and_no_others(run_dir):
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in metrics.items() if key not in NEW}))
    drawn = write_figures(read_run(run_dir))
    assert {"calibration", "decision", "impact", "subgroups"}.isdisjoint(drawn)
    assert "Random-effects summary" not in texts(drawn["centers"].path)


@pytest.fixture
def small_run(tmp_path, fake):
    """A run of one center without optional files: few figures, quickly drawn."""
    return fake.write_run(tmp_path / "run", fake.Simulation(40, centers=("One",)), optional=False)


def test_a_figure_that_is_no_longer_backed_by_numbers_goes_away(small_run):
    folder = small_run / "figures"
    folder.mkdir()
    for name in ("features.svg", "features.pdf", "features.csv", "subgroups_7.csv"):
        (folder / name).write_text("of an earlier run")
    reason = "The run has no features.csv: it has no radiomics branch."
    assert write_figures(read_run(small_run))["features"].absent == reason
    assert not list(folder.glob("features.*"))
    assert not list(folder.glob("subgroups_7.*"))


def test_names_that_the_font_lacks_warn_nobody_and_stay_text(small_run):
    path = small_run / "attributions" / "radiomics.csv"
    path.parent.mkdir()
    path.write_text("case_id,fold,name,value\n1,0,年龄,1.0\n")
    drawing = write_figures(read_run(small_run))["attribution_radiomics"]
    assert "年龄" in texts(drawing.path)

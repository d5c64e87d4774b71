import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fusion.report.sweep import write_sweep
from fusion.report.sweep_words import findings, inner_note, run_name, warnings

INNER = {"auc": 0.8, "n_folds": 2, "n_inner_folds": 3, "n_settings": 1, "n_patients": 40}
TEST = {"auc": {"value": 0.7, "ci_low": 0.6, "ci_high": 0.8, "n": 60}}


def run(rank: int | None, l1: str, **changes: Any) -> dict[str, Any]:
    inner = None if rank is None else INNER | {"auc": 0.9 - rank / 100}
    return {
        "rank": rank,
        "folder": f"l1={l1}",
        "values": {"l1": l1, "cohort": "<b>bold</b>"},
        "state": "finished",
        "inner": inner,
        "not_ranked": None,
        "test": TEST if rank == 1 else None,
        "seconds": 90.0,
        "overhead": 1.5,
        "error": "",
    } | changes


@pytest.fixture
def sweep() -> dict[str, Any]:
    """The content of sweep.json."""
    pair = {"better": "l1=0", "other": "l1=1", "p": 0.02, "p_holm": 0.04}
    return {
        "name": "nightly",
        "cohort": "salivary",
        "is_simulated": False,
        "test": "chosen",
        "states": {"finished": 2, "failed": 1},
        "swept": ["l1"],
        "chosen": "l1=0",
        "runs": [run(1, "0"), run(2, "1"), run(None, "<i>2</i>", state="failed", error="a < b && c")],
        "importance": {"n_runs": 12, "shares": {"l1": 0.9}},
        "leading": {
            "level": 0.95,
            "n_bootstrap": 200,
            "seed": 0,
            "pairs": [pair | {"difference": {"value": 0.01, "ci_low": -0.02, "ci_high": 0.04, "n": 40}}],
        },
        "best_of_k": None,
    }


class Page(HTMLParser):
    """Attributes that could make a request, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "src" or tag in ("link", "script", "iframe"):
                self.requests.append(f"{tag} {name}={value}")
            if tag == "a" and name == "href":
                self.links.append(str(value))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_self_contained_escaped_and_leads_to_the_runs(sweep: dict[str, Any], tmp_path: Path) -> None:
    path = write_sweep(sweep, tmp_path)
    text = path.read_text()
    page = Page(text)
    assert page.requests == []
    assert page.links == ["l1%3D0/report.html", "l1%3D1/", "l1%3D%3Ci%3E2%3C/i%3E/"]
    assert "<i>2</i>" not in text
    assert "a &lt; b &amp;&amp; c" in text
    assert "default-src 'none'" in text
    words = " ".join(" ".join(page.words).split())
    for said in ("chosen", "failed", "1.5 s", "Not all runs came to their end (1 failed)", "0.040"):
        assert said in words
    assert re.search(r"0\.700\s*\(0\.600 to 0\.800\)", words)


def test_its_figures_are_svg_whose_text_is_text(sweep: dict[str, Any], tmp_path: Path) -> None:
    write_sweep(sweep, tmp_path)
    for name, word in (("parallel_coordinates", "inner AUC"), ("importance", "l1")):
        root = ET.parse(tmp_path / "figures" / f"{name}.svg").getroot()
        assert word in [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_what_luck_gives_is_shown_with_all_test_figures(sweep: dict[str, Any], tmp_path: Path) -> None:
    luck = {f"{of}_q{q}": 0.6 for of in ("best", "one") for q in (50, 95, 99)}
    best = {"k": 3, "best": "l1=1", "auc": 0.71, "p": 0.0004, "n_permutations": 50, "within_centers": True}
    sweep |= {
        "test": "all",
        "best_of_k": best | {"luck": luck, "histogram": {"edges": [0.4, 0.5, 0.6], "counts": [20, 30]}},
    }
    text = write_sweep(sweep, tmp_path).read_text()
    assert 'id="figure-luck"' in text
    assert "p &lt; 0.001" in re.sub(r"</?data[^>]*>", "", text)
    assert any("largest test AUC of the 3 runs is 0.710 (l1=1)" in said for said in findings(sweep, _names(sweep)))
    assert any("sweep.test=all" in said for said in warnings(sweep))
    sweep["best_of_k"] = {"absent": "Other patients."}
    assert 'id="figure-luck"' not in write_sweep(sweep, tmp_path).read_text()
    assert any("Other patients." in said for said in warnings(sweep))


def _names(sweep: dict[str, Any]) -> dict[str, str]:
    return {of["folder"]: run_name(of, sweep["swept"]) for of in sweep["runs"]}


def test_what_was_chosen_is_said_with_its_test_figure_alone(sweep: dict[str, Any]) -> None:
    first, second = findings(sweep, _names(sweep))
    assert first == (
        "Chosen by inner AUC, of 2 ranked runs: l1=0 (0.890). On the test patients its AUC is 0.700 (0.600 to 0.800)."
    )
    assert "above the next, l1=1, by 0.010 (\N{MINUS SIGN}0.020 to 0.040); p = 0.040 (Holm)" in second
    sweep["runs"] = [run(None, "0", not_ranked="other patients")]
    assert "figures of one kind" in findings(sweep | {"leading": {"absent": ""}}, _names(sweep))[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "neither in fitting nor in stopping (3 inner folds); mean of 2 folds. No test patient"),
        ({"n_inner_folds": 1}, "whose loss also chose the epoch of a network"),
        ({"n_settings": 4}, "the largest of 4 settings’"),
    ],
)
def test_what_kind_of_figure_the_inner_score_is(sweep: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    for of in sweep["runs"][:2]:
        of["inner"] |= changes
    assert words in str(inner_note(sweep))


def test_without_a_ranked_run_there_is_no_note(sweep: dict[str, Any]) -> None:
    assert inner_note(sweep | {"runs": [run(None, "0")]}) is None


def test_runs_that_differ_in_nothing_are_called_by_their_folder() -> None:
    assert run_name(run(1, "0"), []) == "l1=0"


def test_a_browser_opens_it_without_a_request_or_an_error(
    sweep: dict[str, Any], behaves: Callable[[Path], float], tmp_path: Path
) -> None:
    behaves(write_sweep(sweep, tmp_path))

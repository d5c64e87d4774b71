from __future__ import annotations

from pathlib import Path

import pytest

from fusion.errors import FusionError, InputError
from fusion.guidelines.study import Statement, read_study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "study.yaml"


def test_numbers_and_letters_are_items(study: Path) -> None:
    study.write_text("clear: {1: In the title.}\ntripod_ai: {18a: Nobody paid.}\nmodel_card: {contact: Us.}\n")
    said = read_study(study, file="study.yaml")
    assert said.statements == {
        ("clear", "1"): Statement(text="In the title.", met=None),
        ("tripod_ai", "18a"): Statement(text="Nobody paid.", met=None),
    }
    assert said.card == {"contact": "Us."}


def test_an_item_of_a_score_may_say_whether_it_is_met(study: Path) -> None:
    study.write_text("metrics: {3: {met: yes, text: Histology.}, 5: Guideline X.}\n")
    said = read_study(study, file="study.yaml").statements
    assert said["metrics", "3"] == Statement(text="Histology.", met=True)
    assert said["metrics", "5"].met is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("clearr: {1: x}", "clearr"),
        ("clear: {59: x}", "clear.59"),
        ("tripod_ai: {18: x}", "tripod_ai.18"),
        ("clear: {1: }", "clear.1"),
        ("clear: {1: 5}", "clear.1"),
        ("clear: {1: {met: yes, text: x}}", "clear.1"),
        ("metrics: {1: {met: perhaps, text: x}}", "metrics.1"),
        ("metrics: {1: {met: yes}}", "metrics.1"),
        ("clear: [1, 2]", "clear"),
        ("model_card: {aim: x}", "model_card.aim"),
        ("[1]", "the file"),
    ],
)
def test_what_is_unknown_is_refused_by_name(study: Path, text: str, named: str) -> None:
    study.write_text(text)
    with pytest.raises(InputError) as refused:
        read_study(study, file="study.yaml")
    assert named in [problem.where for problem in refused.value.problems]


def test_all_problems_are_told_at_once(study: Path) -> None:
    study.write_text("clear: {59: x, 60: y}\nother: {}\n")
    with pytest.raises(InputError) as refused:
        read_study(study, file="study.yaml")
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize("text", ["a: [", "\t"])
def test_no_yaml_is_refused(study: Path, text: str) -> None:
    study.write_text(text)
    with pytest.raises(FusionError, match="required YAML"):
        read_study(study, file="study.yaml")


def test_a_file_that_is_not_there_is_refused(study: Path) -> None:
    with pytest.raises(FusionError, match="no file"):
        read_study(study, file="study.yaml")


def test_an_empty_file_says_nothing(study: Path) -> None:
    study.write_text("")
    assert not read_study(study, file="study.yaml").statements

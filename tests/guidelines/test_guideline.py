from __future__ import annotations

import pytest

from fusion.guidelines.facts import FACTS
from fusion.guidelines.guideline import NAMES, read_guideline

LETTERS = {"3": "abc", "5": "ab", "6": "abc", "8": "abc", "9": "abc", "12": "abcdefg", "18": "abcdef", "20": "abc",
           "23": "ab", "27": "abc"}  # fmt: skip
TRIPOD = [f"{n}{letter}" for n in range(1, 28) for letter in LETTERS.get(str(n), [""])]
NUMBERS = {
    "clear": [str(n) for n in range(1, 59)],
    "metrics": [str(n) for n in range(1, 31)],
    "tripod_ai": TRIPOD,
    "claim": [str(n) for n in range(1, 45)],
}


@pytest.mark.parametrize("name", NAMES)
def test_every_item_of_a_guideline_is_there_in_its_order(name: str) -> None:
    assert [item.number for item in read_guideline(name).items] == NUMBERS[name]


def test_numbers_of_clear_are_those_of_the_paper() -> None:
    # Table 1 of the paper; clearchecklist.github.io/clear_checklist/CLEAR.html.
    topics = {item.number: item.topic for item in read_guideline("clear").items}
    found = {
        topics[number]: number
        for number in ("9", "10", "11", "12", "13", "29", "30", "31", "32", "33", "34", "35", "36")
    }
    assert list(found) == [
        "Sample size", "Retrospective or prospective", "Eligibility", "Diagram of the pipeline", "Source of the data",
        "Missing data", "Imbalance of the labels", "Reliability of the segmentation", "Scaling of features",
        "Dimension reduction", "Algorithm", "Training and tuning", "Confounders",
    ]  # fmt: skip


def test_tripod_ai_has_its_52_subitems() -> None:
    assert len(read_guideline("tripod_ai").items) == 52


@pytest.mark.parametrize("name", NAMES)
def test_an_item_is_answered_by_facts_that_exist_or_by_the_authors(name: str) -> None:
    for item in read_guideline(name).items:
        assert set(item.facts) <= set(FACTS), item
        assert item.facts or item.authors, item
        assert item.topic


def test_every_fact_is_asked_for() -> None:
    asked = {fact for name in NAMES for item in read_guideline(name).items for fact in item.facts}
    assert asked == set(FACTS)


def test_weights_of_metrics_are_those_of_the_official_calculator() -> None:
    # METRICS Tool v1.0, metricsscore.github.io/metrics/METRICS.html.
    official = [0.037, 0.074, 0.092, 0.044, 0.029, 0.044, 0.029, 0.034, 0.022, 0.011, 0.062, 0.031, 0.041, 0.02, 0.02,
                0.03, 0.02, 0.06, 0.03, 0.035, 0.023, 0.018, 0.012, 0.029, 0.018, 0.037, 0.075, 0.007, 0.007,
                0.007]  # fmt: skip
    assert [item.weight for item in read_guideline("metrics").items] == official
    assert len({item.section for item in read_guideline("metrics").items}) == 9


def test_conditions_of_metrics_are_those_of_the_official_calculator() -> None:
    conditions = {item.number: item.condition for item in read_guideline("metrics").items if item.condition}
    assert conditions == {
        "8": "segmentation", "9": "automated", "10": "segmentation", "12": "handcrafted", "14": "tabular",
        "15": "tabular", "16": "tabular", "17": "end_to_end",
    }  # fmt: skip

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare, spearmanr

from fusion.explanation.agreement import agreement, branch_agreement, concordance, input_agreement


def test_concordance_of_six_objects_by_three_judges_by_hand() -> None:
    ranks = np.array([[1.0, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]])
    # Sums 8, 14, 11, 11, 11, 8 about their mean 10.5: 25.5. W = 12 x 25.5 / (9 x (216 - 6)).
    w, p = concordance(ranks)
    assert w == pytest.approx(12 * 25.5 / (9 * 210))
    assert p > 0.5


@pytest.mark.parametrize("n_values", [1000, 3])
def test_concordance_as_scipys_friedman_statistic_with_ties_and_without(n_values: int) -> None:
    table = np.random.default_rng(0).integers(n_values, size=(5, 8)) + np.arange(8.0)
    w, _ = concordance(table)
    assert w == pytest.approx(friedmanchisquare(*table.T).statistic / (5 * 7))


def test_without_ties_it_is_the_mean_rank_correlation_of_pairs() -> None:
    table = np.random.default_rng(1).normal(size=(4, 9))
    mean = np.mean([spearmanr(table[i], table[j]).statistic for i in range(4) for j in range(i)])
    assert concordance(table)[0] == pytest.approx((1 + 3 * mean) / 4)


def test_the_p_value_is_the_share_of_rankings_that_agree_as_much() -> None:
    # Of three objects and two judges, one of six pairs of rankings is the same.
    assert concordance(np.array([[1.0, 2, 3], [1, 2, 3]])) == (1.0, pytest.approx(1 / 6, abs=0.04))
    # Full disagreement: no ranking agrees less.
    assert concordance(np.array([[1.0, 2, 3], [3, 2, 1]])) == (0.0, 1.0)


def ranked(*orders: str) -> list[dict[str, float]]:
    return [{name: float(len(order) - place) for place, name in enumerate(order)} for order in orders]


def test_folds_that_agree() -> None:
    found = agreement(ranked("abcdef", "abcdef", "abcdfe"))
    assert found["kendall_w"] > 0.95
    assert found["p"] < 0.01
    assert found["verdict"].startswith("The folds' agreement is unusually strong (Kendall's W 0.9")
    # The strongest ten of six are all of them.
    assert found["top_jaccard"] is None
    json.dumps(found, allow_nan=False)


def test_folds_that_do_not() -> None:
    found = agreement(ranked("abcdef", "fedcba", "cafbed"))
    assert found["kendall_w"] < 0.3
    assert found["verdict"].startswith("The folds do not agree more than random rankings would")


def test_what_some_folds_do_not_use_is_counted_and_lowers_the_overlap() -> None:
    found = agreement(ranked("abcx", "abcy", "abcz"))
    assert (found["n_common"], found["n_any"], found["n_folds"]) == (3, 6, 3)
    assert found["kendall_w"] == 1.0
    assert found["top_jaccard"] == pytest.approx(3 / 5)
    assert found["verdict"].endswith("; 3 more are used in some folds only.")


def test_the_overlap_is_of_the_strongest_ten() -> None:
    names = "abcdefghijklmnop"
    found = agreement(ranked(names, names[5:] + names[:5]))
    assert found["top_jaccard"] == pytest.approx(len(set(names[:10]) & set(names[5:15])) / 15)
    # What moves nothing is not among them.
    still = agreement([dict.fromkeys(names, 0.0) | {"a": 1.0}, dict.fromkeys(names, 0.0) | {"a": 1.0, "b": 0.5}])
    assert still["top_jaccard"] == 0.5


@pytest.mark.parametrize(
    ("strengths", "words"),
    [
        (ranked("abc"), "There is one fold"),
        (ranked("ab", "bc"), "Of 3 inputs 1 are used in all 2 folds: too few"),
        ([{"a": 0.0, "b": 0.0}] * 2, "Of 2 inputs 2 are used in all 2 folds: too few"),
        ([], "There is one fold"),
    ],
)
def test_what_cannot_be_said_is_not(strengths: list[dict[str, float]], words: str) -> None:
    found = agreement(strengths)
    assert (found["kendall_w"], found["p"]) == (None, None)
    assert found["verdict"].startswith(words)


def test_inputs_are_ranked_by_their_mean_absolute_value_in_each_fold() -> None:
    table = pd.DataFrame(
        {
            "fold": [0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
            "name": ["a", "b", "a", "b", "a", "b", "c", "a", "b", "c"],
            "value": [0.5, 0.1, -0.5, 0.2, 4.0, 1.0, 9.0, -4.0, 1.0, 9.0],
        }
    )
    found = input_agreement(table)
    assert (found["n_folds"], found["n_common"], found["n_any"]) == (2, 2, 3)
    # Signed means would rank them the other way round in both folds; one of them turned over disagrees.
    assert found["kendall_w"] == 1.0
    turned = table.assign(value=table["value"].where(table["fold"] == 0, 5.0 - table["value"].abs()))
    assert input_agreement(turned)["kendall_w"] == 0.0


def test_branches_that_no_case_of_a_fold_has_are_none_of_its_own() -> None:
    table = pd.DataFrame(
        {
            "fold": [0, 0, 1, 1],
            "image": [0.3, -0.3, 0.2, -0.2],
            "radiomics": [np.nan, np.nan, 0.4, 0.4],
            "clinical": [0.1, 0.1, np.nan, 0.1],
        }
    )
    found = branch_agreement(table)
    assert (found["n_common"], found["n_any"]) == (2, 3)
    assert found["kendall_w"] == 1.0

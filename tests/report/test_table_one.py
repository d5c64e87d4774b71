import pytest

from fusion.report.table_one import table_one_tables


def numbers(n, missing, mean, sd, q1, median, q3):
    return {"n": n, "missing": missing, "mean": mean, "sd": sd, "q1": q1, "median": median, "q3": q3}


def counts(missing=0, **by_level):
    return {"n": sum(by_level.values()), "missing": missing, "counts": by_level}


def variable(name, kind, everybody, groups, test="chi_squared", p=0.034, smd=0.321, unit=None):
    return {
        "name": name,
        "kind": kind,
        "unit": unit,
        "all": everybody,
        "groups": groups,
        "test": test,
        "p": p,
        "smd": smd,
    }


NOBODY = numbers(0, 2, None, None, None, None, None)


@pytest.fixture
def content():
    variables = [
        variable(
            "age", "number", numbers(240, 2, 52.345, 12.06, 43.0, 52.5, 61.25),
            {"benign": numbers(150, 0, 48.0, 11.0, 40.0, 48.0, 56.0), "malignant": NOBODY},
            test="mann_whitney", unit="years",
        ),
        variable(
            "sex", "category", counts(f=200, m=42),
            {"benign": counts(f=66, m=24), "malignant": counts(f=134, m=18)},
        ),
        variable(
            "pain", "yes_no", counts(yes=60, no=182),
            {"benign": counts(yes=30, no=60), "malignant": counts(yes=30, no=122)},
        ),
        variable("score", "number", numbers(3, 0, 0.012345, None, 0.01, 0.0123, 0.02), {}),
        variable("volume", "number", numbers(3, 0, 12345.6, 999.9, 10000.4, 12000.5, 14000.6), {}),
    ]  # fmt: skip
    label = {"groups": {"benign": 90, "malignant": 152}, "variables": variables}
    return {"patients": 242, "n_folds": 1, "part": None, "label": label}


def lines(content):
    (table,) = table_one_tables(content)
    return {line.name: line for line in table.lines}, table


def test_numbers_are_rounded_to_what_can_be_read(content):
    found, table = lines(content)
    assert table.heads == ["All (n = 242)", "benign (n = 90)", "malignant (n = 152)"]
    assert found["age (years)"].cells == ["52.5 (43.0 to 61.2)", "48 (40 to 56)", "–"]
    means = [line for line in table.lines if line.name == "mean ± SD"]
    assert means[0].cells == ["52.3 ± 12.1", "48 ± 11", "–"]
    assert found["score"].cells == ["0.0123 (0.0100 to 0.0200)"]
    assert means[1].cells == ["0.0123"]
    assert found["volume"].cells == ["12000 (10000 to 14001)"]


def test_shares_are_of_those_with_a_value(content):
    found, _ = lines(content)
    assert found["m"].cells == [
        "42 (17.4\N{NO-BREAK SPACE}%)",
        "24 (27\N{NO-BREAK SPACE}%)",
        "18 (11.8\N{NO-BREAK SPACE}%)",
    ]
    assert found["pain"].cells[1] == "30 (33\N{NO-BREAK SPACE}%)"
    assert found["sex"].cells == ["", "", ""]
    assert "no" not in found


def test_what_is_missing_is_a_line_where_anything_is(content):
    _, table = lines(content)
    (missing,) = [line for line in table.lines if line.name == "missing"]
    assert missing.cells == ["2", "0", "2"]


def test_the_tests_stand_on_the_first_line_alone(content):
    found, _ = lines(content)
    assert (found["sex"].variable["test"], found["sex"].variable["p"]) == ("chi_squared", 0.034)
    assert found["f"].variable is None


def test_the_caption_says_what_was_not_done(content):
    _, table = lines(content)
    assert "not corrected for the number of variables" in table.caption
    assert "There is no table by part" not in table.caption
    assert "largest between any two groups" not in table.caption


def test_without_parts_it_says_why(content):
    _, table = lines(content | {"n_folds": 5})
    assert "There is no table by part: of 5 folds, those who are tested in one train in others" in table.caption


def test_by_part_comes_first(content):
    groups = {"groups": {"training": 200, "test": 42}, "variables": []}
    assert [table.key for table in table_one_tables(content | {"part": groups})] == ["part", "label"]
    assert table_one_tables(None) == []

import pickle

import pytest

from fusion.errors import FusionError, InputError, Problem


def problems(count: int) -> list[Problem]:
    return [Problem(where=f"a.csv, row {i}", required="a number", came=repr("x")) for i in range(count)]


def test_the_message_names_every_problem_and_ends_with_the_advice() -> None:
    assert str(InputError("Cohort small", problems(2), "Mend the table.")) == (
        "Cohort small: 2 problems\n"
        "  - a.csv, row 0: required a number, came 'x'\n"
        "  - a.csv, row 1: required a number, came 'x'\n"
        "Mend the table."
    )


def test_one_problem_is_singular() -> None:
    assert str(InputError("Cohort small", problems(1), "Mend it.")).startswith("Cohort small: 1 problem\n")


@pytest.mark.parametrize(("count", "last_line"), [(50, "a.csv, row 49"), (51, "  and 1 more"), (9000, "and 8950 more")])
def test_the_message_shows_fifty_problems_and_counts_the_rest(count: int, last_line: str) -> None:
    error = InputError("Cohort small", iter(problems(count)), "Mend it.")
    lines = str(error).splitlines()
    assert sum(line.startswith("  - ") for line in lines) == 50
    assert lines[0] == f"Cohort small: {count} problems"
    assert last_line in lines[-2]
    assert lines[-1] == "Mend it."
    assert len(error.problems) == count


def test_it_survives_the_way_from_a_worker() -> None:
    error = InputError("Cohort small", problems(60), "Mend it.")
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, InputError)
    assert isinstance(copy, FusionError)
    assert str(copy) == str(error)
    assert (copy.subject, copy.problems, copy.advice) == ("Cohort small", tuple(problems(60)), "Mend it.")

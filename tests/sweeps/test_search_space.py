import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from fusion.errors import FusionError, InputError
from fusion.sweeps.search_space import SearchSpace


def space(*overrides: str) -> SearchSpace:
    return SearchSpace.from_overrides(OverridesParser.create().parse_overrides(list(overrides)))


def test_every_form_of_a_sweep_is_understood() -> None:
    found = space(
        "cohort=breast",
        "l1=0,1e-4",
        "head=choice(gated,concat)",
        "lr=tag(log,interval(1e-5,1e-2))",
        "width=tag(log,int(interval(4,64)))",
        "layers=range(1,6,2)",
        "dropout=range(0.1,0.5,0.1)",
        "model.branches=[image],[image,clinical]",
    )
    assert found.fixed == ("cohort=breast",)
    assert found.distributions == {
        "l1": CategoricalDistribution(["0", "0.0001"]),
        "head": CategoricalDistribution(["gated", "concat"]),
        "lr": FloatDistribution(1e-5, 1e-2, log=True),
        "width": IntDistribution(4, 64, log=True),
        "layers": IntDistribution(1, 5, step=2),
        "dropout": FloatDistribution(0.1, 0.4, step=0.1),
        "model.branches": CategoricalDistribution(["[image]", "[image,clinical]"]),
    }


def test_overrides_are_as_short_as_a_folder_name_wants_and_stay_within_their_interval() -> None:
    found = space("cohort=breast", "lr=interval(0.00012345,1)", "dropout=range(0.1,0.5,0.1)", "head=a,b")
    params = {"lr": 0.123456789, "dropout": 0.1 + 2 * 0.1, "head": "b"}
    assert found.overrides(params) == ("cohort=breast", "lr=0.1235", "dropout=0.3", "head=b")
    assert found.overrides(params | {"lr": 0.00012345})[1] == "lr=0.00012345"


def test_combinations_are_counted_and_listed() -> None:
    found = space("head=a,b", "layers=range(1,4)")
    assert found.size == 6
    first, second, *_ = listed = list(found.combinations())
    assert (first, second, len(listed)) == ({"head": "a", "layers": 1}, {"head": "a", "layers": 2}, 6)
    with pytest.raises(FusionError, match="grid: required lists and ranges, came an interval"):
        space("head=a,b", "lr=interval(0,1)").combinations()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=0,1", "one value: another one scores a run on other patients"),
        ("fold=0,1", "one value"),
        ("split.n_folds=3,5", "one value"),
        ("+cohort.name=a,b", "one value"),
        ("lr=interval(1,0.5)", "begins below its end, came 1.0 to 0.5"),
        ("lr=tag(log,interval(0,1))", "above 0 for its logarithm"),
        ("layers=range(3,3)", "required values, came none"),
    ],
)
def test_what_cannot_be_searched_is_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        space(override)


def test_a_search_needs_something_to_search() -> None:
    with pytest.raises(FusionError, match="required values to search, came none"):
        space("l1=0")

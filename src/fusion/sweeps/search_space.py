"""What an Optuna search may choose, and how it is said to a job."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fusion.errors import FusionError, InputError, Problem

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# Inner scores of other patients are no better or worse: such values are not for a search to choose.
_OF_THE_PATIENTS = ("seed", "split", "cohort", "fold")
# Of a value from an interval: enough for a search, and short enough for a folder's name.
_N_DIGITS = 4
_N_DIGITS_OF_STEPS = 12

Params = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """Values that are the same in every job, and those that are searched.

    Attributes:
        fixed: Overrides of every job.
        distributions: Optuna's, by key. What is listed is chosen as Hydra writes it, so that jobs are called as in a
            grid.
    """

    fixed: tuple[str, ...]
    distributions: Mapping[str, BaseDistribution]

    @classmethod
    def from_overrides(cls, overrides: Sequence[Any]) -> SearchSpace:
        """Take the overrides of a sweep.

        Args:
            overrides: Hydra's ``Override`` of each key.

        Raises:
            InputError: For values that decide on which patients a run is scored, or that cannot be searched.
            FusionError: If there is nothing to search.
        """
        searched = [override for override in overrides if override.is_sweep_override()]
        problems = [problem for override in searched for problem in _problems(override)]
        if problems:
            raise InputError("The search", problems, "See docs/sweeps.md, “A search with Optuna”.")
        if not searched:
            raise FusionError(
                "hydra/sweeper=optuna: required values to search, came none; give some, e.g. "
                "backbone=tiny,resnet18 'l1=tag(log,interval(1e-5,1e-2))', or take a ready search: sweep=full_search"
            )
        return cls(
            fixed=tuple(
                f"{override.get_key_element()}={override.get_value_element_as_str()}"
                for override in overrides
                if not override.is_sweep_override()
            ),
            distributions={override.get_key_element(): _distribution(override) for override in searched},
        )

    def overrides(self, params: Params) -> tuple[str, ...]:
        """Of the job that a trial is."""
        return (*self.fixed, *(f"{key}={_text(params[key], of)}" for key, of in self.distributions.items()))

    @property
    def size(self) -> float:
        """Number of combinations; infinite where there is an interval."""
        return math.prod(_n_values(distribution) for distribution in self.distributions.values())

    def combinations(self) -> Iterator[dict[str, Any]]:
        """All of them, the last key changing fastest.

        Raises:
            FusionError: If there is an interval.
        """
        if math.isinf(self.size):
            raise FusionError(
                "hydra.sweeper.sampler.name=grid: required lists and ranges, came an interval, which has no number of "
                "values; list some, or choose another sampler"
            )
        values = [_values(distribution) for distribution in self.distributions.values()]
        return (dict(zip(self.distributions, each, strict=True)) for each in itertools.product(*values))

    def as_json(self) -> dict[str, Any]:
        """What must be the same for two processes to work on one study."""
        from optuna.distributions import distribution_to_json

        return {
            "fixed": sorted(self.fixed),
            "searched": {key: distribution_to_json(of) for key, of in sorted(self.distributions.items())},
        }


def _problems(override: Any) -> Iterator[Problem]:
    key = override.get_key_element().lstrip("+")
    if key.replace("/", ".").partition(".")[0] in _OF_THE_PATIENTS:
        required = "one value: another one scores a run on other patients, which no search can choose between"
        yield Problem(where=override.input_line, required=required, came="several")
        return
    if override.is_interval_sweep():
        low, high, is_log = *_ends(override), "log" in override.value().tags
        if not low < high or (is_log and low <= 0):
            required = "an interval that begins below its end" + ", and above 0 for its logarithm" * is_log
            yield Problem(where=override.input_line, required=required, came=f"{low} to {high}")
    elif not list(override.sweep_string_iterator()):
        yield Problem(where=override.input_line, required="values", came="none")


def _ends(override: Any) -> tuple[Any, Any]:
    return override.value().start, override.value().end


def _distribution(override: Any) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if override.is_interval_sweep():
        low, high = _ends(override)
        is_whole = isinstance(low, int) and isinstance(high, int)
        kind = IntDistribution if is_whole else FloatDistribution
        return kind(low, high, log="log" in override.value().tags)
    if override.is_range_sweep():
        values = sorted(override.sweep_iterator())
        low, high = values[0], values[-1]
        step = abs(override.value().step)
        kind = IntDistribution if all(isinstance(value, int) for value in values) else FloatDistribution
        return kind(low, high, step=step) if low < high else CategoricalDistribution([str(low)])
    return CategoricalDistribution(list(dict.fromkeys(override.sweep_string_iterator())))


def _text(value: Any, distribution: BaseDistribution) -> str:
    from optuna.distributions import FloatDistribution

    if not isinstance(distribution, FloatDistribution):
        return str(value)
    n_digits = _N_DIGITS if distribution.step is None else _N_DIGITS_OF_STEPS
    # Rounded, it must not leave the interval.
    return str(min(max(float(f"{value:.{n_digits}g}"), distribution.low), distribution.high))


def _n_values(distribution: BaseDistribution) -> float:
    from optuna.distributions import FloatDistribution

    is_interval = isinstance(distribution, FloatDistribution) and distribution.step is None
    return math.inf if is_interval else len(_values(distribution))


def _values(distribution: BaseDistribution) -> Sequence[Any]:
    """Of a distribution that is no interval of real numbers."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    assert isinstance(distribution, FloatDistribution)
    assert distribution.step is not None
    n_steps = round((distribution.high - distribution.low) / distribution.step)
    return [distribution.low + number * distribution.step for number in range(n_steps + 1)]

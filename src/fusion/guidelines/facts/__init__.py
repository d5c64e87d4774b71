"""What a finished run says to the questions that guidelines ask; guidelines share them, since they ask the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fusion.guidelines.claim import Fact
from fusion.guidelines.facts import data, evaluation, modeling, processing
from fusion.report.run_folder import FinishedRun

FACTS: Mapping[str, Callable[[FinishedRun], Fact]] = {
    function.__name__: function for module in (data, processing, modeling, evaluation) for function in module.FACTS
}

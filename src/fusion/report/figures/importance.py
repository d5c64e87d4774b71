"""How much each swept value has to do with the inner score, as bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fusion.report.figures.ranking import draw_ranking
from fusion.report.figures.style import Plan, percent_text


def plan_importance(importance: Mapping[str, Any]) -> Plan:
    """The importance of each swept value.

    Args:
        importance: ``n_runs`` and ``shares`` by key, the largest first; or ``absent``, why there is none.
    """
    title = "What the inner score depends on"
    if "absent" in importance:
        return Plan("importance", title, "", f"{importance['absent']}")
    shares = importance["shares"]
    caption = (
        f"Share of the variance of the inner score over {importance['n_runs']} ranked runs that each value explains "
        "alone, as a random forest sees it (fANOVA: Hutter et al., ICML 2014). What is left of 100 % is of "
        "combinations of values, and of chance. A value that was tried in a narrow range matters little in it."
    )
    table = pd.DataFrame(
        {
            "name": list(shares),
            "strength": list(shares.values()),
            "note": [percent_text(each) for each in shares.values()],
        }
    )
    return Plan("importance", title, caption, draw_ranking(table, "Share of the variance explained"), table)

"""AUC by center, with what a new center may expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fusion.report.figures.forest import Row, draw_forest, forest_table
from fusion.report.figures.style import Estimate, Plan, auc_interval_text, percent_text
from fusion.report.run_folder import FinishedRun


def plan_centers(run: FinishedRun) -> Plan | None:
    """The forest plot of the centers; None where there are none to compare."""
    centers = run.metrics.get("centers") or {}
    if len(centers) < 2:
        return None
    between = (run.metrics.get("between_centers") or {}).get("auc")
    rows = [*_centers(centers), Row("All, pooled", _n(run.metrics["test"]), run.metrics["test"]["auc"], "total")]
    rows += _summary(between) if between else []
    heads = ("Center", _n_head(run), f"AUC ({percent_text(run.level)} interval)")
    figure = draw_forest(rows, heads=heads, xlabel="AUC (dashed: chance)", reference=0.5)
    caption = _caption(between, is_binary=run.is_binary)
    return Plan("centers", "AUC by center", caption, figure, forest_table(rows, heads=heads))


def _centers(centers: Mapping[str, Mapping[str, Estimate]]) -> Iterator[Row]:
    for center, figures in centers.items():
        is_defined = figures["auc"]["value"] is not None
        note = "" if is_defined else "one label only: no AUC"
        yield Row(center, _n(figures), figures["auc"] if is_defined else None, note=note)


def _summary(between: Mapping[str, Any]) -> Iterator[Row]:
    yield Row("Random-effects summary", f"{between['n_centers']} centers", between, "summary")
    new = {"value": None, "ci_low": between["prediction_low"], "ci_high": between["prediction_high"], "n": 0}
    if new["ci_low"] is not None and new["ci_high"] is not None:
        yield Row("A new center (prediction interval)", "", new, "prediction")


def _n(figures: Mapping[str, Estimate]) -> str:
    """Patients, and those with the positive label, on whom the sensitivity rests."""
    positive = f" ({figures['sensitivity']['n']})" if "sensitivity" in figures else ""
    return f"{figures['auc']['n']}{positive}"


def _n_head(run: FinishedRun) -> str:
    return f"n ({run.test.label_names[1]})" if len(run.test.label_names) == 2 else "n"


def _caption(between: Mapping[str, Any] | None, *, is_binary: bool) -> str:
    text = (
        f"Each center’s own AUC with its interval ({auc_interval_text(is_binary=is_binary)}); the higher, the "
        "better, and the closer together, the surer that the model travels. A square’s area goes with the patients."
    )
    if between is None:
        return text
    spread = [
        f"I² {percent_text(between['i2'])}" if between["i2"] is not None else "",
        f"τ² {between['tau2']:.3f} on the logit scale" if between["tau2"] is not None else "",
    ]
    return (
        f"{text} The diamond is the random-effects mean of the logit AUCs; the dashed line is where the AUC of a new "
        f"center would lie. Between the centers: {', '.join(filter(None, spread))}; 0 means that no difference "
        f"beyond chance could be shown, which in {between['n_centers']} centers does not mean that there is none. "
        "[Debray et al., BMJ 2017;356:i6460; Snell et al., Stat Methods Med Res 2018;27:3505]"
    )

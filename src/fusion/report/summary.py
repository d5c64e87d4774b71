"""The first screen of a run's page: of whom was it asked, how sure is the answer, and where does it fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fusion.report.inner import listed
from fusion.report.run_folder import FinishedRun
from fusion.report.verdicts import NEAR, Verdict

_N_CENTER_NAMES = 90  # in characters; longer lists are left to the table of centers


def of_whom(run: FinishedRun) -> str:
    """Patients, labels, centers, and who tested whom."""
    labels = dict(zip(run.patients.patient_ids, run.patients.labels, strict=True))
    counts = [f"{list(labels.values()).count(name)} {name}" for name in run.patients.label_names]
    n_tested, n_folds = len(set(run.test.patient_ids)), run.n_folds
    if n_tested == len(run.test.patient_ids):
        how = "" if n_folds == 1 else f", each by the one of {n_folds} models that had not seen the patient"
    else:
        times = Counter(run.test.patient_ids).values()
        fewest, most = min(times), max(times)
        range_text = f"{most}" if fewest == most else f"{fewest} to {most}"
        how = f", each {range_text} times, by models that had not seen the patient"
    return (
        f"{len(labels)} patients{_of_centers(run)}: {listed(counts)}. "
        f"{'All' if n_tested == len(labels) else n_tested} of them were tested{how}."
    )


def _of_centers(run: FinishedRun) -> str:
    if not run.names_centers:
        return ", of centers that the table does not name"
    centers = sorted(set(run.patients.centers))
    names = ", ".join(centers)
    of = f" ({names})" if len(names) <= _N_CENTER_NAMES else ""
    return f" of {len(centers)} center{'' if len(centers) == 1 else 's'}{of}"


def certainty(run: FinishedRun) -> list[str]:
    """What the intervals mean, and whether the probabilities are true; empty where nothing was tested."""
    auc = run.metrics.get("test", {}).get("auc")
    if not auc or auc["ci_low"] is None:
        return []
    sentences = [
        f"In brackets: {100 * run.level:g}\N{NO-BREAK SPACE}% intervals. With other patients of the same kind, an AUC "
        f"anywhere between {auc['ci_low']:.2f} and {auc['ci_high']:.2f} would be no surprise."
    ]
    between = (run.metrics.get("between_centers") or {}).get("auc")
    if between and between["prediction_low"] is not None:
        sentences.append(
            f"In a new center, anywhere between {between['prediction_low']:.2f} and {between['prediction_high']:.2f}."
        )
    slope = run.metrics["test"].get("calibration_slope")
    if slope and slope["value"] is not None and slope["ci_low"] is not None:
        is_true = slope["ci_low"] <= 1 <= slope["ci_high"]
        found = (
            "no sign that its probabilities are too extreme or too timid" if is_true else "do not read them as risks"
        )
        sentences.append(
            f"Calibration slope {slope['value']:.2f} ({slope['ci_low']:.2f} to {slope['ci_high']:.2f}), 1 is wanted: "
            f"{found}."
        )
    return sentences


def failures(run: FinishedRun, judged: Sequence[Verdict]) -> list[str]:
    """Who is on the wrong side, and the center with the lowest AUC; empty where nothing was tested."""
    known = [verdict for verdict in judged if verdict.name != "unknown"]
    if not known:
        return []
    wrong = [verdict for verdict in known if verdict.name == "wrong"]
    sure = sum(not verdict.is_uncertain for verdict in wrong)
    side = "wrong side of the threshold" if run.is_binary else "wrong side"
    clearly = f", {sure or 'none'} of them clearly (by more than {NEAR:g})" if wrong else ""
    sentences = [f"{len(wrong)} of {len(known)} patients are on the {side}{clearly}."]
    aucs = {
        center: figures["auc"]
        for center, figures in (run.metrics.get("centers") or {}).items()
        if figures["auc"]["value"] is not None
    }
    if len(aucs) > 1:
        worst = min(aucs, key=lambda center: aucs[center]["value"])
        low, high = aucs[worst]["ci_low"], aucs[worst]["ci_high"]
        interval = "" if low is None else f" ({low:.2f} to {high:.2f})"
        lowest = f"{aucs[worst]['value']:.2f}{interval}, {aucs[worst]['n']} patients"
        sentences.append(f"Of the centers {worst} has the lowest AUC: {lowest}.")
    return sentences

"""One AUC for all centers, and how far it may lie from that in a center not seen yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from scipy.stats import chi2, norm, t

from fusion.evaluation.discrimination import delong, macro_auc
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.patients import patient_index
from fusion.records import UNLABELED, Predictions

# Steps of the first look at the restricted likelihood, which may have more than one peak.
_N_GRID = 400


@dataclass(frozen=True, kw_only=True)
class RandomEffects:
    """Random-effects summary of k independent effects, on their own scale.

    Attributes:
        mean: Of the distribution of true effects.
        ci_low, ci_high: Confidence interval of the mean.
        prediction_low, prediction_high: Where the true effect of a further study is expected.
        tau2: Variance of the true effects, 0 or above.
        i2: Share of the effects' variance that is not sampling error, in [0, 1]; 0 where they agree.
        q: Cochran's Q, chi-squared with k - 1 degrees of freedom where the true effects are equal.
        q_p: Its p value.
    """

    mean: float
    ci_low: float
    ci_high: float
    prediction_low: float
    prediction_high: float
    tau2: float
    i2: float
    q: float
    q_p: float


@dataclass(frozen=True, kw_only=True)
class CentersAuc:
    """Random-effects summary of the centers' AUCs.

    Attributes:
        value: AUC of the average center, not of the average patient; higher is better.
        ci_low, ci_high: Its confidence interval.
        n: Patients of the centers in it.
        n_centers: Those centers.
        tau2: Variance between centers of the true logit AUC.
        i2: Share of the variance that is not sampling error, in [0, 1].
        prediction_low, prediction_high: Where the true AUC of a further center is expected.
    """

    value: float
    ci_low: float
    ci_high: float
    n: int
    n_centers: int
    tau2: float
    i2: float
    prediction_low: float
    prediction_high: float


@dataclass(frozen=True, kw_only=True)
class BetweenCenters:
    """What the centers together say.

    Attributes:
        auc: None where fewer than two centers have an AUC with a variance.
        left_out: Why a center is not in it, by its name.
    """

    auc: CentersAuc | None
    left_out: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """``{"auc": … | None, "left_out": [center], "left_out_because": {center: text}}``."""
        return {
            "auc": None if self.auc is None else asdict(self.auc),
            "left_out": list(self.left_out),
            "left_out_because": dict(self.left_out),
        }


def between_centers(
    test: Predictions, *, min_per_label: int, level: float, n_bootstrap: int, seed: int
) -> BetweenCenters:
    """Random-effects summary of the AUC over centers (Debray et al., BMJ 2017;356:i6460).

    The centers' AUCs are summarized on the logit scale. Their variances there are DeLong's by the delta method; with
    more than two labels the AUC is the macro one-vs-rest one, and its variance is read off the bootstrap interval.

    A center is left out, and named, where a label has fewer than ``min_per_label`` patients or where its AUC has no
    variance on the logit scale: an AUC of exactly 1 has no finite logit. Leaving such a center out makes the summary
    lower than the truth, which is the side to err on; the table of centers shows it all the same.

    Args:
        test: Scored rows, a row per patient and fold; rows without a label are left out.
        min_per_label: Patients of each label that a center needs, 2 or more.
        level: Of all intervals.
        n_bootstrap: Replicates; used with more than two labels.
        seed: Of the bootstrap.
    """
    labeled = test.select(label != UNLABELED for label in test.labels)
    kept: list[tuple[float, float, int]] = []
    left_out: dict[str, str] = {}
    for name in sorted(set(labeled.centers)):
        center = labeled.select(other == name for other in labeled.centers)
        too_few = _too_few(center, min_per_label)
        if too_few is not None:
            left_out[name] = too_few
            continue
        auc = _auc(center, level=level, n_bootstrap=n_bootstrap, seed=seed)
        variance = logit_variance(auc, level=level)
        if variance is None:
            left_out[name] = f"an AUC of {auc.value:.3g} in {auc.n} patients, which has no variance on the logit scale"
        else:
            kept.append((float(logit(auc.value)), variance, auc.n))
    if len(kept) < 2:
        return BetweenCenters(auc=None, left_out=left_out)
    effects, variances, sizes = zip(*kept, strict=True)
    summary = random_effects(np.array(effects), np.array(variances), level=level)
    return BetweenCenters(auc=_back_transformed(summary, sizes), left_out=left_out)


def logit_variance(auc: Estimate, *, level: float) -> float | None:
    """Variance of logit(AUC), read off the interval; None where it is not a positive, finite number.

    The limit on the side of 0.5 is read: the other may be 1 to the last digit.
    """
    if not 0 < auc.value < 1:
        return None
    limit = auc.ci_low if auc.value >= 0.5 else auc.ci_high
    if not 0 < limit < 1:
        return None
    error = abs(float(logit(auc.value) - logit(limit))) / float(norm.ppf((1 + level) / 2))
    return error**2 if error > 0 else None


def random_effects(effects: NDArray[np.float64], variances: NDArray[np.float64], *, level: float) -> RandomEffects:
    """Normal random-effects model of k effects with known variances.

    The variance between studies maximizes the restricted likelihood (REML; statsmodels has Paule-Mandel's and
    DerSimonian-Laird's only). The interval is Hartung & Knapp's (Stat Med 2001;20:1771-1782), t with k - 1 degrees of
    freedom, whose factor is kept from falling below 1 (Knapp & Hartung, Stat Med 2003;22:2693-2710; Röver et al., BMC
    Med Res Methodol 2015;15:99): without that, k effects that happen to agree have an interval narrower than that of
    a model without heterogeneity, of width 0 where they are equal. The prediction interval is mean ± t sqrt(SE² +
    tau²) with the same t; Riley et al. (BMJ 2011;342:d549) take k - 2 degrees of freedom, which two studies do not
    have. I² is Higgins & Thompson's (Stat Med 2002;21:1539-1558). All as in R's metafor, ``test="adhoc"``.

    Args:
        effects: (k,) k >= 2.
        variances: (k,) above 0.
        level: Of the intervals.
    """
    n_effects = len(effects)
    tau2 = _reml(effects, variances)
    weights = 1 / (variances + tau2)
    mean = float(weights @ effects / weights.sum())
    factor = max(1.0, float(weights @ (effects - mean) ** 2) / (n_effects - 1))
    error2 = factor / float(weights.sum())
    quantile = float(t.ppf((1 + level) / 2, n_effects - 1))
    half, prediction_half = quantile * math.sqrt(error2), quantile * math.sqrt(error2 + tau2)
    fixed = 1 / variances
    q = float(fixed @ (effects - fixed @ effects / fixed.sum()) ** 2)
    typical = (n_effects - 1) * fixed.sum() / (fixed.sum() ** 2 - (fixed**2).sum())
    return RandomEffects(
        mean=mean,
        ci_low=mean - half,
        ci_high=mean + half,
        prediction_low=mean - prediction_half,
        prediction_high=mean + prediction_half,
        tau2=tau2,
        i2=float(tau2 / (tau2 + typical)),
        q=q,
        q_p=float(chi2.sf(q, n_effects - 1)),
    )


def _reml(effects: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """The variance between studies with the largest restricted likelihood."""

    def loss(tau2: float) -> float:
        weights = 1 / (variances + tau2)
        mean = weights @ effects / weights.sum()
        return float(np.log(weights.sum()) - np.log(weights).sum() + weights @ (effects - mean) ** 2)

    # The likelihood falls from the squared range onwards: with shares p of the weights, its derivative is at most
    # half the sum of w (1 - p) (w (1 - p) range² - 1), and w < 1 / tau².
    upper = float(np.ptp(effects)) ** 2
    if upper == 0:
        return 0.0
    # Even steps of the standard deviation.
    grid = upper * np.linspace(0, 1, _N_GRID + 1) ** 2
    best = int(np.argmin([loss(tau2) for tau2 in grid]))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, _N_GRID)]
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-10 * upper})
    return 0.0 if loss(0.0) <= found.fun else float(found.x)


def _back_transformed(summary: RandomEffects, sizes: Sequence[int]) -> CentersAuc:
    return CentersAuc(
        value=float(expit(summary.mean)),
        ci_low=float(expit(summary.ci_low)),
        ci_high=float(expit(summary.ci_high)),
        n=sum(sizes),
        n_centers=len(sizes),
        tau2=summary.tau2,
        i2=summary.i2,
        prediction_low=float(expit(summary.prediction_low)),
        prediction_high=float(expit(summary.prediction_high)),
    )


def _too_few(center: Predictions, min_per_label: int) -> str | None:
    label_of = dict(zip(center.patient_ids, center.labels, strict=True))
    counts = {name: sum(label == name for label in label_of.values()) for name in center.label_names}
    if min(counts.values()) >= min_per_label:
        return None
    came = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"too few: {came} (required {min_per_label} of each label)"


def _auc(center: Predictions, *, level: float, n_bootstrap: int, seed: int) -> Estimate:
    labels = np.array([center.label_names.index(label) for label in center.labels], dtype=np.int64)
    index = patient_index(center.patient_ids, len(labels))
    if len(center.label_names) == 2:
        return delong(labels, center.probabilities[:, 1], level=level, patients=index)
    return macro_auc(labels, center.probabilities, level=level, n_bootstrap=n_bootstrap, seed=seed, patients=index)

"""Literal values are R 4.2's; the functions that made them stand here, their calls beside the values.

lr <- function(tp, fp, fn, tn) {
  ratio <- function(a, n, b, m) exp(log((a/n)/(b/m)) + c(0, -1, 1) * qnorm(.975) * sqrt(1/a - 1/n + 1/b - 1/m))
  print(ratio(tp, tp + fn, fp, fp + tn), digits = 12); print(ratio(fn, tp + fn, tn, fp + tn), digits = 12)
}
pv <- function(tp, fp, fn, tn, p) {  # Mercaldo et al. 2007, equations 8 to 11
  n1 <- tp + fn; n0 <- fp + tn; se <- tp/n1; sp <- tn/n0
  ppv <- log(se * p / ((1 - sp) * (1 - p))); vp <- (1 - se)/se/n1 + sp/(1 - sp)/n0
  npv <- log(sp * (1 - p) / ((1 - se) * p)); vn <- se/(1 - se)/n1 + (1 - sp)/sp/n0
  print(plogis(ppv + c(0, -1, 1) * qnorm(.975) * sqrt(vp)), digits = 12)
  print(plogis(npv + c(0, -1, 1) * qnorm(.975) * sqrt(vn)), digits = 12)
}
"""

import math

import numpy as np
import pytest

from fusion.errors import FusionError
from fusion.evaluation.likelihood_ratio import likelihood_ratios, predictive_values
from fusion.evaluation.proportion import share


def shares(tp, fp, fn, tn, *, repeats=1):
    positive = np.repeat([True, False, True, False], [tp, fp, fn, tn])
    called = np.repeat([True, True, False, False], [tp, fp, fn, tn])
    patients = np.repeat(np.arange(len(positive)), repeats)
    positive, called = np.repeat(positive, repeats), np.repeat(called, repeats)
    return share(called, positive, patients), share(~called, ~positive, patients)


def figures(estimates):
    return [(each.value, each.ci_low, each.ci_high) for each in estimates.values()]


def test_likelihood_ratios_equal_r():
    # lr(670, 202, 74, 640); epiR's help page gives 3.75 (3.32 to 4.24) and 0.13 (0.11 to 0.16) for it.
    assert figures(likelihood_ratios(*shares(670, 202, 74, 640), level=0.95)) == [
        pytest.approx((3.75372617907, 3.32068843551, 4.24323464881), rel=1e-10),
        pytest.approx((0.130855174731, 0.105064323512, 0.162977080912), rel=1e-10),
    ]


def test_predictive_values_equal_r():
    # pv(240, 87, 178, 288, .03): Table VIII of Mercaldo et al. 2007, as in the help pages of R's bdpv.
    assert figures(predictive_values(*shares(240, 87, 178, 288), prevalence=0.03, level=0.95)) == [
        pytest.approx((0.0710993700596, 0.0588709728820, 0.0856366656598), rel=1e-10),
        pytest.approx((0.983140388658, 0.980948791030, 0.985083704704), rel=1e-10),
    ]


def test_no_false_positive():
    # lr(40.5, .5, 10.5, 50.5): half a patient added to each count; the negative ratio itself is 0.2.
    positive, negative = figures(likelihood_ratios(*shares(40, 0, 10, 50), level=0.95))
    assert positive == pytest.approx((81.0, 5.11779921828, 1281.99636604743), rel=1e-10)
    assert negative == pytest.approx((0.2, 0.121201813262, 0.356686543009), rel=1e-10)
    ppv, npv = figures(predictive_values(*shares(40, 0, 10, 50), prevalence=0.1, level=0.95))
    assert (ppv[0], ppv[2]) == (1, 1)
    assert ppv[1] == pytest.approx(5.11779921828 / (5.11779921828 + 9), rel=1e-10)
    assert npv[0] == pytest.approx(0.9 / (0.9 + 0.2 * 0.1))
    assert npv[1] < npv[0] < npv[2]


def test_no_false_negative():
    # lr(50.5, 10.5, .5, 40.5) and pv(50.5, 10.5, .5, 40.5, .1); the ratios themselves are 5 and 0.
    positive, negative = figures(likelihood_ratios(*shares(50, 10, 0, 40), level=0.95))
    assert positive == pytest.approx((5.0, 2.80358207956, 8.25070164452), rel=1e-10)
    assert negative == pytest.approx((0.0, 0.0, 0.195396489261916), rel=1e-10)
    _, npv = figures(predictive_values(*shares(50, 10, 0, 40), prevalence=0.1, level=0.95))
    assert npv == pytest.approx((1.0, 0.978750618368, 1.0), rel=1e-10)


def test_a_useless_call_has_a_ratio_of_one():
    everybody = likelihood_ratios(*shares(5, 5, 0, 0), level=0.95)
    assert everybody["lr_positive"].value == 1
    assert everybody["lr_positive"].ci_low < 1 < everybody["lr_positive"].ci_high
    assert math.isnan(everybody["lr_negative"].value)
    nobody = likelihood_ratios(*shares(0, 0, 5, 5), level=0.95)
    assert math.isnan(nobody["lr_positive"].value)
    assert nobody["lr_negative"].value == 1


def test_always_wrong():
    positive, negative = figures(likelihood_ratios(*shares(0, 5, 5, 0), level=0.95))
    assert positive[:2] == (0, 0)
    assert 0 < negative[1] < negative[0] < negative[2] < math.inf
    assert figures(predictive_values(*shares(0, 5, 5, 0), prevalence=0.5, level=0.95))[0][:2] == (0, 0)


@pytest.mark.parametrize("counts", [(3, 0, 2, 0), (0, 3, 0, 2), (0, 0, 0, 0)])
def test_a_missing_label_leaves_all_undefined(counts):
    estimates = {
        **likelihood_ratios(*shares(*counts), level=0.95),
        **predictive_values(*shares(*counts), prevalence=0.2, level=0.95),
    }
    for estimate in estimates.values():
        assert np.isnan([estimate.value, estimate.ci_low, estimate.ci_high]).all()
        assert estimate.n == sum(counts)


def test_several_images_do_not_narrow_the_interval():
    once = likelihood_ratios(*shares(20, 6, 5, 19), level=0.95)
    thrice = likelihood_ratios(*shares(20, 6, 5, 19, repeats=3), level=0.95)
    for name, estimate in once.items():
        assert thrice[name].n == estimate.n == 50
        assert (thrice[name].ci_low, thrice[name].ci_high) == pytest.approx((estimate.ci_low, estimate.ci_high))


def test_every_predictive_value_lies_in_the_unit_interval_and_its_interval():
    for tp, fp in np.ndindex(6, 6):
        counts = shares(tp, fp, 5 - tp, 5 - fp)
        for estimate in predictive_values(*counts, prevalence=0.01, level=0.999).values():
            if not math.isnan(estimate.value):
                assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1


@pytest.mark.parametrize("prevalence", [0, 1, -0.1, 1.5, math.nan])
def test_a_prevalence_lies_between_0_and_1(prevalence):
    with pytest.raises(FusionError, match=r"evaluation\.prevalence"):
        predictive_values(*shares(4, 1, 1, 4), prevalence=prevalence, level=0.95)

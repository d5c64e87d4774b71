"""Published figures of R's pmsampsize, and values of R's own functions; the commands stand beside them."""

import pytest

from fusion.evaluation.sample_size import cox_snell_of_c_statistic, max_cox_snell, riley_minimum, sample_size


def test_example_of_pmsampsize():
    # Its manual: pmsampsize(type = "b", csrsquared = 0.288, parameters = 24, prevalence = 0.174): 662 patients.
    # n <- function(P, r, p) { m <- 1 - exp(2 * (p * log(p) + (1 - p) * log(1 - p))); S <- r / (r + .05 * m)
    #   ceiling(c(P / ((.9 - 1) * log(1 - r / .9)), P / ((S - 1) * log(1 - r / S)), (1.96 / .05)^2 * p * (1 - p))) }
    assert riley_minimum(0.174, n_parameters=24, cox_snell=0.288) == {
        "shrinkage": 623,
        "optimism": 662,
        "overall_risk": 221,
    }


def test_example_of_the_bmj():
    # Pre-eclampsia, 30 parameters, prevalence 0.05, R² 0.05: 5249 patients, by the shrinkage; n(30, .05, .05) above.
    assert riley_minimum(0.05, n_parameters=30, cox_snell=0.05) == {
        "shrinkage": 5249,
        "optimism": 1770,
        "overall_risk": 73,
    }


def test_example_with_a_c_statistic():
    # Its manual: pmsampsize(type = "b", cstatistic = 0.89, parameters = 24, prevalence = 0.174): 660 patients.
    r2 = cox_snell_of_c_statistic(0.89, 0.174)
    assert riley_minimum(0.174, n_parameters=24, cox_snell=r2) == {
        "shrinkage": 615,
        "optimism": 660,
        "overall_risk": 221,
    }


# mu <- sqrt(2) * qnorm(C); l <- function(x) qlogis(p) + mu * x - mu^2 / 2
# e <- integrate(function(x) dnorm(x, mu) * plogis(l(x), log.p = TRUE), -12, 16, rel.tol = 1e-12)$value
# o <- integrate(function(x) dnorm(x) * plogis(-l(x), log.p = TRUE), -12, 16, rel.tol = 1e-12)$value
# 1 - exp(2 * (p * log(p) + (1 - p) * log(1 - p) - p * e - (1 - p) * o))
# The paper's way, glm on rnorm(1e6 * p, mu) against rnorm(1e6 * (1 - p)), gives 0.2907, 0.2110 and 0.1032.
@pytest.mark.parametrize(
    ("c_statistic", "prevalence", "expected"),
    [(0.89, 0.174, 0.290954910091), (0.81, 0.77, 0.212053719056), (0.7, 0.3, 0.103401260435)],
)
def test_r2_of_a_c_statistic(c_statistic, prevalence, expected):
    assert cox_snell_of_c_statistic(c_statistic, prevalence) == pytest.approx(expected, abs=1e-9)
    assert cox_snell_of_c_statistic(c_statistic, 1 - prevalence) == pytest.approx(expected, abs=1e-9)


def test_r2_stays_between_none_and_all():
    assert cox_snell_of_c_statistic(0.500001, 0.3) == pytest.approx(0, abs=1e-9)
    assert cox_snell_of_c_statistic(0.9999, 0.3) < max_cox_snell(0.3)
    assert max_cox_snell(0.5) == pytest.approx(0.75)


@pytest.mark.parametrize("c_statistic", [0.5, 1.0, 0.3])
def test_a_c_statistic_out_of_range_is_refused(c_statistic):
    with pytest.raises(ValueError, match=r"required above 0\.5 and below 1"):
        cox_snell_of_c_statistic(c_statistic, 0.3)


@pytest.mark.parametrize("r2", [0.0, -0.1, 0.4])
def test_an_r2_out_of_range_is_refused(r2):
    with pytest.raises(ValueError, match=r"required above 0 and at most 0\.328"):
        riley_minimum(0.05, n_parameters=3, cox_snell=r2)


def test_a_small_cohort_is_warned_of():
    found = sample_size({"benign": 106, "malignant": 38}, n_parameters=40, share_of_max_r2=0.15, c_statistic=None)
    # n(40, .15 * (1 - exp(2 * (p * log(p) + (1 - p) * log(1 - p)))), p) with p <- 38 / 144
    assert found["required_by"] == {"shrinkage": 3302, "optimism": 1087, "overall_risk": 299}
    assert (found["n_train"], found["n_events"], found["n_parameters"]) == (144, 38, 40)
    assert found["events_per_parameter"] == pytest.approx(0.95)
    assert found["required_n"] == 3302
    assert found["warning"].startswith(
        "The training part has 144 patients (38 malignant, 0.95 of the rarest label per candidate predictor); a "
        "regression with 40 candidate predictors would need 3302"
    )
    assert "by shrinkage, optimism, overall risk" in found["warning"]


def test_enough_patients_no_warning():
    counts = {"benign": 4000, "malignant": 2000}
    found = sample_size(counts, n_parameters=5, share_of_max_r2=0.15, c_statistic=None)
    assert found["warning"] is None
    assert found["required_n"] == max(found["required_by"].values()) < 6000


def test_a_c_statistic_comes_before_the_share():
    counts = {"benign": 826, "malignant": 174}
    found = sample_size(counts, n_parameters=24, share_of_max_r2=0.15, c_statistic=0.89)
    assert (found["required_n"], found["warning"]) == (660, None)


def test_events_are_those_of_the_rarest_label():
    few = sample_size({"benign": 10, "malignant": 90}, n_parameters=5, share_of_max_r2=0.15, c_statistic=None)
    many = sample_size({"benign": 90, "malignant": 10}, n_parameters=5, share_of_max_r2=0.15, c_statistic=None)
    assert few["n_events"] == many["n_events"] == 10
    assert few["required_by"] == many["required_by"]
    assert "10 benign" in few["warning"]


def test_without_candidates_only_the_overall_risk_asks_for_patients():
    found = sample_size({"benign": 5, "malignant": 5}, n_parameters=0, share_of_max_r2=0.15, c_statistic=None)
    assert found["events_per_parameter"] is None
    assert found["required_by"] == {"shrinkage": 0, "optimism": 0, "overall_risk": 385}
    assert "the overall risk alone would need 385" in found["warning"]


def test_several_labels_and_a_missing_label_have_a_reason_instead():
    several = sample_size({"a": 20, "b": 30, "c": 40}, n_parameters=4, share_of_max_r2=0.15, c_statistic=None)
    assert (several["n_events"], several["events_per_parameter"], several["required_n"]) == (20, 5.0, None)
    assert "two labels only" in several["warning"]
    missing = sample_size({"benign": 0, "malignant": 9}, n_parameters=4, share_of_max_r2=0.15, c_statistic=None)
    assert (missing["required_n"], missing["required_by"]) == (None, {})
    assert "a label has no patient" in missing["warning"]

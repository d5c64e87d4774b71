from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from fusion.training.penalty import penalty_scale, proximal_step


def draw_rows(n_rows: int = 80, n_features: int = 7) -> tuple[Any, Any]:
    draw = np.random.default_rng(4)
    rows = draw.normal(size=(n_rows, n_features))
    labels = (rows[:, 2] + draw.normal(size=n_rows) > 0.4).astype(np.int64)
    return (rows - rows.mean(0)) / rows.std(0), labels


def count_features(rows: Any, labels: Any, weights: Any, penalty: float) -> int:
    # scikit-learn minimizes C times the summed loss plus the L1 norm: C = 1 / (N lambda), with weights of mean 1.
    regression = LogisticRegression(
        l1_ratio=1.0, C=1 / (len(rows) * penalty), solver="saga", tol=1e-8, max_iter=20_000, random_state=0
    )
    regression.fit(rows, labels, sample_weight=weights / weights.mean())
    return int(np.count_nonzero(np.abs(regression.coef_) > 1e-7))


@pytest.mark.parametrize("weighted", [False, True])
def test_lambda_max_is_where_an_l1_logistic_regression_gets_its_first_feature(weighted: bool) -> None:
    rows, labels = draw_rows()
    weights = np.where(labels == 1, 2.5, 0.7) if weighted else np.ones(len(rows))
    scale = penalty_scale(
        torch.from_numpy(rows), torch.from_numpy(labels), torch.from_numpy(weights), 2
    )
    lambda_max = scale / 50
    assert count_features(rows, labels, weights, 1.01 * lambda_max) == 0
    assert count_features(rows, labels, weights, 0.98 * lambda_max) == 1


def test_lambda_max_by_hand() -> None:
    # Shares of the label are 1/2 each, so the residuals are -1/2, -1/2, 1/2, 1/2: (2 + 1 + 3 + 4) / 8 = 1.25 for x1.
    rows = torch.tensor([[-2.0, 1.0], [-1.0, 0.0], [3.0, 1.0], [4.0, 0.0]])
    assert penalty_scale(rows, torch.tensor([0, 0, 1, 1]), torch.ones(4), 2) == pytest.approx(50 * 1.25)


def test_the_scale_does_not_depend_on_the_size_of_the_weights() -> None:
    rows, labels = (torch.from_numpy(part) for part in draw_rows())
    one, seven = (penalty_scale(rows, labels, torch.full((len(rows),), size), 2) for size in (1.0, 7.0))
    assert one == pytest.approx(seven)


def test_a_step_shrinks_towards_zero_and_stops_there() -> None:
    gates = torch.tensor([0.5, -0.5, 0.03, -0.03, 0.0])
    proximal_step(gates, penalty=0.5, lr=0.1, curvature=torch.ones(5))
    torch.testing.assert_close(gates, torch.tensor([0.45, -0.45, 0.0, 0.0, 0.0]))
    assert (gates[2:] == 0).all()


def test_the_threshold_is_in_the_metric_of_the_optimizers_step() -> None:
    gates = torch.tensor([0.5, 0.5])
    proximal_step(gates, penalty=0.5, lr=0.1, curvature=torch.tensor([0.5, 2.0]))
    torch.testing.assert_close(gates, torch.tensor([0.4, 0.475]))


def test_adam_with_proximal_steps_ends_in_the_lasso_solution() -> None:
    """For 0.5 (g - a)^2 + penalty |g| the minimum is a, soft-thresholded at the penalty."""
    targets, penalty = torch.tensor([1.0, 0.3, 0.1, -0.6]), 0.25
    gates = torch.nn.Parameter(torch.full((4,), 0.2))
    optimizer = torch.optim.AdamW([gates], lr=5e-3, weight_decay=0.0)
    for _ in range(1500):
        optimizer.zero_grad()
        (0.5 * (gates - targets) ** 2).sum().backward()
        optimizer.step()
        state, group = optimizer.state[gates], optimizer.param_groups[0]
        correction = 1 - group["betas"][1] ** float(state["step"])
        proximal_step(
            gates,
            penalty=penalty,
            lr=group["lr"],
            curvature=(state["exp_avg_sq"] / correction).sqrt() + group["eps"],
        )
    torch.testing.assert_close(gates.detach(), torch.tensor([0.75, 0.05, 0.0, -0.35]), atol=0.02, rtol=0)
    assert gates[2] == 0

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from fusion.training.penalty import penalty_strength, proximal_step, starting_gates


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


def find_lambda_max(rows: Any, labels: Any, weights: Any) -> float:
    """The smallest penalty without a feature, by bisection."""
    low, high = 0.01, 1.0
    while high / low > 1.002:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if count_features(rows, labels, weights, middle) else (low, middle)
    return high


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l1", [2e-4, 1e-3])
def test_a_gate_starts_open_where_an_l1_logistic_regression_on_the_feature_alone_has_it(
    l1: float, weighted: bool
) -> None:
    rows, labels = draw_rows()
    weights = np.where(labels == 1, 2.5, 0.7) if weighted else np.ones(len(rows))
    strength = penalty_strength(l1)
    tensors = [torch.from_numpy(part) for part in (rows, labels, weights)]
    gates = starting_gates(*tensors, n_labels=2, strength=strength)
    penalty = strength * find_lambda_max(rows, labels, weights)
    alone = [count_features(rows[:, [i]], labels, weights, penalty) > 0 for i in range(rows.shape[1])]
    assert (gates != 0).tolist() == alone
    assert 0 < sum(alone) < len(alone)


def test_starting_gates_by_hand() -> None:
    # Half of the weight has each label, so the residuals are -1/8, -1/8, 1/8, 1/8: gradients (1.25, 0.5, -0.25).
    rows = torch.tensor([[-2.0, -1, 0], [-1.0, -1, 1], [3.0, 1, 0], [4.0, 1, -1]])
    gates = starting_gates(rows, torch.tensor([0, 0, 1, 1]), torch.ones(4), n_labels=2, strength=0.3)
    expected = torch.tensor([1.25 - 0.375, 0.5 - 0.375, 0.0])
    torch.testing.assert_close(gates, expected / (rows @ expected).std())
    assert gates[2] == 0


def test_starting_gates_point_towards_the_positive_label_and_do_not_depend_on_the_size_of_the_weights() -> None:
    rows, labels = (torch.from_numpy(part) for part in draw_rows())
    one, seven = (
        starting_gates(rows, labels, torch.full((len(rows),), size), n_labels=2, strength=0.1) for size in (1.0, 7.0)
    )
    torch.testing.assert_close(one, seven)
    assert one[2] > 0
    assert starting_gates(-rows, labels, torch.ones(len(rows)), n_labels=2, strength=0.1)[2] < 0


def test_strength_grows_with_l1_from_nothing_to_all() -> None:
    strengths = [penalty_strength(l1) for l1 in (0.0, 1e-4, 1e-3, 1e-2, 1e6)]
    assert strengths == pytest.approx([0, 1 / 11, 1 / 2, 10 / 11, 1], abs=1e-8)
    assert strengths[0] == 0


def test_a_step_shrinks_towards_zero_and_stops_there() -> None:
    gates = torch.tensor([0.5, -0.5, 0.03, -0.03, 0.0])
    proximal_step(gates, strength=0.5, lr=0.1)
    torch.testing.assert_close(gates, torch.tensor([0.45, -0.45, 0.0, 0.0, 0.0]))
    assert (gates[2:] == 0).all()


def test_with_adam_a_steady_gradient_withstands_the_penalty_and_a_noisy_one_does_not() -> None:
    """Mean over root mean square of the gradients: 1, 0.8 and 0.1, against a strength of 0.5."""
    gates, draw = torch.nn.Parameter(torch.full((3,), 0.5)), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW([gates], lr=1e-2, weight_decay=0.0)
    for _ in range(400):
        noise = torch.randn(3, generator=draw) * torch.tensor([0.0, 0.75, 10.0])
        gates.grad = -(1 + noise)
        optimizer.step()
        proximal_step(gates.data, strength=0.5, lr=1e-2)
    assert gates[0] > gates[1] > 0.5
    assert gates[2] == 0

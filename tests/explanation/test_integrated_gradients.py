from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fusion.explanation.integrated_gradients import explain, explain_within, relative_error, spread_cases


class Linear(nn.Module):
    """Log-odds that are a weighted sum of every pixel, feature and clinical input."""

    def __init__(self, *, n_pixels: int, n_features: int, n_clinical: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.names = ("image", "radiomics", "clinical")
        self.pixels, self.features, self.clinical = (
            nn.Parameter(torch.randn(n, generator=draw)) for n in (n_pixels, n_features, n_clinical)
        )

    def forward(self, image: Tensor, radiomics: Tensor, clinical: Tensor, present: Tensor) -> Tensor:
        odds = image.flatten(1) @ self.pixels + radiomics @ self.features + clinical @ self.clinical
        return torch.stack([torch.full_like(odds, 0.3), odds], dim=1)


def total(explanation: Any) -> Any:
    return explanation.pixels.sum((1, 2)) + explanation.radiomics.values.sum(1) + explanation.clinical.values.sum(1)


def test_of_a_linear_network_attributions_are_weight_times_input(make_example: Callable[..., Any]) -> None:
    example = make_example()
    linear = Linear(n_pixels=2 * 32 * 32, n_features=4, n_clinical=len(example.model.encoder.inputs))
    example = replace(example, model=replace(example.model, network=linear))
    inputs = example.inputs()
    found = explain(example.model, inputs, n_steps=4)
    pixels = np.zeros((6, 2, 32, 32))
    pixels[inputs.crop_rows >= 0] = example.crops.array[inputs.crop_rows[inputs.crop_rows >= 0]] / 255
    weights = linear.pixels.detach().double().numpy().reshape(2, 32, 32)
    np.testing.assert_allclose(found.pixels, (pixels * weights).sum(1), atol=1e-4)
    np.testing.assert_allclose(found.radiomics.values, inputs.radiomics * linear.features.detach().numpy(), atol=1e-5)
    by_input = inputs.clinical * linear.clinical.detach().numpy()
    # age, then the two levels of shape, each followed by its indicator of a missing value where it has one.
    widths = [len(column.inputs) for column in example.model.encoder.columns]
    by_column = np.stack([part.sum(1) for part in np.split(by_input, np.cumsum(widths)[:-1], axis=1)], axis=1)
    np.testing.assert_allclose(found.clinical.values, by_column, atol=1e-5)
    np.testing.assert_allclose(found.clinical.completeness_error, 0, atol=1e-3)
    assert found.radiomics.names == ("feature 0", "feature 1", "feature 2", "feature 3")
    assert found.clinical.names == ("age", "shape")


def test_attributions_of_the_network_explain_what_it_says(make_example: Callable[..., Any]) -> None:
    """Their sum is the log-odds less those of the baseline, for every case and whichever branches it has."""
    example = make_example()
    inputs = example.inputs()
    found = explain(example.model, inputs, n_steps=64)
    probabilities = example.model.score(inputs, device="cpu").probabilities[:, 1]
    odds = np.log(probabilities / (1 - probabilities))
    baseline = [
        float(_odds_of_nothing(example, torch.from_numpy(inputs.present[row : row + 1]))) for row in range(len(inputs))
    ]
    np.testing.assert_allclose(total(found), odds - np.array(baseline), atol=0.02)
    assert (np.abs(found.radiomics.completeness_error) < 0.02).all()
    assert np.abs(odds - np.array(baseline)).max() > 0.02


def test_more_steps_leave_less_unexplained(make_example: Callable[..., Any]) -> None:
    example = make_example()
    errors = [np.abs(explain(example.model, example.inputs(), n_steps=n).clinical.completeness_error) for n in (2, 64)]
    assert errors[1].mean() <= errors[0].mean()


def test_steps_are_doubled_until_the_error_is_within_the_bar(make_example: Callable[..., Any]) -> None:
    example = make_example()
    inputs = example.inputs()
    bar = {"tolerance": 0.01, "smallest_difference": 1e-3}
    found = explain_within(example.model, inputs, n_steps=2, most_steps=256, **bar)
    assert (found.relative_errors(smallest_difference=1e-3) <= 0.01).all()
    # A case is given as many as it needs, and its attributions are those of that many.
    assert len({*found.n_steps.tolist()}) > 1
    assert (np.log2(found.n_steps) % 1 == 0).all()
    row = int(found.n_steps.argmax())
    fixed = explain(example.model, inputs, n_steps=int(found.n_steps[row]))
    np.testing.assert_array_equal(found.pixels[row], fixed.pixels[row])
    fewer = explain(example.model, inputs, n_steps=int(found.n_steps[row]) // 2)
    assert fewer.relative_errors(smallest_difference=1e-3)[row] > 0.01
    capped = explain_within(example.model, inputs, n_steps=2, most_steps=7, tolerance=0.0, smallest_difference=1e-3)
    assert capped.n_steps.max() == 4
    assert (capped.relative_errors(smallest_difference=1e-3) > 0).any()


def test_the_error_is_relative_to_the_difference_but_never_to_next_to_nothing() -> None:
    errors, differences = np.array([-0.02, 0.02, 0.02]), np.array([2.0, -4.0, 1e-9])
    np.testing.assert_allclose(relative_error(errors, differences, smallest_difference=0.1), [0.01, 0.005, 0.2])


def test_differences_are_those_of_the_log_odds(make_example: Callable[..., Any]) -> None:
    example = make_example()
    found = explain(example.model, example.inputs(), n_steps=4)
    np.testing.assert_allclose(
        total(found) - found.clinical.completeness_error, found.differences, rtol=1e-5, atol=1e-6
    )
    fine = explain(example.model, example.inputs(), n_steps=16)
    np.testing.assert_allclose(found.differences, fine.differences, rtol=1e-3, atol=1e-5)


def test_a_branch_that_is_absent_has_no_part_in_it(make_example: Callable[..., Any]) -> None:
    example = make_example()
    found = explain(example.model, example.inputs(), n_steps=8)
    assert (found.pixels[1] == 0).all()
    assert (found.radiomics.values[1] == 0).all()
    assert (found.clinical.values[1] != 0).any()
    assert (found.clinical.values[2] == 0).all()
    assert (found.pixels[2] != 0).any()


def test_with_three_labels_the_sum_is_of_the_log_odds_that_are_reported(make_example: Callable[..., Any]) -> None:
    example = make_example(label_names=("normal", "benign", "malignant"))
    example = replace(example, model=replace(example.model, prior_shift=(-3.0, 2.0, 1.0)))
    inputs = example.inputs()
    found = explain(example.model, inputs, n_steps=64)
    probabilities = example.model.score(inputs, device="cpu").probabilities[:, 2]
    odds = np.log(probabilities / (1 - probabilities))
    moved = odds - [float(_odds_of_nothing(example, torch.from_numpy(inputs.present[i : i + 1]))) for i in range(6)]
    np.testing.assert_allclose(total(found), moved, atol=5e-3)


@pytest.mark.parametrize("branches", [("image",), ("clinical",), ("image", "clinical")], ids="+".join)
def test_networks_of_fewer_branches_are_explained(make_example: Callable[..., Any], branches: tuple[str, ...]) -> None:
    example = make_example(branches=branches)
    usable = tuple(case for i, case in enumerate(example.cases) if i not in (1, 2))
    example = replace(example, cases=usable)
    found = explain(example.model, example.inputs(), n_steps=4)
    assert found.radiomics.values.shape == (4, 0)
    assert (found.pixels != 0).any() == ("image" in branches)
    assert (found.clinical.values != 0).any() == ("clinical" in branches)


def test_a_model_without_clinical_columns_is_explained(make_example: Callable[..., Any]) -> None:
    example = make_example(columns=())
    example = replace(example, cases=tuple(case for i, case in enumerate(example.cases) if i != 1))
    found = explain(example.model, example.inputs(), n_steps=4)
    assert found.clinical.values.shape == (5, 0)
    assert (found.radiomics.values != 0).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_that_scored_on_the_gpu_is_explained(make_example: Callable[..., Any]) -> None:
    example = make_example()
    example.model.score(example.inputs(), device="cuda")
    assert np.isfinite(total(explain(example.model, example.inputs(), n_steps=4))).all()


def test_cases_are_spread_over_the_ranking() -> None:
    probabilities = np.array([0.9, 0.1, 0.5, 0.3, 0.7])
    assert list(spread_cases(probabilities, 3)) == [1, 2, 0]
    assert sorted(spread_cases(probabilities, 9)) == [0, 1, 2, 3, 4]
    assert list(spread_cases(np.array([0.4]), 3)) == [0]
    assert list(spread_cases(np.array([0.5, 0.5, 0.5]), 2)) == [0, 2]


def _odds_of_nothing(example: Any, present: Tensor) -> Any:
    """Log-odds of the black image, the average patient, no category."""
    zeros = (torch.zeros(1, 2, 32, 32), torch.zeros(1, 4), torch.zeros(1, len(example.model.encoder.inputs)))
    with torch.no_grad():
        logits = example.model.network(*zeros, present) + torch.tensor(example.model.prior_shift)
    return logits[0, -1] - torch.logsumexp(logits[0, :-1], dim=0)

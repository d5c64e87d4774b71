import math

import pytest
import torch

from fusion.models.network import FusionOutput
from fusion.tracking.inner_rows import InnerRows
from fusion.training.inputs import Batch

BRANCHES = ("image", "clinical")
CLASS_WEIGHTS = torch.tensor([0.5, 2.0])


def batch(labels: list[int], *, clinical: list[bool], weights: list[float]) -> Batch:
    """Every case has an image; there is no radiomics."""
    n_rows = len(labels)
    nothing = torch.zeros(n_rows, 1)
    known = torch.tensor(clinical)
    return Batch(
        rows=torch.arange(n_rows),
        crops=nothing,
        radiomics=nothing,
        clinical=nothing,
        present=torch.stack([torch.ones(n_rows, dtype=torch.bool), torch.zeros(n_rows, dtype=torch.bool), known], 1),
        labels=torch.tensor(labels),
        weights=torch.tensor(weights),
    )


def output(image: list[float], clinical: list[float], gates: list[float] | None) -> FusionOutput:
    """Logits of the positive label, that of the other being 0, and gates of the image."""
    opinions = torch.stack([torch.tensor(image), torch.tensor(clinical)], 1)
    logits = torch.stack([torch.zeros_like(opinions), opinions], 2)
    of_image = None if gates is None else torch.tensor(gates)
    return FusionOutput(logits.sum(1), logits, None if of_image is None else torch.stack([of_image, 1 - of_image], 1))


def rows() -> InnerRows:
    first = (batch([0, 1], clinical=[True, False], weights=[1.0, 1.0]), [-1.0, 2.0], [0.5, 9.0], [0.2, 1.0])
    second = (batch([1, 0], clinical=[True, True], weights=[0.5, 0.5]), [-2.0, 0.0], [1.0, 0.0], [0.4, 0.4])
    parts = [(of, output(image, clinical, gates)) for of, image, clinical, gates in (first, second)]
    return InnerRows.concatenate([join(*part) for part in parts])


def join(of: Batch, said: FusionOutput, class_weights: torch.Tensor = CLASS_WEIGHTS) -> InnerRows:
    return InnerRows.of_batch(of, said, branches=BRANCHES, class_weights=class_weights)


def loss(logit: float, label: int) -> float:
    return math.log1p(math.exp(-logit if label else logit))


def test_figures_of_a_branch_are_of_the_cases_that_have_it() -> None:
    figures = rows().figures(BRANCHES)
    # Weights of the patients by those of the labels.
    weights = (0.5, 2.0, 1.0, 0.25)
    image = (loss(-1, 0), loss(2, 1), loss(-2, 1), loss(0, 0))
    clinical = (loss(0.5, 0), 0.0, loss(1, 1), loss(0, 0))
    expected = sum(weight * value for weight, value in zip(weights, image, strict=True)) / 3.75
    assert figures["validation/loss_image"] == pytest.approx(expected)
    expected = sum(weight * value for weight, value in zip(weights, clinical, strict=True)) / 1.75
    assert figures["validation/loss_clinical"] == pytest.approx(expected)
    # Of the four pairs of images two are in order, and of the two pairs of clinical rows both.
    assert figures["validation/auc_image"] == 0.5
    assert figures["validation/auc_clinical"] == 1
    assert figures["gate/image"] == pytest.approx(0.5)
    assert figures["gate/clinical"] == pytest.approx(0.5)


def test_without_gates_and_without_a_label_there_is_nothing_to_say_of_them() -> None:
    alone = batch([1, 1], clinical=[False, False], weights=[1.0, 1.0])
    figures = join(alone, output([1.0, 2.0], [0.0, 0.0], None)).figures(BRANCHES)
    assert set(figures) == {"validation/loss_image"}


def test_probabilities_are_freed_of_the_weights_of_the_labels() -> None:
    """With weights 1 / (2 prevalence), a logit of 0 is the prevalence itself: 0.25 where the weights are 2 and 2/3."""
    weights = torch.tensor([2 / 3, 2.0])
    inner = join(batch([1], clinical=[True], weights=[1.0]), output([0.0], [0.0], [0.5]), weights)
    assert inner.probabilities(weights)[0] == pytest.approx([0.75, 0.25])

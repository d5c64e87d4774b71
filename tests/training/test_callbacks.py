import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from fusion.training.callbacks import BestWeights, FitProgress


def epoch(number: int, loss: float) -> Any:
    return SimpleNamespace(current_epoch=number, callback_metrics={"validation/loss": torch.tensor(loss)})


def run(losses: list[float]) -> tuple[BestWeights, nn.Linear]:
    """A network whose bias is the epoch's number."""
    best, network = BestWeights(), nn.Linear(1, 1)
    for number, loss in enumerate(losses):
        nn.init.constant_(network.bias, float(number))
        best.on_validation_epoch_end(epoch(number, loss), SimpleNamespace(network=network))  # type: ignore[arg-type]
    best.restore(network)
    return best, network


@pytest.mark.parametrize(
    ("losses", "expected"),
    [([0.9, 0.3, 0.5], 1), ([0.3, 0.3], 0), ([0.4, math.nan], 0), ([math.nan, math.nan], 0)],
)
def test_the_weights_of_the_lowest_loss_come_back(losses: list[float], expected: int) -> None:
    best, network = run(losses)
    assert best.epoch == expected
    assert network.bias.item() == expected


def test_without_a_validation_the_weights_stay() -> None:
    best, network = BestWeights(), nn.Linear(1, 1)
    before = network.weight.clone()
    best.restore(network)
    assert torch.equal(network.weight, before)
    assert best.epoch == -1


def test_where_there_is_no_terminal_a_fit_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    progress, trainer = FitProgress(title="fold 0"), SimpleNamespace(max_epochs=2, current_epoch=2)
    figures = {"validation/loss": torch.tensor(0.5), "validation/auc": torch.tensor(0.75)}
    trainer.callback_metrics = figures
    progress.on_fit_start(trainer, None)  # type: ignore[arg-type]
    progress.on_train_epoch_end(trainer, None)  # type: ignore[arg-type]
    progress.on_fit_end(trainer, None)  # type: ignore[arg-type]
    assert capfd.readouterr() == ("", "fold 0: 2 epochs, last validation loss 0.500, AUC 0.750\n")

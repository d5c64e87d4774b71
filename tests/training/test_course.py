"""Fits that ranks share: real processes, gloo, and the figures of one device."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
from forked_ranks import end_of_ranks, on_ranks

from fusion.errors import FusionError
from fusion.imaging.store import Crops

# Python's advice on forks of processes with threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
Fitted = tuple[Any, dict[str, Any]]


def fit(data: Any, **changes: Any) -> Fitted:
    """Probabilities of the test part, and the weights."""
    model = data.fit(**changes)
    return data.probabilities(model), {name: values.numpy() for name, values in model.network.state_dict().items()}


def shared(data: Any, place: Path, n_ranks: int, **changes: Any) -> Fitted:
    """The same on ranks."""
    ddp = {"trainer__strategy": "ddp", "trainer__devices": n_ranks}
    fitted: Fitted = on_ranks(n_ranks, lambda _: fit(data, **ddp, **changes), place=place)
    return fitted


@pytest.mark.parametrize(
    ("n_ranks", "changes"),
    [
        # Augmentation, dropouts and batch norms; some cases lack a branch.
        (2, {}),
        # The last batch has fewer rows than there are ranks, and the backbone first stands still.
        (3, {"trainer__batch_size": 5, "trainer__freeze_epochs": 1, "l1": 1e-3}),
        # Random numbers within the backbone, and attention, which does not take an empty batch.
        (3, {"backbone__name": "test_vit", "backbone__options": {"img_size": 32, "drop_path_rate": 0.2}}),
    ],
)
def test_ranks_give_the_figures_of_one_device(data: Any, tmp_path: Path, n_ranks: int, changes: Any) -> None:
    changes = {"trainer__max_epochs": 3} | changes
    (one, weights), (many, others) = fit(data, **changes), shared(data, tmp_path, n_ranks, **changes)
    # Asked for is 1e-4; a gradient clipped twice is half of that.
    np.testing.assert_allclose(many, one, atol=1e-5)
    assert weights.keys() == others.keys()
    for name, values in weights.items():
        np.testing.assert_allclose(others[name], values, atol=5e-4, err_msg=name)


def test_in_double_precision_the_difference_is_gone(data: Any, tmp_path: Path) -> None:
    """So it is rounding: of sums in another order, which the optimizer makes larger."""
    changes = {"trainer__max_epochs": 3, "trainer__precision": "64-true"}
    (one, weights), (many, others) = fit(data, **changes), shared(data, tmp_path, 2, **changes)
    np.testing.assert_allclose(many, one, atol=1e-7)
    for name, values in weights.items():
        assert values.dtype in (np.float32, np.int64), "kept as any other"
        np.testing.assert_allclose(others[name], values, atol=1e-6, err_msg=name)


def test_a_part_may_be_smaller_than_the_batch_and_than_the_ranks(data: Any, tmp_path: Path) -> None:
    """Two patients with an image to stop on, and one batch to learn from, on three ranks."""
    validation = frozenset(sorted(data.fold.validation)[:2])
    fold = replace(data.fold, validation=validation, test=data.fold.test | (data.fold.validation - validation))
    small = replace(data, fold=fold)
    changes = {"trainer__batch_size": 64, "trainer__max_epochs": 2}
    one, many = fit(small, **changes)[0], shared(small, tmp_path, 3, **changes)[0]
    np.testing.assert_allclose(many, one, atol=1e-4)


def test_one_set_of_ranks_shares_several_fits_and_sees_pixels_that_are_in_no_file(data: Any, tmp_path: Path) -> None:
    crops = Crops(case_ids=data.crops.case_ids[::-1], array=data.crops.array[::-1].copy(), key="memory")
    in_memory = replace(data, crops=crops)
    ddp = {"trainer__strategy": "ddp", "trainer__devices": 2, "trainer__max_epochs": 1}
    several = on_ranks(2, lambda _: [fit(each, **ddp)[0] for each in (data, in_memory, data)], place=tmp_path)
    assert np.array_equal(several[0], several[1])
    assert np.array_equal(several[0], several[2])
    np.testing.assert_allclose(several[0], fit(data, trainer__max_epochs=1)[0], atol=1e-4)


class Watching(L.Callback):
    """Looks at figures and keeps them, on rank 0 alone: nobody must have to wait for that."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.n_rows: list[int] = []

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.n_rows.append(len(outputs["logits"]))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epochs.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def test_what_is_logged_is_of_all_rows(data: Any, tmp_path: Path) -> None:
    def watch(**changes: Any) -> tuple[list[dict[str, float]], list[int]]:
        watching = Watching()
        data.fit(callbacks=[watching], trainer__max_epochs=2, **changes)
        return watching.epochs, watching.n_rows

    one, n_rows = watch()
    many, n_rows_of_many = on_ranks(2, lambda _: watch(trainer__strategy="ddp", trainer__devices=2), place=tmp_path)
    assert n_rows_of_many == n_rows
    assert len(one) == 2
    for own, other in zip(one, many, strict=True):
        assert own.keys() == other.keys()
        assert {"train/loss", "train/loss_image", "validation/loss", "validation/auc"} <= own.keys()
        assert other == pytest.approx(own, abs=1e-4)


def test_an_error_on_one_rank_ends_the_others(data: Any, tmp_path: Path) -> None:
    class Failing(L.Callback):
        def on_train_batch_end(self, *arguments: Any) -> None:
            raise RuntimeError("the disk is full")

    ddp = {"trainer__strategy": "ddp", "trainer__devices": 2}
    statuses, (ended_well, said) = end_of_ranks(
        2, lambda _: data.fit(callbacks=[Failing()], **ddp) and None, place=tmp_path
    )
    assert not ended_well
    assert "the disk is full" in said
    assert statuses == [1, 1]


def test_several_devices_without_ranks_are_refused(data: Any) -> None:
    with pytest.raises(FusionError, match=r"trainer.devices=2, trainer.nodes=1: required as many processes, came 1"):
        data.fit(trainer__strategy="ddp", trainer__devices=2)

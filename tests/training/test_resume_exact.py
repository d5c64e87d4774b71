"""A fit that is killed in the middle of an epoch and begun again ends with the weights of one that was left alone."""

import io
import os
import signal
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from forked_ranks import end_of_ranks, on_ranks

from fusion.training.progress import Progress

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


class Epochs(L.Callback):
    """Counts them, and kills its process in the middle of one."""

    def __init__(self, *, kill_in: int | None = None) -> None:
        self.begun: list[int] = []
        self._kill_in = kill_in

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            self.begun.append(trainer.current_epoch)
        if trainer.current_epoch == self._kill_in and batch_idx == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def fit(data: Any, folder: Path | None, *, kill_in: int | None = None, **changes: Any) -> tuple[dict[str, Any], Any]:
    """Weights by name, and the epochs that were trained; what is drawn after the fit is a weight, too."""
    epochs = Epochs(kill_in=kill_in)
    changes = {"trainer__max_epochs": 4, "trainer__patience": 4, "l1": 1e-3} | changes
    model = data.fit(callbacks=[epochs], progress=folder, **changes)
    weights = {name: values.numpy() for name, values in model.network.state_dict().items()}
    return {**weights, "drawn after it": torch.rand(3).numpy()}, epochs.begun


def assert_same(weights: dict[str, Any], others: dict[str, Any]) -> None:
    assert weights.keys() == others.keys()
    for name, values in weights.items():
        assert np.array_equal(values, others[name]), name


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_killed_in_an_epoch_it_ends_with_the_same_weights(data: Any, tmp_path: Path, n_ranks: int) -> None:
    folder = tmp_path / "unfinished"
    ddp = {"trainer__strategy": "ddp", "trainer__devices": n_ranks}
    undisturbed, begun = on_ranks(n_ranks, lambda _: fit(data, None, **ddp), place=tmp_path)
    assert begun == [0, 1, 2, 3]
    statuses, ended = end_of_ranks(n_ranks, lambda _: fit(data, folder, kill_in=2, **ddp), place=tmp_path)
    assert ended == (False, "it was killed")
    assert statuses == [-signal.SIGKILL, 1][:n_ranks]
    resumed, begun = on_ranks(n_ranks, lambda _: fit(data, folder, **ddp), place=tmp_path)
    assert begun == [2, 3]
    assert_same(resumed, undisturbed)
    # Finished, it is not done again.
    again, begun = on_ranks(n_ranks, lambda _: fit(data, folder, **ddp), place=tmp_path)
    assert begun == []
    assert_same(again, undisturbed)


@pytest.mark.parametrize("moment", ["in its last epoch", "after it"])
def test_a_fit_that_stopped_early_is_not_taken_further(data: Any, tmp_path: Path, moment: str) -> None:
    """Killed in the epoch after which it stops, or when it has stopped."""
    changes = {"trainer__patience": 1, "trainer__max_epochs": 12, "optimizer__lr": 3e-2}
    undisturbed, begun = on_ranks(1, lambda _: fit(data, None, **changes), place=tmp_path)
    assert 2 < len(begun) < 12, "there is nothing to see here"

    def killed(_: Any) -> None:
        if moment == "after it":
            Progress.write_result = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
        fit(data, tmp_path / "a", kill_in=begun[-1] if moment == "in its last epoch" else None, **changes)

    statuses, _ = end_of_ranks(1, killed, place=tmp_path)
    assert statuses == [-signal.SIGKILL]
    resumed, after = on_ranks(1, lambda _: fit(data, tmp_path / "a", **changes), place=tmp_path)
    assert after == begun[-1:]
    assert_same(resumed, undisturbed)


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"", lambda _: b"x"])
def test_a_damaged_file_is_not_gone_on_from(
    data: Any, tmp_path: Path, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {"trainer__max_epochs": 1}
    undisturbed, _ = fit(data, tmp_path, **changes)
    (path,) = tmp_path.glob("*.pt")
    path.write_bytes(damage(path.read_bytes()))
    again, begun = fit(data, tmp_path, **changes)
    assert begun == [0]
    assert_same(again, undisturbed)
    assert "is damaged" in caplog.text


@pytest.mark.parametrize(
    "changes",
    [{"seed": 4}, {"l1": 0.0}, {"optimizer__lr": 1e-3}, {"trainer__batch_size": 6}, {"model__label_smoothing": 0.1}],
)
def test_a_fit_of_other_content_begins_anew(data: Any, tmp_path: Path, changes: Any) -> None:
    fit(data, tmp_path, trainer__max_epochs=1)
    assert fit(data, tmp_path, **({"trainer__max_epochs": 1} | changes))[1] == [0]
    assert len([*tmp_path.glob("*.pt")]) == 2


def test_other_labels_or_other_pixels_are_other_content(data: Any, drop: Any, tmp_path: Path) -> None:
    fit(data, tmp_path, trainer__max_epochs=1)
    other = drop(data, patient="patient 7", branches=("clinical",))
    assert fit(other, tmp_path, trainer__max_epochs=1)[1] == [0]
    other = drop(data, patient="patient 29", branches=("image",))
    assert fit(other, tmp_path, trainer__max_epochs=1)[1] == [0]


def test_the_checkpoint_is_of_plain_content_and_is_replaced_by_the_weights(data: Any, tmp_path: Path) -> None:
    end_of_ranks(1, lambda _: fit(data, tmp_path, kill_in=1), place=tmp_path)
    (path,) = tmp_path.glob("*.pt")
    assert _content(path).keys() == {"checkpoint"}
    fit(data, tmp_path)
    assert _content(path).keys() == {"result"}
    assert Progress(path, "another key").read() == (None, None)


def _content(path: Path) -> Any:
    # A digest comes first.
    return torch.load(io.BytesIO(path.read_bytes()[32:]), weights_only=True)["content"]

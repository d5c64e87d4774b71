"""Every tracker that a configuration can name, opened and closed together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from fusion.tracking.mlflow_run import open_mlflow
from fusion.tracking.tensorboard_run import open_tensorboard
from fusion.tracking.tracked import Tracked
from fusion.tracking.tracker import Tracker
from fusion.tracking.wandb_run import open_wandb

# By option of ``conf/logger``; CSV is always written, and holds nothing but figures of epochs.
OPENERS: dict[str, Callable[[Tracked, Mapping[str, Any]], AbstractContextManager[Tracker]]] = {
    "wandb": open_wandb,
    "tensorboard": open_tensorboard,
    "mlflow": open_mlflow,
}


@contextmanager
def open_trackers(tracked: Tracked) -> Iterator[list[Tracker]]:
    """A run of each tracker that the configuration names; closed at the end of the block, as failed where it failed."""
    chosen = tracked.config["logger"]
    with ExitStack() as stack:
        yield [stack.enter_context(open_(tracked, chosen[name])) for name, open_ in OPENERS.items() if name in chosen]

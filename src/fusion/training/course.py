"""The course of one fit on this rank: Lightning's trainer, on one device or on a share of the batches."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from timm.layers.drop import DropPath
from torch import nn

from fusion.models.network import FusionNet
from fusion.models.share import draw_noise_for_whole_batches
from fusion.training.inputs import make_loader
from fusion.training.module import FusionModule
from fusion.training.progress import ProgressIO, RandomState, SaveProgress
from fusion.training.rank import Rank
from fusion.training.synced_batch_norm import synchronize_batch_norms
from fusion.training.task import FitTask


def run_course(
    task: FitTask,
    network: FusionNet,
    *,
    rank: Rank,
    loggers: Sequence[Logger],
    callbacks: Sequence[L.Callback],
    io: ProgressIO,
    saves: bool,
    resumes: bool,
) -> None:
    """Train a network, in place.

    Args:
        task: The same on every rank.
        network: On rank 0 as the fit begins with it; the others take its weights from there.
        rank: Of this process.
        loggers: Of this rank.
        callbacks: Of this rank; they must not wait for other ranks.
        io: Keeps the checkpoints.
        saves: Whether they are written; on all ranks or none.
        resumes: Whether the fit goes on from the one that ``io`` has.
    """
    trained = network if rank.count == 1 else _shared(network, device=task.trainer["accelerator"])
    module = FusionModule(
        network=trained,
        class_weights=torch.from_numpy(task.class_weights),
        penalty=task.penalty,
        **task.loss,
        optimizer=task.optimizer,
        augmentation=task.trainer["augmentation"],
        n_steps=task.n_steps,
        freeze_epochs=task.trainer["freeze_epochs"],
        rank=rank,
    )
    stopping = EarlyStopping("validation/loss", patience=task.trainer["patience"], check_on_train_epoch_end=False)
    at_end = [SaveProgress()] if saves else []
    with _quiet_lightning():
        runner = L.Trainer(
            **_devices(task.trainer, rank),
            plugins=[_Environment(rank) if rank.count > 1 else LightningEnvironment(), io],
            max_epochs=task.trainer["max_epochs"],
            accelerator=task.trainer["accelerator"],
            precision=task.trainer["precision"],
            gradient_clip_val=task.trainer["gradient_clip"],
            callbacks=[stopping, *callbacks, RandomState(rank=rank), *at_end],
            logger=list(loggers),
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        size = {"batch_size": task.trainer["batch_size"], "rank": rank}
        runner.fit(
            module,
            make_loader(task.train, weights=task.weights, shuffle=True, **size),
            make_loader(task.validation, weights=task.validation_weights, shuffle=False, **size),
            ckpt_path="progress" if resumes else None,
        )
    if trained is not network:
        network.load_state_dict(trained.state_dict())


def _shared(network: FusionNet, *, device: str) -> FusionNet:
    """A copy that learns from shares of batches as the network itself would from whole ones."""
    shared = copy.deepcopy(network)
    draw_noise_for_whole_batches(shared, (nn.Dropout, nn.Dropout1d, nn.Dropout2d, DropPath))
    synchronize_batch_norms(shared, device=device)
    return shared


def _devices(trainer: Mapping[str, Any], rank: Rank) -> dict[str, Any]:
    if rank.count == 1:
        return {"devices": 1}
    # A branch that nobody in a batch has, or a backbone that stands still, has no gradient. Gradients are in buckets,
    # since those of two biases whose outputs are added are one tensor where a rank has a single row: clipped twice.
    strategy = DDPStrategy(find_unused_parameters=True, gradient_as_bucket_view=True)
    return {"devices": trainer["devices"], "num_nodes": trainer["nodes"], "strategy": strategy}


class _Environment(ClusterEnvironment):
    """What Lightning asks of the ranks; they are started and connected already."""

    creates_processes_externally = True
    main_address, main_port = "", 0

    def __init__(self, rank: Rank) -> None:
        self._rank = rank

    @staticmethod
    def detect() -> bool:
        """Never by itself."""
        return False

    def world_size(self) -> int:
        """Of all nodes."""
        return self._rank.count

    def set_world_size(self, size: int) -> None:
        """It is known."""

    def global_rank(self) -> int:
        """Of all nodes."""
        return self._rank.number

    def set_global_rank(self, rank: int) -> None:
        """It is known."""

    def local_rank(self) -> int:
        """On this machine."""
        return self._rank.local

    def node_rank(self) -> int:
        """Number of the machine."""
        return self._rank.node


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice to itself: it is about choices that are made here on purpose."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # The batches are cut from memory; worker processes would only slow them down.
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            # An inner part of a dozen patients can lack a label in none but the last batch.
            warnings.filterwarnings("ignore", message=".*No positive samples.*|.*No negative samples.*")
            # A fold that was interrupted is fitted from its start, and its losses are written anew.
            warnings.filterwarnings("ignore", message=".*Experiment logs directory.*")
            # What is logged is the same on every rank.
            warnings.filterwarnings("ignore", message=".*recommended to use.*sync_dist=True.*")
            # A copy of a tensor of no size.
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
            # Rank 0 alone shows and tracks how far the fit is.
            warnings.filterwarnings("ignore", message=".*callbacks used to create the checkpoint need to be provided.*")
            # On a machine of a SLURM cluster a fit need not be a task of it.
            warnings.filterwarnings("ignore", message=".*srun. command is available.*")
            # Lightning's own use of torch, which only Lightning can change.
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)

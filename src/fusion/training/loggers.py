"""The loggers of one fold: CSV always, one more by name. They are closed whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger


@contextmanager
def open_loggers(config: Mapping[str, Any], *, fold_dir: Path) -> Iterator[list[Logger]]:
    """Loggers that write into a fold's folder.

    Args:
        config: The resolved configuration; ``logger`` has a key for each logger.
        fold_dir: ``fold_<k>`` of the run folder.
    """
    loggers: list[Logger] = [CSVLogger(fold_dir.parent, name=fold_dir.name, version="", flush_logs_every_n_steps=1000)]
    chosen = config["logger"]
    try:
        if "tensorboard" in chosen:
            loggers.append(TensorBoardLogger(fold_dir, name="tensorboard", version=""))
        if "wandb" in chosen:
            loggers.append(_open_wandb(config, fold_dir))
        yield loggers
    finally:
        if "wandb" in chosen:
            _close_wandb()


def _open_wandb(config: Mapping[str, Any], fold_dir: Path) -> WandbLogger:
    # Lightning would write into whatever W&B run is open in this process.
    _close_wandb()
    run_name = fold_dir.parent.name
    return WandbLogger(
        project=config["logger"]["wandb"]["project"],
        name=f"{config['name']}-{run_name}-{fold_dir.name}",
        group=f"{config['name']}-{run_name}",
        job_type=fold_dir.name,
        save_dir=fold_dir,
        mode=config["logger"]["wandb"]["mode"],
        config=dict(config),
    )


def _close_wandb() -> None:
    import wandb

    if wandb.run is not None:
        wandb.finish()

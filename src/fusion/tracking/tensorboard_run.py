"""TensorBoard: files beside the fold's own, and of the whole run at the top of the run folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger

from fusion.tracking.tracked import Tracked
from fusion.tracking.tracker import Picture, Tracker, Wishes

_FOLDER = "tensorboard"


@contextmanager
def open_tensorboard(tracked: Tracked, settings: Mapping[str, Any]) -> Iterator[Tracker]:
    """TensorBoard files, closed at the end of the block.

    Args:
        tracked: What they are of.
        settings: Of ``conf/logger/tensorboard.yaml``.
    """
    # TensorBoard would draw what an interruption left into the same curves.
    shutil.rmtree(tracked.out_dir / _FOLDER, ignore_errors=True)
    logger = TensorBoardLogger(tracked.out_dir, name=_FOLDER, version="", default_hp_metric=False)
    try:
        run = _TensorBoardRun(logger, Wishes.from_config(settings, holds_files=False))
        run.log_settings("config", tracked.config)
        # What its table of hyperparameters shows.
        logger.hparams.update(tracked.config)
        yield run
    finally:
        logger.experiment.close()


class _TensorBoardRun:
    """See ``Tracker``."""

    is_continued = False

    def __init__(self, logger: TensorBoardLogger, wishes: Wishes) -> None:
        self.logger, self.wishes = logger, wishes

    def log_settings(self, name: str, settings: Mapping[str, Any]) -> None:
        import yaml

        text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
        self.logger.experiment.add_text(name, f"```\n{text}```")

    def log_numbers(self, numbers: Mapping[str, float]) -> None:
        self.logger.log_hyperparams(self.logger.hparams, dict(numbers))

    def log_picture(self, name: str, picture: Picture, *, epoch: int | None) -> None:
        self.logger.experiment.add_image(name, picture, global_step=epoch, dataformats="HWC")

    def log_table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        lines = [header, ["---"] * len(header), *rows]
        text = "\n".join("|".join(str(cell).replace("|", "\\|") for cell in line) for line in lines)
        self.logger.experiment.add_text(name, text)

    def log_file(self, path: Path, *, name: str, kind: str) -> None:
        raise NotImplementedError("TensorBoard holds no files")

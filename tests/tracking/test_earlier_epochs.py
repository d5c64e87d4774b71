import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger

from fusion.tracking.earlier_epochs import EarlierEpochs

Rows = list[dict[str, str]]


def log(logger: Any, epoch: int) -> None:
    """As Lightning does: a row of the validation, and one of the training."""
    logger.log_metrics({"validation/loss": 0.5 / (epoch + 1), "epoch": epoch}, step=4 * epoch + 3)
    logger.log_metrics({"train/loss": 1 / 3 / (epoch + 1), "epoch": epoch}, step=4 * epoch + 3)
    logger.save()


def table_of(folder: Path) -> CSVLogger:
    return CSVLogger(folder.parent, name=folder.name, version="")


def read(folder: Path) -> Rows:
    with (folder / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def fold_dir(tmp_path: Path) -> Path:
    """With figures of three epochs."""
    logger = table_of(tmp_path / "fold_0")
    for epoch in range(3):
        log(logger, epoch)
    return tmp_path / "fold_0"


@pytest.mark.filterwarnings("ignore:Experiment logs directory")
@pytest.mark.parametrize(("begins", "kept"), [(0, 0), (2, 2)])
def test_a_fit_that_goes_on_keeps_the_epochs_before_and_tells_other_loggers(
    fold_dir: Path, tmp_path: Path, begins: int, kept: int
) -> None:
    before = read(fold_dir)
    table, other = table_of(fold_dir), table_of(tmp_path / "other")
    earlier = EarlierEpochs(fold_dir / "metrics.csv", table=table, others=[other])
    earlier.on_train_start(SimpleNamespace(current_epoch=begins), SimpleNamespace())  # type: ignore[arg-type]
    for logger in (table, other):
        log(logger, begins)
    earlier.finish()
    assert read(fold_dir) == before[: 2 * kept] + before[2 * begins : 2 * begins + 2]
    assert read(tmp_path / "other") == read(fold_dir)


def test_a_fit_that_is_not_done_again_leaves_its_table_and_tells_other_loggers(fold_dir: Path, tmp_path: Path) -> None:
    before = (fold_dir / "metrics.csv").read_bytes()
    earlier = EarlierEpochs(fold_dir / "metrics.csv", table=table_of(fold_dir), others=[table_of(tmp_path / "other")])
    earlier.finish()
    assert (fold_dir / "metrics.csv").read_bytes() == before
    assert read(tmp_path / "other") == read(fold_dir)


def test_a_row_that_a_kill_cut_off_is_left_out(fold_dir: Path, tmp_path: Path) -> None:
    path = fold_dir / "metrics.csv"
    path.write_text(path.read_text() + "3")
    EarlierEpochs(path, table=table_of(fold_dir), others=[table_of(tmp_path / "other")]).finish()
    assert [row["epoch"] for row in read(tmp_path / "other")] == ["0", "0", "1", "1", "2", "2"]

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusion.training.loggers import open_loggers


def read_metrics(fold_dir: Path) -> list[dict[str, str]]:
    with (fold_dir / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_csv_holds_the_losses_and_scores_of_every_epoch(
    data: Any, config: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    with open_loggers(config(), fold_dir=tmp_path / "fold_0") as loggers:
        data.fit(loggers=loggers, trainer__max_epochs=3)
    rows = read_metrics(tmp_path / "fold_0")
    for name in (
        "train/loss",
        "train/loss_image",
        "train/loss_radiomics",
        "train/loss_clinical",
        "validation/loss",
        "validation/auc",
        "radiomics/features",
    ):
        epochs = [int(row["epoch"]) for row in rows if row[name]]
        assert epochs == [0, 1, 2], name
        assert all(float(row[name]) >= 0 for row in rows if row[name])


def test_a_fold_that_is_fitted_again_replaces_its_metrics(
    data: Any, config: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """As a run that is resumed does, in the folder that the interruption left."""
    for n_epochs in (2, 1):
        with open_loggers(config(), fold_dir=tmp_path / "fold_0") as loggers:
            data.fit(loggers=loggers, trainer__max_epochs=n_epochs)
    assert {row["epoch"] for row in read_metrics(tmp_path / "fold_0")} == {"0"}


def test_tensorboard_holds_the_same_beside_it(data: Any, config: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

    with open_loggers(config({"logger": {"tensorboard": {}}}), fold_dir=tmp_path / "fold_0") as loggers:
        data.fit(loggers=loggers, trainer__max_epochs=2)
    events = EventAccumulator(str(tmp_path / "fold_0/tensorboard")).Reload()
    losses = [event.value for event in events.Scalars("validation/loss")]
    written = [float(row["validation/loss"]) for row in read_metrics(tmp_path / "fold_0") if row["validation/loss"]]
    assert losses == pytest.approx(written, rel=1e-5)
    assert len(losses) == 2


# In a process of its own: W&B keeps threads and a service beside the process that used it. A connection to anywhere
# but this machine fails, and the values are read back from the file that `wandb sync` would send.
WANDB = """
import json, os, socket, sys, time
from pathlib import Path

from google.protobuf.message import DecodeError

connect = socket.socket.connect
def local_only(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        print("NETWORK", address)
        raise OSError("no network")
    return connect(self, address)
socket.socket.connect = local_only

from fusion.training.loggers import open_loggers

fold_dir = Path(sys.argv[1]) / "fold_0"
config = {"name": "numbers", "logger": {"wandb": {"project": "fusion", "mode": "offline"}}}
try:
    with open_loggers(config, fold_dir=fold_dir) as loggers:
        _, wandb_logger = loggers
        wandb_logger.log_metrics({"validation/loss": 0.25}, step=1)
        wandb_logger.log_metrics({"validation/loss": 0.125}, step=2)
        import wandb
        assert wandb.run is not None
        raise RuntimeError("the fit failed")
except RuntimeError as error:
    assert str(error) == "the fit failed"
assert wandb.run is None, "the run is still open"

from wandb.proto import wandb_internal_pb2

def read(path):  # A header of 7 bytes, then LevelDB's log format: blocks of 32 KiB, a record in one or more pieces.
    content, position, record = path.read_bytes(), 7, b""
    while position + 7 <= len(content):
        if (left := 32768 - position % 32768) < 7:
            position += left
            continue
        length, kind = int.from_bytes(content[position + 4 : position + 6], "little"), content[position + 6]
        record += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield record
            record = b""

def parse(path):
    losses, names, ended = [], [], False
    for content in read(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        kind = record.WhichOneof("record_type")
        ended = ended or kind == "exit"
        if kind == "run":
            names.append((record.run.display_name, record.run.run_group, record.run.job_type, record.run.project))
        if kind == "history":
            items = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            losses += [items["validation/loss"]] if "validation/loss" in items else []
    return losses, names, ended

# W&B's service writes the file, and may do so a little after the run is closed.
(path,) = fold_dir.glob("wandb/offline-run-*/run-*.wandb")
for _ in range(100):
    try:
        losses, names, ended = parse(path)
    except DecodeError:
        ended = False
    if ended:
        break
    time.sleep(0.2)
else:
    raise SystemExit(f"the file has no end after 20 s: {path.stat().st_size} bytes")
print("LOSSES", losses)
print("RUN", names[0])
"""


def test_wandb_keeps_the_run_on_this_machine_and_closes_it_when_the_fit_fails(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WANDB, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=300,
        env=home,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "LOSSES [0.25, 0.125]" in done.stdout
    assert "RUN ('numbers-run-fold_0', 'numbers-run', 'fold_0', 'fusion')" in done.stdout
    assert "NETWORK" not in done.stdout
    left = [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if "wandb" in (text := _read(path)) and str(tmp_path) in text + _read(path.with_name("environ"))
    ]
    assert not left


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # The process has ended, or is another's.
        return ""

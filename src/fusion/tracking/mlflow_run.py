"""MLflow: on a server, or in files of the run folder."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import MLFlowLogger

from fusion.errors import Pruned
from fusion.runs.folder import RunFolder
from fusion.tracking.environment import environment
from fusion.tracking.tracked import Tracked
from fusion.tracking.tracker import Picture, Tracker, Wishes

_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # MLflow would rather have a database; a run folder is files.
    "MLFLOW_ALLOW_FILE_STORE": "true",
    # A run that is open in this process, and where it is, are another's.
    "MLFLOW_RUN_ID": None,
    "MLFLOW_TRACKING_URI": None,
}
_IDENTIFIER = "fusion.id"


def store_uri(run_dir: Path) -> str:
    """Of the files of a run folder."""
    return (run_dir.resolve() / "mlruns").as_uri()


@contextmanager
def open_mlflow(tracked: Tracked, settings: Mapping[str, Any]) -> Iterator[Tracker]:
    """An MLflow run, closed at the end of the block, as failed where the block failed.

    Args:
        tracked: What the run is of.
        settings: Of ``conf/logger/mlflow.yaml``.
    """
    uri = settings["tracking_uri"] or store_uri(tracked.run_dir)
    tags = {_IDENTIFIER: tracked.identifier(), "group": tracked.group, "job_type": tracked.part}
    with environment(_VARIABLES):
        import mlflow

        former = mlflow.get_tracking_uri()
        with RunFolder(tracked.run_dir).lock("mlflow"):
            _prepare(uri, settings["experiment"], tags)
        logger = MLFlowLogger(settings["experiment"], run_name=tracked.name, tracking_uri=uri, tags=tags)
        try:
            run = _MlflowRun(logger, Wishes.from_config(settings, holds_files=True))
            logger.log_hyperparams(dict(tracked.config))
            run.log_settings("config", tracked.config)
            yield run
        except BaseException as error:
            # A search that gives a run up has not failed.
            logger.finalize("success" if isinstance(error, Pruned) else "failed")
            raise
        else:
            logger.finalize("success")
        finally:
            mlflow.set_tracking_uri(former)


def _prepare(uri: str, experiment: str, tags: Mapping[str, str]) -> None:
    """Make the experiment, and remove what an interruption left of this very run."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    known = client.get_experiment_by_name(experiment)
    if known is None:
        client.create_experiment(experiment)
        return
    for dead in client.search_runs([known.experiment_id], f"tags.`{_IDENTIFIER}` = '{tags[_IDENTIFIER]}'"):
        client.delete_run(dead.info.run_id)


class _MlflowRun:
    """See ``Tracker``."""

    is_continued = False

    def __init__(self, logger: MLFlowLogger, wishes: Wishes) -> None:
        self.logger, self.wishes = logger, wishes

    def log_settings(self, name: str, settings: Mapping[str, Any]) -> None:
        self.logger.experiment.log_dict(self.logger.run_id, dict(settings), f"{name}.yaml")

    def log_numbers(self, numbers: Mapping[str, float]) -> None:
        self.logger.log_metrics(dict(numbers))

    def log_picture(self, name: str, picture: Picture, *, epoch: int | None) -> None:
        file = f"{name}.png" if epoch is None else f"{name}_epoch_{epoch:04}.png"
        self.logger.experiment.log_image(self.logger.run_id, picture, file)

    def log_table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        self.logger.experiment.log_text(self.logger.run_id, text.getvalue(), f"{name}.csv")

    def log_file(self, path: Path, *, name: str, kind: str) -> None:  # noqa: ARG002
        self.logger.experiment.log_artifact(self.logger.run_id, str(path), kind)

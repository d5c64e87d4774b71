"""What a fold's fit, and what came of it, is logged to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import CSVLogger, Logger
from torch import Tensor

from fusion.comparison.inner import inner_auc
from fusion.evaluation.evaluate import of_part
from fusion.evaluation.pooling import pool_cases
from fusion.evaluation.settings import Settings
from fusion.records import Fold, Predictions
from fusion.runs.pseudonyms import Naming
from fusion.tracking.callbacks import InnerFigures, LearningRates, Throughput
from fusion.tracking.earlier_epochs import EarlierEpochs
from fusion.tracking.inner_rows import InnerRows
from fusion.tracking.pictures import inner_pictures
from fusion.tracking.tracked import Tracked
from fusion.tracking.tracker import Picture, Tracker
from fusion.tracking.trackers import open_trackers
from fusion.training.model import Model, Table
from fusion.training.tuning import TunedFit, trial_rows

# Where the positive label is called before a threshold was chosen.
_MIDDLE = 0.5
# What a classical model's own cross-validation chose, as ``fold.json`` has it.
_CHOSEN = ("classifier", "weights", "inputs")


@contextmanager
def track_fold(
    config: Mapping[str, Any], *, fold_dir: Path, sweep: str | None, label_names: Sequence[str]
) -> Iterator[Tracking]:
    """Open the loggers of a fold; they are closed at the end of the block, as failed where it failed.

    Args:
        config: The resolved configuration.
        fold_dir: ``fold_<k>`` of the run folder.
        sweep: Name of the sweep that the run belongs to; None where there is none.
        label_names: Of the cohort.
    """
    tracked = Tracked(run_dir=fold_dir.parent, part=fold_dir.name, config=config, sweep=sweep)
    with open_trackers(tracked) as trackers:
        yield Tracking(tracked, trackers, label_names=label_names)


class Tracking:
    """The open loggers of a fold.

    Attributes:
        loggers: Of Lightning, for the fold's own fit; CSV is always one of them.
        callbacks: For the same fit.
    """

    def __init__(self, tracked: Tracked, trackers: Sequence[Tracker], *, label_names: Sequence[str]) -> None:
        self._tracked, self._trackers, self._label_names = tracked, trackers, tuple(label_names)
        self._settings = Settings.from_config(tracked.config["evaluation"], seed=tracked.config["seed"])
        # Nothing is read of ids before a table of them is logged, but a secret that cannot be had is told at once.
        self._naming = [tracker.wishes.naming() for tracker in trackers]
        table = CSVLogger(tracked.run_dir, name=tracked.part, version="")
        fresh = [tracker.logger for tracker in trackers if not tracker.is_continued]
        self._earlier = EarlierEpochs(tracked.out_dir / "metrics.csv", table=table, others=fresh)
        self.loggers: list[Logger] = [table, *(tracker.logger for tracker in trackers)]
        shown = InnerFigures(show=self._show)
        self.callbacks: list[L.Callback] = [self._earlier, LearningRates(), Throughput(), shown]

    def finish(self, tuned: TunedFit, *, fold: Fold, checkpoint: Path) -> None:
        """Log what came of the fold.

        Args:
            tuned: Its fit, calibrated and with thresholds.
            fold: The division.
            checkpoint: The saved model.
        """
        self._earlier.finish()
        # Where nobody looks, nothing is drawn.
        if not self._trackers:
            return
        inner = of_part(pool_cases(tuned.inner), "validation")
        threshold = tuned.fit.model.threshold
        pictures = self._draw(inner, threshold=_MIDDLE if threshold is None else threshold)
        numbers = _numbers(tuned.fit.model) | self._inner_auc(inner)
        predictions = Predictions.concatenate([tuned.inner, of_part(tuned.fit.predictions, "test")])
        for tracker, naming in zip(self._trackers, self._naming, strict=True):
            tracker.log_settings("chosen", _chosen(tuned))
            tracker.log_numbers(numbers)
            for name, picture in pictures.items():
                tracker.log_picture(f"fold/{name}", picture, epoch=None)
            tracker.log_table("predictions", *_prediction_table(predictions, naming))
            if tuned.trials:
                tracker.log_table("tuning", *trial_rows(fold.number, tuned.trials))
            if tracker.wishes.takes_checkpoint:
                tracker.log_file(checkpoint, name=f"{self._tracked.part}-model", kind="model")

    def _show(self, rows: InnerRows, class_weights: Tensor, epoch: int) -> None:
        """Pictures after an epoch, for the trackers that want them then; a row is an image."""
        due = [tracker for tracker in self._trackers if _is_due(tracker.wishes.figures_every, epoch)]
        if due:
            pictures = self._draw(self._predictions(rows, class_weights), threshold=_MIDDLE)
            for tracker in due:
                for name, picture in pictures.items():
                    tracker.log_picture(f"validation/{name}", picture, epoch=epoch)

    def _predictions(self, rows: InnerRows, class_weights: Tensor) -> Predictions:
        labels = tuple(self._label_names[label] for label in rows.labels.tolist())
        return Predictions(
            model=self._tracked.config["model"]["name"],
            label_names=self._label_names,
            patient_ids=tuple(str(row) for row in range(len(labels))),
            centers=("",) * len(labels),
            parts=("validation",) * len(labels),
            folds=(0,) * len(labels),
            labels=labels,
            probabilities=rows.probabilities(class_weights),
        )

    def _draw(self, inner: Predictions, *, threshold: float) -> dict[str, Picture]:
        return inner_pictures(inner, threshold=threshold, settings=self._settings)

    def _inner_auc(self, inner: Predictions) -> dict[str, float]:
        found = inner_auc(inner, self._tracked.config, level=self._settings.level)
        return {} if found is None else {"inner_auc": found.auc}


def _is_due(every: int | None, epoch: int) -> bool:
    return every is not None and (epoch + 1) % every == 0


def _numbers(model: Model) -> dict[str, float]:
    """How many features the model has looked at, by block or branch, and how many of radiomics it kept."""
    facts = model.facts()
    looked_at = {f"features/looked_at_{name}": float(n) for name, n in facts["candidates"].items()}
    return looked_at | {"features/radiomics_kept": float(facts["radiomics_features"])}


def _chosen(tuned: TunedFit) -> dict[str, Any]:
    """What was chosen within the training part: by ``split.grid``, and by a classical model itself."""
    facts = tuned.fit.model.facts()
    own = {name: facts[name] for name in _CHOSEN if facts.get(name)}
    return {"grid": dict(tuned.setting), "thresholds": dict(tuned.fit.model.thresholds), **own}


def _prediction_table(predictions: Predictions, naming: Naming) -> Table:
    """A row a case, as ``predictions_cases.csv`` has it, but for the ids."""
    assert predictions.case_ids is not None
    header = ("case_id", "patient_id", "center", "fold", "part", "label")
    columns = (
        [naming("case", case_id) for case_id in predictions.case_ids],
        [naming("patient", patient_id) for patient_id in predictions.patient_ids],
        predictions.centers,
        predictions.folds,
        predictions.parts,
        predictions.labels,
        *predictions.probabilities.T.tolist(),
    )
    return (*header, *(f"prob_{name}" for name in predictions.label_names)), list(zip(*columns, strict=True))

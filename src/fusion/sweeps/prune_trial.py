"""The Lightning callback that reports a fit's epochs to an Optuna study."""

from __future__ import annotations

import lightning as L

from fusion.sweeps.pruning import ReportingTrial


class PruneTrial(L.Callback):
    """Reports the inner AUC of every epoch, and ends a fit that promises too little.

    It uses no collective; of several ranks only the first has it.
    """

    def __init__(self, trial: ReportingTrial) -> None:
        self._trial = trial

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Report it.

        Raises:
            Pruned: If it promises too little.
        """
        self._trial.report_epoch(trainer.current_epoch, float(trainer.callback_metrics["validation/auc"]))

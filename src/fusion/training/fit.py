"""Fit the network and its preprocessing on one fold. Nothing here sees the fold's test patients."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray

from fusion.calibration.identity import Identity
from fusion.imaging.store import Crops
from fusion.records import Cohort, FeatureTable, Fold
from fusion.tabular.clinical import ClinicalEncoder
from fusion.tabular.radiomics import RadiomicsScaler
from fusion.training.background import Background
from fusion.training.callbacks import BestWeights, FitProgress
from fusion.training.devices import resolve_precision
from fusion.training.fitted import FittedModel, network_for, require_a_branch
from fusion.training.inputs import Inputs, assemble_inputs, make_loader
from fusion.training.module import FusionModule
from fusion.training.penalty import penalty_strength, starting_gates


def fit_fold(
    cohort: Cohort,
    *,
    fold: Fold,
    crops: Crops,
    features: FeatureTable,
    stable: Collection[str] | None,
    config: Mapping[str, Any],
    loggers: Iterable[Logger],
    title: str,
) -> FittedModel:
    """Fit on ``fold.train``, stop on ``fold.validation``; ``fold.test`` is never touched.

    Args:
        cohort: With a label for every case.
        fold: The division.
        crops, features: Of the whole cohort; only rows of the two parts are read.
        stable: Names of the radiomics features that may be used, measured on ``fold.train``; None is all.
        config: The resolved configuration.
        loggers: Of Lightning.
        title: Of the progress line.

    Returns:
        The model of the best epoch, without calibration and thresholds yet.

    Raises:
        FusionError: If the configured device is not there, weights cannot be had, or a patient has no branch.
    """
    L.seed_everything(config["seed"] + fold.number, verbose=False)
    train_cases = [case for case in cohort.cases if case.patient_id in fold.train]
    encoder = ClinicalEncoder.fit(cohort.clinical_columns, train_cases, clip=config["tabular"]["clip"])
    scaler = RadiomicsScaler.fit(
        features,
        train_cases,
        stable=stable,
        columns=cohort.clinical_columns,
        harmonization=config["harmonization"],
        **config["tabular"],
    )
    train, validation = (
        assemble_inputs(
            [case for case in cohort.cases if case.patient_id in part],
            crops=crops,
            features=features,
            encoder=encoder,
            scaler=scaler,
            label_names=cohort.label_names,
        )
        for part in (fold.train, fold.validation)
    )
    settings = {group: config[group] for group in ("model", "backbone", "head", "imaging", "radiomics")}
    network = network_for(settings, encoder, scaler, len(cohort.label_names), pretrained=True)
    for part in (train, validation):
        require_a_branch(part, network.names)

    class_weights, prior_shift = _balance(train, len(cohort.label_names))
    weights = patient_weights(train)
    n_batches = math.ceil(len(train) / config["trainer"]["batch_size"])
    strength = penalty_strength(config["l1"])
    if "radiomics" in network.names:
        gates = network.branches["radiomics"].get_parameter("gates")
        gates.data.copy_(_starting_gates(train, weights, class_weights, strength))
    module = FusionModule(
        network=network,
        class_weights=torch.from_numpy(class_weights),
        penalty=strength,
        channels=config["imaging"]["channels"],
        branch_loss=config["model"]["branch_loss"],
        label_smoothing=config["model"]["label_smoothing"],
        optimizer=config["optimizer"],
        augmentation=config["trainer"]["augmentation"],
        n_steps=n_batches * config["trainer"]["max_epochs"],
        freeze_epochs=config["trainer"]["freeze_epochs"],
    )
    _run_trainer(module, train, validation, weights, title=title, trainer=config["trainer"], loggers=loggers)
    return FittedModel(
        network=module.network.cpu().eval(),
        settings=settings,
        encoder=encoder,
        scaler=scaler,
        background=Background.of(train, network.names),
        label_names=cohort.label_names,
        prior_shift=prior_shift,
        calibrator=Identity(),
        thresholds={},
        threshold=None,
        fold=fold.number,
    )


def patient_weights(inputs: Inputs) -> NDArray[np.float32]:
    """(N,) so that every patient counts the same, however many images; mean 1."""
    patients = [case.patient_id for case in inputs.cases]
    _, inverse, counts = np.unique(patients, return_inverse=True, return_counts=True)
    weights = 1.0 / counts[inverse]
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def _balance(train: Inputs, n_labels: int) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """Weights that make the labels count the same, by training patients, and the logit shift that undoes them."""
    by_patient = {case.patient_id: label for case, label in zip(train.cases, train.labels.tolist(), strict=True)}
    share = np.bincount(list(by_patient.values()), minlength=n_labels) / len(by_patient)
    return (1 / (n_labels * share)).astype(np.float32), tuple(np.log(n_labels * share).tolist())


def _starting_gates(
    train: Inputs, weights: NDArray[np.float32], class_weights: NDArray[np.float32], strength: float
) -> torch.Tensor:
    known = train.present_in(("radiomics",))[:, 0]
    labels = train.labels[known]
    return starting_gates(
        torch.from_numpy(train.radiomics[known]),
        torch.from_numpy(labels),
        torch.from_numpy(weights[known] * class_weights[labels]),
        n_labels=len(class_weights),
        strength=strength,
    )


def _run_trainer(
    module: FusionModule,
    train: Inputs,
    validation: Inputs,
    weights: NDArray[np.float32],
    *,
    title: str,
    trainer: Mapping[str, Any],
    loggers: Iterable[Logger],
) -> None:
    best = BestWeights()
    stopping = EarlyStopping("validation/loss", patience=trainer["patience"], check_on_train_epoch_end=False)
    batch_size = trainer["batch_size"]
    with _quiet_lightning():
        runner = L.Trainer(
            max_epochs=trainer["max_epochs"],
            accelerator=trainer["accelerator"],
            devices=trainer["devices"],
            precision=resolve_precision(trainer["precision"], trainer["accelerator"]),
            gradient_clip_val=trainer["gradient_clip"],
            callbacks=[best, stopping, FitProgress(title=title)],
            logger=list(loggers),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        runner.fit(
            module,
            make_loader(train, weights=weights, batch_size=batch_size, shuffle=True),
            make_loader(validation, weights=patient_weights(validation), batch_size=batch_size, shuffle=False),
        )
    best.restore(module.network)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice to itself: it is about choices that are made here on purpose."""
    import logging

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
            # Lightning's own use of torch, which only Lightning can change.
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)

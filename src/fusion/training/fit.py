"""Fit the network and its preprocessing on one fold. Nothing here sees the fold's test patients."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray

from fusion.calibration.identity import Identity
from fusion.errors import FusionError
from fusion.imaging.store import Crops
from fusion.models.network import FusionNet
from fusion.records import Cohort, FeatureTable, Fold
from fusion.tabular.clinical import ClinicalEncoder
from fusion.tabular.radiomics import RadiomicsScaler
from fusion.training.background import Background
from fusion.training.callbacks import BestWeights, FitProgress
from fusion.training.course import run_course
from fusion.training.crew import Crew, current_crew
from fusion.training.devices import resolve_precision, scoring_device
from fusion.training.fitted import FittedModel, architecture, network_for, require_a_branch
from fusion.training.inputs import Inputs, assemble_inputs
from fusion.training.penalty import penalty_strength, starting_gates
from fusion.training.progress import Progress, ProgressIO, random_state, set_random_state
from fusion.training.rank import ALONE
from fusion.training.ranks import n_ranks
from fusion.training.rates import scale_rates
from fusion.training.task import FitTask


def fit_fold(
    cohort: Cohort,
    *,
    fold: Fold,
    crops: Crops,
    features: FeatureTable,
    stable: Collection[str] | None,
    config: Mapping[str, Any],
    loggers: Sequence[Logger],
    callbacks: Sequence[L.Callback],
    progress: Path | None,
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
        callbacks: Of Lightning. Where ranks share the fit, they and the loggers are asked on rank 0 alone, and must not
            wait for others; their state, if they have any, is of plain containers and tensors.
        progress: Folder where the fit leaves a checkpoint after every epoch, and in the end its weights: asked again
            with the same folder it goes on from there, and ends with the same weights. None leaves nothing.
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
    strength = penalty_strength(config["l1"])
    if "radiomics" in network.names:
        gates = network.branches["radiomics"].get_parameter("gates")
        gates.data.copy_(_starting_gates(train, weights, class_weights, strength))
    task = FitTask(
        architecture=architecture(settings, encoder, scaler, len(cohort.label_names)),
        train=train,
        weights=weights,
        validation=validation,
        validation_weights=patient_weights(validation),
        class_weights=class_weights,
        penalty=strength,
        loss={
            "channels": config["imaging"]["channels"],
            **{name: config["model"][name] for name in ("branch_loss", "label_smoothing")},
        },
        optimizer=scale_rates(config["optimizer"], trainer=config["trainer"]),
        trainer=_resolved(config["trainer"]),
    )
    kept = Progress.of(progress, task.key(network, pixels_key=crops.key)) if progress else None
    _fit(task, network, kept=kept, loggers=loggers, callbacks=callbacks, title=title)
    return FittedModel(
        # Fitted in double precision, it is kept in single precision like any other.
        network=network.cpu().float().eval(),
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


def share_fit(told: Mapping[str, Any], *, crew: Crew) -> None:
    """Lend this rank's device to a fit that rank 0 has told of."""
    task, more = FitTask.hear(told, crew=crew)
    io = ProgressIO(None, more["resumed"])
    resumes = more["resumed"] is not None
    run_course(
        task,
        task.build_network(),
        rank=crew.rank,
        loggers=(),
        callbacks=(),
        io=io,
        saves=more["saves"],
        resumes=resumes,
    )


def _fit(
    task: FitTask,
    network: FusionNet,
    *,
    kept: Progress | None,
    loggers: Sequence[Logger],
    callbacks: Sequence[L.Callback],
    title: str,
) -> None:
    """Give the network the weights of the best epoch, with whatever ranks there are."""
    resumed, result = kept.read() if kept else (None, None)
    if result is not None:
        network.load_state_dict(result["weights"])
        set_random_state(result["random"])
        return
    best, crew = BestWeights(), _crew_for(task.trainer)
    if crew is not None:
        task.tell(crew, resumed=resumed, saves=kept is not None)
    run_course(
        task,
        network,
        rank=crew.rank if crew else ALONE,
        loggers=loggers,
        callbacks=[best, FitProgress(title=title), *callbacks],
        io=ProgressIO(kept, resumed),
        saves=kept is not None,
        resumes=resumed is not None,
    )
    best.restore(network)
    if kept is not None:
        kept.write_result({"weights": network.cpu().state_dict(), "random": random_state()})


def _crew_for(trainer: Mapping[str, Any]) -> Crew | None:
    crew = current_crew()
    count = crew.rank.count if crew else 1
    if count != n_ranks(trainer):
        raise FusionError(
            f"trainer.devices={trainer['devices']}, trainer.nodes={trainer['nodes']}: required as many processes, came "
            f"{count}; several devices are for train.py alone, and the same for all fits of a run"
        )
    return crew


def _resolved(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """With the precision, and for several devices the kind of device, that every rank has to use."""
    precision = resolve_precision(trainer["precision"], trainer["accelerator"])
    accelerator = scoring_device(trainer["accelerator"]) if n_ranks(trainer) > 1 else trainer["accelerator"]
    return {**trainer, "precision": precision, "accelerator": accelerator}

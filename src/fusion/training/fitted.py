"""A fitted model: the network with everything that was fitted beside it. One file holds it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.calibration.calibrator import Calibrator
from fusion.calibration.fit import calibrator_from_state
from fusion.errors import FusionError
from fusion.imaging.channels import N_CHANNELS, compose_channels
from fusion.imaging.store import Crops
from fusion.models.network import FusionNet, build_network
from fusion.records import UNLABELED, Case, FeatureTable, Fold, Predictions
from fusion.tabular.clinical import ClinicalEncoder, ColumnEncoder
from fusion.tabular.radiomics import RadiomicsScaler
from fusion.training.background import Background
from fusion.training.checkpoint import read_checkpoint, write_checkpoint
from fusion.training.devices import scoring_device
from fusion.training.inputs import Batch, Inputs, assemble_inputs, make_loader

KIND = "network"
# Bounds memory; no result depends on it.
_SCORING_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a fitted model says of N cases.

    Attributes:
        probabilities: (N, K) fused and calibrated.
        opinions: (N, n_branches, K) probabilities of each branch alone; NaN where it is absent.
        gates: (N, n_branches), 0 where a branch is absent; None for a head without gates.
    """

    probabilities: NDArray[np.float64]
    opinions: NDArray[np.float64]
    gates: NDArray[np.float64] | None


@dataclass(frozen=True, kw_only=True)
class FittedModel:
    """A network and its preprocessing, as one fold fitted them.

    Attributes:
        network: In evaluation mode.
        settings: The groups ``model``, ``backbone``, ``head``, ``imaging`` and ``radiomics`` that it was trained with.
        encoder, scaler: Fitted on the fold's training part.
        background: Some tabular rows of the training part, against which the tabular inputs are explained.
        label_names: (K,) the positive one last.
        prior_shift: (K,) added to the logits: undoes the class weights of the loss, so that probabilities are of the
            training part's prevalence (Elkan, IJCAI 2001, theorem 2).
        calibrator: Of the probabilities, fitted on out-of-fold predictions of the training part, as were
        thresholds: of the positive label's calibrated probability by operating point, and
        threshold: that of the primary one; none with more than two labels, or until they are chosen.
        fold: Number of the fold.
    """

    network: FusionNet
    settings: Mapping[str, Any]
    encoder: ClinicalEncoder
    scaler: RadiomicsScaler
    background: Background
    label_names: tuple[str, ...]
    prior_shift: tuple[float, ...]
    calibrator: Calibrator
    thresholds: Mapping[str, float]
    threshold: float | None
    fold: int

    def with_calibrator(self, calibrator: Calibrator) -> Self:
        """The same model with its calibration frozen."""
        return replace(self, calibrator=calibrator)

    def with_thresholds(self, thresholds: Mapping[str, float], *, primary: str) -> Self:
        """The same model with its thresholds frozen."""
        return replace(self, thresholds=thresholds, threshold=thresholds.get(primary))

    def assemble(self, cases: Sequence[Case], *, crops: Crops, features: FeatureTable) -> Inputs:
        """The network's inputs of any cases, by the fitted preprocessing."""
        return assemble_inputs(
            cases,
            crops=crops,
            features=features,
            encoder=self.encoder,
            scaler=self.scaler,
            label_names=self.label_names,
        )

    @torch.no_grad()
    def score(self, inputs: Inputs, *, device: str) -> Scores:
        """Score cases in full precision, each with the branches it has.

        Args:
            inputs: N cases.
            device: Of torch, e.g. ``cpu``.

        Raises:
            FusionError: If a case has none of the network's branches.
        """
        require_a_branch(inputs, self.network.names)
        network = self.network.to(device).eval()
        weights = np.ones(len(inputs), dtype=np.float32)
        outputs = [
            network.fuse(*self.network_inputs(Batch(*(tensor.to(device) for tensor in batch))))
            for batch in make_loader(inputs, weights=weights, batch_size=_SCORING_BATCH, shuffle=False)
        ]
        opinions = self._shares(torch.cat([output.opinions for output in outputs]))
        gates = [output.gates for output in outputs if output.gates is not None]
        absent = ~inputs.present_in(self.network.names)
        return Scores(
            probabilities=self.probabilities(torch.cat([output.logits for output in outputs])),
            opinions=np.where(absent[:, :, None], np.nan, opinions),
            gates=torch.cat(gates).double().cpu().numpy() if gates else None,
        )

    def probabilities(self, logits: torch.Tensor) -> NDArray[np.float64]:
        """(N, K) fused logits of the network → (N, K) calibrated probabilities."""
        return self.calibrator.apply(self._shares(logits))

    def _shares(self, logits: torch.Tensor) -> NDArray[np.float64]:
        shift = torch.tensor(self.prior_shift, dtype=torch.float64)
        shares: NDArray[np.float64] = (logits.double().cpu() + shift).softmax(dim=-1).numpy()
        return shares

    def network_inputs(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Image, radiomics, clinical and presence, as ``FusionNet.forward`` takes them."""
        image = compose_channels(batch.crops.float() / 255, channels=self.settings["imaging"]["channels"])
        return image, batch.radiomics, batch.clinical, batch.present

    def score_cases(self, cases: Sequence[Case], *, crops: Crops, features: FeatureTable, accelerator: str) -> Scores:
        """Assemble and score any cases.

        Raises:
            FusionError: If a case has none of the network's branches.
        """
        inputs = self.assemble(cases, crops=crops, features=features)
        return self.score(inputs, device=scoring_device(accelerator))

    def presence(self, cases: Sequence[Case], *, crops: Crops, features: FeatureTable) -> dict[str, NDArray[np.bool_]]:
        """(N,) by branch that the network has, whether each case has it."""
        present = self.assemble(cases, crops=crops, features=features).present_in(self.network.names)
        return dict(zip(self.network.names, present.T, strict=True))

    @torch.no_grad()
    def image_rows(
        self, cases: Sequence[Case], *, crops: Crops, features: FeatureTable, accelerator: str
    ) -> dict[str, NDArray[np.float64]]:
        """The backbone's pooled output, and the standardized radiomics features, those with a closed gate included."""
        inputs, rows = self.assemble(cases, crops=crops, features=features), {}
        if "image" in self.network.names:
            device = scoring_device(accelerator)
            backbone = self.network.to(device).eval().branches["image"].backbone
            weights = np.ones(len(inputs), dtype=np.float32)
            batches = make_loader(inputs, weights=weights, batch_size=_SCORING_BATCH, shuffle=False)
            images = (self.network_inputs(Batch(*(tensor.to(device) for tensor in batch)))[0] for batch in batches)
            rows["image"] = torch.cat([backbone(image).double().cpu() for image in images]).numpy()  # type: ignore[operator]
        if "radiomics" in self.network.names:
            rows["radiomics"] = inputs.radiomics.astype(np.float64)
        has = {name: inputs.present_in([name]) for name in rows}
        return {name: np.where(has[name], values, np.nan) for name, values in rows.items()}

    @property
    def heard(self) -> tuple[str, ...]:
        """The network's branches: each has an opinion of its own."""
        return self.network.names

    @property
    def clinical_columns(self) -> tuple[ColumnEncoder, ...]:
        """Encodings of the clinical columns that it was fitted with; without the branch it looks at none."""
        return self.encoder.columns if "clinical" in self.network.names else ()

    def predictions(self, cases: Sequence[Case], scores: Scores, *, fold: Fold | None) -> Predictions:
        """Scores as case-level ``Predictions``; with no fold given, every case is in the test part."""
        return case_predictions(
            cases,
            scores,
            model=self.settings["model"]["name"],
            label_names=self.label_names,
            number=self.fold,
            fold=fold,
        )

    def facts(self) -> dict[str, Any]:
        """Plain facts of the fit."""
        candidates = {"radiomics": self.scaler.n_candidates, "clinical": len(self.encoder.inputs)}
        return {
            "candidates": {name: n for name, n in candidates.items() if name in self.network.names},
            "radiomics_features": len(self.feature_weights()),
            "radiomics_candidates": len(self.scaler.names),
            "clinical_inputs": len(self.encoder.inputs),
        }

    def tables(self) -> dict[str, Any]:
        """The network has none."""
        return {}

    def feature_weights(self) -> list[tuple[str, float]]:
        """The radiomics features that survived with their gates, the largest absolute gate first."""
        if "radiomics" not in self.network.names:
            return []
        gates = self.network.branches["radiomics"].gates.detach().cpu().tolist()  # type: ignore[operator]
        survivors = [(name, gate) for name, gate in zip(self.scaler.names, gates, strict=True) if gate != 0]
        return sorted(survivors, key=lambda survivor: -abs(survivor[1]))

    def save(self, path: Path, *, split_sha256: str) -> None:
        """Write plain containers and tensors, loadable with ``weights_only=True``.

        Args:
            path: Of the file.
            split_sha256: Of the split that it was fitted on.
        """
        content = {
            "state_dict": {name: tensor.cpu() for name, tensor in self.network.state_dict().items()},
            "settings": dict(self.settings),
            "encoder": self.encoder.state(),
            "scaler": self.scaler.state(),
            "background": self.background.state(),
            "label_names": list(self.label_names),
            "prior_shift": list(self.prior_shift),
            "calibrator": self.calibrator.state(),
            "thresholds": dict(self.thresholds),
            "threshold": self.threshold,
            "fold": self.fold,
        }
        write_checkpoint(path, content, kind=KIND, split_sha256=split_sha256)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a model that ``save`` wrote.

        Raises:
            FusionError: If the file is not such a model.
        """
        return cls.from_content(read_checkpoint(path))

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        """The model whose ``save`` wrote ``content``."""
        encoder = ClinicalEncoder.from_state(content["encoder"])
        scaler = RadiomicsScaler.from_state(content["scaler"])
        network = network_for(content["settings"], encoder, scaler, len(content["label_names"]), pretrained=False)
        network.load_state_dict(content["state_dict"])
        return cls(
            network=network.eval(),
            settings=content["settings"],
            encoder=encoder,
            scaler=scaler,
            background=Background.from_state(content.get("background")),
            label_names=tuple(content["label_names"]),
            prior_shift=tuple(content["prior_shift"]),
            calibrator=calibrator_from_state(content["calibrator"]),
            thresholds=content["thresholds"],
            threshold=content["threshold"],
            fold=content["fold"],
        )


def case_predictions(
    cases: Sequence[Case],
    scores: Scores,
    *,
    model: str,
    label_names: tuple[str, ...],
    number: int,
    fold: Fold | None,
) -> Predictions:
    """A fitted model's scores as case-level ``Predictions``.

    Args:
        cases: N of them.
        scores: Of the cases.
        model: Its name.
        label_names: The positive one last.
        number: Of the fold that the model was fitted on.
        fold: Says which part each case is in; None: every case is in the test part.
    """
    return Predictions(
        model=model,
        label_names=label_names,
        case_ids=tuple(case.case_id for case in cases),
        patient_ids=tuple(case.patient_id for case in cases),
        centers=tuple(case.center for case in cases),
        parts=tuple("test" if fold is None else str(fold.part_of(case.patient_id)) for case in cases),
        folds=(number,) * len(cases),
        labels=tuple(UNLABELED if case.label is None else case.label for case in cases),
        probabilities=scores.probabilities,
    )


def network_for(
    settings: Mapping[str, Any], encoder: ClinicalEncoder, scaler: RadiomicsScaler, n_labels: int, *, pretrained: bool
) -> FusionNet:
    """The network that fits the settings and the fitted preprocessing."""
    return build_network(**architecture(settings, encoder, scaler, n_labels), pretrained=pretrained)


def architecture(
    settings: Mapping[str, Any], encoder: ClinicalEncoder, scaler: RadiomicsScaler, n_labels: int
) -> dict[str, Any]:
    """Plain arguments of ``build_network``, but for ``pretrained``."""
    return {
        **{group: settings[group] for group in ("model", "backbone", "head")},
        "n_channels": N_CHANNELS[settings["imaging"]["channels"]],
        "n_px": settings["imaging"]["n_px"],
        "n_features": len(scaler.names),
        "clinical_groups": encoder.groups,
        "n_labels": n_labels,
    }


def require_a_branch(inputs: Inputs, branches: Sequence[str]) -> None:
    """Refuse cases that have none of the network's branches.

    Raises:
        FusionError: Naming them.
    """
    usable = np.any(inputs.present_in(branches), axis=1)
    bare = [case.case_id for case, has_one in zip(inputs.cases, usable.tolist(), strict=True) if not has_one]
    if bare:
        raise FusionError(
            f"required at least one of the branches {', '.join(branches)} for every case, came none for {len(bare)} "
            f"case(s): {', '.join(bare[:5])}; give them an image with a mask or a clinical row, or leave them out"
        )

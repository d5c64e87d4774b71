"""Deep features: the backbone fine-tuned alone on some patients, and its pooled layer as an embedding of any case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from numpy.typing import NDArray

from fusion.classical.kept import kept
from fusion.errors import FusionError
from fusion.imaging.channels import N_CHANNELS, compose_channels
from fusion.imaging.store import Crops
from fusion.models.backbones import Backbone
from fusion.models.branches import ImageBranch
from fusion.models.network import FusionNet, build_network
from fusion.records import Case, Cohort, FeatureTable, Fold
from fusion.splits.draw import draw_fraction, spread_order
from fusion.storage import content_key, file_digest
from fusion.training.devices import resolve_precision, scoring_device
from fusion.training.fit import fit_fold

# Count up when a change of this file, of `training` or of `models` changes what a fit gives: no old one is found then.
_RECIPE = 1
# Bounds memory; no result depends on it.
_BATCH = 64
_LIBRARIES = ("torch", "timm", "monai", "lightning")


@dataclass(frozen=True, kw_only=True)
class Embedder:
    """A backbone that was fine-tuned on the outcome, without its head.

    Attributes:
        settings: The groups ``model``, ``backbone``, ``head`` and ``imaging`` that it was trained with.
        network: With the image branch alone, in evaluation mode; None where it was not to be kept: then only known
            crops can be embedded.
        label_names: (K,) that it was trained to tell, the positive one last.
        known_key: Key of the crops whose embeddings are known; None where none are.
        known: (N, D) float32, of every row of those crops.
    """

    settings: Mapping[str, Any]
    network: FusionNet | None
    label_names: tuple[str, ...]
    known_key: str | None = field(repr=False)
    known: NDArray[np.float32] = field(repr=False)

    @property
    def d_out(self) -> int:
        """Width D of an embedding."""
        return int(self.known.shape[1])

    def embed(self, cases: Sequence[Case], *, crops: Crops, accelerator: str) -> NDArray[np.float64]:
        """The backbone's pooled output for each case, whatever the other cases are.

        Args:
            cases: N of them.
            crops: Made as the settings' ``imaging`` says.
            accelerator: Of ``conf/trainer``.

        Returns:
            (N, D); a row of NaN for a case without a crop.

        Raises:
            FusionError: If a GPU is asked for and there is none.
        """
        embeddings = np.full((len(cases), self.d_out), np.nan)
        has_crop = np.array([case.case_id in crops for case in cases], dtype=bool)
        rows = np.array([crops.index(case.case_id) for case in cases if case.case_id in crops], dtype=np.intp)
        if crops.key == self.known_key:
            embeddings[has_crop] = self.known[rows]
        else:
            assert self.network is not None, "a backbone that was not kept is asked for other crops"
            device = scoring_device(accelerator)
            embeddings[has_crop] = _pool(self.network, crops, rows, channels=self._channels, device=device)
        return embeddings

    def state(self) -> dict[str, Any]:
        """Plain containers and tensors for a checkpoint; known embeddings, which are of patients, are left out."""
        assert self.network is not None, "a backbone that was not kept is to be saved"
        return {
            "settings": dict(self.settings),
            "state_dict": _state_dict(self.network),
            "label_names": list(self.label_names),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The embedder that gave ``state``."""
        network = _load(state["settings"], state["state_dict"], len(state["label_names"]))
        return cls(
            settings=state["settings"],
            network=network,
            label_names=tuple(state["label_names"]),
            known_key=None,
            known=np.empty((0, _backbone(network).d_out), dtype=np.float32),
        )

    @property
    def _channels(self) -> str:
        channels: str = self.settings["imaging"]["channels"]
        return channels


def fit_embedder(
    cohort: Cohort,
    patients: frozenset[str],
    *,
    fold_number: int,
    crops: Crops,
    config: Mapping[str, Any],
    cache_dir: Path,
    keeps_network: bool,
    title: str,
) -> Embedder:
    """Fine-tune the backbone of ``backbone=`` on the patients, as the network is trained, with its image branch alone.

    A part of them is held out for early stopping. It depends on the patients, the seed and the fold's number only, and
    so does the fit: whoever asks for the same patients gets the same weights, kept from the first time on.

    Args:
        cohort: With a label for every case.
        patients: That may be learned from; those without a crop are left out. Nothing of the others is read, except
            that their crops are embedded along with the rest once the weights are fixed.
        fold_number: Of the fold whose training part they are of.
        crops: Of the whole cohort.
        config: The resolved configuration of the run, with ``deep.network``.
        cache_dir: Where fits are kept; several processes may use it at once.
        keeps_network: Whether other crops will have to be embedded, elsewhere. A fit that only serves the run's own
            patients, such as one for scores that are out of fold, leaves its embeddings and not its weights on disk.
        title: Of the progress line; there is none where the fit is found.

    Raises:
        FusionError: If a part lacks a label, the configured device is not there, or weights cannot be had.
        ValueError: If ``patients`` are all of the cohort's: a model is fitted to be judged on somebody.
    """
    fold = _divide(cohort, patients, fold_number=fold_number, crops=crops, config=config)
    learning = _learning_part(cohort, fold, crops)
    settings = _settings(config)

    def compute() -> dict[str, Any]:
        network = _fit(learning, fold, crops=crops, config={**config, **settings}, title=title)
        rows = np.arange(len(crops.case_ids))
        device = scoring_device(config["trainer"]["accelerator"])
        pooled = _pool(network, crops, rows, channels=settings["imaging"]["channels"], device=device)
        weights = {"state_dict": _state_dict(network)} if keeps_network else {}
        return {"embeddings": torch.from_numpy(pooled), **weights}

    # What comes after must not depend on whether the fit was found.
    with isolate_rng():
        key = _key(learning, fold, crops=crops, settings=settings, config=config)
        entry = kept(cache_dir, content_key([key, keeps_network]), compute=compute)
        network = _load(settings, entry["state_dict"], len(cohort.label_names)) if keeps_network else None
    return Embedder(
        settings=settings,
        network=network,
        label_names=cohort.label_names,
        known_key=crops.key,
        known=entry["embeddings"].numpy(),
    )


def _divide(
    cohort: Cohort, patients: frozenset[str], *, fold_number: int, crops: Crops, config: Mapping[str, Any]
) -> Fold:
    """The patients that have a crop, some of them held out for early stopping; all others are never touched."""
    usable = {case.patient_id for case in cohort.cases if case.patient_id in patients and case.case_id in crops}
    rng = np.random.default_rng([config["seed"], fold_number])
    fraction = config["split"]["validation_fraction"]
    validation = draw_fraction(spread_order(cohort, sorted(usable), rng), fraction, rng)
    train = frozenset(usable) - validation
    for part, members in (("fitting", train), ("early stopping", validation)):
        labels = {cohort.patients[patient_id][0].label for patient_id in members}
        lacking = [name for name in cohort.label_names if name not in labels]
        if lacking:
            raise FusionError(
                f"deep features of fold {fold_number}: required patients of every label, with an image and a mask, for "
                f"fitting the backbone and for its early stopping, came no {lacking} among the {len(members)} for "
                f"{part} ({len(usable)} of {len(patients)} training patients have an image and a mask); use fewer "
                "folds, a larger split.validation_fraction or a model without deep features"
            )
    others = frozenset(cohort.patients) - patients
    return Fold(number=fold_number, seed=config["seed"], train=train, validation=validation, test=others)


def _learning_part(cohort: Cohort, fold: Fold, crops: Crops) -> Cohort:
    """The cases that are learned from, without what the image branch does not see: no other can leak into the fit."""
    learning = fold.train | fold.validation
    cases = (case for case in cohort.cases if case.patient_id in learning and case.case_id in crops)
    return replace(cohort, cases=tuple(replace(case, clinical={}) for case in cases), clinical_columns=())


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The groups of the configuration that the network is built from."""
    model = {"name": "fusion", "branches": ["image"], **config["deep"]["network"]}
    return {"model": model, **{group: config[group] for group in ("backbone", "head", "imaging")}}


def _fit(cohort: Cohort, fold: Fold, *, crops: Crops, config: Mapping[str, Any], title: str) -> FusionNet:
    nothing = FeatureTable(case_ids=(), names=(), values=np.empty((0, 0)))
    return fit_fold(
        cohort,
        fold=fold,
        crops=crops,
        features=nothing,
        stable=None,
        config=config,
        loggers=(),
        callbacks=(),
        progress=None,
        title=title,
    ).network


def _key(cohort: Cohort, fold: Fold, *, crops: Crops, settings: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Of everything that the weights and the embeddings of all crops depend on."""
    trainer = dict(config["trainer"])
    accelerator = trainer.pop("accelerator")
    precision = resolve_precision(trainer.pop("precision"), accelerator)
    # The key of the crops is of the pixels, row by row; which case a row belongs to is said here.
    cases = [
        (case.case_id, case.patient_id, case.label, fold.part_of(case.patient_id), crops.index(case.case_id))
        for case in cohort.cases
    ]
    return content_key(
        {
            "recipe": _RECIPE,
            "crops": crops.key,
            "cases": cases,
            "label_names": cohort.label_names,
            "settings": {**settings, "backbone": _backbone_key(settings["backbone"])},
            "optimizer": config["optimizer"],
            "trainer": trainer,
            "seed": config["seed"],
            "fold": fold.number,
            "versions": {name: version(name) for name in _LIBRARIES},
            "device": scoring_device(accelerator),
            "precision": str(precision),
            # Sums are taken in another order with other threads.
            "threads": torch.get_num_threads(),
        }
    )


def _backbone_key(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """The backbone's settings, a file of weights by its content instead of its name."""
    weights = Path(str(backbone["weights"]))
    return {**backbone, "weights": file_digest(weights) if weights.is_file() else str(weights)}


def _build(settings: Mapping[str, Any], *, n_labels: int) -> FusionNet:
    return build_network(
        model=settings["model"],
        backbone=settings["backbone"],
        head=settings["head"],
        n_channels=N_CHANNELS[settings["imaging"]["channels"]],
        n_px=settings["imaging"]["n_px"],
        n_features=0,
        clinical_groups=(),
        n_labels=n_labels,
        pretrained=False,
    )


def _load(settings: Mapping[str, Any], state_dict: Mapping[str, Any], n_labels: int) -> FusionNet:
    network = _build(settings, n_labels=n_labels)
    network.load_state_dict(state_dict)
    return network.eval()


@torch.no_grad()
def _pool(
    network: FusionNet, crops: Crops, rows: NDArray[np.intp], *, channels: str, device: str
) -> NDArray[np.float32]:
    """(N, D) pooled output of the backbone for some rows of the crops, in full precision."""
    backbone = _backbone(network.to(device).eval())
    pooled = np.empty((len(rows), backbone.d_out), dtype=np.float32)
    for start in range(0, len(rows), _BATCH):
        batch = slice(start, start + _BATCH)
        pixels = torch.from_numpy(crops.array[rows[batch]]).to(device).float() / 255
        pooled[batch] = backbone(compose_channels(pixels, channels=channels)).float().cpu().numpy()
    return pooled


def _backbone(network: FusionNet) -> Backbone:
    branch = network.branches["image"]
    assert isinstance(branch, ImageBranch)
    return branch.backbone


def _state_dict(network: FusionNet) -> dict[str, Any]:
    return {name: tensor.cpu() for name, tensor in network.state_dict().items()}

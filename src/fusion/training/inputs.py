"""Cases, crops and features → aligned arrays and batches. Rows are joined by case id, never by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fusion.imaging.store import Crops
from fusion.models.branches import BRANCHES
from fusion.records import Case, FeatureTable
from fusion.tabular.clinical import ClinicalEncoder
from fusion.tabular.radiomics import RadiomicsScaler
from fusion.training.rank import ALONE, Rank

UNKNOWN = -1


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The network's inputs of N cases, without saying whose they are.

    Attributes:
        pixels: (M, 2, n_px, n_px) crops, image and mask, perhaps a memory map.
        crop_rows: (N,) row of each case in ``pixels``; -1 without one.
        radiomics: (N, F) standardized; zeros where there is none.
        clinical: (N, D) encoded.
        present: (N, 3) which branches the case has, in the order of ``BRANCHES``.
        labels: (N,) index into the label names; -1 where unknown.
    """

    pixels: NDArray[np.uint8]
    crop_rows: NDArray[np.int64]
    radiomics: NDArray[np.float32]
    clinical: NDArray[np.float32]
    present: NDArray[np.bool_]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def present_in(self, branches: Sequence[str]) -> NDArray[np.bool_]:
        """(N, n_branches) which of the named branches each case has."""
        return self.present[:, [BRANCHES.index(name) for name in branches]]


@dataclass(frozen=True, kw_only=True)
class Inputs(Columns):
    """The network's inputs of some cases.

    Attributes:
        cases: N of them.
    """

    cases: tuple[Case, ...]


def assemble_inputs(
    cases: Sequence[Case],
    *,
    crops: Crops,
    features: FeatureTable,
    encoder: ClinicalEncoder,
    scaler: RadiomicsScaler,
    label_names: Sequence[str],
) -> Inputs:
    """Align what is known of each case; what is not leaves its branch absent."""
    crop_rows = _rows(cases, crops.case_ids)
    feature_rows = _rows(cases, features.case_ids)
    radiomics = np.zeros((len(cases), len(scaler.names)), dtype=np.float32)
    known = [case for case, row in zip(cases, feature_rows.tolist(), strict=True) if row >= 0]
    # A table without rows has no names either.
    if scaler.names and known:
        radiomics[feature_rows >= 0] = scaler.transform(features, known)
    clinical, has_clinical = encoder.transform(cases)
    has_radiomics = (feature_rows >= 0) & bool(scaler.names)
    present = {"image": crop_rows >= 0, "radiomics": has_radiomics, "clinical": has_clinical}
    names = list(label_names)
    return Inputs(
        cases=tuple(cases),
        pixels=crops.array,
        crop_rows=crop_rows,
        radiomics=radiomics,
        clinical=clinical,
        present=np.stack([present[name] for name in BRANCHES], axis=1),
        labels=np.array([UNKNOWN if case.label is None else names.index(case.label) for case in cases], dtype=np.int64),
    )


def _rows(cases: Sequence[Case], case_ids: Sequence[str]) -> NDArray[np.int64]:
    position = {case_id: row for row, case_id in enumerate(case_ids)}
    return np.array([position.get(case.case_id, -1) for case in cases], dtype=np.int64)


class Batch(NamedTuple):
    """Inputs as the network takes them, but for the pixels: those are still crops.

    Attributes:
        rows: (B,) row of each case in ``Inputs``.
        crops: (B, 2, n_px, n_px) uint8, image and mask; where ranks share the batch, of the rank's own rows alone.
        radiomics, clinical, present, labels: As in ``Inputs``.
        weights: (B,) of each case in the loss.
    """

    rows: Tensor
    crops: Tensor
    radiomics: Tensor
    clinical: Tensor
    present: Tensor
    labels: Tensor
    weights: Tensor


class _Rows(Dataset[int]):
    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, row: int) -> int:
        return row


def make_loader(
    inputs: Columns, *, weights: NDArray[np.float32], batch_size: int, shuffle: bool, rank: Rank = ALONE
) -> DataLoader[Batch]:
    """Batches of the inputs. A batch is cut out of the memory-mapped crops at once, so no worker process is needed.

    Args:
        inputs: N cases.
        weights: (N,) of each case in the loss.
        batch_size: Cases a batch, over all ranks.
        shuffle: For training: random order; a rest of a single case is left out, since a batch norm cannot take it.
        rank: That the batches are for; every rank has the same ones, but for the crops.
    """

    def collate(rows: list[int]) -> Batch:
        index = np.array(rows)
        return Batch(
            rows=torch.from_numpy(index),
            crops=torch.from_numpy(_cut(inputs, index[rank.rows])),
            radiomics=torch.from_numpy(inputs.radiomics[index]),
            clinical=torch.from_numpy(inputs.clinical[index]),
            present=torch.from_numpy(inputs.present[index]),
            labels=torch.from_numpy(inputs.labels[index]),
            weights=torch.from_numpy(weights[index]),
        )

    drop_last = shuffle and len(inputs) % batch_size == 1 and len(inputs) > 1
    return DataLoader(
        _Rows(len(inputs)),  # type: ignore[arg-type]  # The collate function makes batches of rows.
        batch_size=batch_size,
        shuffle=shuffle,
        collate_fn=collate,
        drop_last=drop_last,
    )


def _cut(inputs: Columns, index: NDArray[np.int64]) -> NDArray[np.uint8]:
    rows = inputs.crop_rows[index]
    cut = np.zeros((len(rows), *inputs.pixels.shape[1:]), dtype=np.uint8)
    cut[rows >= 0] = inputs.pixels[rows[rows >= 0]]
    return cut

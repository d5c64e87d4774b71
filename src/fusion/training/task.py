"""One fit as every rank that shares it has to know it: plain settings and arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.models.network import FusionNet, build_network
from fusion.storage import array_digest, content_key
from fusion.training.crew import Crew
from fusion.training.inputs import Columns
from fusion.training.progress import random_state

# Count up when a change of `training` or of `models` makes a checkpoint unfit to go on from.
_RECIPE = 1


@dataclass(frozen=True, kw_only=True)
class FitTask:
    """What is fitted to what.

    Attributes:
        architecture: Arguments of ``build_network`` but for ``pretrained``.
        train, validation: What is learned from, and what chooses the epoch; both of the same ``pixels``.
        weights, validation_weights: (N,) of each case in the loss.
        class_weights: (K,) of each label in the loss.
        penalty: Strength of the L1 penalty on the radiomics gates.
        loss: ``channels``, ``branch_loss`` and ``label_smoothing`` of ``FusionModule``.
        optimizer: ``conf/optimizer``.
        trainer: ``conf/trainer``, with the accelerator and the precision that are used.
    """

    architecture: Mapping[str, Any]
    train: Columns
    weights: NDArray[np.float32]
    validation: Columns
    validation_weights: NDArray[np.float32]
    class_weights: NDArray[np.float32]
    penalty: float
    loss: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    trainer: Mapping[str, Any]

    def build_network(self) -> FusionNet:
        """The network, with random weights."""
        return build_network(**self.architecture, pretrained=False)

    @property
    def n_steps(self) -> int:
        """Of the whole fit."""
        n_batches: int = math.ceil(len(self.train) / self.trainer["batch_size"])
        return n_batches * int(self.trainer["max_epochs"])

    def key(self, network: FusionNet, *, pixels_key: str) -> str:
        """Content key of all that the fitted weights depend on.

        Args:
            network: As the fit begins with it.
            pixels_key: Content key of the pixels.
        """
        arrays = {
            **{name: getattr(self, name) for name in ("weights", "validation_weights", "class_weights")},
            **{f"train.{name}": array for name, array in _arrays(self.train).items()},
            **{f"validation.{name}": array for name, array in _arrays(self.validation).items()},
            **{f"network.{name}": tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()},
            **{f"random.{name}": tensor.numpy() for name, tensor in random_state().items()},
        }
        plain = {name: getattr(self, name) for name in ("architecture", "penalty", "loss", "optimizer", "trainer")}
        digests = {name: array_digest(array) for name, array in arrays.items()}
        return content_key({"recipe": _RECIPE, "pixels": pixels_key, "plain": plain, "arrays": digests})

    def tell(self, crew: Crew, **more: Any) -> None:
        """Send it from rank 0 to the others, who ``hear`` it, with plain content besides.

        The pixels are sent only where a rank does not see their file.
        """
        file = _file_of(self.train.pixels)
        arrays = {part: _tensors(_arrays(getattr(self, part))) for part in ("train", "validation")}
        others = _tensors({name: getattr(self, name) for name in _ARRAYS})
        plain = {name: getattr(self, name) for name in _PLAIN}
        shape = list(self.train.pixels.shape)
        crew.tell({"plain": plain, "others": others, **arrays, "file": str(file), "shape": shape, "more": more})
        if not crew.all_agree(file is not None):
            rows = self._pixel_rows()
            crew.tell({"pixels": torch.from_numpy(self.train.pixels[rows])})

    @classmethod
    def hear(cls, told: Mapping[str, Any], *, crew: Crew) -> tuple[Self, dict[str, Any]]:
        """What rank 0 has told, of which the beginning is ``told``."""
        pixels = _open(Path(told["file"]), tuple(told["shape"]))
        nothing = np.zeros((0, *told["shape"][1:]), dtype=np.uint8)
        parts: dict[str, Any] = {
            part: Columns(pixels=nothing if pixels is None else pixels, **_numpy(told[part]))
            for part in ("train", "validation")
        }
        task = cls(**told["plain"], **_numpy(told["others"]), **parts)
        if not crew.all_agree(pixels is not None):
            sent = crew.listen()
            assert sent is not None, "the pixels did not come"
            task = task._with_pixels(sent["pixels"].numpy())
        return task, told["more"]

    def _pixel_rows(self) -> NDArray[np.int64]:
        """Rows of the pixels that the fit reads."""
        rows = np.unique(np.concatenate([self.train.crop_rows, self.validation.crop_rows]))
        return rows[rows >= 0]

    def _with_pixels(self, pixels: NDArray[np.uint8]) -> Self:
        """The same on the ``_pixel_rows`` alone."""
        rows = self._pixel_rows()

        def move(part: Columns) -> Columns:
            known = part.crop_rows >= 0
            return replace(part, pixels=pixels, crop_rows=np.where(known, np.searchsorted(rows, part.crop_rows), -1))

        return replace(self, train=move(self.train), validation=move(self.validation))


_ARRAYS = ("weights", "validation_weights", "class_weights")
_PLAIN = ("architecture", "penalty", "loss", "optimizer", "trainer")


def _arrays(columns: Columns) -> dict[str, NDArray[Any]]:
    names = (field.name for field in fields(Columns) if field.name != "pixels")
    return {name: getattr(columns, name) for name in names}


def _tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _numpy(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _file_of(pixels: NDArray[np.uint8]) -> Path | None:
    """The file that an array is a map of, all of it."""
    if not isinstance(pixels, np.memmap) or pixels.filename is None:
        return None
    path = Path(pixels.filename).absolute()
    return path if _open(path, pixels.shape) is not None else None


def _open(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    if not path.is_file():
        return None
    pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return pixels if pixels.shape == tuple(shape) else None

"""Take repeated work out of PyRadiomics while it runs, without changing a bit of what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Those that first-order features ask for, some of them twice.
_PERCENTILES = (10, 25, 75, 90)


@contextmanager
def without_repeated_work() -> Iterator[None]:
    """Run PyRadiomics' own code faster inside the block; outside it, PyRadiomics is as it was.

    A name in a module's own namespace is found before the builtin or the import of that name, so a few names are put
    there. One block at a time in a process: what is changed belongs to PyRadiomics' modules.
    """
    import SimpleITK
    from radiomics import base, firstorder, getFeatureClasses, glcm, glrlm, imageoperations

    with ExitStack() as stack:
        # getBinEdges calls the builtins on arrays, which walks them in Python.
        stack.enter_context(_replaced(imageoperations, "min", np.min))
        stack.enter_context(_replaced(imageoperations, "max", np.max))
        binning = _once_per_image(base.RadiomicsFeaturesBase._applyBinning)
        stack.enter_context(_replaced(base.RadiomicsFeaturesBase, "_applyBinning", binning))
        # numpy's nan functions copy the array and look for NaN, which only voxel-wise extraction has.
        quick = SimpleNamespace(**{**vars(np), "nanmean": _nanmean, "nanpercentile": _percentiles_at_once()})
        for module in (firstorder, glcm, glrlm):
            stack.enter_context(_replaced(module, "numpy", quick))
        # Each of the 49 feature objects of an image would walk its class with `inspect` for the same names.
        for feature_class in getFeatureClasses().values():
            names = staticmethod(cache(feature_class.getFeatureNames))
            stack.enter_context(_replaced(feature_class, "getFeatureNames", names))
        # One process per core is faster than threads that wait for each other on a small image.
        filters: Any = SimpleITK.ProcessObject
        stack.callback(filters.SetGlobalDefaultNumberOfThreads, filters.GetGlobalDefaultNumberOfThreads())
        filters.SetGlobalDefaultNumberOfThreads(1)
        yield


def _once_per_image(apply_binning: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Share the discretized image: six feature classes in a row ask for that of one image under one set of settings."""
    last: dict[str, Any] = {"image": None}

    def apply_once(features: Any, matrix: Any) -> Any:
        known = (
            last["image"] is features.inputImage
            and last["mask"] is features.inputMask
            and last["settings"] == features.settings
        )
        if not known:
            binned = apply_binning(features, matrix)
            last.update(image=features.inputImage, mask=features.inputMask, settings=features.settings)
            last.update(binned=binned, coefficients=dict(features.coefficients))
        features.coefficients.update(last["coefficients"])
        return last["binned"].copy()

    return apply_once


def _nanmean(array: NDArray[Any], axis: int, *, keepdims: bool = False) -> Any:
    # The sum of an array with a NaN, and only of that one, is NaN; infinities of both signs take the slow way too.
    mean = np.mean(array, axis, keepdims=keepdims)
    return np.nanmean(array, axis, keepdims=keepdims) if np.isnan(mean).any() else mean


def _percentiles_at_once() -> Callable[..., Any]:
    last: dict[str, Any] = {"array": None}

    def nanpercentile(array: NDArray[Any], percentile: int, axis: int) -> Any:
        if np.isnan(array).any() or percentile not in _PERCENTILES:
            return np.nanpercentile(array, percentile, axis=axis)
        if last["array"] is not array:
            found = np.percentile(array, _PERCENTILES, axis=axis)
            last.update(array=array, found=dict(zip(_PERCENTILES, found, strict=True)))
        return last["found"][percentile].copy()

    return nanpercentile


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    own = vars(owner)
    before = {name: own[name]} if name in own else {}
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name)
        for own_name, own_value in before.items():
            setattr(owner, own_name, own_value)

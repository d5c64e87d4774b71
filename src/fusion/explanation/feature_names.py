"""PyRadiomics' feature names, read to people."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fusion.explanation.feature_meanings import FAMILIES, MEANINGS, NAMES

_BANDS = {"L": "low", "H": "high"}
_FILTERS = {
    "original": "original image",
    "square": "squared gray values",
    "squareroot": "square root of the gray values",
    "logarithm": "logarithm of the gray values",
    "exponential": "exponential of the gray values",
    "gradient": "steepness of the gray values",
    "lbp-2D": "local binary pattern",
    "lbp-3D-k": "local binary pattern in 3D, kurtosis",
}
_WAVELET = re.compile(r"wavelet(?P<level>\d*)-(?P<bands>[LH]{1,3})")
_LOG = re.compile(r"log-sigma-(?P<sigma>\d+(-\d+)?)-mm-3D")
_LBP_3D = re.compile(r"lbp-3D-m(?P<level>\d+)")
_WORD_ENDS = re.compile(r"(?<=[a-z\d])(?=[A-Z])")


@dataclass(frozen=True, kw_only=True)
class FeatureName:
    """A radiomics feature in words.

    Attributes:
        filter: What was done to the image before; for a shape, that it is of the outline.
        family: What kind of thing was counted.
        feature: The feature's own name.
        measures: What it measures, as a phrase.
    """

    filter: str
    family: str
    feature: str
    measures: str

    def __str__(self) -> str:
        return f"{self.feature} ({self.family}, {self.filter})"


def describe(name: str) -> FeatureName | None:
    """A feature's name in words, e.g. of ``wavelet-LH_glcm_SumEntropy``.

    Args:
        name: As PyRadiomics gives it: filter, class and feature.

    Returns:
        None for a name that is not PyRadiomics', such as that of a clinical column.
    """
    image, _, rest = name.partition("_")
    family, _, feature = rest.partition("_")
    filtered = _filter(image)
    if filtered is None or feature not in MEANINGS.get(family, {}):
        return None
    return FeatureName(
        # PyRadiomics gives shapes the name of the original image, of which they know nothing.
        filter="outline" if family.startswith("shape") else filtered,
        family=FAMILIES[family],
        feature=NAMES.get(feature) or _WORD_ENDS.sub(" ", feature).lower().replace("non uniformity", "non-uniformity"),
        measures=MEANINGS[family][feature],
    )


def _filter(image: str) -> str | None:
    if found := _WAVELET.fullmatch(image):
        bands = "-".join(_BANDS[band] for band in found["bands"])
        return f"wavelet level {found['level']}, {bands}" if found["level"] else f"wavelet {bands}"
    if found := _LOG.fullmatch(image):
        # In pixels whatever the name says: images are extracted without spacing.
        return f"Laplacian of Gaussian, sigma {float(found['sigma'].replace('-', '.')):g} px"
    if found := _LBP_3D.fullmatch(image):
        return f"local binary pattern in 3D, level {found['level']}"
    return _FILTERS.get(image)

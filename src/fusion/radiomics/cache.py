"""Features kept per case, under a key of everything that they depend on."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fusion.radiomics.perturb import Perturbation
from fusion.radiomics.settings import PYRADIOMICS_VERSION
from fusion.records import Case
from fusion.storage import atomic_path, content_key

# Count up when a change of `imaging.read` or of this package changes values, so that no old ones are found.
_RECIPE = 1


def case_key(
    case: Case, *, radiomics: Mapping[str, Any], perturbation: Perturbation | None, digest_of: Callable[[Path], str]
) -> str:
    """Key of a case's features.

    It rests on the files' bytes rather than on the decoded pixels: a run that finds everything need not decode a
    single image. The versions of numpy, SimpleITK and PyWavelets are kept in the entry but not in the key: they move
    values by rounding only, and the Python that reads the features later has others than the one that extracted them.

    Args:
        case: With an image and a mask.
        radiomics: The configuration; who computes the features, and how many at a time, does not matter.
        perturbation: Of the mask; None leaves it as it is.
        digest_of: Sha256 of a file.

    Raises:
        OSError: For a file that cannot be read.
    """
    assert case.image is not None
    assert case.mask is not None
    return content_key(
        {
            "image": digest_of(case.image),
            "frame": case.frame,
            "mask": digest_of(case.mask),
            "mask_label": case.mask_label,
            "mode": radiomics["mode"],
            "settings": radiomics["settings"],
            "pyradiomics": PYRADIOMICS_VERSION,
            "recipe": _RECIPE,
            **({} if perturbation is None else {"perturbation": perturbation.key(case.case_id)}),
        }
    )


def load_features(cache_dir: Path, key: str) -> dict[str, float] | None:
    """The features under the key, or None where there are none or the entry is damaged."""
    try:
        # gzip ends in a checksum and a length, so a cut or changed file does not decompress.
        entry = json.loads(gzip.decompress(_path(cache_dir, key).read_bytes()))
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    if entry["key"] != key:
        return None
    features: dict[str, float] = entry["features"]
    return features


def store_features(cache_dir: Path, key: str, features: Mapping[str, float], *, versions: Mapping[str, str]) -> None:
    """Keep a case's features; two processes may do so at once, since an entry appears whole and is the same."""
    # repr of a float gives its every bit back, and names compress to a tenth.
    entry = json.dumps({"key": key, "versions": dict(versions), "features": dict(features)})
    with atomic_path(_path(cache_dir, key)) as temporary:
        temporary.write_bytes(gzip.compress(entry.encode(), compresslevel=1, mtime=0))


def _path(cache_dir: Path, key: str) -> Path:
    return cache_dir / key[:2] / f"{key[2:]}.json.gz"

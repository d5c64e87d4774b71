"""``manifest.json``: where a run's numbers come from, and what they cost."""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fusion.records import Cohort
from fusion.runs.folder import RunFolder
from fusion.storage import content_key, file_digest, write_json

_PACKAGES = (
    "fusion-radiomics",
    "torch",
    "lightning",
    "timm",
    "monai",
    "pyradiomics",
    "SimpleITK",
    "numpy",
    "scikit-learn",
    "captum",
    "hydra-core",
)


class Manifest:
    """A run's manifest, on disk after every stage, so that an interrupted run has one too."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._path = run.path / "manifest.json"

    def record(self, **facts: Any) -> None:
        """Add facts (plain content) to what this or another process of the run has recorded; mappings are merged."""
        with self._run.lock("manifest"):
            content = self._read()
            for name, fact in facts.items():
                known = content.get(name)
                if isinstance(known, Mapping) and isinstance(fact, Mapping):
                    fact = {**known, **fact}
                content[name] = fact
            write_json(self._path, content)

    def _read(self) -> dict[str, Any]:
        return dict(json.loads(self._path.read_text())) if self._path.exists() else {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record seconds and peak memory (of this process and the largest of its children) of a stage."""
        start = time.perf_counter()
        yield
        seconds = round(time.perf_counter() - start, 3)
        self.record(stages={name: {"seconds": seconds, "peak_memory_mb": _peak_memory_mb()}})

    @property
    def stages(self) -> dict[str, dict[str, float]]:
        """Seconds and peak memory by stage, in the order in which they ended."""
        return dict(self._read().get("stages", {}))


def describe_environment() -> dict[str, Any]:
    """Versions of Python and the packages, and the git revision of the program."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {"versions": versions, "git": _git_revision(), "platform": platform.platform()}


def describe_cohort(cohort: Cohort) -> dict[str, Any]:
    """Counts of a cohort: patients, cases, patients by label and by center."""
    first = [cases[0] for cases in cohort.patients.values()]
    return {
        "patients": len(first),
        "cases": len(cohort.cases),
        "labels": dict(Counter(str(case.label) for case in first)),
        "centers": dict(Counter(case.center for case in first)),
    }


def digest_inputs(digests: Mapping[Path, str], cohort: Cohort, files: Mapping[str, Path]) -> dict[str, str]:
    """Sha256 of single files by name, and of the sorted digests of all images and all masks.

    Args:
        digests: Of every image and mask.
        cohort: That they belong to.
        files: Further files by name, e.g. the cohort's table; one that does not exist is left out.
    """
    images = sorted(digests[path] for path in {case.image for case in cohort.cases if case.image is not None})
    masks = sorted(digests[path] for path in {case.mask for case in cohort.cases if case.mask is not None})
    single = {name: file_digest(path) for name, path in files.items() if path.is_file()}
    return single | {"images": content_key(images), "masks": content_key(masks)}


def _peak_memory_mb() -> float:
    # Linux counts in KiB, macOS in bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(max(own, children) / unit, 1)


def _git_revision() -> dict[str, Any]:
    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    revision = git("rev-parse", "HEAD")
    return {"revision": revision, "dirty": None if revision is None else bool(git("status", "--porcelain"))}

"""A simulated cohort whose truth is known, written to disk as an ordinary one: a table, images and masks."""

from __future__ import annotations

import csv
import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fusion.cohorts.simulation.outcome import intercepts_of
from fusion.cohorts.simulation.patient import Patient, simulate_patient
from fusion.cohorts.simulation.settings import Quota, Simulation, read_settings
from fusion.cohorts.simulation.truth import describe_truth
from fusion.storage import content_key, file_digest

TABLE, TRUTH, IMAGES, MASKS = "table.csv", "truth.json", "images", "masks"
_SEAL = "files.json"
# A patient's center, and the outcome that the patient must have, or None.
Place = tuple[str, str | None]
# Speckle does not compress; more effort costs a third of the time and saves next to nothing.
_COMPRESSION = 1


def simulate_cohort(simulation: Mapping[str, Any], *, cache_dir: Path) -> Path:
    """Simulate a cohort, or find it where an earlier call left it.

    The same settings give the same bytes, on however many cores.

    Args:
        simulation: The ``simulation`` block of ``conf/cohort/phantom.yaml``, as plain mappings and lists.
        cache_dir: The cohort is kept in ``phantom/<key of the settings and of the simulator>`` below it.

    Returns:
        The cohort's folder: ``table.csv``, ``images/<id>.png``, ``masks/<id>.png`` (0 or 255) and ``truth.json``,
        which holds the factors behind each outcome and how well each of them, and all, can separate the patients.

    Raises:
        InputError: For settings that are missing, unknown or impossible.
    """
    settings = read_settings(simulation)
    # repr, since the order of levels and layers counts, and a content key takes no notice of it.
    folder = cache_dir / "phantom" / content_key([repr(settings), _simulator_digests()])
    if not _is_whole(folder):
        _discard(folder)
        _build(settings, folder)
    return folder


def _build(settings: Simulation, folder: Path) -> None:
    temporary = folder.with_name(f".{folder.name[:16]}-{uuid.uuid4().hex}")
    try:
        _write_cohort(settings, temporary)
        temporary.rename(folder)
    except OSError:
        # Another process may have been first; its cohort is the same, byte for byte.
        if not _is_whole(folder):
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_cohort(settings: Simulation, folder: Path) -> None:
    from joblib import Parallel, delayed

    for name in (IMAGES, MASKS):
        (folder / name).mkdir(parents=True)
    n_digits = max(3, len(str(settings.n_patients)))
    ids = [f"P{number:0{n_digits}}" for number in range(1, settings.n_patients + 1)]
    intercepts = intercepts_of(settings)
    # NumPy's and Pillow's loops run side by side in threads, which start at once where processes would import first.
    drawn = Parallel(n_jobs=-1, prefer="threads")(
        delayed(_write_patient)(settings, index, place, intercepts[place[0]], ids[index], folder)
        for index, place in enumerate(_allocate(settings))
    )
    patients: dict[str, Patient] = dict(zip(ids, drawn, strict=True))
    _write_table(settings, patients, folder / TABLE)
    (folder / TRUTH).write_text(json.dumps(describe_truth(settings, patients), indent=1))
    (folder / _SEAL).write_text(json.dumps(_digests(folder), indent=1))


def _write_patient(
    settings: Simulation, index: int, place: Place, intercept: float, patient_id: str, folder: Path
) -> Patient:
    from PIL import Image

    center, label = place
    patient, scan = simulate_patient(settings, index, center, intercept, label=label)
    for name, pixels in ((IMAGES, scan.image), (MASKS, scan.mask)):
        Image.fromarray(pixels).save(folder / name / f"{patient_id}.png", compress_level=_COMPRESSION)
    return patient


def _write_table(settings: Simulation, patients: Mapping[str, Patient], path: Path) -> None:
    part = {} if settings.parts is None else {"part": settings.parts}
    rows = [
        {
            "id": patient_id,
            "center": patient.center,
            **{name: of_center[patient.center] for name, of_center in part.items()},
            **patient.row,
            "diagnosis": patient.label,
        }
        for patient_id, patient in patients.items()
    ]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _allocate(settings: Simulation) -> list[Place]:
    """The place of each patient, in random order: as many as the design says, or else as the centers' shares do."""
    places, counts = _shared(settings) if settings.design is None else _designed(settings.design, settings.labels)
    order = np.random.default_rng(settings.seed).permutation(np.repeat(np.arange(len(places)), counts))
    return [places[index] for index in order]


def _shared(settings: Simulation) -> tuple[list[Place], Sequence[int]]:
    shares = np.cumsum([center.share for center in settings.centers.values()])
    ends = np.rint(shares / shares[-1] * settings.n_patients).astype(int)
    return [(name, None) for name in settings.centers], list(np.diff(ends, prepend=0))


def _designed(design: Mapping[str, Quota], labels: tuple[str, str]) -> tuple[list[Place], Sequence[int]]:
    places: list[Place] = [(name, label) for name in design for label in labels]
    return places, [count for quota in design.values() for count in (quota.n - quota.positive, quota.positive)]


def _is_whole(folder: Path) -> bool:
    """Whether every file is there as it was written."""
    try:
        return bool(json.loads((folder / _SEAL).read_text()) == _digests(folder))
    except (OSError, ValueError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    """Sha256 of every file but the seal, by its path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _SEAL)
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def _simulator_digests() -> list[str]:
    """The simulator's version is its source: a cohort that an older one made is never taken for this one's."""
    sources = (Path(__file__), *sorted(Path(__file__).with_name("simulation").glob("*.py")))
    return [file_digest(path) for path in sources]


def _discard(folder: Path) -> None:
    """Take a damaged folder out of the way, in one step, so that nobody reads a part of it."""
    doomed = folder.with_name(f".{folder.name[:16]}-{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)

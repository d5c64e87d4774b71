"""Every size and weight of a simulated cohort, read strictly from the configuration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from fusion.errors import InputError, Problem
from fusion.records import PARTS

Range = tuple[float, float]
Check = tuple[bool, str, str, object]

SPEED_OF_SOUND_MM_PER_US = 1.54


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The picture: ``depth_px`` rows (the beam runs down) by ``width_px`` lines, ``pixel_mm`` apart both ways.

    ``rf_per_pixel`` is how many samples of the radio-frequency line fall on a pixel's depth.
    """

    depth_px: int
    width_px: int
    pixel_mm: float
    rf_per_pixel: int


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A linear array and the settings of its console.

    Attributes:
        frequency_mhz: Of the carrier.
        bandwidth: Width at half amplitude of the pulse's spectrum, as a fraction of the carrier (two-way).
        beam_mm: Full width at half amplitude of the two-way beam at the focus.
        focus_mm: Depth at which the beam is narrowest.
        focal_range_mm: Distance from the focus at which the beam is wider by the square root of 2.
        tgc_db_cm_mhz: Attenuation that the time-gain compensation assumes.
        tgc_error_db: Standard deviation of its sliders about the right gain.
        gain_db: The level that is shown white is ``-gain_db``, the gland's being about 0.
        gain_jitter_db: Standard deviation of the gain between patients.
        dynamic_range_db: From black to white.
        noise_db: Electronic noise before time-gain compensation.
        smoothing_mm: Standard deviation of the console's smoothing of the compressed picture; 0 for none.
    """

    frequency_mhz: float
    bandwidth: float
    beam_mm: float
    focus_mm: float
    focal_range_mm: float
    tgc_db_cm_mhz: float
    tgc_error_db: float
    gain_db: float
    gain_jitter_db: float
    dynamic_range_db: float
    noise_db: float
    smoothing_mm: float


@dataclass(frozen=True, kw_only=True)
class Center:
    """A hospital: its part of the patients, how many of them have the positive outcome, its probe."""

    share: float
    prevalence: float
    probe: Probe


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How many patients of a center there are, and how many of them have the positive outcome."""

    n: int
    positive: int


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Tissue from one interface to the next.

    Attributes:
        name: E.g. ``gland``.
        thickness_mm: Drawn between the two; the last layer goes on to the bottom.
        level_db: Mean echo level; the gland's is about 0 by convention.
        attenuation_db_cm_mhz: One way.
        interface_db: How far the interface on its top outshines it.
        septa_db: How far connective tissue inside outshines it; 0 for none.
        septa_mm: Mean distance of the septa in depth and along the skin.
    """

    name: str
    thickness_mm: Range
    level_db: float
    attenuation_db_cm_mhz: float
    interface_db: float
    septa_db: float
    septa_mm: Range


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """The healthy neck: layers from the skin down, with scatterers dense enough for fully developed speckle.

    Attributes:
        wander_db, wander_mm: Standard deviation of slow changes of the echo level, and the length they take.
    """

    scatterers_per_mm2: float
    wander_db: float
    wander_mm: float
    layers: tuple[Layer, ...]


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """A pair of two numbers is where a uniform draw begins and ends, unless it is said otherwise.

    Attributes:
        layer: Name of the layer it lies in; layers that are too thin for it bend around it.
        depth: How high and how low it reaches at most, as a part of the picture's depth.
        length_mm: Diameter along the skin before the contour is made irregular (the area stays).
        aspect: Diameter in depth over the one along the skin.
        scatterers_per_mm2: At texture -2 and +2, log-linear between and limited there.
        irregularity: Root mean square of the contour's deviation over its radius, at shape -2 and +2; likewise.
        lobes: Lowest and highest harmonic of the deviation.
        level_db: Echo level, from the darkest finding to the brightest.
        edge_mm: Width of the border zone, from the clearest finding to the most blurred.
        attenuation_db_cm_mhz: From the strongest enhancement to the strongest shadow behind the lesion.
        wander_db: Standard deviation of slow changes of the level inside.
        max_cysts: Where there are cystic areas there are 1 to this many.
        cyst_radius: Over the lesion's mean radius.
        cyst_level_db: Level inside a cyst.
        max_calcifications: Likewise.
        calcification_mm: Radius.
        calcification_level_db: Echo level.
        calcification_attenuation_db_cm_mhz: What makes their shadow.
        reader_jitter: Root mean square deviation of the drawn contour, over the lesion's radius.
    """

    layer: str
    depth: Range
    length_mm: Range
    aspect: Range
    scatterers_per_mm2: Range
    irregularity: Range
    lobes: tuple[int, int]
    level_db: Range
    edge_mm: Range
    attenuation_db_cm_mhz: Range
    wander_db: float
    max_cysts: int
    cyst_radius: Range
    cyst_level_db: float
    max_calcifications: int
    calcification_mm: Range
    calcification_level_db: float
    calcification_attenuation_db_cm_mhz: float
    reader_jitter: float


@dataclass(frozen=True, kw_only=True)
class Number:
    """A measured column: ``mean + sd x``, limited, where x is normal and correlates with the clinical factor.

    Attributes:
        loading: That correlation, from -1 to 1; 0 makes the column noise.
    """

    mean: float
    sd: float
    low: float
    high: float
    decimals: int
    loading: float


@dataclass(frozen=True, kw_only=True)
class Category:
    """A column of words: a normal variable cut so that each level, from low to high, has its frequency.

    Attributes:
        loading: Correlation of that variable with the clinical factor, from -1 to 1; 0 makes the column noise.
    """

    levels: Mapping[str, float]
    loading: float


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A column that a reader fills in looking at the image.

    Attributes:
        levels: Frequency of each, from low to high, of what is truly there.
        agreement: Probability that the reader reports what is there; otherwise a draw by the frequencies.
    """

    levels: Mapping[str, float]
    agreement: float


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Values that were never entered: in each of the ``columns`` a ``fraction`` of the patients has ``word``."""

    word: str
    fraction: float
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Of the outcome's logit, per standard deviation of each factor."""

    texture: float
    shape: float
    clinical: float


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The columns that describe the picture."""

    shape: Finding
    edge: Finding
    echogenicity: Finding
    cystic_areas: Finding
    calcification: Finding
    posterior_enhancement: Finding


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A simulated cohort; see ``conf/cohort/phantom.yaml``.

    Attributes:
        labels: The outcome's two values, the positive one last.
        size_error: Standard deviation of the measured size over the true one.
        design: By center; its share and prevalence then count for nothing. None: as many patients as the share says,
            and as many of them positive as chance will have it.
        parts: By center, the part of the split that its patients belong to; None: the table has no such column.
        finding_loadings: By finding, how what is there (and shows in the picture) correlates with the clinical factor,
            from -1 to 1; a finding that is not named, or None for all of them, has no part in the outcome.
    """

    seed: int
    n_patients: int
    design: Mapping[str, Quota] | None
    parts: Mapping[str, str] | None
    labels: tuple[str, str]
    weights: Weights
    frame: Frame
    centers: Mapping[str, Center]
    tissue: Tissue
    lesion: Lesion
    numbers: Mapping[str, Number]
    categories: Mapping[str, Category]
    findings: Findings
    finding_loadings: Mapping[str, float] | None
    size_error: float
    missing: Missing

    @property
    def prevalences(self) -> dict[str, float]:
        """Of each center's population."""
        if self.design is None:
            return {name: center.prevalence for name, center in self.centers.items()}
        return {name: self.design[name].positive / self.design[name].n for name in self.centers}


def read_settings(simulation: Mapping[str, Any]) -> Simulation:
    """The configuration's ``simulation`` block, checked.

    Raises:
        InputError: For all that is missing, unknown, of the wrong kind or out of range.
    """
    problems: list[Problem] = []
    settings = _read(Simulation, simulation, "simulation", problems)
    problems = problems or list(_contradictions(settings))
    if problems:
        raise InputError("The simulated cohort's settings", problems, "Mend them in conf/cohort/ or in the command.")
    assert isinstance(settings, Simulation)
    return settings


def _read(kind: Any, value: Any, where: str, problems: list[Problem]) -> Any:
    """``value`` as ``kind``; a thing that cannot be read adds to ``problems`` and gives None."""
    if get_origin(kind) is UnionType:
        return None if value is None else _read(get_args(kind)[0], value, where, problems)
    if is_dataclass(kind):
        return _read_fields(kind, value, where, problems)
    if get_origin(kind) is tuple:
        return _read_items(get_args(kind), value, where, problems)
    if kind in (int, float, str):
        return _read_scalar(kind, value, where, problems)
    return _read_mapping(get_args(kind)[1], value, where, problems)


def _read_fields(kind: Any, value: Any, where: str, problems: list[Problem]) -> Any:
    names = [field.name for field in fields(kind)]
    if not isinstance(value, Mapping):
        problems.append(Problem(where=where, required=f"a block with {', '.join(names)}", came=repr(value)))
        return None
    unknown = [str(name) for name in value if name not in names]
    problems += [Problem(where=f"{where}.{name}", required=f"one of {', '.join(names)}", came=name) for name in unknown]
    absent = [name for name in names if name not in value]
    problems += [Problem(where=f"{where}.{name}", required="a value", came="nothing") for name in absent]
    hints = get_type_hints(kind)
    known = {name: _read(hints[name], value[name], f"{where}.{name}", problems) for name in names if name in value}
    return kind(**known) if len(known) == len(names) else None


def _read_mapping(kind: Any, value: Any, where: str, problems: list[Problem]) -> Any:
    if not isinstance(value, Mapping) or not value:
        problems.append(Problem(where=where, required="a block of named entries", came=repr(value)))
        return None
    return {str(name): _read(kind, item, f"{where}.{name}", problems) for name, item in value.items()}


def _read_items(kinds: tuple[Any, ...], value: Any, where: str, problems: list[Problem]) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable):
        problems.append(Problem(where=where, required="a list", came=repr(value)))
        return None
    items = list(value)
    expected = [kinds[0]] * len(items) if kinds[-1] is Ellipsis else list(kinds)
    if len(items) != len(expected):
        problems.append(Problem(where=where, required=f"{len(expected)} entries", came=str(len(items))))
        return None
    return tuple(
        _read(kind, item, f"{where}[{i}]", problems) for i, (kind, item) in enumerate(zip(expected, items, strict=True))
    )


def _read_scalar(kind: type, value: Any, where: str, problems: list[Problem]) -> Any:
    accepted = (int, float) if kind is float else kind
    if isinstance(value, bool) or not isinstance(value, accepted):
        problems.append(Problem(where=where, required=f"a value of type {kind.__name__}", came=repr(value)))
        return None
    return kind(value)


def _contradictions(settings: Simulation) -> Iterator[Problem]:
    checks = (
        *_cohort_checks(settings),
        *_design_checks(settings),
        *_picture_checks(settings),
        *_column_checks(settings),
    )
    for holds, where, required, came in checks:
        if not holds:
            yield Problem(where=f"simulation.{where}", required=required, came=str(came))


def _cohort_checks(settings: Simulation) -> Iterator[Check]:
    yield settings.n_patients > 0, "n_patients", "at least 1", settings.n_patients
    yield settings.seed >= 0, "seed", "at least 0", settings.seed
    yield len(set(settings.labels)) == 2, "labels", "two different names", settings.labels
    for name, center in settings.centers.items():
        yield center.share > 0, f"centers.{name}.share", "a value above 0", center.share
        yield 0 < center.prevalence < 1, f"centers.{name}.prevalence", "a value between 0 and 1", center.prevalence


def _design_checks(settings: Simulation) -> Iterator[Check]:
    centers = f"each of {', '.join(settings.centers)}, and no other"
    for key, by_center in (("design", settings.design), ("parts", settings.parts)):
        if by_center is not None:
            yield set(by_center) == set(settings.centers), key, centers, ", ".join(by_center)
    for name, part in (settings.parts or {}).items():
        yield part in PARTS, f"parts.{name}", f"one of {', '.join(PARTS)}", part
    if settings.design is None:
        return
    for name, quota in settings.design.items():
        both = 0 < quota.positive < quota.n
        yield both, f"design.{name}", "patients of both outcomes, 0 < positive < n", f"{quota.positive} of {quota.n}"
    n_patients = sum(quota.n for quota in settings.design.values())
    required = f"{n_patients}, the patients of simulation.design (null: any number, by the centers' shares)"
    yield settings.n_patients == n_patients, "n_patients", required, settings.n_patients


def _picture_checks(settings: Simulation) -> Iterator[Check]:
    frame, tissue, lesion = settings.frame, settings.tissue, settings.lesion
    layers = [layer.name for layer in tissue.layers]
    yield lesion.layer in layers, "lesion.layer", f"one of {', '.join(layers)}", lesion.layer
    length_px = lesion.length_mm[1] / frame.pixel_mm
    room_px = min(frame.width_px, frame.depth_px * (lesion.depth[1] - lesion.depth[0]) / lesion.aspect[1])
    yield length_px < room_px, "lesion.length_mm", f"below {room_px * frame.pixel_mm:.3g}, the room", lesion.length_mm
    n_samples_per_mm2 = frame.rf_per_pixel / frame.pixel_mm**2
    possible = f"above 0 and at most {n_samples_per_mm2:.4g}, the samples in a mm2"
    for owner, densities in (("tissue", (tissue.scatterers_per_mm2,)), ("lesion", lesion.scatterers_per_mm2)):
        holds = min(densities) > 0 and max(densities) <= n_samples_per_mm2
        yield holds, f"{owner}.scatterers_per_mm2", possible, densities
    yield min(lesion.irregularity) > 0, "lesion.irregularity", "values above 0", lesion.irregularity
    for name, center in settings.centers.items():
        lowest, highest = frequency_limits_mhz(frame)
        holds = lowest <= center.probe.frequency_mhz <= highest
        required = f"{lowest:.3g} to {highest:.3g}, what frame.rf_per_pixel and frame.pixel_mm can sample"
        yield holds, f"centers.{name}.probe.frequency_mhz", required, center.probe.frequency_mhz


def frequency_limits_mhz(frame: Frame) -> tuple[float, float]:
    """Lowest and highest carrier about which a band as wide as the pixels resolve lies within the samples'."""
    cycles_per_mm_to_mhz = SPEED_OF_SOUND_MM_PER_US / 2
    half_band = 1 / (2 * frame.pixel_mm)
    return half_band * cycles_per_mm_to_mhz, half_band * (frame.rf_per_pixel - 1) * cycles_per_mm_to_mhz


def _column_checks(settings: Simulation) -> Iterator[Check]:
    findings = {field.name: getattr(settings.findings, field.name) for field in fields(settings.findings)}
    for group, columns in (("numbers", settings.numbers), ("categories", settings.categories)):
        for name, column in columns.items():
            yield abs(column.loading) <= 1, f"{group}.{name}.loading", "a value from -1 to 1", column.loading
    for name, finding in findings.items():
        yield 0 <= finding.agreement <= 1, f"findings.{name}.agreement", "a value from 0 to 1", finding.agreement
    for name, levels in {name: entry.levels for name, entry in {**settings.categories, **findings}.items()}.items():
        whole = min(levels.values()) >= 0 and math.isclose(sum(levels.values()), 1, abs_tol=1e-6)
        yield whole, f"levels of {name}", "frequencies that sum to 1", dict(levels)
    tied = [name for name in findings if name != "shape"]
    for name, loading in (settings.finding_loadings or {}).items():
        where = f"finding_loadings.{name}"
        yield name in tied, where, f"one of {', '.join(tied)}", name
        yield abs(loading) <= 1, where, "a value from -1 to 1", loading
    known = {*settings.numbers, *settings.categories, *findings, "size_mm"}
    for name in settings.missing.columns:
        yield name in known, "missing.columns", f"some of {', '.join(sorted(known))}", name
    yield 0 <= settings.missing.fraction < 1, "missing.fraction", "a value from 0 to below 1", settings.missing.fraction

"""What may stand in ``conf/radiomics``: our own keys, and PyRadiomics' settings under ``settings``."""

from __future__ import annotations

import itertools
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata, util
from typing import Any

from fusion.errors import FusionError, InputError, Problem

# Part of every cache key, so that cached features are found again where PyRadiomics cannot be installed.
PYRADIOMICS_VERSION = "3.0.1"

_CHOICES = {
    "mode": ("2d", "single_slice_3d"),
    "backend": ("loky", "dask", "ray"),
    "on_error": ("stop", "leave_out"),
}
_KEYS = {*_CHOICES, "n_jobs", "settings"}
_SECTIONS = {"imageType", "featureClass", "setting"}
# Read here as well as in PyRadiomics, so they may not be left to its defaults.
_SPELLED_OUT = ("label", "additionalInfo", "normalize", "preCrop", "padDistance", "resampledPixelSpacing", "force2D")
_SPELLED_OUT_BY_FILTER = {"LoG": "sigma", "Wavelet": "level", "LBP3D": "lbp3DLevels"}
_ADVICE = "Mend conf/radiomics, or the override on the command line."


def require_pyradiomics() -> None:
    """Raise a FusionError unless the one PyRadiomics whose features we know is installed."""
    if util.find_spec("radiomics") is None:
        raise FusionError(
            "Radiomics extraction requires PyRadiomics, which does not exist for Python 3.12 and later: run "
            "`fusion extract` once in a Python 3.11 environment; any Python then reads its cached features."
        )
    version = metadata.version("pyradiomics")
    if version != PYRADIOMICS_VERSION:
        raise FusionError(
            f"Radiomics extraction requires PyRadiomics {PYRADIOMICS_VERSION}, came {version}: "
            f"pip install pyradiomics=={PYRADIOMICS_VERSION}"
        )


def check_options(radiomics: Mapping[str, Any]) -> None:
    """Check everything that can be checked without PyRadiomics.

    Raises:
        InputError: For unknown or missing keys, values that are none of the choices, and settings under which
            PyRadiomics returns wrong values or leaves features out without an error.
    """
    _raise_if_any([*_key_problems(radiomics)])
    settings = radiomics["settings"]
    _raise_if_any([*_section_problems(settings)])
    _raise_if_any([*_default_problems(settings)])
    _raise_if_any([*_trap_problems(radiomics["mode"], settings)])


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check names and values against the schema that PyRadiomics ships, before it sees an image.

    Raises:
        InputError: With all that the schema objects to.
        FusionError: Where PyRadiomics is absent.
    """
    require_pyradiomics()
    import radiomics
    from pykwalify.core import Core  # type: ignore[import-untyped]  # It has no types.

    schema, functions = radiomics.getParameterValidationFiles()
    # The validator knows only dicts and lists.
    plain = json.loads(json.dumps(settings))
    with warnings.catch_warnings(), _silent("pykwalify"):
        # It loads the schema's functions in a way that Python 3.12 no longer has.
        warnings.filterwarnings("ignore", "the load_module", DeprecationWarning)
        core = Core(source_data=plain, schema_files=[schema], extensions=[functions])
        try:
            core.validate(raise_exception=False)
            found = [str(error) for error in core.errors]
        except (TypeError, ValueError) as error:
            # The schema's own functions raise at the first unknown filter, class or feature.
            found = [str(error)]
    _raise_if_any([_problem("settings", "what PyRadiomics knows", text) for text in found])


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """The validator logs at ERROR what is raised here in readable form."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def image_names(settings: Mapping[str, Any], *, mode: str) -> tuple[str, ...]:
    """PyRadiomics' names of the filtered images that the settings ask for, e.g. ``wavelet-LH``."""
    return tuple(
        name
        for image_type, custom in settings["imageType"].items()
        for name in _names_of(image_type, {**settings["setting"], **custom}, mode)
    )


def _names_of(image_type: str, setting: Mapping[str, Any], mode: str) -> Iterator[str]:
    if image_type == "LoG":
        yield from (f"log-sigma-{str(sigma).replace('.', '-')}-mm-3D" for sigma in setting["sigma"])
    elif image_type == "Wavelet":
        yield from _wavelet_names(setting["level"], n_axes=(2 if mode == "2d" else 3) - setting["force2D"])
    elif image_type == "LBP2D":
        yield "lbp-2D"
    elif image_type == "LBP3D":
        yield from (*(f"lbp-3D-m{level + 1}" for level in range(setting["lbp3DLevels"])), "lbp-3D-k")
    else:
        yield image_type.lower()


def _wavelet_names(n_levels: int, *, n_axes: int) -> Iterator[str]:
    for level in range(1, n_levels + 1):
        number = "" if level == 1 else str(level)
        for bands in itertools.product("HL", repeat=n_axes):
            # Only the last level's approximation is kept.
            if "H" in bands or level == n_levels:
                yield f"wavelet{number}-{''.join(bands)}"


def _key_problems(radiomics: Mapping[str, Any]) -> Iterator[Problem]:
    for key in sorted(radiomics.keys() - _KEYS):
        yield _problem(key, f"one of {', '.join(sorted(_KEYS))}", "an unknown key")
    for key in sorted(_KEYS - radiomics.keys()):
        yield _problem(key, "a value", "nothing")
    for key, choices in _CHOICES.items():
        if key in radiomics and radiomics[key] not in choices:
            yield _problem(key, f"one of {', '.join(choices)}", repr(radiomics[key]))
    n_jobs = radiomics.get("n_jobs", 1)
    if not isinstance(n_jobs, int) or isinstance(n_jobs, bool) or n_jobs == 0:
        yield _problem("n_jobs", "a number of processes, or -1 for one per core", repr(n_jobs))
    if "settings" in radiomics and not isinstance(radiomics["settings"], Mapping):
        yield _problem("settings", "a mapping", repr(radiomics["settings"]))


def _section_problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    for section in sorted(settings.keys() - _SECTIONS):
        yield _problem(f"settings.{section}", f"one of {', '.join(sorted(_SECTIONS))}", "an unknown key")
    for section in sorted(_SECTIONS):
        content = settings.get(section)
        if not isinstance(content, Mapping) or not content:
            yield _problem(f"settings.{section}", "a mapping with something in it", repr(content))


def _default_problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    setting = settings["setting"]
    for name in _SPELLED_OUT:
        if name not in setting:
            yield _problem(f"settings.setting.{name}", "a value", "nothing")
    for image_type, name in _SPELLED_OUT_BY_FILTER.items():
        if image_type in settings["imageType"] and name not in {**setting, **(settings["imageType"][image_type] or {})}:
            yield _problem(f"settings.imageType.{image_type}.{name}", "a value", "nothing")


def _trap_problems(mode: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Settings that PyRadiomics accepts, and then skips what was asked for or returns something else."""
    images, classes, setting = (settings[section] for section in ("imageType", "featureClass", "setting"))
    if setting["label"] != 1:
        yield _problem("settings.setting.label", "1 (name the lesion's value by the cohort's mask label)", "another")
    if setting["additionalInfo"]:
        yield _problem("settings.setting.additionalInfo", "false: its entries are no features", "true")
    if mode == "2d":
        if setting["force2D"]:
            yield _problem("settings.setting.force2D", "false for a 2D image (true takes the columns apart)", "true")
        for section, name in (("featureClass", "shape"), ("imageType", "LBP3D")):
            if name in settings[section]:
                yield _problem(f"settings.{section}.{name}", "nothing: PyRadiomics skips it in 2D", "an entry")
    else:
        if "LoG" in images:
            yield _problem("settings.imageType.LoG", "nothing: PyRadiomics skips it on a single slice", "an entry")
        if "shape2D" in classes and not setting["force2D"]:
            yield _problem("settings.featureClass.shape2D", "force2D, or mode 2d: else it is skipped", "an entry")


def _problem(where: str, required: str, came: str) -> Problem:
    return Problem(where=f"radiomics.{where}", required=required, came=came)


def _raise_if_any(problems: Sequence[Problem]) -> None:
    if problems:
        raise InputError("Radiomics settings", problems, _ADVICE)

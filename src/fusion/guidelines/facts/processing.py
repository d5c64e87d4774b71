"""Facts about what was done to the pixels, and how features were taken from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusion.guidelines.claim import Claim, Evidence, Fact, fact, in_config, in_manifest
from fusion.guidelines.facts.settings import branches, fold_files, is_end_to_end, recorded, setting, values_text
from fusion.radiomics.settings import PYRADIOMICS_VERSION
from fusion.report.inner import listed
from fusion.report.run_folder import FinishedRun

_RADIOMICS = "radiomics.settings"
_SETTING = f"{_RADIOMICS}.setting"
_MODES = {
    "2d": "as true two-dimensional images",
    "single_slice_3d": "as a volume of one slice",
}
_CHANNELS = {
    "image": "the image",
    "image_mask": "the image and the mask",
    "image_roi_mask": "the image, the image inside the lesion, and the mask",
}


def preprocessing(run: FinishedRun) -> Fact:
    """What was done to the images."""
    return fact(_gray(run), _crop(run), _radiomics_images(run))


def _gray(run: FinishedRun) -> Claim | None:
    if not branches(run) & {"image", "radiomics"}:
        return None
    return Claim(
        "Colors became luminance (ITU-R BT.601); 8-bit gray values were kept as they are, others were stretched from "
        "the image's own minimum and maximum to 0 and 255.",
        (*in_config("cohort.image"), *in_manifest("versions")),
    )


def _crop(run: FinishedRun) -> Claim | None:
    imaging = run.config.get("imaging")
    if "image" not in branches(run) or not isinstance(imaging, Mapping):
        return None
    channels = _CHANNELS.get(str(imaging["channels"]), str(imaging["channels"]))
    side = imaging["n_px"]
    return Claim(
        f"For the image branch a square around the lesion, with {imaging['margin']:g} of its longer side added on each "
        "side (shifted where it would leave the image, filled with 0 where it is larger), was resized to "
        f"{side} × {side} pixels (bilinear, antialiased); its channels are {channels}. Gray values were divided by "
        "255.",
        in_config("imaging"),
    )


def _radiomics_images(run: FinishedRun) -> Claim | None:
    if not _extracts(run):
        return None
    mode = _MODES.get(str(setting(run, "radiomics.mode")), str(setting(run, "radiomics.mode")))
    normalized = setting(run, f"{_SETTING}.normalize")
    return Claim(
        f"For radiomics the images were read {mode}; gray values were "
        f"{'normalized by PyRadiomics' if normalized else 'not normalized'}.",
        in_config("radiomics.mode", f"{_SETTING}.normalize"),
    )


def resampling(run: FinishedRun) -> Fact:
    """Whether pixels were resampled."""
    if not _extracts(run):
        return fact(_no_radiomics(run), _crop(run))
    spacing = setting(run, f"{_SETTING}.resampledPixelSpacing")
    text = (
        "Not done for radiomics: images were extracted at their own pixels, and distances are in pixels, not "
        "millimeters."
        if spacing is None
        else f"PyRadiomics was set to resample to {spacing} by {setting(run, f'{_SETTING}.interpolator')}."
    )
    return fact(Claim(text, in_config(f"{_SETTING}.resampledPixelSpacing", f"{_SETTING}.interpolator")), _crop(run))


def discretization(run: FinishedRun) -> Fact:
    """How gray values were binned."""
    if not _extracts(run):
        return fact(_no_radiomics(run))
    count, width = setting(run, f"{_SETTING}.binCount"), setting(run, f"{_SETTING}.binWidth")
    text = (
        f"a fixed number of {count} bins"
        if count is not None
        else f"a fixed bin width of {width}, the first bin beginning at a multiple of it (PyRadiomics' rule)"
    )
    own = {
        name: {key: value for key, value in (custom or {}).items() if key in ("binWidth", "binCount")}
        for name, custom in setting(run, f"{_RADIOMICS}.imageType").items()
    }
    special = "; ".join(f"{name}: {values_text(custom)}" for name, custom in own.items() if custom)
    return fact(
        Claim(
            f"Gray values were discretized with {text}{f' ({special})' if special else ''}.",
            in_config(f"{_SETTING}.binWidth", f"{_SETTING}.binCount", f"{_RADIOMICS}.imageType"),
        )
    )


def image_types(run: FinishedRun) -> Fact:
    """Which filtered images features were taken from."""
    if not _extracts(run):
        return fact(_no_radiomics(run))
    types = setting(run, f"{_RADIOMICS}.imageType")
    texts = [f"{name} ({values_text(custom)})" if custom else name for name, custom in types.items()]
    return fact(Claim(f"Image types: {listed(texts)}.", in_config(f"{_RADIOMICS}.imageType")))


def extraction(run: FinishedRun) -> Fact:
    """With what features were extracted."""
    deep = _deep(run)
    if not _extracts(run):
        return fact(_no_radiomics(run), deep)
    installed = (run.manifest.get("versions") or {}).get("pyradiomics")
    where = (
        f"version {installed}"
        if installed == PYRADIOMICS_VERSION
        else f"version {PYRADIOMICS_VERSION}; taken from the cache, since this run's Python has none"
    )
    return fact(
        Claim(
            f"Radiomics features were extracted with PyRadiomics ({where}; van Griethuysen et al., Cancer Res "
            "2017;77:e104), whose documentation says where it differs from the IBSI's definitions.",
            (*in_config(_RADIOMICS), *in_manifest("versions.pyradiomics")),
        ),
        deep,
        _radiomics_images(run),
        met=True,
    )


def _deep(run: FinishedRun) -> Claim | None:
    if "deep" not in run.inputs:
        return None
    return Claim(
        f"Deep features are the pooled layer of the backbone {setting(run, 'backbone.name')}, fine-tuned on the "
        "training part of each fold.",
        in_config("backbone.name", "deep"),
    )


def feature_classes(run: FinishedRun) -> Fact:
    """Which classes of features."""
    if not _extracts(run):
        return fact(_no_radiomics(run), _deep(run))
    classes = setting(run, f"{_RADIOMICS}.featureClass")
    texts = [f"{name} ({', '.join(chosen)})" if chosen else name for name, chosen in classes.items()]
    return fact(
        Claim(
            f"Feature classes of PyRadiomics: {listed(texts)}; a class without names in brackets is taken whole, but "
            "for what PyRadiomics calls deprecated.",
            in_config(f"{_RADIOMICS}.featureClass"),
        ),
        _deep(run),
    )


def n_features(run: FinishedRun) -> Fact:
    """How many features there were, and how many are left."""
    if not run.candidates:
        return fact()
    totals = [f"fold {fold}: {values_text(count)}" for fold, count in sorted(run.candidates.items())]
    looked = Claim(
        f"Features that the model has looked at, {'; '.join(totals)}.", fold_files(run, "fold.json", "candidates")
    )
    return fact(looked, _left(run))


def _left(run: FinishedRun) -> Claim | None:
    if run.features is None or "radiomics" not in branches(run):
        return None
    folds = [int(fold) for fold in run.features["fold"]]
    counts = [folds.count(fold) for fold in sorted(set(run.patients.folds))]
    shown = f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    return Claim(
        f"Radiomics features that are left in the model of a fold: {shown} (features.csv names them).",
        (Evidence("features.csv", "weight"),),
    )


def extraction_settings(run: FinishedRun) -> Fact:
    """Every parameter of the extraction, or of the network where there is none."""
    given = Claim(
        "Every parameter of PyRadiomics is spelled out in config.yaml under radiomics.settings, those at its default "
        "among them.",
        in_config(f"{_RADIOMICS}.imageType", f"{_RADIOMICS}.featureClass", _SETTING),
    )
    network = Claim(
        "The architecture of the network, and of the operations on images all that can be set, are in config.yaml.",
        in_config("backbone", "imaging", "model", "trainer.augmentation"),
    )
    has_pixels = "image" in branches(run)
    claims = (given if _extracts(run) else _no_radiomics(run), network if has_pixels else None)
    return fact(*claims, met=True if _extracts(run) or has_pixels else None)


def stability(run: FinishedRun) -> Fact:
    """Whether features that depend on where the outline is drawn were removed."""
    name = setting(run, "stability.name")
    if not _extracts(run) or name is None:
        return fact(_no_radiomics(run))
    if name == "none":
        text = "Not done: no feature was removed for depending on where the outline was drawn."
        return fact(Claim(text, in_config("stability.name")), met=False)
    others = {key: value for key, value in run.config["stability"].items() if key != "name"}
    what = {"readers": "two readers' outlines", "perturbation": "perturbed outlines"}.get(name, name)
    return fact(
        Claim(
            f"Features were kept by their intraclass correlation over {what} ({values_text(others)}), measured on the "
            "training part of each fold; stability.csv has every feature's.",
            (*in_config("stability"), Evidence("stability.csv", None)),
        ),
        met=True,
    )


def scaling(run: FinishedRun) -> Fact:
    """How inputs were scaled."""
    if not recorded(run, "tabular.clip") or not branches(run):
        return fact()
    taken = branches(run)
    tables = Claim(
        f"Numbers were standardized by mean and standard deviation of the training part of the fold and clipped at "
        f"±{setting(run, 'tabular.clip'):g}; a category became one input a level.",
        in_config("tabular.clip"),
    )
    none = Claim("Does not apply: the model takes no numbers beside the pixels.", in_config("model"))
    return fact(tables if taken & {"radiomics", "clinical"} or "deep" in run.inputs else none)


def robustness(run: FinishedRun) -> Fact:
    """Whether a network from pixels to outcome was tested on changed images."""
    if not is_end_to_end(run):
        return fact(Claim("Does not apply: no network goes from the pixels to the outcome.", in_config("model")))
    return fact(
        Claim(
            "Not done: the run does not score its network on repeated scans, other outlines or perturbed images.",
            in_config("evaluation"),
        ),
        met=False,
    )


def _extracts(run: FinishedRun) -> bool:
    needed = ("imageType", "featureClass", "setting")
    return "radiomics" in branches(run) and recorded(run, *(f"{_RADIOMICS}.{name}" for name in needed))


def _no_radiomics(run: FinishedRun) -> Claim | None:
    """Only where the model takes none; a run that did not record its settings says nothing."""
    taken: set[Any] = branches(run)
    if not taken or "radiomics" in taken:
        return None
    return Claim("Does not apply: the model takes no hand-crafted radiomics features.", in_config("model"))


FACTS = (
    preprocessing,
    resampling,
    discretization,
    image_types,
    extraction,
    feature_classes,
    n_features,
    extraction_settings,
    stability,
    scaling,
    robustness,
)

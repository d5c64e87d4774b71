"""Every option of every group of conf/ composes, builds, learns from one batch and scores, offline.

A new file in conf/ is walked without a word here; only an option that cannot work alone needs a line in NEEDS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusion.records import Cohort, Fold
from fusion.runs.model import is_classical

ROOT = Path(__file__).parents[1]
OPTIONS = sorted(path.relative_to(ROOT / "conf").with_suffix("").as_posix() for path in ROOT.glob("conf/*/*.yaml"))
DATA = ROOT / "../shared/data"
REAL = ("cohort/breast", "cohort/busbra")
# A dozen patients can be divided by three, and no filter tells them apart.
FEW = [
    "split.validation_fraction=0.4",
    "split.n_inner_folds=3",
    "selection.n_folds=3",
    "selection.n_lambdas=10",
    "selection.n_bootstrap=2",
    "selection.filters=[{{name: variance, min_variance: 0}}]",
]
# What an option asks of its user, or of a tiny cohort without network.
NEEDS = {
    "backbone": ["imaging.n_px=32"],
    "classifier": ["model=clinical", *FEW],
    "selection": ["model=clinical", *FEW[:-1], "model.select=true"],
    "deep": ["model=deep", *FEW],
    "model": FEW,
    "experiment": ["cohort.simulation.design=null", "radiomics=ultrasound_2d", *FEW],
    "cohort/table": [
        "cohort.simulation=null",
        "cohort.name=mine",
        "cohort.root={phantom}",
        "cohort.table=table.csv",
        "cohort.key=id",
        "cohort.image='images/{{id}}.png'",
        "cohort.mask='masks/{{id}}.png'",
        "cohort.label.column=diagnosis",
        "cohort.label.names=[benign,malignant]",
        "+cohort.clinical.age={{kind: number}}",
    ],
    # A fit here has one process; training/test_course.py has several.
    "trainer/ddp": ["trainer.devices=1", "trainer.accelerator=cpu"],
    "trainer/ddp_cpu": ["trainer.devices=1"],
    "trainer/ddp_slurm": ["trainer.devices=1", "trainer.accelerator=cpu"],
    # Exact numbers are those of the whole cohort.
    "cohort/phantom_su": ["cohort.simulation.design=null", "cohort.simulation.n_patients=36"],
    "cohort/phantom_xia": ["cohort.simulation.design=null", "cohort.simulation.n_patients=36"],
    # Two centers of which four patients can be had.
    "harmonization/combat": ["cohort.center=side"],
    "stability/readers": ["cohort.second_mask='masks/{{id}}.png'"],
    "split/center": ["split.train=[north,east]", "split.test=[south,west]"],
    "split/column": ["cohort.fold=center"],
}
Composer = Callable[[Sequence[str]], dict[str, Any]]


def marked(option: str) -> Any:
    if option == "trainer/gpu":
        return pytest.param(option, marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"))
    if option not in REAL:
        return option
    absent = not (DATA / Path(option).name).is_dir()
    reason = f"the cohort is not at {DATA.relative_to(ROOT) / Path(option).name}"
    return pytest.param(option, marks=[pytest.mark.real_data, pytest.mark.skipif(absent, reason=reason)])


@pytest.fixture(scope="module")
def phantom(compose: Composer, tiny: tuple[str, ...], fusion_cache: Path) -> Path:
    """Folder of the tiny simulated cohort."""
    from fusion.cohorts.load import cohort_root

    return cohort_root(compose(tiny)["cohort"], cache_dir=fusion_cache)


@pytest.fixture
def overrides(tiny: tuple[str, ...], phantom: Path) -> Callable[[str], list[str]]:
    """The command of an option."""

    def command(option: str) -> list[str]:
        group, name = option.split("/")
        # The option has the last word on what it is about.
        kept = [override for override in tiny if not override.startswith(f"{group}.")]
        needs = [*NEEDS.get(group, []), *NEEDS.get(option, [])]
        cohort = [f"cohort.root={(DATA / name).resolve()}"] if option in REAL else []
        return [f"{group}={name}", *kept, *cohort, *(need.format(phantom=phantom) for need in needs)]

    return command


def small(cohort: Cohort, fold: Fold, n_train: int) -> tuple[Cohort, Fold]:
    """Some patients of each label to train on, one of each to stop on and to test."""

    def pick(patients: frozenset[str], n_each: int) -> frozenset[str]:
        by_label: dict[str, list[str]] = {label: [] for label in cohort.label_names}
        for patient_id in sorted(patients):
            by_label[str(cohort.patients[patient_id][0].label)].append(patient_id)
        return frozenset(patient_id for group in by_label.values() for patient_id in group[:n_each])

    few = replace(fold, train=pick(fold.train, n_train), validation=pick(fold.validation, 1), test=pick(fold.test, 1))
    return replace(cohort, cases=tuple(case for case in cohort.cases if few.part_of(case.patient_id))), few


def fit_network(
    cohort: Cohort, fold: Fold, crops: Any, features: Any, config: dict[str, Any], cache_dir: Path, out_dir: Path
) -> Any:
    from fusion.radiomics.stability import measure_stability
    from fusion.tracking.fold import track_fold
    from fusion.training.fit import fit_fold

    stability = measure_stability(
        [case for case in cohort.cases if case.patient_id in fold.train],
        radiomics=config["radiomics"],
        stability=config["stability"],
        cache_dir=cache_dir,
    )
    fold_dir = out_dir / "fold_0"
    with track_fold(config, fold_dir=fold_dir, sweep=None, label_names=cohort.label_names) as tracking:
        return fit_fold(
            cohort,
            fold=fold,
            crops=crops,
            features=features,
            stable=stability.features if stability else None,
            config=config,
            loggers=tracking.loggers,
            callbacks=tracking.callbacks,
            progress=None,
            title="",
        )


def fit_classical(
    cohort: Cohort, fold: Fold, crops: Any, features: Any, config: dict[str, Any], cache_dir: Path, out_dir: Path
) -> Any:
    from fusion.classical.check import check_classical
    from fusion.classical.fold import fit_classical_fold

    check_classical(config)
    changed = config | {"cache_dir": str(cache_dir)}
    tables = {"crops": crops, "features": features}
    return fit_classical_fold(cohort, fold, outer=fold, config=changed, title="", is_own=True, **tables).model


def few_evaluations(explain: dict[str, Any]) -> dict[str, Any]:
    """As little as there can be of an explanation."""
    if explain["name"] == "none":
        return explain
    inputs = {"n_cases": 1, "n_background": 2, "max_evaluations": 20}
    pixels = {**explain["pixels"], "most_steps": 4, "n_random_orders": 1}
    pixels["deletion"] = {"cell": 0.25, "n_steps": 2}
    pixels["randomization"] = {"n_networks": 1, "n_steps": 2}
    return {**explain, "n_cases": 1, "n_steps": 2, "inputs": inputs, "network": inputs, "pixels": pixels}


@pytest.mark.parametrize("option", [marked(option) for option in OPTIONS])
def test_option_trains_on_one_batch_and_scores(
    option: str, overrides: Any, compose: Composer, fusion_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fusion.cohorts.load import load_cohort
    from fusion.evaluation.evaluate import evaluate
    from fusion.evaluation.pooling import pool_cases
    from fusion.evaluation.settings import Settings
    from fusion.explanation.write import write_explanations
    from fusion.imaging.store import open_crops
    from fusion.radiomics.extract import extract_features
    from fusion.splits.folds import make_folds

    monkeypatch.setenv("WANDB_SILENT", "true")
    config = compose([*overrides(option), "radiomics.n_jobs=1", "evaluation.n_bootstrap=100"])
    whole = load_cohort(config["cohort"], cache_dir=fusion_cache, require_labels=True)
    n_train = 8 if is_classical(config["model"]) else 2
    cohort, fold = small(whole, make_folds(whole, split=config["split"], seed=config["seed"])[0], n_train)
    crops = open_crops(cohort.cases, imaging=config["imaging"], cache_dir=fusion_cache, n_jobs=1)
    features = extract_features(cohort.cases, radiomics=config["radiomics"], cache_dir=fusion_cache)

    fit = fit_classical if is_classical(config["model"]) else fit_network
    model = fit(cohort, fold, crops, features, config, fusion_cache, tmp_path)
    scores = model.score_cases(cohort.cases, crops=crops, features=features, accelerator="cpu")
    write_explanations(
        tmp_path,
        images_dir=tmp_path,
        model=model,
        cases=cohort.cases[:1],
        probabilities=scores.probabilities[:1, -1],
        pictured=[0],
        crops=crops,
        features=features,
        settings=few_evaluations(config["explain"]),
    )
    cases = model.predictions(cohort.cases, scores, fold=fold)
    settings = Settings.from_config(config["evaluation"], seed=0)
    thresholds = {name: {0: 0.5} for name in settings.operating_points}
    figures = evaluate(pool_cases(cases), cases, thresholds=thresholds, settings=settings)
    assert np.isfinite(scores.probabilities).all()
    assert figures["test"]["auc"]["n"] == 2


def test_the_walk_finds_the_options() -> None:
    assert {"backbone/resnet50", "head/gated", "split/kfold", "cohort/breast", "logger/wandb"} <= set(OPTIONS)


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.startswith("cohort/")])
def test_predict_composes_with_every_cohort(option: str) -> None:
    import hydra

    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
        config = hydra.compose("predict", overrides=[option.replace("/", "="), "run=DIR"])
    assert "clinical" in config.cohort

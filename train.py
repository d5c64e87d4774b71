"""Train on a cohort and evaluate: `python train.py [group=option] [key=value]`, `--help` for more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra

from fusion.entry import messages_for_people, plain_config, register_resolvers, resumable
from fusion.errors import FusionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omegaconf import DictConfig

    from fusion.imaging.store import Crops
    from fusion.records import Cohort, FeatureTable, Fold
    from fusion.runs.folder import RunFolder


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    """Run once; a sweep calls this once a job."""
    from hydra.core.hydra_config import HydraConfig

    out_dir = Path(HydraConfig.get().runtime.output_dir if config.resume is None else config.resume)
    with messages_for_people(), resumable(out_dir):
        if config.resume is None:
            train(plain_config(config), out_dir)
        else:
            from fusion.runs.folder import RunFolder

            train(RunFolder.open(out_dir).config, out_dir)


def train(config: Mapping[str, Any], out_dir: Path) -> None:
    """The whole way from a table to a report. What a folder already holds is not done again."""
    from fusion.cohorts.load import cohort_root, load_cohort
    from fusion.imaging.digests import file_digests
    from fusion.imaging.store import open_crops
    from fusion.radiomics.extract import extract_features
    from fusion.report.html import write_report
    from fusion.report.terminal import print_summary
    from fusion.runs.folder import RunFolder
    from fusion.runs.manifest import Manifest, describe_cohort, describe_environment, digest_inputs
    from fusion.splits.folds import make_folds
    from fusion.training.fit import describe_device

    run = RunFolder.begin(out_dir, config)
    manifest = Manifest(out_dir / "manifest.json")
    manifest.record(
        **describe_environment(),
        seed=config["seed"],
        weights=config["backbone"]["weights"],
        device=describe_device(config["trainer"]),
    )
    cache_dir = Path(config["cache_dir"])

    with manifest.stage("cohort"):
        cohort = load_cohort(config["cohort"], cache_dir=cache_dir, require_labels=True)
        folds = make_folds(cohort, split=config["split"], seed=config["seed"])
        chosen = _chosen(folds, config["fold"])
        manifest.record(split_sha256=run.write_split(cohort, folds))
    with manifest.stage("images"):
        crops = open_crops(cohort.cases, imaging=config["imaging"], cache_dir=cache_dir, n_jobs=-1)
    with manifest.stage("radiomics"):
        # Without the branch there is nothing to extract, and nothing that needs PyRadiomics.
        asked = cohort.cases if "radiomics" in config["model"]["branches"] else ()
        features = extract_features(asked, radiomics=config["radiomics"], cache_dir=cache_dir)
    with manifest.stage("digests"):
        root = cohort_root(config["cohort"], cache_dir=cache_dir)
        joined = [table["table"] for table in config["cohort"]["join"]]
        files = {"table": root / config["cohort"]["table"], "weights": Path(config["backbone"]["weights"])}
        files |= {f"table {name}": root / name for name in joined}
        digests = file_digests(cohort.cases, n_jobs=-1)
        manifest.record(cohort=describe_cohort(cohort), sha256=digest_inputs(digests, cohort, files))
    for fold in chosen:
        if not run.is_finished(fold.number):
            with manifest.stage(f"fold_{fold.number}"):
                train_fold(cohort, fold, crops, features, config, run)
    with manifest.stage("evaluation"):
        metrics = evaluate_run(run, config)
        manifest.record(thresholds=run.thresholds)
    with manifest.stage("report"):
        report = write_report(out_dir)
    print_summary(metrics, title=config["name"], written=report)


def train_fold(
    cohort: Cohort, fold: Fold, crops: Crops, features: FeatureTable, config: Mapping[str, Any], run: RunFolder
) -> None:
    """Fit on a fold's training part, freeze the threshold on its inner part, score and explain its test part."""
    from fusion.evaluation.operating_point import choose_threshold
    from fusion.evaluation.pooling import pool_cases
    from fusion.explanation.write import write_explanations
    from fusion.training.fit import fit_fold, scoring_device
    from fusion.training.loggers import open_loggers
    from fusion.training.outputs import write_fold

    with open_loggers(config, fold_dir=run.fold(fold.number)) as loggers:
        model = fit_fold(cohort, fold=fold, crops=crops, features=features, config=config, loggers=loggers)
    cases = [case for case in cohort.cases if fold.part_of(case.patient_id)]
    scores = model.score(
        model.assemble(cases, crops=crops, features=features), device=scoring_device(config["trainer"]["accelerator"])
    )
    predictions = model.predictions(cases, scores, fold=fold)
    model = model.with_threshold(choose_threshold(pool_cases(predictions), part="validation"))
    test = [row for row, case in enumerate(cases) if case.patient_id in fold.test]
    write_explanations(
        run.fold(fold.number),
        images_dir=run.path / "attributions" / "images",
        model=model,
        cases=[cases[row] for row in test],
        probabilities=scores.probabilities[test, -1],
        crops=crops,
        features=features,
        settings=config["explain"],
    )
    write_fold(run.fold(fold.number), model=model, cases=cases, scores=scores, predictions=predictions, fold=fold)


def evaluate_run(run: RunFolder, config: Mapping[str, Any]) -> dict[str, Any]:
    """Join the finished folds' tables and compute every figure from them; nothing is fitted here."""
    from fusion.evaluation.evaluate import evaluate, evaluate_branch
    from fusion.evaluation.pooling import pool_cases
    from fusion.runs.tables import read_branch_predictions, read_predictions, write_predictions
    from fusion.storage import write_json

    run.join_folds()
    cases = read_predictions(run.path / "predictions_cases.csv", model=config["model"]["name"])
    patients = pool_cases(cases)
    write_predictions(run.path / "predictions.csv", patients)
    metrics = evaluate(patients, cases, thresholds=run.thresholds, seed=config["seed"], **config["evaluation"])
    table = run.path / "attributions" / "branches.csv"
    alone = {
        branch: evaluate_branch(
            pool_cases(read_branch_predictions(table, branch, cases.label_names)),
            seed=config["seed"],
            **config["evaluation"],
        )
        for branch in config["model"]["branches"]
    }
    # A cohort need not have every branch that the model knows.
    metrics["branches"] = {branch: figures for branch, figures in alone.items() if figures}
    write_json(run.path / "metrics.json", metrics)
    return metrics


def _chosen(folds: Sequence[Fold], wanted: str | int) -> Sequence[Fold]:
    if wanted == "all":
        return folds
    chosen = [fold for fold in folds if str(fold.number) == str(wanted)]
    if not chosen:
        raise FusionError(f"fold: required all or a number from 0 to {len(folds) - 1}, came {wanted}")
    return chosen


if __name__ == "__main__":
    register_resolvers()
    main()

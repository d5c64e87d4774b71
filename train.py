"""Train on a cohort and evaluate: `python train.py [group=option] [key=value]`, `--help` for more."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra

from fusion.entry import as_override, messages_for_people, plain_config, register_resolvers, require_only, resumable
from fusion.errors import FusionError

# In a fold's folder, what its fits have come to.
UNFINISHED = ".unfinished"

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lightning import Callback
    from lightning.pytorch.loggers import Logger
    from omegaconf import DictConfig

    from fusion.imaging.store import Crops
    from fusion.records import Cohort, FeatureTable, Fold, Predictions
    from fusion.runs.folder import RunFolder
    from fusion.training.tuning import FoldFit


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    """Run once; a sweep calls this once a job."""
    from hydra.core.hydra_config import HydraConfig

    out_dir = Path(HydraConfig.get().runtime.output_dir if config.resume is None else config.resume)
    with messages_for_people(), resumable(out_dir):
        if config.resume is None:
            plain = plain_config(config)
        else:
            from fusion.runs.folder import RunFolder

            require_only(HydraConfig.get().overrides.task, "resume", "fold", "report")
            plain = RunFolder.open(out_dir).config | {"fold": config.fold, "report": config.report}
        train_on_ranks(plain, out_dir)


def train_on_ranks(config: Mapping[str, Any], out_dir: Path) -> None:
    """As ``train``, in this process or in others that share its fits."""
    from fusion.runs.folder import RunFolder
    from fusion.training.ranks import run_on_ranks

    check_config(config)
    RunFolder.begin(out_dir, config)
    rerun = (as_override("resume", out_dir), f"fold={config['fold']}", f"report={str(config['report']).lower()}")
    run_on_ranks(lambda: train(config, out_dir), trainer=config["trainer"], rerun=rerun)


def check_config(config: Mapping[str, Any]) -> None:
    """What is wrong with the configuration is told before any work."""
    from fusion.calibration.fit import check_calibration
    from fusion.classical.check import check_classical
    from fusion.evaluation.settings import Settings
    from fusion.explanation.pixels import check_methods
    from fusion.radiomics.stability import check_stability
    from fusion.tracking.check import check_logger
    from fusion.training.tuning import grid_settings, with_setting

    Settings.from_config(config["evaluation"], seed=config["seed"])
    for setting in grid_settings(config):
        check_classical(with_setting(config, setting))
    check_calibration(config["calibration"]["name"])
    check_stability(config["stability"])
    check_methods(config["explain"])
    check_logger(config["logger"])


def train(config: Mapping[str, Any], out_dir: Path) -> None:
    """The whole way from a table to a report. What a folder already holds is not done again."""
    from fusion.classical.check import check_outcomes
    from fusion.classical.fit import every_part
    from fusion.cohorts.load import cohort_root, load_cohort
    from fusion.evaluation.settings import Settings
    from fusion.evaluation.subgroups import subgroup_columns
    from fusion.guidelines.paper import report_parts
    from fusion.imaging.digests import file_digests
    from fusion.imaging.store import open_crops
    from fusion.radiomics.extract import extract_features
    from fusion.report.html import write_report
    from fusion.report.terminal import print_summary
    from fusion.runs.folder import RunFolder
    from fusion.runs.manifest import Manifest, describe_cohort, describe_environment, digest_inputs
    from fusion.runs.model import branches_taken, is_classical
    from fusion.runs.pseudonyms import names_of
    from fusion.splits.folds import every_fold, make_folds
    from fusion.sweeps.pruning import report_fold
    from fusion.sweeps.records import sweep_of
    from fusion.tabular.harmonize import check_harmonization
    from fusion.tracking.evaluation import track_run
    from fusion.training.devices import describe_device

    settings = Settings.from_config(config["evaluation"], seed=config["seed"])
    run = RunFolder.open(out_dir)
    manifest = Manifest(run)
    manifest.record(
        **describe_environment(),
        seed=config["seed"],
        weights=config["backbone"]["weights"],
        device=describe_device(config["trainer"]),
    )
    cache_dir = Path(config["cache_dir"])

    with manifest.stage("cohort"):
        cohort = load_cohort(config["cohort"], cache_dir=cache_dir, require_labels=True)
        check_outcomes(config, cohort)
        folds = make_folds(cohort, split=config["split"], seed=config["seed"])
        every = every_fold(cohort, folds, split=config["split"], shares=settings.learning_curve)
        if is_classical(config["model"]):
            every = every_part(cohort, folds, every, config=config)
        check_harmonization(config["harmonization"], cohort, every)
        subgroup_columns(cohort, settings.subgroups["columns"])
        chosen = _chosen(folds, config["fold"])
        manifest.record(split_sha256=run.write_split(cohort, folds))
    with manifest.stage("images"):
        crops = open_crops(cohort.cases, imaging=config["imaging"], cache_dir=cache_dir, n_jobs=-1)
    with manifest.stage("radiomics"):
        # Without the branch there is nothing to extract, and nothing that needs PyRadiomics.
        asked = cohort.cases if "radiomics" in branches_taken(config["model"]) else ()
        features = extract_features(asked, radiomics=config["radiomics"], cache_dir=cache_dir)
    with manifest.stage("digests"):
        root = cohort_root(config["cohort"], cache_dir=cache_dir)
        joined = [table["table"] for table in config["cohort"]["join"]]
        files = {"table": root / config["cohort"]["table"], "weights": Path(config["backbone"]["weights"])}
        files |= {f"table {name}": root / name for name in joined}
        digests = file_digests(cohort.cases, n_jobs=-1)
        manifest.record(cohort=describe_cohort(cohort), sha256=digest_inputs(digests, cohort, files))
    for fold in run.unfinished(chosen):
        with manifest.stage(f"fold_{fold.number}"):
            train_fold(cohort, fold, crops, features, config, run)
            manifest.record(features_looked_at={f"fold_{fold.number}": run.candidates(fold.number)})
        report_fold(run.path, n_folds=len(folds))
    # One process at a time: the last of them to come here sees the folds of all.
    with run.lock("evaluation"):
        with manifest.stage("evaluation"):
            metrics = evaluate_run(run, config, cohort, folds, features)
        if config["report"]:
            with manifest.stage("report"):
                report = write_report(out_dir, naming=names_of(config), **report_parts(out_dir))
            print_summary(metrics, title=config["name"], written=report)
        track_run(run, config=config, metrics=metrics, sweep=sweep_of(run.path))


def train_fold(
    cohort: Cohort, fold: Fold, crops: Crops, features: FeatureTable, config: Mapping[str, Any], run: RunFolder
) -> None:
    """Fit on a fold's training part, freeze calibration and thresholds on predictions of it, score its test part."""
    from fusion.classical.fold import fit_classical_fold
    from fusion.evaluation.evaluate import inner_score
    from fusion.evaluation.pooling import pool_cases
    from fusion.evaluation.settings import Settings
    from fusion.evaluation.thresholds import choose_thresholds
    from fusion.explanation.references import REFERENCES, write_references
    from fusion.explanation.thumbnails import write_thumbnails
    from fusion.explanation.write import write_explanations
    from fusion.runs.model import is_classical
    from fusion.storage import content_key
    from fusion.sweeps.pruning import pruning_callbacks
    from fusion.sweeps.records import sweep_of
    from fusion.tracking.fold import track_fold
    from fusion.training.learning_curve import fit_learning_curve
    from fusion.training.outputs import write_fold
    from fusion.training.tuning import fit_tuned, with_setting

    settings = Settings.from_config(config["evaluation"], seed=config["seed"])
    fold_dir = run.fold(fold.number)

    def score(inner: Predictions) -> float:
        return inner_score(pool_cases(inner), settings=settings)

    with track_fold(config, fold_dir=fold_dir, sweep=sweep_of(run.path), label_names=cohort.label_names) as tracking:

        def fit(part: Fold, tried: Mapping[str, Any], title: str) -> FoldFit:
            shown = f"fold {fold.number}{title and f', {title}'}"
            is_own = not title
            if is_classical(tried["model"]):
                return fit_classical_fold(
                    cohort, part, outer=fold, crops=crops, features=features, config=tried, title=shown, is_own=is_own
                )
            # The fold's own fit is tracked, those within it are not: they are seen in tuning.csv.
            return fit_and_score(
                *(cohort, part, crops, features, tried),
                title=shown,
                # Kept until the fold is finished, so that after a kill no epoch is trained twice.
                progress=fold_dir / UNFINISHED / content_key(title)[:16],
                loggers=tracking.loggers if is_own else (),
                callbacks=[*tracking.callbacks, *pruning_callbacks(run.path, config)] if is_own else (),
                fold_dir=fold_dir if is_own else None,
            )

        tuned = fit_tuned(cohort, fold, config=config, fit=fit, score=score)
        tuned = tuned.calibrated(config["calibration"]["name"])
        points = settings.operating_points
        thresholds = choose_thresholds(pool_cases(tuned.inner), part="validation", operating_points=points)
        tuned = tuned.with_thresholds(thresholds, primary=settings.threshold)

        test = [row for row, case in enumerate(tuned.fit.cases) if case.patient_id in fold.test]
        pictures = run.path / "attributions"
        write_thumbnails(pictures / "thumbnails", [tuned.fit.cases[row] for row in test], crops)
        write_explanations(
            fold_dir,
            images_dir=pictures / "images",
            model=tuned.fit.model,
            cases=[tuned.fit.cases[row] for row in test],
            probabilities=tuned.fit.scores.probabilities[test, -1],
            pictured=range(len(test)),
            crops=crops,
            features=features,
            settings=config["explain"],
        )
        write_references(
            fold_dir / REFERENCES,
            tuned.fit.model,
            tuned.fit.cases,
            fold=fold,
            crops=crops,
            features=features,
            accelerator=config["trainer"]["accelerator"],
        )
        fit_learning_curve(
            cohort,
            fold,
            shares=settings.learning_curve,
            config=with_setting(config, tuned.setting),
            fit=fit,
            out_dir=fold_dir,
        )
        write_fold(fold_dir, tuned=tuned, fold=fold, split_sha256=run.split_sha256)
        tracking.finish(tuned, fold=fold, checkpoint=fold_dir / "model.ckpt")
    shutil.rmtree(fold_dir / UNFINISHED, ignore_errors=True)


def fit_and_score(
    cohort: Cohort,
    fold: Fold,
    crops: Crops,
    features: FeatureTable,
    config: Mapping[str, Any],
    *,
    title: str,
    progress: Path,
    loggers: Sequence[Logger],
    callbacks: Sequence[Callback],
    fold_dir: Path | None,
) -> FoldFit:
    """Fit on a fold's training part and score all of its patients; what is measured on the way goes to ``fold_dir``."""
    from fusion.radiomics.stability import COLUMNS, measure_stability
    from fusion.runs.tables import write_rows
    from fusion.training.fit import fit_fold
    from fusion.training.tuning import FoldFit

    extracted = {*features.case_ids}
    stability = measure_stability(
        [case for case in cohort.cases if case.patient_id in fold.train and case.case_id in extracted],
        radiomics=config["radiomics"],
        stability=config["stability"],
        cache_dir=Path(config["cache_dir"]),
    )
    if fold_dir and stability:
        rows = ((fold.number, *row) for row in stability.rows())
        write_rows(fold_dir / "stability.csv", ("fold", *COLUMNS), rows)
    model = fit_fold(
        cohort,
        fold=fold,
        crops=crops,
        features=features,
        stable=stability.features if stability else None,
        config=config,
        loggers=loggers,
        callbacks=callbacks,
        progress=progress,
        title=title,
    )
    cases = tuple(case for case in cohort.cases if fold.part_of(case.patient_id))
    scores = model.score_cases(cases, crops=crops, features=features, accelerator=config["trainer"]["accelerator"])
    return FoldFit(model=model, cases=cases, scores=scores, predictions=model.predictions(cases, scores, fold=fold))


def evaluate_run(
    run: RunFolder, config: Mapping[str, Any], cohort: Cohort, folds: Sequence[Fold], features: FeatureTable
) -> dict[str, Any]:
    """Join the finished folds' tables and compute every figure from them; nothing of the model is fitted here."""
    from fusion.cohorts.load import cohort_root
    from fusion.evaluation.evaluate import evaluate, evaluate_auc, evaluate_in_cohort, learning_point
    from fusion.evaluation.kept_probe import probe
    from fusion.evaluation.kept_table_one import kept_table_one
    from fusion.evaluation.patient_flow import patient_flow
    from fusion.evaluation.pooling import pool_cases
    from fusion.evaluation.sample_size import sample_size
    from fusion.evaluation.settings import Settings
    from fusion.runs.folder import INNER
    from fusion.runs.model import branches_heard
    from fusion.runs.tables import read_branch_predictions, read_predictions, write_predictions
    from fusion.splits.folds import count_labels
    from fusion.storage import write_json
    from fusion.training.learning_curve import learning_file

    run.join_folds()
    settings = Settings.from_config(config["evaluation"], seed=config["seed"])
    name, thresholds = config["model"]["name"], run.thresholds
    cases = read_predictions(run.path / "predictions_cases.csv", model=name)
    patients, inner = pool_cases(cases), pool_cases(read_predictions(run.path / INNER, model=name))
    write_predictions(run.path / "predictions.csv", patients)
    metrics = {
        "split_sha256": run.split_sha256,
        "folds": {"finished": sorted(set(cases.folds)), "planned": len(folds)},
        **evaluate(patients, cases, thresholds=thresholds, settings=settings),
        **evaluate_in_cohort(
            patients,
            inner,
            cohort=cohort,
            thresholds=thresholds,
            reader_is_input=config["cohort"]["reader_score"]["as_input"],
            settings=settings,
        ),
        "sample_size": sample_size(
            count_labels(cohort, folds),
            n_parameters=max(sum(run.candidates(number).values()) for number in run.finished),
            **config["evaluation"]["sample_size"],
        ),
    }
    cache_dir = Path(config["cache_dir"])
    metrics["between_centers"]["probe"] = probe(cohort, features, settings=settings, cache_dir=cache_dir)
    metrics["learning_curve"] = [
        {"share": share, **learning_point(run.read_tables(learning_file(share), model=name), settings=settings)}
        for share in settings.learning_curve
    ]
    table = run.path / "attributions" / "branches.csv"
    alone = {
        branch: evaluate_auc(pool_cases(read_branch_predictions(table, branch, cases.label_names)), settings=settings)
        for branch in branches_heard(config["model"])
    }
    # A cohort need not have every branch that the model knows.
    metrics["branches"] = {branch: figures for branch, figures in alone.items() if figures}
    described = kept_table_one(cohort, folds, seed=config["seed"], cache_dir=cache_dir)
    write_json(run.path / "table_one.json", described)
    rooted = {**config["cohort"], "root": str(cohort_root(config["cohort"], cache_dir=cache_dir))}
    write_json(run.path / "patient_flow.json", patient_flow(cohort, folds, features, config=rooted))
    write_json(run.path / "metrics.json", metrics)
    return metrics


def _chosen(folds: Sequence[Fold], wanted: str | int) -> Sequence[Fold]:
    if wanted == "all":
        return folds
    chosen = [fold for fold in folds if str(fold.number) == str(wanted)]
    if not chosen:
        raise FusionError(
            f"fold: required all or a number from 0 to {len(folds) - 1}, came {wanted}: with these settings of `split` "
            "the patients are divided no more often; split=kfold divides them split.n_folds times, and split=holdout "
            "split.n_divisions times"
        )
    return chosen


if __name__ == "__main__":
    from fusion.training.ranks import lend_device_if_rank

    # A process that only shares another one's fits has no configuration and no run folder.
    lend_device_if_rank(sys.argv[1:])
    register_resolvers()
    main()

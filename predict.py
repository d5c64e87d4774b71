"""Apply a trained run to patients: `python predict.py run=RUN_DIR cohort=breast cohort.root=DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra

from fusion.entry import messages_for_people, plain_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="predict")
def main(config: DictConfig) -> None:
    """Predict once."""
    from hydra.core.hydra_config import HydraConfig

    with messages_for_people():
        predict(plain_config(config), Path(HydraConfig.get().runtime.output_dir))


def predict(config: Mapping[str, Any], out_dir: Path) -> None:
    """Score a cohort with every finished fold of a run, average, explain; evaluate where the outcome is known."""
    from fusion.classical.load import load_model
    from fusion.cohorts.load import cohort_root, load_cohort
    from fusion.evaluation.evaluate import evaluate
    from fusion.evaluation.pooling import average_folds, pool_cases
    from fusion.evaluation.settings import Settings
    from fusion.explanation.applicability import applicability_notes, write_applicability
    from fusion.explanation.pixels import check_methods
    from fusion.explanation.several import explain_several
    from fusion.explanation.thumbnails import write_thumbnails
    from fusion.imaging.digests import file_digests
    from fusion.imaging.store import open_crops
    from fusion.radiomics.extract import extract_features
    from fusion.report.prediction import write_prediction
    from fusion.report.terminal import print_notes, print_summary
    from fusion.runs.application import record_application
    from fusion.runs.folder import RunFolder
    from fusion.runs.model import branches_taken
    from fusion.runs.pseudonyms import names_of
    from fusion.runs.tables import write_predictions
    from fusion.storage import write_json
    from fusion.training.applying import align_cohort, mean_thresholds, outcome_note, score_folds
    from fusion.training.devices import scoring_device

    check_methods(config["explain"])
    require_new(out_dir)
    run = RunFolder.open(Path(config["run"]))
    models = [load_model(path) for path in run.models]
    trained, cache_dir, accelerator = models[0].settings, Path(config["cache_dir"]), config["accelerator"]
    given = load_cohort(config["cohort"], cache_dir=cache_dir, require_labels=False)
    cohort = align_cohort(given, models[0])
    crops = open_crops(cohort.cases, imaging=trained["imaging"], cache_dir=cache_dir, n_jobs=-1)
    asked = cohort.cases if "radiomics" in branches_taken(trained["model"]) else ()
    features = extract_features(asked, radiomics=trained["radiomics"], cache_dir=cache_dir)
    sources: dict[str, Any] = {"crops": crops, "features": features}
    record_application(
        out_dir,
        run=run,
        config=config,
        cohort=cohort,
        table=cohort_root(config["cohort"], cache_dir=cache_dir) / config["cohort"]["table"],
        digests=file_digests(cohort.cases, n_jobs=-1),
        device=scoring_device(accelerator),
    )

    attributions = out_dir / "attributions"
    folds = score_folds(models, cohort.cases, **sources, out_dir=attributions, accelerator=accelerator)
    cases = average_folds(folds)
    patients = pool_cases(cases)
    write_predictions(out_dir / "predictions_folds.csv", folds)
    write_predictions(out_dir / "predictions_cases.csv", cases)
    write_predictions(out_dir / "predictions.csv", patients)

    applicability = write_applicability(
        out_dir, run=run, models=models, cohort=cohort, **sources, accelerator=accelerator
    )
    (fold,) = set(patients.folds)
    thresholds = {name: {fold: threshold} for name, threshold in mean_thresholds(models).items()}
    settings = Settings.from_config(run.config["evaluation"], seed=run.config["seed"])
    metrics = evaluate(patients, cases, thresholds=thresholds, settings=settings)
    write_json(out_dir / "metrics.json", {"split_sha256": run.split_sha256, **metrics})

    write_thumbnails(attributions / "thumbnails", cohort.cases, crops)
    explain_several(
        attributions,
        models=models,
        cases=cohort.cases,
        probabilities=cases.probabilities[:, -1],
        **sources,
        settings=config["explain"],
    )

    page = write_prediction(out_dir, naming=names_of(config))
    print_notes([*outcome_note(given, models[0]), *applicability_notes(applicability)])
    print_summary(metrics, title=f"{cohort.name}, {len(models)} model(s) of {run.path}", written=page)


def require_new(out_dir: Path) -> None:
    """Refuse a folder that holds a run or an earlier prediction, whose files would stand beside the new ones.

    Raises:
        FusionError: If it does.
    """
    from fusion.errors import FusionError

    if (out_dir / "split.csv").exists() or (out_dir / "predictions.csv").exists():
        raise FusionError(
            f"{out_dir}: required a new folder, came one with the files of a run or of a prediction; name "
            "another one: hydra.run.dir=OUT_DIR"
        )


if __name__ == "__main__":
    main()

import json
from pathlib import Path

import yaml

from fusion.records import Case, Cohort
from fusion.runs.application import record_application
from fusion.runs.folder import RunFolder
from fusion.storage import file_digest

TRAINED = {
    "name": "mine",
    "seed": 3,
    "cohort": {"name": "ours", "root": "here"},
    "explain": {"name": "full"},
    "backbone": {"name": "tiny", "weights": "none"},
    "evaluation": {"level": 0.95},
}


def test_the_runs_configuration_with_the_other_cohort_in_it(tmp_path: Path) -> None:
    run = RunFolder.begin(tmp_path / "run", TRAINED)
    (run.path / "split.csv").write_text("patient_id,center,fold,part\n")
    for number in (0, 2):
        run.fold(number).mkdir()
        (run.fold(number) / "predictions_cases.csv").write_text("")
    image, table = tmp_path / "a.png", tmp_path / "table.csv"
    image.write_text("pixels")
    table.write_text("rows")
    case = Case(case_id="a", patient_id="p", center="there", image=image, mask=None, label=None, clinical={})
    cohort = Cohort(name="theirs", cases=(case,), label_names=("no", "yes"), clinical_columns=())
    record_application(
        tmp_path / "out",
        run=run,
        config={"cohort": {"name": "theirs"}, "explain": {"name": "fast"}, "accelerator": "auto"},
        cohort=cohort,
        table=table,
        digests={image: file_digest(image)},
        device="cpu",
    )
    config = yaml.safe_load((tmp_path / "out/config.yaml").read_text())
    assert config == {
        **TRAINED,
        "cohort": {"name": "theirs"},
        "explain": {"name": "fast"},
        "applied": {"run": str(run.path), "cohort": "ours", "simulated": False, "folds": [0, 2]},
    }
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["cohort"] == {"patients": 1, "cases": 1, "labels": {"None": 1}, "centers": {"there": 1}}
    assert manifest["sha256"]["table"] == file_digest(table)
    assert manifest["split_sha256"] == run.split_sha256
    assert (manifest["seed"], manifest["weights"], manifest["device"]) == (3, "none", "cpu")

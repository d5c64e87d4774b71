import json

import numpy as np
import pytest
import yaml

from fusion.errors import InputError
from fusion.report.run_folder import read_predictions, read_run


def test_predictions_come_back_as_they_were_written(tmp_path, simulation, fake):
    for predictions in (simulation.patients, simulation.cases):
        fake.write_predictions(tmp_path / "p.csv", predictions)
        read = read_predictions(tmp_path / "p.csv")
        for name in ("label_names", "patient_ids", "centers", "parts", "folds", "labels", "case_ids"):
            assert getattr(read, name) == getattr(predictions, name)
        np.testing.assert_allclose(read.probabilities, predictions.probabilities, atol=1e-15)


def test_an_id_like_na_or_007_stays_a_string(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("patient_id,center,fold,part,label,prob_a,prob_b\n007,NA,0,test,,0.5,0.5\n")
    read = read_predictions(path)
    assert (read.patient_ids, read.centers, read.labels) == (("007",), ("NA",), ("",))


def test_thresholds_and_level_are_read(run_dir):
    run = read_run(run_dir)
    assert run.primary_point == "youden"
    assert run.thresholds[1] == 0.52
    assert run.level == 0.95
    assert len(run.overlays) == 30


@pytest.mark.parametrize(
    ("cohort", "expected"),
    [({"name": "phantom"}, True), ({"name": "x", "simulation": {}}, True), ({"name": "x"}, False)],
)
def test_simulated_cohort_is_known_by_its_config(run_dir, cohort, expected):
    (run_dir / "config.yaml").write_text(yaml.safe_dump({"cohort": cohort, "evaluation": {"level": 0.95}}))
    assert read_run(run_dir).is_simulated == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.json", '{"test": ', "metrics.json"),
        ("manifest.json", "[1]", "a list, not a mapping"),
        ("config.yaml", "cohort: {name: x}", "evaluation.level"),
        ("config.yaml", "a: [", "config.yaml"),
        ("predictions.csv", "patient_id,center\n", "are missing among"),
        ("predictions.csv", "patient_id,center,fold,part,label,prob_a\n", "per label"),
        ("predictions.csv", "patient_id,center,fold,part,label,prob_a,prob_b\n1,A,0,test,a,0.9,0.9\n", "sum to 1"),
        ("features.csv", "fold,name\n", "feature"),
        ("features.csv", "", "features.csv"),
        ("attributions/clinical.csv", "case_id,fold,name,value\n1,0,Age,x\n", "clinical.csv"),
        ("attributions/inputs.csv", "case_id,fold,name,value\n1,0,Age,1\n", "unit"),
        ("selection.csv", "fold,stage,feature\n", "frequency"),
        ("lasso_cv.csv", "fold,stage,lambda\n", "deviance"),
        ("nomogram.csv", "fold,variable,label,value\n0,a,b,c\n", "nomogram.csv"),
    ],
)
def test_unreadable_files_are_named_with_the_reason(run_dir, name, content, message):
    (run_dir / name).write_text(content)
    with pytest.raises(InputError) as caught:
        read_run(run_dir)
    assert message in str(caught.value)
    assert name.rsplit("/", 1)[-1] in str(caught.value)


def test_thresholds_of_an_older_run_are_those_of_its_manifest(run_dir):
    metrics = json.loads((run_dir / "metrics.json").read_text())
    del metrics["operating_points"]
    (run_dir / "metrics.json").write_text(json.dumps(metrics))
    (run_dir / "manifest.json").write_text('{"thresholds": {"0": 0.25, "1": null}}')
    assert read_run(run_dir).thresholds == {0: 0.25}


def test_folds_planned_and_finished(run_dir):
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    for folds, planned in (({"finished": [0], "planned": 9}, 9), (None, 5)):
        path.write_text(json.dumps(metrics | {"folds": folds}))
        assert (read_run(run_dir).n_folds, read_run(run_dir).n_planned_folds) == (5, planned)


def test_what_each_fold_chose_is_read(run_dir):
    for fold, setting in ((0, {"l1": 0.01}), (1, {})):
        folder = run_dir / f"fold_{fold}"
        folder.mkdir()
        (folder / "fold.json").write_text(json.dumps({"setting": setting}))
    (run_dir / "fold_2").mkdir()
    assert read_run(run_dir).chosen == {0: {"l1": 0.01}}


def test_tables_of_a_classical_run(classical, finished):
    run = read_run(classical)
    assert run.is_classical
    assert run.inputs == {"clinical": "features", "radiomics": "score", "deep": "score"}
    assert run.candidates[1] == {"radiomics": 753, "deep": 32, "clinical": 25}
    assert run.classifiers[4] == {"C": 1}
    assert len(run.final_inputs[0]) == 9
    assert (run.left_out, run.weights) == ([], {})
    assert [each["name"] for each in run.filters] == ["mann_whitney", "spearman"]
    assert {"selection", "lasso_cv", "lasso_path", "nomogram"} <= {k for k, v in vars(run).items() if v is not None}
    assert set(run.attributions) == {"inputs"}
    network = read_run(finished)
    assert not network.is_classical
    assert (network.inputs, network.candidates, network.nomogram) == ({}, {}, None)
    assert (network.left_out, network.filters, network.grid) == ([], [], {})


def test_a_final_stage_that_takes_nothing_is_a_fact_and_one_that_was_not_recorded_is_none(classical_dir, fake):
    fake.write_facts(classical_dir, inputs=[["a"], [], None, None, None])
    assert read_run(classical_dir).final_inputs == {0: ["a"], 1: []}


def test_blocks_that_no_fold_had_are_left_out_where_folds_recorded_any(classical_dir, fake):
    fake.write_facts(classical_dir, candidates=[{"clinical": 24, "deep": 0}] * 4 + [None])
    run = read_run(classical_dir)
    assert (run.inputs, run.left_out, run.is_fused) == ({"clinical": "features"}, ["deep", "radiomics"], False)
    fake.write_facts(classical_dir, candidates=[None] * 5)
    run = read_run(classical_dir)
    assert (list(run.inputs), run.left_out) == (["clinical", "deep", "radiomics"], [])


def test_the_grid_is_a_list_of_mappings(run_dir):
    path = run_dir / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["split"]["grid"] = [{"l1": [0, 1]}, {"optimizer.lr": [2], "model.dropout": [0.1]}]
    path.write_text(yaml.safe_dump(config))
    assert read_run(run_dir).grid == {"l1": [0, 1], "optimizer.lr": [2], "model.dropout": [0.1]}


def test_a_frequency_that_was_not_measured_is_nan(run_dir):
    (run_dir / "selection.csv").write_text(
        "fold,stage,feature,coefficient,frequency\n0,final,a,0.1,\n0,final,b,1,0.5\n"
    )
    frequencies = read_run(run_dir).selection["frequency"]
    assert np.isnan(frequencies[0])
    assert frequencies[1] == 0.5

import csv
import json

import pytest
import yaml

from fusion.calibration import platt
from fusion.report.limitations import HELD_SLOPE, limitations, warnings
from fusion.report.run_folder import read_run


@pytest.fixture
def said(run_dir):
    """A function that changes metrics.json and gives what is said then."""

    def after(change):
        path = run_dir / "metrics.json"
        metrics = json.loads(path.read_text())
        change(metrics)
        path.write_text(json.dumps(metrics))
        return "\n".join(limitations(read_run(run_dir)))

    return after


def configure(run_dir, **changes):
    path = run_dir / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def write_fold(run_dir, fold, calibration):
    (run_dir / f"fold_{fold}").mkdir()
    (run_dir / f"fold_{fold}" / "fold.json").write_text(json.dumps({"calibration": calibration}))


def estimate(value, low, high):
    return {"value": value, "ci_low": low, "ci_high": high, "n": 100}


def test_few_patients_and_centers_seen_in_training(run_dir, simulation):
    sentences = "\n".join(limitations(read_run(run_dir)))
    test = simulation.patients
    n = len({p for p, label in zip(test.patient_ids, test.labels, strict=True) if label == "malignant"})
    assert f"Only {n} test patients are malignant" in sentences
    assert "Every center of the test patients also gave training patients" in sentences


def test_a_center_that_is_left_out_in_turn_gave_no_training_patients_of_its_own_model(run_dir):
    path = run_dir / "predictions.csv"
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = sorted({row["center"] for row in rows})
    for row in rows:
        # Fold k tests the center k; its patients are in no other part of it.
        row["part"] = "test" if row["center"] == names[int(row["fold"]) % len(names)] else "train"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert "also gave training patients" not in "\n".join(limitations(read_run(run_dir)))


def test_one_center(tmp_path, fake):
    run_dir = fake.write_run(tmp_path / "run", fake.Simulation(40, centers=("Fudan",)), optional=False)
    assert any("one center (Fudan)" in sentence for sentence in limitations(read_run(run_dir)))


def test_a_table_without_centers_is_not_one_center(tmp_path, fake):
    run_dir = fake.write_run(tmp_path / "run", fake.Simulation(40, centers=("Fudan",)), optional=False)
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    config["cohort"]["center"] = None
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    sentences = "\n".join(limitations(read_run(run_dir)))
    assert "names no center" in sentences
    assert "one center (" not in sentences


def test_chance_within_the_interval(said):
    assert "includes 0.5" in said(lambda metrics: metrics["test"].update(auc=estimate(0.6, 0.48, 0.7)))
    assert "includes 0.5" not in said(lambda metrics: metrics["test"].update(auc=estimate(0.6, 0.51, 0.7)))


def test_an_interval_below_chance_is_reversed_not_chance(said, run_dir):
    sentences = said(lambda metrics: metrics["test"].update(auc=estimate(0.3, 0.2, 0.45)))
    assert "lies below 0.5: the order of the patients is reversed. Near chance the AUC pooled over folds" in sentences
    assert "includes 0.5" not in sentences
    path = run_dir / "predictions.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(row for row in rows if row.split(",")[2] == "0")]) + "\n")
    assert "pooled over folds" not in said(lambda metrics: None)


@pytest.mark.parametrize(
    ("slope", "words"),
    [
        ((0.5, 0.3, 0.8), "too extreme"),
        ((2.0, 1.2, 3.0), "too timid"),
        ((0.9, 0.7, 1.1), None),
        ((-0.4, -1.5, 2.0), "the order is reversed"),
        ((None,) * 3, None),
    ],
)
def test_calibration_slope(said, slope, words):
    sentences = said(lambda metrics: metrics["test"].update(calibration_slope=estimate(*slope)))
    assert ("calibration slope" in sentences) == (words is not None)
    assert words is None or words in sentences


def test_gap_between_training_and_test(said):
    def change(metrics):
        metrics["train"]["auc"], metrics["test"]["auc"] = estimate(0.99, 0.98, 1), estimate(0.7, 0.6, 0.8)

    assert "0.990 on training patients and 0.700 on test patients" in said(change)


def test_a_model_that_learned_nothing_has_not_overfitted(said):
    def change(metrics):
        metrics["train"]["auc"], metrics["test"]["auc"] = estimate(0.6, 0.5, 0.7), estimate(0.45, 0.4, 0.5)

    assert "on training patients and" not in said(change)


def test_fusing_gains_nothing(said, run_dir):
    def change(metrics):
        metrics["branches"]["clinical"]["auc"] = estimate(0.95, 0.9, 0.97)
        metrics["test"]["auc"] = estimate(0.94, 0.9, 0.97)

    assert "The clinical branch alone has an AUC of 0.950, the fused model 0.940" in said(change)
    configure(run_dir, model={"branches": ["clinical"]})
    assert "fus" not in said(change)


def test_a_slope_that_was_held_is_said_with_its_folds(run_dir):
    assert "Platt" not in "\n".join(limitations(read_run(run_dir)))
    for fold, slope in enumerate((0.01, 0.8, 0.01)):
        write_fold(run_dir, fold, {"name": "platt", "intercepts": [0.1], "slopes": [slope]})
    write_fold(run_dir, 3, {"name": "none"})
    assert HELD_SLOPE == platt._LOWEST_SLOPE
    assert "In 2 of 3 folds (0, 2) Platt’s slope was held at its lowest value of 0.01" in "\n".join(
        limitations(read_run(run_dir))
    )


def write_inner(run_dir, counts):
    rows = [
        f"{fold}-{label}-{k},{fold},{label}" for (fold, label), n in counts.items() for k in range(n) for _ in range(2)
    ]
    (run_dir / "predictions_inner.csv").write_text("\n".join(["patient_id,fold,label", *rows]) + "\n")


def test_few_inner_patients_are_counted_by_label(run_dir):
    def said():
        return "\n".join(limitations(read_run(run_dir)))

    assert "inner patients" not in said()
    write_inner(run_dir, {(0, "benign"): 30, (0, "malignant"): 20, (1, "benign"): 30, (1, "malignant"): 7})
    few = "The thresholds and the calibration rest on as few as 7 inner patients that are malignant (fold 1)"
    assert few in said()
    assert "split.n_inner_folds=3 chooses" in said()
    configure(run_dir, split={"name": "kfold", "n_inner_folds": 3})
    assert few in said()
    assert "split.n_inner_folds=3" not in said()
    write_inner(run_dir, {(0, "benign"): 30, (0, "malignant"): 20})
    assert "inner patients" not in said()


def test_isotonic_regression_wants_a_thousand(run_dir):
    def said():
        return "\n".join(limitations(read_run(run_dir)))

    write_inner(run_dir, {(0, "benign"): 500, (0, "malignant"): 499})
    assert "Isotonic" not in said()
    configure(run_dir, calibration={"name": "isotonic"})
    assert "Isotonic regression was fitted to 999 inner patients" in said()
    write_inner(run_dir, {(0, "benign"): 500, (0, "malignant"): 500})
    assert "Isotonic" not in said()


def test_center_with_one_label(said, run_dir):
    path = run_dir / "predictions.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not (",Fudan," in line and ",malignant," in line)) + "\n")
    sentences = said(lambda metrics: metrics["centers"]["Fudan"].update(auc=estimate(None, None, None)))
    assert "The test patients of center Fudan have only benign, so there is no AUC." in sentences


def test_no_test_figures_say_nothing_of_them(said):
    assert "AUC" not in said(dict.clear)


def test_warnings_name_the_unfinished_folds_and_the_sample_size(run_dir):
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    assert warnings(read_run(run_dir)) == ["Too few patients? 84 training patients, 1712 are advised."]
    metrics["folds"]["planned"], metrics["sample_size"]["warning"] = 25, None
    path.write_text(json.dumps(metrics))
    (sentence,) = warnings(read_run(run_dir))
    assert "the figures of 5 of 25 folds" in sentence


def test_a_new_center_that_may_be_at_chance(said):
    def change(metrics):
        metrics["between_centers"]["auc"]["prediction_low"] = 0.41

    assert "an AUC between 0.410 and 0.960 has to be expected" in said(change)
    assert "prediction interval" not in said(
        lambda metrics: metrics["between_centers"]["auc"].update(prediction_low=0.6)
    )


def test_a_reader_who_is_an_input(said):
    assert "BI-RADS is an input" in said(lambda metrics: metrics["readers"].update(is_input=True))
    assert "is an input" not in said(lambda metrics: metrics["readers"].update(is_input=False))


def test_joining_scores_gains_nothing(classical_dir):
    path = classical_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["branches"]["deep"]["auc"] = estimate(0.97, 0.9, 0.99) | {"n": metrics["test"]["auc"]["n"]}
    # Of other patients, and so no match for the model's.
    metrics["branches"]["radiomics"]["auc"] = estimate(0.99, 0.9, 0.99) | {"n": metrics["test"]["auc"]["n"] - 1}
    path.write_text(json.dumps(metrics))
    sentences = "\n".join(limitations(read_run(classical_dir)))
    assert "The deep score alone has an AUC of 0.970, the whole model" in sentences
    assert "fus" not in sentences


def test_branches_of_other_patients_are_not_compared_with_the_model(said):
    def change(metrics):
        metrics["branches"]["clinical"]["auc"] = estimate(0.95, 0.9, 0.97) | {"n": 99}
        metrics["test"]["auc"] = estimate(0.94, 0.9, 0.97)

    assert "gained nothing" not in said(change)


def test_blocks_that_were_left_out_are_warned_of(classical_dir, fake):
    assert "left out" not in " ".join(warnings(read_run(classical_dir)))
    fake.write_facts(classical_dir, candidates=[{"clinical": 24}] * 5)
    assert "The deep features and the radiomics features were left out" in " ".join(warnings(read_run(classical_dir)))


def test_a_selection_that_kept_nothing_is_said_with_its_folds(classical_dir):
    assert "kept no feature" not in "\n".join(limitations(read_run(classical_dir)))
    path = classical_dir / "selection.csv"
    empty = ("1,final,", "3,final,", "4,deep,")
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith(empty)) + "\n")
    sentences = limitations(read_run(classical_dir))
    assert (
        "The selection of the final stage kept no feature in 2 of 5 folds (1, 3): every patient was given the same "
        "probability."
    ) in sentences
    assert "The selection of the deep score kept no feature in 1 of 5 folds (4): it says nothing there." in sentences


def test_an_unstable_selection_is_said(classical_dir):
    path = classical_dir / "selection.csv"
    header = "fold,stage,feature,coefficient,frequency\n"
    path.write_text(header + "0,final,a,0.1,0.49\n0,final,b,0.1,0.2\n0,final,c,0.3,1.0\n0,deep,d,0.1,\n")
    said = (
        "The selection of the final stage is unstable: 2 of 3 selected features over the folds were selected in fewer"
    )
    sentences = "\n".join(limitations(read_run(classical_dir)))
    assert said in sentences
    assert sentences.count("unstable") == 1
    path.write_text(header + "0,final,a,0.1,0.5\n0,final,b,0.1,0.2\n")
    assert "unstable" not in "\n".join(limitations(read_run(classical_dir)))

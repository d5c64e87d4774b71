import json

import pytest

from fusion.report.run_folder import read_run
from fusion.report.tables import (
    alone_caption,
    center_tables,
    direction_text,
    operating_point_tables,
    part_tables,
    reader_tables,
    rule_text,
    threshold_text,
)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"rule": "youden"}, "largest sensitivity + specificity"),
        ({"rule": "specificity", "at_least": 0.925}, "specificity of at least 92.5\N{NO-BREAK SPACE}%"),
        (
            {"rule": "cost", "false_negative": 5.0, "false_positive": 1.0},
            "least cost: 5 a missed case, 1 a false alarm",
        ),
        ({"rule": "of_tomorrow", "x": 1}, "rule of_tomorrow, x 1"),
    ],
)
def test_rules_in_words(rule, text):
    assert rule_text(rule) == text


def test_thresholds_are_a_range():
    assert threshold_text({"0": 0.3}) == "0.300"
    assert threshold_text({"0": 0.3, "1": 0.25, "2": None}) == "0.250 to 0.300 (2 folds)"
    assert threshold_text({}) == "none"


def test_training_stands_beside_test_and_says_what_it_is_for(finished):
    (table,) = part_tables(read_run(finished))
    assert [column.key for column in table.columns] == ["test", "test_cases", "validation", "train"]
    assert "overfitting only" in table.columns[-1].title
    names = dict(table.metrics)
    assert names["auc"] == "AUC, pooled over the folds"
    assert names["auc_fold_mean"] == "AUC, mean of the folds’ own"


def test_many_centers_are_several_tables(run_dir):
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["centers"] = {f"center {k}": metrics["centers"]["Fudan"] for k in range(10)}
    path.write_text(json.dumps(metrics))
    tables = center_tables(read_run(run_dir))
    assert [len(table.columns) for table in tables] == [4, 4, 2]


def test_the_primary_operating_point_comes_first(run_dir):
    path = run_dir / "config.yaml"
    path.write_text(path.read_text().replace("threshold: youden", "threshold: sensitivity_90"))
    (table,) = operating_point_tables(read_run(run_dir))
    assert [column.title for column in table.columns] == ["sensitivity_90 (primary)", "youden"]


def test_the_direction_names_its_exceptions(run_dir, fake):
    assert direction_text(reader_tables(read_run(run_dir))) == "Higher is better."
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["readers"]["reader"] |= {"lr_negative": fake.estimate(0.2, 9), "brier": fake.estimate(0.2, 9)}
    path.write_text(json.dumps(metrics))
    expected = "Higher is better, except for the negative likelihood ratio and the Brier score."
    assert direction_text(reader_tables(read_run(run_dir))) == expected


def test_a_reader_who_is_an_input_has_no_column_of_both(run_dir):
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    del metrics["readers"]["model_and_reader"]
    path.write_text(json.dumps(metrics))
    (table,) = reader_tables(read_run(run_dir))
    assert [column.title for column in table.columns] == ["Reader (BI-RADS)", "Model"]


def test_the_inner_part_of_a_classical_run_chose_no_epoch(classical):
    columns = [column.title for table in part_tables(read_run(classical)) for column in table.columns]
    assert "Inner part" in columns


def test_figures_of_branches_alone_name_their_patients(run_dir):
    assert alone_caption(read_run(run_dir)) == (
        "Each branch’s own head, alone, beside the fused model; the same 140 test patients."
    )
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    for name, n in (("image", 120), ("radiomics", 118)):
        metrics["branches"][name]["auc"]["n"] = n
    path.write_text(json.dumps(metrics))
    assert alone_caption(read_run(run_dir)) == (
        "Each branch’s own head, alone, beside the fused model. Of the 140 test patients 120 have image and 118 have "
        "radiomics, and the figures alone are of those: figures of different patients cannot be compared."
    )


def test_a_score_alone_of_a_classical_model(classical_dir):
    assert alone_caption(read_run(classical_dir)).startswith("Each block’s score alone, beside the model; the same 140")
    path = classical_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    del metrics["branches"]["deep"]
    path.write_text(json.dumps(metrics))
    assert alone_caption(read_run(classical_dir)).startswith("The score alone, beside the model; the same 140")

import pandas as pd

from fusion.report.run_folder import read_run
from fusion.report.stages import figure_name, fold_text, of_first_fold, of_stage, stage_text, stages


def test_the_final_stage_comes_first(classical, finished):
    assert stages(read_run(classical)) == ["final", "deep", "radiomics"]
    assert stages(read_run(finished)) == []


def test_words_and_names():
    assert (stage_text("final"), stage_text("deep")) == ("the final stage", "the deep score")
    assert (figure_name("lasso", "final"), figure_name("lasso", "a/b")) == ("lasso", "lasso_a_b")


def test_the_first_fold_is_the_lowest_number():
    table = pd.DataFrame({"fold": ["10", "2", "2"], "stage": ["a", "b", "a"]})
    rows, fold = of_first_fold(table)
    assert (len(rows), fold) == (2, 2)
    assert list(of_stage(table, "a")["fold"]) == ["10", "2"]


def test_one_fold_needs_no_words(tmp_path, classical_dir):
    run = read_run(classical_dir)
    assert fold_text(run, 0) == "Of fold 0, one of 5: the others’ differ. "
    path = classical_dir / "predictions.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(line for line in lines if line.split(",")[2] == "0")]) + "\n")
    assert fold_text(read_run(classical_dir), 0) == ""

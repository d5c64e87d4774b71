import numpy as np
import pandas as pd
import pytest
import yaml

from fusion.report.figures.shap import draw_shap, plan_shap, swarm, thin
from fusion.report.run_folder import read_run

HEADER = ["case_id", "fold", "name", "value", "completeness_error", "unit"]


def test_bars_are_mean_absolute_values_the_longest_first():
    names, values = ["a", "b", "a", "b", "c"], [0.1, -2.0, -0.3, 1.0, 3.3]
    # The second fold's model does not use a and b, and its one case counts 0 there.
    table = pd.DataFrame({"case_id": [*"xxyyz"], "fold": [*"00001"], "name": names, "value": values})
    left, right = draw_shap(table, unit="logit").axes
    assert [bar.get_width() for bar in right.patches] == pytest.approx([1.1, 1.0, 0.4 / 3])
    np.testing.assert_allclose(left.collections[1].get_offsets()[:, 0], [-2, 1])
    assert left.get_xlabel() == "SHAP value (logit)"


def test_dots_of_a_row_stay_in_it_and_spread_where_they_are_dense():
    values = np.sort(np.concatenate([np.zeros(100), [3.0, 9.0]]))
    offsets = swarm(values, width=9.0)
    assert np.abs(offsets).max() <= 0.36
    assert np.ptp(offsets[:100]) > 0.6
    assert offsets[-1] == 0
    np.testing.assert_array_equal(swarm(np.zeros(3), width=0.0).shape, 3)


def test_many_cases_are_thinned_evenly_with_the_extremes():
    values = np.arange(1000.0)
    shown = thin(values)
    assert len(shown) == 250
    assert (shown[0], shown[-1]) == (0, 999)
    assert np.diff(shown).max() <= 5
    assert thin(values[:20]) is not values
    np.testing.assert_array_equal(thin(values[:20]), values[:20])


def test_the_unit_and_the_cases_are_said(classical, simulation):
    plan = plan_shap(read_run(classical))
    n_cases = sum(part == "test" for part in simulation.cases.parts)
    assert f"{n_cases} cases." in plan.caption
    assert "moved the logit of its calibrated probability towards malignant" in plan.caption
    assert "no input" not in plan.caption


def configure(run_dir, **changes):
    path = run_dir / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def test_without_calibration_it_is_the_probability_itself(classical_dir):
    configure(classical_dir, calibration={"name": "none"})
    assert "moved the logit of its probability towards" in plan_shap(read_run(classical_dir)).caption


def drop(run_dir, is_dropped):
    path = run_dir / "attributions" / "inputs.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *(line for line in lines if not is_dropped(line.split(",")))]) + "\n")


def test_folds_without_any_input_are_counted(classical_dir, fake, simulation):
    drop(classical_dir, lambda row: row[1] in ("1", "3"))
    fake.write_facts(classical_dir, inputs=[["a"], [], ["a"], [], ["a"]])
    tested = [
        int(fold) for fold, part in zip(simulation.cases.folds, simulation.cases.parts, strict=True) if part == "test"
    ]
    n_explained = sum(fold not in (1, 3) for fold in tested)
    caption = plan_shap(read_run(classical_dir)).caption
    assert (
        f"{n_explained} of {len(tested)} test cases were explained. In 2 of 5 folds (1, 3) the model has no input"
        in caption
    )
    assert "the bars are of the other folds" in caption


def test_no_fold_with_an_input_leaves_nothing_to_explain(classical_dir, fake):
    fake.write_facts(classical_dir, inputs=[[]] * 5)
    (classical_dir / "attributions" / "inputs.csv").unlink()
    assert "no input at all in any fold" in plan_shap(read_run(classical_dir)).figure


def test_late_fusion_does_not_explain_cases_that_lack_a_score(classical_dir, fake):
    fake.write_late(classical_dir)
    assert "lack a score" not in plan_shap(read_run(classical_dir)).caption
    drop(classical_dir, lambda row: row[0].startswith("00"))
    assert "Cases that lack a score are not." in plan_shap(read_run(classical_dir)).caption


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "holds no case"),
        ([["1", 0, "a", 0.1, "", "logit"], ["2", 1, "a", 0.1, "", "probability"]], "in different units"),
    ],
)
def test_what_cannot_be_drawn_has_its_reason(classical_dir, fake, rows, reason):
    fake.write_csv(classical_dir / "attributions" / "inputs.csv", HEADER, rows)
    assert reason in plan_shap(read_run(classical_dir)).figure


def test_values_of_0_are_drawn(classical_dir, fake):
    rows = [[f"{k}", 0, "a", 0.0, "nan", "logit"] for k in range(3)]
    fake.write_csv(classical_dir / "attributions" / "inputs.csv", HEADER, rows)
    assert plan_shap(read_run(classical_dir)).figure.axes[1].get_xlim() == (0, 1)


def test_of_a_network_the_caption_says_what_stays_and_what_counts_as_nothing(run_dir, fake):
    rows = [[f"{k}", 0, "a", 0.1 * k, 0.0, "probability"] for k in range(3)]
    fake.write_csv(run_dir / "attributions" / "inputs.csv", HEADER, rows)
    configure(run_dir, model={"name": "fusion", "branches": ["image", "clinical"]})
    caption = plan_shap(read_run(run_dir)).caption
    assert "moved its calibrated probability towards malignant (right)" in caption
    assert "mean; the patient’s image, where the model has one, stays what it is. Bars" in caption
    assert "does not use the input or a case lacks its branch; the longer" in caption
    assert ". 3 of " in caption


def test_an_older_network_has_none(finished):
    assert plan_shap(read_run(finished)) is None

import numpy as np
import pandas as pd
import pytest
import yaml

from fusion.report.figures.dependence import (
    dependence_table,
    described_columns,
    draw_dependence,
    make_panel,
    plan_dependence,
)
from fusion.report.figures.write import write_drawings
from fusion.report.run_folder import read_run

HEADER = ["case_id", "fold", "name", "value", "completeness_error", "unit", "scale", "given"]
LABELS = ("benign", "malignant")
FEATURE = "wavelet-LH_glcm_SumEntropy"
CLINICAL = {
    "age": {"kind": "number", "unit": "years"},
    "edge": {"kind": "ordered", "levels": ["clear", "blurred", "jagged"]},
}


def panel(given, *, name="x", scale="table", described=None, values=None, labels=None):
    rows = pd.DataFrame({"given": given, "scale": scale})
    rows["value"] = np.linspace(-1, 1, len(rows)) if values is None else values
    rows["label"] = [LABELS[k % 2] for k in range(len(rows))] if labels is None else labels
    return make_panel(name, rows, described or {})


def drawn(*panels, unit="logit"):
    return draw_dependence(panels, label_names=LABELS, unit=unit)


def places(axes):
    """(N, 2) of the dots of all outcomes."""
    return np.concatenate([dots.get_offsets() for dots in axes.collections])


def test_numbers_stand_at_their_place_and_the_missing_ones_to_the_left():
    figure = drawn(panel(["60", "", "20.5", "", "40"], described={"kind": "number", "unit": "years"}))
    dots = places(figure.axes[0])
    found = {round(float(y), 6): float(x) for x, y in dots}
    assert {y: x for y, x in found.items() if y in (-1, 0, 1)} == {-1: 60, 0: 20.5, 1: 40}
    assert found[-0.5] < 17
    assert found[0.5] < 17
    axes = figure.axes[0]
    assert "missing" in [text.get_text() for text in axes.texts]
    assert axes.get_xlabel() == "years"
    # No number is to be read where nothing is.
    assert min(axes.get_xticks()) >= 20
    assert axes.get_xlim()[0] < min(x for x, _ in dots)


def test_without_missing_values_there_is_no_place_for_them():
    axes = drawn(panel(["1", "2", "3"])).axes[0]
    assert "missing" not in [text.get_text() for text in axes.texts]
    assert axes.get_xlim()[0] > 0.8


def test_the_outcome_has_a_shape_and_a_color_of_its_own():
    figure = drawn(panel(["1", "2", "3", "4"], labels=["benign", "malignant", "", "benign"]))
    benign, malignant, unknown = figure.axes[0].collections[:3]
    np.testing.assert_array_equal(benign.get_offsets()[:, 0], [1, 4])
    np.testing.assert_array_equal(malignant.get_offsets()[:, 0], [2])
    np.testing.assert_array_equal(unknown.get_offsets()[:, 0], [3])
    shapes = {dots.get_paths()[0].vertices.tobytes() for dots in (benign, malignant, unknown)}
    assert len(shapes) == 3
    # Hollow and filled stay apart in print.
    assert not len(benign.get_facecolors())
    assert len(malignant.get_facecolors())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["benign", "malignant", "outcome unknown"]


def test_levels_have_columns_in_their_own_order_with_what_is_missing_first():
    given = ["jagged", "clear", "", "blurred", "clear"]
    figure = drawn(panel(given, described=CLINICAL["edge"]))
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["missing", "clear", "blurred", "jagged"]
    by_value = {round(float(y), 6): round(float(x)) for x, y in places(axes)}
    assert by_value == {-1: 3, -0.5: 1, 0: 0, 0.5: 2, 1: 1}
    np.testing.assert_array_equal(places(axes), places(drawn(panel(given, described=CLINICAL["edge"])).axes[0]))


def test_a_level_that_nobody_has_takes_no_room_and_one_that_no_list_has_is_kept():
    assert panel(["jagged", "clear"], described=CLINICAL["edge"]).levels == ("clear", "jagged")
    assert panel(["torn", "clear", "clear"], described=CLINICAL["edge"]).levels == ("clear", "torn")


def test_answers_and_categories_are_no_numbers():
    assert panel(["yes", "no", "yes"]).levels == ("no", "yes")
    assert panel(["2", "1", "2"], described={"kind": "category"}).levels == ("2", "1")
    # Of what is no clinical column, numbers are numbers.
    assert panel(["2", "1", "2"]).levels == ()


def test_dense_dots_of_a_level_are_spread_sideways_within_its_column():
    figure = drawn(panel(["yes"] * 30, values=np.zeros(30)))
    across = places(figure.axes[0])[:, 0]
    assert np.ptp(across) > 0.5
    assert np.abs(across).max() < 0.5


def test_rare_levels_are_drawn_together():
    given = [level for k, level in enumerate("abcdefgh") for _ in range(9 - k)] + [""]
    found = panel(given, described={"kind": "set"})
    assert found.levels == (*"abcde", "3 others")
    assert found.dots["given"].value_counts()["3 others"] == 4 + 3 + 2
    assert (found.dots["given"] == "").sum() == 1


def test_what_lies_far_out_is_cut_off_and_counted():
    numbers = [*np.linspace(0, 1, 40), 1e12, -1e12]
    found = panel([repr(float(number)) for number in numbers], scale="extracted", name=FEATURE)
    axes = drawn(found).axes[0]
    assert found.n_beyond == 2
    assert len(places(axes)) == 40
    assert axes.get_xlim() == pytest.approx((-0.04, 1.04))
    assert axes.get_xlabel() == "as extracted; 2 beyond the axis"


def test_what_most_cases_share_makes_no_outlier_of_the_others():
    assert panel([*["0"] * 30, "1", "5"]).n_beyond == 0


def test_large_effects_are_never_cut_off_and_all_panels_have_one_scale():
    strong, weak = panel(["1", "2", "3"], values=[-1, 0, 900]), panel(["yes", "no", "yes"], name="y")
    figure = drawn(strong, weak)
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert figure.axes[0].get_ylim()[1] > 900


@pytest.mark.parametrize(("n", "shape"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3)), (6, (2, 3))])
def test_as_many_panels_as_inputs_in_a_journals_width(n, shape):
    figure = drawn(*(panel(["1", "2"], name=f"input {k}") for k in range(n)))
    assert figure.axes[0].get_gridspec().get_geometry() == shape
    assert sum(axes.axison for axes in figure.axes) == n
    assert figure.get_figwidth() == (3.5 if n == 1 else 7.0)


def test_features_are_read_to_people_with_their_code_below():
    axes = drawn(panel(["1", "2"], name=FEATURE)).axes[0]
    assert axes.get_title(loc="left").replace("\n", " ").startswith("sum entropy (gray-level co- occurrence")
    assert [text.get_text() for text in axes.texts] == [FEATURE]
    plain = drawn(panel(["1", "2"], name="age")).axes[0]
    assert plain.get_title(loc="left") == "age"
    assert not plain.texts


def test_many_dots_are_thinned_with_the_extremes():
    found = panel([f"{k}" for k in range(900)])
    assert found.is_thinned
    assert len(found.dots) == 250
    assert (found.dots["value"].min(), found.dots["value"].max()) == (-1, 1)


def test_an_input_that_every_case_lacks_is_drawn():
    axes = drawn(panel(["", ""], described={"kind": "number"})).axes[0]
    assert len(places(axes)) == 2
    assert "missing" in [text.get_text() for text in axes.texts]


def test_the_readers_score_is_a_column_where_it_is_an_input():
    cohort = {"clinical": CLINICAL, "reader_score": {"column": "BIRADS", "levels": ["2", "4a"], "as_input": True}}
    found = described_columns(cohort)
    assert found["BIRADS"]["kind"] == "ordered"
    assert found["age"] == CLINICAL["age"]
    cohort["reader_score"]["as_input"] = False
    assert set(described_columns(cohort)) == {"age", "edge"}


def tell(run_dir, simulation, fake, give):
    """Rows of inputs.csv for every test case."""
    cases = simulation.cases
    rows = [
        [cases.case_ids[row], cases.folds[row], name, value, 0, "logit", scale, given]
        for row, part in enumerate(cases.parts)
        if part == "test"
        for name, value, scale, given in give(row)
    ]
    fake.write_csv(run_dir / "attributions" / "inputs.csv", HEADER, rows)
    path = run_dir / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["cohort"]["clinical"] = CLINICAL
    path.write_text(yaml.safe_dump(config))
    return rows


def give(row):
    levels = CLINICAL["edge"]["levels"]
    yield "age", 0.9 * (-1) ** row, "table", f"{30 + row % 40}"
    yield "edge", 0.5, "table", levels[row % 3] if row % 5 else ""
    yield FEATURE, -0.3, "extracted", repr(row**2 / 7)
    yield "nothing", 0.0, "logit", "0.5"


def test_the_strongest_inputs_of_a_run_with_the_outcome_of_each_case(classical_dir, simulation, fake):
    rows = tell(classical_dir, simulation, fake, give)
    plan = plan_dependence(read_run(classical_dir))
    assert list(plan.table) == ["name", "given", "value", "label"]
    # What moved nothing has no panel.
    assert list(dict.fromkeys(plan.table["name"])) == ["age", "edge", FEATURE]
    assert len(plan.table) == 3 * len(rows) // 4
    labels = dict(zip(simulation.cases.case_ids, simulation.cases.labels, strict=True))
    expected = sorted((row[7], row[3], labels[row[0]]) for row in rows if row[2] == "age")
    ages = plan.table.loc[plan.table["name"] == "age", ["given", "value", "label"]]
    assert sorted(ages.itertuples(index=False, name=None)) == expected
    levels = [tick.get_text() for tick in plan.figure.axes[1].get_xticklabels()]
    assert levels == ["missing", *CLINICAL["edge"]["levels"]]
    assert plan.figure.axes[0].get_xlabel() == "years"


def test_the_caption_says_how_it_is_read_and_no_more_than_is_so(classical_dir, simulation, fake):
    tell(classical_dir, simulation, fake, give)
    caption = plan_dependence(read_run(classical_dir)).caption
    assert caption.startswith("The strongest 3 of 4 inputs. A dot is a test case")
    assert "moved the logit of its calibrated probability towards malignant" in caption
    assert "what the model does with an input, not what the disease does" in caption
    assert "[Lundberg & Lee, NeurIPS 2017:4765; Lundberg et al., Nat Mach Intell 2020;2:56]" in caption
    assert "Above “missing”" in caption
    assert "cut off" not in caption
    tell(classical_dir, simulation, fake, lambda row: [("age", 0.1, "table", "1e9" if row == 3 else f"{row % 9}")])
    caption = plan_dependence(read_run(classical_dir)).caption
    assert "missing" not in caption
    assert "Levels" not in caption
    assert "or the models of the folds differ" in caption
    assert "The strongest" not in caption


def test_a_case_that_several_models_scored_has_a_dot_of_each(classical_dir, fake):
    rows = [["000_0", fold, "age", 0.1 * fold, 0, "logit", "table", "54"] for fold in range(3)]
    fake.write_csv(classical_dir / "attributions" / "inputs.csv", HEADER, rows)
    plan = plan_dependence(read_run(classical_dir))
    assert plan.table["value"].tolist() == pytest.approx([0, 0.1, 0.2])
    assert plan.caption.startswith("A dot is a test case and one of the models that scored it: across")


def test_what_is_cut_off_or_not_drawn_is_said(classical_dir, simulation, fake):
    tested = [row for row, part in enumerate(simulation.cases.parts) if part == "test"]
    first = tested[0]
    tell(classical_dir, simulation, fake, lambda row: [("age", 0.1, "table", "1e9" if row == first else f"{row % 9}")])
    plan = plan_dependence(read_run(classical_dir))
    assert "are cut off, and counted below" in plan.caption
    assert len(plan.table) == len(tested) - 1


def test_it_is_written_as_other_figures_are(classical_dir, simulation, fake, tmp_path):
    tell(classical_dir, simulation, fake, give)
    drawing = write_drawings([plan_dependence(read_run(classical_dir))], tmp_path)["dependence"]
    table = pd.read_csv(drawing.path.with_suffix(".csv"), keep_default_na=False)
    assert set(table["label"]) == set(LABELS)
    assert "case_id" not in table
    assert drawing.path.with_suffix(".pdf").is_file()
    assert FEATURE in drawing.path.read_text()


def test_an_older_run_has_none(classical, finished):
    assert plan_dependence(read_run(classical)) is None
    assert plan_dependence(read_run(finished)) is None


def test_a_run_whose_inputs_move_nothing_says_so(classical_dir, simulation, fake):
    tell(classical_dir, simulation, fake, lambda row: [("age", 0.0, "table", "7")])
    assert plan_dependence(read_run(classical_dir)).figure == "No input moved the output of any case."


def test_the_table_is_what_is_drawn():
    panels = [panel(["1", "", "3"], name="a"), panel(["yes", "no"], name="b")]
    table = dependence_table(panels)
    assert table["name"].tolist() == ["a"] * 3 + ["b"] * 2
    assert len(table) == sum(len(places(axes)) for axes in drawn(*panels).axes)

import json

from fusion.report.figures.subgroups import plan_subgroups
from fusion.report.run_folder import read_run


def words(plan):
    return [text.get_text() for text in plan.figure.axes[0].texts]


def test_levels_stand_below_their_column_and_too_few_is_said(finished):
    (plan,) = plan_subgroups(read_run(finished))
    shown = words(plan)
    assert [shown.index(name) for name in ("age", "< 50 years", ">= 50 years", "sex", "male")] == sorted(
        shown.index(name) for name in ("age", "< 50 years", ">= 50 years", "sex", "male")
    )
    assert "70 (23)" in shown
    assert any(text.startswith("too few: 3 patients, 1 malignant") for text in shown)


def test_three_labels_have_plain_counts_and_a_short_note(tmp_path, fake):
    simulation = fake.Simulation(80, label_names=("benign", "primary", "secondary"))
    run_dir = fake.write_run(tmp_path / "run", simulation, optional=False)
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    counts = "too few: 31 patients, 2 benign, 6 primary, 23 secondary"
    notes = (f"{counts} (required 20 and 5 of each label)", f"{counts}, 0 of a label that has a very long name (…)")
    metrics["subgroups"] = {
        "sex": [{"level": note, "n": 31, "n_positive": 23, "figures": None, "note": note} for note in notes]
    }
    path.write_text(json.dumps(metrics))
    (plan,) = plan_subgroups(read_run(run_dir))
    shown = words(plan)
    assert shown.count("31") == 2
    assert counts in shown
    assert "too few (31 patients)" in shown
    assert "DeLong" not in plan.caption


def test_many_columns_are_several_figures_and_none_is_lost_or_divided(run_dir):
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    levels = metrics["subgroups"]["age"]
    metrics["subgroups"] = {f"sign {k}": levels for k in range(40)}
    path.write_text(json.dumps(metrics))
    plans = plan_subgroups(read_run(run_dir))
    assert [plan.name for plan in plans] == ["subgroups", "subgroups_2", "subgroups_3"]
    headings = [[text for text in words(plan) if text.startswith("sign ")] for plan in plans]
    assert [name for own in headings for name in own] == [f"sign {k}" for k in range(40)]
    for plan, own in zip(plans, headings, strict=True):
        assert words(plan).count("< 50 years") == words(plan).count(">= 50 years") == len(own)
        assert plan.figure.get_size_inches()[1] < 10

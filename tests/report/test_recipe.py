import json

import pytest
import yaml

from fusion.report.recipe import recipe
from fusion.report.run_folder import read_run


@pytest.fixture
def said(classical_dir):
    """A function that changes config.yaml and gives the sentences then."""

    def after(change):
        path = classical_dir / "config.yaml"
        config = yaml.safe_load(path.read_text())
        change(config)
        path.write_text(yaml.safe_dump(config))
        return " ".join(recipe(read_run(classical_dir)))

    return after


def test_every_stage_is_named(classical):
    text = " ".join(recipe(read_run(classical)))
    for words in (
        "the clinical columns, ultrasound findings included, column by column",
        "a score each of the deep features and the radiomics features",
        "For training patients it is out of fold",
        "753 radiomics, 32 deep and 24 to 25 clinical features, 809 to 810 in all",
        "backbone resnet18, fine-tuned on the training part, compressed to at most 32 principal components",
        "by the Mann-Whitney test, p below 0.05 (not corrected); then for redundancy: of two with a Spearman "
        "correlation beyond ±0.9 the one with the larger p was dropped",
        "a LASSO logistic regression, within each score and over everything",
        "the least cross-validated deviance (λ.min) in 10-fold",
        "Filters and LASSO were run anew in every cross-validation fold, and in each of 100 bootstrap resamples",
        "how stable its choice is, not whether it is true",
        "classifier “lr”, tuned within the training part (C: 0.1, 1). Chosen: C 0.1 (3 of 5 folds), C 1 (2 of 5 "
        "folds). Patients of the rarer label were weighted up.",
    ):
        assert words in text


def test_late_fusion_has_weights_and_no_classifier(classical_dir, fake):
    fake.write_late(classical_dir)
    fake.write_facts(
        classical_dir,
        weights=[
            *({"clinical score": 0.25, "radiomics score": 0.75},) * 3,
            {"clinical score": 0.5, "radiomics score": 0.5},
            {"clinical score": 1.0},
        ],
        candidates=[{"clinical": 24, "radiomics": 753}] * 5,
    )
    text = " ".join(recipe(read_run(classical_dir)))
    assert (
        "Weights, mean and range over 5 folds: clinical score 0.45 (0.25 to 1.00) and "
        "radiomics score 0.69 (0.50 to 0.75, in 4 folds)."
    ) in text
    assert "weighted mean of the scores’ calibrated probabilities" in text
    assert "classifier “" not in text
    assert "LASSO logistic regression, within each score;" in text
    assert "Deep features are" not in text


def test_nothing_selected_and_nothing_filtered(said):
    text = said(lambda config: config["model"].update(inputs={"clinical": "features"}, select=False))
    assert "No feature was selected before the last stage." in text
    assert "filtered" not in text
    assert "run anew" not in text
    assert "A score is" not in text


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ([], "were not filtered before the selection"),
        ([{"name": "t_test", "max_p": 0.1, "correction": "holm"}], "Welch’s t-test, p below 0.1 (Holm’s correction)"),
        ([{"name": "pearson", "max_correlation": 0.8, "order": "table"}], "the later in the table was dropped"),
        ([{"name": "variance", "min_variance": 0}, {"name": "mrmr", "n_features": 30}], "above 0; then to the 30 of"),
        ([{"name": "one that is new"}], "by “one that is new”"),
    ],
)
def test_filters(said, filters, words):
    assert words in said(lambda config: config["selection"].update(filters=filters))


def test_elastic_net_and_1se(said):
    text = said(lambda config: config["selection"].update({"l1_ratio": 0.5, "lambda": "1se", "n_bootstrap": 0}))
    assert "an elastic-net logistic regression (L1 part 0.5)" in text
    assert "its penalty is the strongest within one standard error" in text
    assert "Filters and elastic net were run anew in every cross-validation fold." in text
    assert "bootstrap" not in text


def test_candidates_of_a_fold_that_has_none_are_not_counted(classical_dir):
    for fold in range(1, 5):
        (classical_dir / f"fold_{fold}" / "fold.json").write_text(json.dumps({}))
    assert "24 clinical features, 809 in all" in " ".join(recipe(read_run(classical_dir)))


@pytest.mark.parametrize("absent", [{}, {"radiomics": 0, "deep": 0}])
def test_what_the_cohort_has_nothing_of_is_named_as_left_out_and_nowhere_else(classical_dir, fake, absent):
    fake.write_late(classical_dir)
    fake.write_facts(classical_dir, candidates=[{"clinical": 24} | absent] * 5)
    text = " ".join(recipe(read_run(classical_dir)))
    left_out = (
        "The deep features and the radiomics features were left out: the training patients of no fold have any that "
        "could be used. This is the model of the rest."
    )
    assert left_out in text
    rest = text.replace(left_out, "")
    assert "The model takes one score of the clinical columns, ultrasound findings included. Every stage" in rest
    assert "It has looked at 24 clinical features; every one" in rest
    for word in ("radiomics", "deep", "filter", "Filter"):
        assert word not in rest
    assert "a LASSO logistic regression, within the score;" in rest
    assert "The LASSO was run anew in every cross-validation fold" in rest


def test_what_one_fold_has_is_part_of_the_model(classical_dir, fake):
    some = {"clinical": 24, "radiomics": 753, "deep": 32}
    fake.write_facts(classical_dir, candidates=[some, *[{"clinical": 24}] * 4])
    text = " ".join(recipe(read_run(classical_dir)))
    assert "left out" not in text
    assert "0 to 753 radiomics" in text


def test_choices_are_shortened_where_they_are_many(classical_dir, fake):
    fake.write_facts(
        classical_dir, classifier=[{"C": 0.30000000000000004, "kernel": "rbf"}, {"C": 1}, None, {"C": 1}, {}]
    )
    text = " ".join(recipe(read_run(classical_dir)))
    assert "Chosen: C 1 (2 of 5 folds), C 0.3, kernel rbf (1 of 5 folds)." in text


def test_what_the_splits_grid_tuned_is_not_what_the_configuration_says(said):
    split = {"name": "nested", "grid": [{"selection.lambda": ["min", "1se"]}, {"classifier.grid.C": [[1], [2]]}]}
    assert "Each fold chose its own of selection.lambda and classifier.grid.C from the split’s grid" in said(
        lambda c: c.update(split=split)
    )


def test_a_network_has_none(finished):
    assert recipe(read_run(finished)) == []

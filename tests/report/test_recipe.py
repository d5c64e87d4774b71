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
        "100 bootstrap resamples",
        "classifier “lr”, tuned within the training part (C: 0.1, 1). Patients of the rarer label were weighted up.",
    ):
        assert words in text


def test_late_fusion_has_no_classifier(said):
    inputs = {"clinical": "score", "radiomics": "score"}
    text = said(lambda config: config["model"].update(inputs=inputs, select=False, combine="mean"))
    assert "weighted mean of the scores’ calibrated probabilities" in text
    assert "classifier “" not in text
    assert "LASSO logistic regression, within each score;" in text
    assert "Deep features are" not in text


def test_nothing_selected_and_nothing_filtered(said):
    text = said(lambda config: config["model"].update(inputs={"clinical": "features"}, select=False))
    assert "No feature was selected before the last stage." in text
    assert "filtered" not in text
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
    assert "strongest penalty within one standard error" in text
    assert "bootstrap" not in text


def test_candidates_of_a_fold_that_has_none_are_not_counted(classical_dir):
    for fold in range(1, 5):
        (classical_dir / f"fold_{fold}" / "fold.json").write_text(json.dumps({}))
    assert "24 clinical features, 809 in all" in " ".join(recipe(read_run(classical_dir)))


def test_a_network_has_none(finished):
    assert recipe(read_run(finished)) == []

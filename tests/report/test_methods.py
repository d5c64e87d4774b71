import json

import pytest
import yaml

from fusion.report.methods import methods, split_text, starts_at_random
from fusion.report.run_folder import read_run


@pytest.fixture
def said(run_dir):
    """A function that changes config.yaml and gives the sentences then."""

    def after(change):
        path = run_dir / "config.yaml"
        config = yaml.safe_load(path.read_text())
        change(config)
        path.write_text(yaml.safe_dump(config))
        return " ".join(methods(read_run(run_dir)))

    return after


def test_sentences_name_what_was_used(run_dir):
    text = " ".join(methods(read_run(run_dir)))
    for part in (
        "“kfold” (5 folds), written down before anything was fitted (sha256 ab12ab12ab12…)",
        "20\N{NO-BREAK SPACE}% were held out as its inner part; on it were chosen the epoch, the thresholds and ",
        "resnet18, started from the weights resnet18.a1_in1k (hub)",
        "true 2D",
        "L1 penalty of 0.001",
        "head “gated”",
        "Platt’s logistic regression, fitted on predictions of each fold’s inner part, which also chose the epoch",
        "Thresholds were chosen on predictions of each fold’s inner part, which also chose the epoch, and frozen",
        "youden (primary): largest sensitivity + specificity, 0.410 to 0.550 (5 folds)",
        "level of 0.95",
    ):
        assert part in text
    assert "NOT FINISHED" not in text


def test_unfinished_folds_are_stated_loudly(run_dir):
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["folds"]["planned"] = 8
    path.write_text(json.dumps(metrics))
    assert "THE RUN IS NOT FINISHED: these are the figures of 5 of 8 folds." in methods(read_run(run_dir))
    assert split_text(read_run(run_dir)) == "kfold, 5 of 8 folds"


def test_a_branch_that_the_model_does_not_have_is_not_described(said, run_dir):
    def change(config):
        config["model"] = {"name": "fusion", "branches": ["clinical"]}
        config |= {"stability": {"name": "none"}, "harmonization": {"name": "none"}}

    text = said(change)
    assert "stability" not in text
    assert "harmonized" not in text
    assert "Image branch" not in text
    assert "Radiomics branch" not in text
    assert not starts_at_random(read_run(run_dir))


def test_one_branch_is_not_joined(said):
    assert "joined by" not in said(lambda config: config.update(model={"branches": ["clinical"]}))
    assert "joined by" in said(lambda config: config.update(model={"branches": ["clinical", "image"]}))


@pytest.mark.parametrize("n_inner_folds", [1, 3])
def test_three_labels_have_no_thresholds_and_a_bootstrap_for_their_mean(tmp_path, fake, n_inner_folds):
    simulation = fake.Simulation(60, label_names=("benign", "primary", "secondary"))
    run_dir = fake.write_run(tmp_path / "run", simulation, optional=False)
    path = run_dir / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["split"]["n_inner_folds"], config["calibration"] = n_inner_folds, {"name": "none"}
    path.write_text(yaml.safe_dump(config))
    text = " ".join(methods(read_run(run_dir)))
    assert "no thresholds were chosen: a patient is called what is most probable" in text
    assert "the thresholds" not in text
    assert "chosen ." not in text
    assert "a bootstrap of patients for the mean of several labels’" in text
    assert "likelihood ratios" not in text


def test_repeats(said, run_dir):
    said(lambda config: config.update(split={"name": "repeated_kfold", "n_folds": 5, "n_repeats": 10}))
    assert split_text(read_run(run_dir)) == "repeated kfold, 5 folds (5 folds, 10 times)"


def test_nested_names_the_grid_and_what_each_fold_chose(said, run_dir):
    for fold, l1 in enumerate((0.01, 0.001, 0.01)):
        (run_dir / f"fold_{fold}").mkdir()
        setting = {"l1": l1, "classifier.grid.C": [1, 3]}
        (run_dir / f"fold_{fold}" / "fold.json").write_text(json.dumps({"setting": setting}))
    # As conf/split/nested.yaml and the command line write it.
    grid = [{"l1": [0.001, 0.01]}, {"classifier.grid.C": [[0.1], [1, 3]]}]
    split = {"name": "nested", "validation_fraction": 0.2, "n_inner_folds": 3, "grid": grid}
    text = said(lambda config: config.update(split=split))
    assert "out-of-fold predictions of 3 inner folds" in text
    everybody = "out-of-fold predictions of all training patients of each fold (3 inner folds), and frozen"
    assert text.count(everybody) == 2
    assert "the thresholds, the calibration and the grid’s values" in text
    assert (
        "Tried in each fold: l1: 0.001, 0.01; classifier.grid.C: [0.1], [1, 3]. Chosen: "
        "l1 0.01, classifier.grid.C [1, 3] (2 of 3 folds), l1 0.001, classifier.grid.C [1, 3] (1 of 3 folds)."
    ) in text


def test_a_grid_of_which_nothing_was_recorded_is_named_all_the_same(said):
    split = {"name": "nested", "n_inner_folds": 3, "grid": [{"l1": [0.0, 0.01]}]}
    text = said(lambda config: config.update(split=split))
    assert "Tried in each fold: l1: 0.0, 0.01. " in text
    assert "Chosen" not in text


def test_named_centers(said):
    text = said(lambda config: config.update(split={"name": "center", "train": ["A", "B"], "test": [3]}))
    assert "Training centers: A, B. Test centers: 3." in text


@pytest.mark.parametrize(
    ("group", "value", "words"),
    [
        ("calibration", {"name": "none"}, "no calibration was fitted"),
        ("harmonization", {"name": "none"}, "not harmonized"),
        ("harmonization", {"name": "combat", "unseen": "refuse", "covariates": ["age"]}, "the effects of age kept"),
        ("harmonization", {"name": "combat", "unseen": "reference"}, "(policy “reference”)"),
        ("stability", {"name": "none"}, "not filtered by their stability"),
        ("stability", {"name": "perturbation", "threshold": 0.75}, "(“perturbation”: threshold 0.75)"),
    ],
)
def test_optional_stages(said, group, value, words):
    assert words in said(lambda config: config.update({group: value}))


@pytest.mark.parametrize(("weights", "expected"), [("none", True), (None, True), ("hub", False), ("w.pt", False)])
def test_random_start_is_known_by_the_weights(said, run_dir, weights, expected):
    text = said(lambda config: config["backbone"].update(weights=weights))
    assert starts_at_random(read_run(run_dir)) == expected
    assert ("trained from random initialization, not pretrained" in text) == expected


def test_a_model_without_a_backbone_claims_none(said, run_dir):
    def remove(config):
        for group in ("backbone", "radiomics", "head", "calibration"):
            del config[group]

    text = said(remove)
    assert not starts_at_random(read_run(run_dir))
    assert "branch" not in text
    assert "harmonized" not in text
    assert "calibration was" not in text


def test_a_classical_model_has_no_branches_no_head_and_no_epoch(classical_dir):
    text = " ".join(methods(read_run(classical_dir)))
    assert "Backbone of the deep features: resnet18, started from the weights" in text
    assert "Radiomics: PyRadiomics features in true 2D." in text
    assert "On out-of-fold predictions of 5 inner folds within each fold’s training patients were chosen" in text
    for words in ("branch", "head “", "L1 penalty", "epoch"):
        assert words not in text


def test_a_classical_model_of_clinical_columns_says_nothing_of_features_and_images(classical_dir):
    path = classical_dir / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"]["inputs"] = {"clinical": "features"}
    config |= {"stability": {"name": "none"}, "harmonization": {"name": "none"}}
    config["split"]["n_inner_folds"] = 1
    path.write_text(yaml.safe_dump(config))
    text = " ".join(methods(read_run(classical_dir)))
    for words in ("PyRadiomics", "Backbone", "stability", "harmonized", "epoch"):
        assert words not in text
    assert "held out as its inner part; on it were chosen the thresholds and the calibration." in text


def test_blocks_that_the_cohort_has_nothing_of_are_not_described(classical_dir, fake):
    path = classical_dir / "config.yaml"
    config = yaml.safe_load(path.read_text()) | {"stability": {"name": "none"}, "harmonization": {"name": "none"}}
    path.write_text(yaml.safe_dump(config))
    words = ("PyRadiomics", "Backbone", "stability", "harmonized")
    for word in words:
        assert word in " ".join(methods(read_run(classical_dir)))
    fake.write_facts(classical_dir, candidates=[{"clinical": 24}] * 5)
    for word in words:
        assert word not in " ".join(methods(read_run(classical_dir)))
    config["backbone"]["weights"] = "none"
    path.write_text(yaml.safe_dump(config))
    assert not starts_at_random(read_run(classical_dir))

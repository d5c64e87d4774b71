import pytest
import yaml

from fusion.report.methods import methods, starts_at_random
from fusion.report.run_folder import read_run


def test_sentences_name_what_was_used(run_dir):
    text = " ".join(methods(read_run(run_dir)))
    for part in (
        "“kfold” (5 folds)",
        "resnet18, started from the weights resnet18.a1_in1k (hub)",
        "true 2D",
        "L1 penalty of 0.001",
        "head “gated”",
        "(0.460, 0.520, 0.410, 0.550, 0.490)",
        "level of 0.95",
    ):
        assert part in text


@pytest.mark.parametrize(("weights", "expected"), [("none", True), (None, True), ("hub", False), ("w.pt", False)])
def test_random_start_is_known_by_the_weights(run_dir, weights, expected):
    path = run_dir / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["backbone"]["weights"] = weights
    path.write_text(yaml.safe_dump(config))
    run = read_run(run_dir)
    assert starts_at_random(run) == expected
    assert any("trained from random initialization, not pretrained" in text for text in methods(run)) == expected


def test_a_model_without_a_backbone_claims_none(run_dir):
    path = run_dir / "config.yaml"
    config = yaml.safe_load(path.read_text())
    for group in ("backbone", "radiomics", "head"):
        del config[group]
    path.write_text(yaml.safe_dump(config))
    run = read_run(run_dir)
    assert not starts_at_random(run)
    assert "branch" not in " ".join(methods(run))

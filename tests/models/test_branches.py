import pytest
import torch

from fusion.models.backbones import build_backbone
from fusion.models.branches import ClinicalBranch, ImageBranch, RadiomicsBranch


def radiomics_branch(n_features: int = 6) -> RadiomicsBranch:
    torch.manual_seed(0)
    return RadiomicsBranch(n_features=n_features, d_embedding=4, dropout=0.0)


def test_image_branch_embeds_in_the_common_width() -> None:
    settings = {"library": "timm", "name": "test_resnet", "weights": "none", "options": {}}
    backbone = build_backbone(backbone=settings, n_channels=1, n_px=32, pretrained=False)
    branch = ImageBranch(backbone=backbone, d_embedding=5, dropout=0.0)
    assert branch(torch.rand(2, 1, 32, 32)).shape == (2, 5)


def test_a_feature_whose_gate_is_zero_is_not_seen() -> None:
    branch, rows = radiomics_branch(), torch.randn(3, 6)
    with torch.no_grad():
        branch.gates[2] = 0.0
    before = branch(rows)
    rows[:, 2] = 100.0
    assert torch.equal(branch(rows), before)
    rows[:, 3] = 100.0
    assert not torch.equal(branch(rows), before)


def test_a_gate_cannot_be_evaded_by_scaling_the_directions() -> None:
    branch, rows = radiomics_branch(), torch.randn(3, 6)
    before = branch(rows)
    with torch.no_grad():
        branch.directions.mul_(torch.tensor([0.01, 1.0, 5.0, 100.0, 2.0, 0.5]))
    torch.testing.assert_close(branch(rows), before)


@pytest.mark.parametrize("kind", ["category", "set"])
def test_categories_are_embedded_and_numbers_enter_as_they_are(kind: str) -> None:
    groups = (("age", "number", 2), ("shape", kind, 5), ("grade", "ordered", 1))
    branch = ClinicalBranch(groups=groups, d_category=3, d_embedding=4, dropout=0.0)
    linear = next(layer for layer in branch.mix if isinstance(layer, torch.nn.Linear))
    assert linear.in_features == 2 + 3 + 1
    assert branch(torch.randn(7, 8)).shape == (7, 4)


def test_a_category_without_a_level_leaves_its_embedding_at_zero() -> None:
    torch.manual_seed(0)
    branch = ClinicalBranch(groups=(("shape", "category", 3),), d_category=2, d_embedding=4, dropout=0.0)
    other = ClinicalBranch(groups=(("shape", "category", 3),), d_category=2, d_embedding=4, dropout=0.0)
    other.mix.load_state_dict(branch.mix.state_dict())
    assert torch.equal(branch(torch.zeros(1, 3)), other(torch.zeros(1, 3)))
    assert not torch.equal(branch(torch.eye(3)), other(torch.eye(3)))


def test_every_clinical_input_reaches_the_embedding() -> None:
    groups = (("age", "number", 2), ("shape", "category", 3), ("sex", "yes_no", 1))
    branch = ClinicalBranch(groups=groups, d_category=2, d_embedding=8, dropout=0.0)
    rows = torch.randn(1, 6, requires_grad=True)
    branch(rows).sum().backward()
    assert rows.grad is not None
    assert (rows.grad != 0).all()

import pytest

from fusion.classical.model import ClassicalModel
from fusion.training.fitted import FittedModel
from fusion.training.model import Model


@pytest.mark.parametrize("kind", [FittedModel, ClassicalModel])
def test_either_kind_has_all_that_is_asked_of_a_model(kind: type[FittedModel] | type[ClassicalModel]) -> None:
    asked = {name for name in vars(Model) if not name.startswith("_")}
    assert {"score_cases", "presence", "facts", "tables", "calibrator", "save"} <= asked
    assert asked <= {*dir(kind), *kind.__dataclass_fields__}


def fits(network: FittedModel, classical: ClassicalModel) -> list[Model]:
    """The signatures fit, too: mypy holds it."""
    return [network, classical]

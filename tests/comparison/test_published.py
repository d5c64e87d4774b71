from pathlib import Path
from typing import Any

import pytest

from fusion.comparison.published import Published, read_published
from fusion.errors import FusionError

RUN = Path("runs/xia")


@pytest.mark.parametrize("published", [None, {"value": None, "source": "a paper", "by_model": {"deep": 0.7}}])
def test_a_run_may_have_none(published: Any) -> None:
    assert read_published({"published": published}, RUN) is None
    assert read_published({}, RUN) is None


def test_value_and_source() -> None:
    content = {"value": 0.807, "source": "a paper", "by_model": {"radiomics_deep": 0.807}}
    assert read_published({"published": content}, RUN) == Published(0.807, "a paper")


@pytest.mark.parametrize(
    "published",
    [0.8, {}, {"source": "a"}, {"value": 0.8}, {"value": 80.7, "source": "a"}, {"value": "0.8", "source": "a"},
     {"value": True, "source": "a"}, {"value": 0.8, "source": ""}, {"value": float("nan"), "source": "a"}],
)  # fmt: skip
def test_anything_else_is_refused(published: Any) -> None:
    with pytest.raises(FusionError, match=r"config\.yaml: published: required \{value: AUC from 0 to 1.* came "):
        read_published({"published": published}, RUN)

"""What a paper reported of the same kind of model, on its own patients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fusion.errors import FusionError


class Published(NamedTuple):
    """A figure of a paper. Nothing is computed from it: it is of other patients and other data.

    Attributes:
        value: Test AUC.
        source: The paper.
    """

    value: float
    source: str


def read_published(config: Mapping[str, Any], run: Path) -> Published | None:
    """The run's ``published``; None where it has none, or none for this model.

    Raises:
        FusionError: If it is not ``{value: AUC, source: TEXT}``.
    """
    content = config.get("published")
    if content is None or (isinstance(content, Mapping) and content.get("value", ...) is None):
        return None
    value, source = (content.get("value"), content.get("source")) if isinstance(content, Mapping) else (None, None)
    is_auc = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if value is None or not is_auc or not isinstance(source, str) or not source:
        raise FusionError(
            f"{run / 'config.yaml'}: published: required {{value: AUC from 0 to 1, source: the paper}} or null, "
            f"came {content!r}; mend it there"
        )
    return Published(float(value), source)

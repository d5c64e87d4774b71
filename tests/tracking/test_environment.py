import contextlib
import os

import pytest

from fusion.tracking.environment import environment


def test_variables_are_set_and_hidden_within_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSION_THERE", "before")
    monkeypatch.setenv("FUSION_HIDDEN", "before")
    monkeypatch.delenv("FUSION_NEW", raising=False)
    changes = {"FUSION_THERE": "within", "FUSION_NEW": "within", "FUSION_HIDDEN": None}
    before = dict(os.environ)
    with environment(changes):
        assert {name: os.environ.get(name) for name in changes} == changes
    assert dict(os.environ) == before


def test_a_block_that_fails_leaves_no_variable_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FUSION_NEW", raising=False)
    with contextlib.suppress(RuntimeError), environment({"FUSION_NEW": "within"}):
        raise RuntimeError
    assert "FUSION_NEW" not in os.environ

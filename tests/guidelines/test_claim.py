from __future__ import annotations

from pathlib import Path

import pytest

from fusion.guidelines.claim import Claim, Evidence, Places, fact, in_config, in_metrics


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text("split: {name: kfold, grid: null}\n")
    (tmp_path / "metrics.json").write_text('{"test": {"auc": {"value": 0.8}}}')
    (tmp_path / "split.csv").write_text("patient_id,part\np1,test\n")
    (tmp_path / "model.ckpt").write_bytes(b"x")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("evidence", "holds"),
    [
        (Evidence("config.yaml", "split.name"), True),
        # A setting of null is a setting.
        (Evidence("config.yaml", "split.grid"), True),
        (Evidence("config.yaml", "split.n_folds"), False),
        (Evidence("config.yaml", "split.name.more"), False),
        (Evidence("metrics.json", "test.auc"), True),
        (Evidence("metrics.json", "test.brier"), False),
        (Evidence("split.csv", "part"), True),
        (Evidence("split.csv", "fold"), False),
        (Evidence("model.ckpt", None), True),
        (Evidence("empty.csv", None), False),
        (Evidence("empty.csv", "part"), False),
        (Evidence("absent.csv", None), False),
        (Evidence("images", None), True),
        (Evidence("images", "a.png"), False),
        (Evidence("empty", None), False),
    ],
)
def test_evidence_holds_where_the_file_has_the_key(folder: Path, evidence: Evidence, *, holds: bool) -> None:
    assert Places(folder).hold(evidence) is holds


def test_evidence_reads_as_file_and_key() -> None:
    assert [str(place) for place in (*in_config("split"), *in_metrics("test"), Evidence("a.png", None))] == [
        "config.yaml: split",
        "metrics.json: test",
        "a.png",
    ]


def test_a_fact_keeps_the_claims_that_there_are() -> None:
    claim = Claim("It is so.", in_config("split"))
    assert fact(None, claim, None, met=True).claims == (claim,)

import os

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from skops import io

from fusion.classical.persistence import TRUSTED_TYPES, pack_estimator, unpack_estimator
from fusion.errors import FusionError

X = np.random.default_rng(0).normal(size=(30, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.fixture
def packed():
    return pack_estimator(DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y))


def forged(estimator, packed):
    content = bytearray(io.dumps(estimator))
    return {**packed, "bytes": torch.frombuffer(content, dtype=torch.uint8)}


def test_comes_back(packed):
    np.testing.assert_array_equal(
        unpack_estimator(packed).predict_proba(X),
        DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y).predict_proba(X),
    )
    assert packed["bytes"].dtype == torch.uint8
    assert set(packed["versions"]) == {"sklearn"}


def test_a_forged_state_runs_nothing(packed, tmp_path):
    tree = DecisionTreeClassifier().fit(X, Y)
    tree.extra = os.mkdir
    with pytest.raises(FusionError, match="mkdir"):
        unpack_estimator(forged(tree, packed))


def test_functions_of_sklearns_modules_are_not_trusted(packed):
    from sklearn.datasets import fetch_openml

    tree = DecisionTreeClassifier().fit(X, Y)
    tree.extra = fetch_openml
    with pytest.raises(FusionError, match="fetch_openml"):
        unpack_estimator(forged(tree, packed))


def test_only_classes_are_trusted():
    from importlib import import_module

    for name in TRUSTED_TYPES:
        module, _, kind = name.rpartition(".")
        assert isinstance(getattr(import_module(module), kind), type), name


@pytest.mark.parametrize("change", [lambda b: b[: len(b) // 2], lambda b: torch.zeros_like(b), lambda b: b[:0]])
def test_damaged_bytes_are_named(packed, change):
    with pytest.raises(FusionError, match=r"It was fitted with sklearn .*; here are sklearn"):
        unpack_estimator({**packed, "bytes": change(packed["bytes"])})


def test_other_output_is_refused_with_the_versions(packed):
    packed["outputs"][3] += 0.01
    packed["versions"] = {"sklearn": "0.1", "no_such_package": "3.2"}
    with pytest.raises(FusionError) as caught:
        unpack_estimator(packed)
    assert "other output than when it was fitted" in str(caught.value)
    assert "fitted with sklearn 0.1, no_such_package 3.2; here are sklearn " in str(caught.value)
    assert "no_such_package not installed" in str(caught.value)


def test_another_version_that_gives_the_same_is_used(packed, monkeypatch):
    import sklearn.base

    # As a later scikit-learn would see it; it warns, and warnings are errors here.
    monkeypatch.setattr(sklearn.base, "__version__", "99.0")
    assert unpack_estimator(packed).predict_proba(X).shape == (30, 2)


def test_what_skops_cannot_store_is_refused():
    estimator = LogisticRegression().fit(X, Y)
    estimator.extra = (row for row in X)
    with pytest.raises(FusionError, match="LogisticRegression: required types that a run folder can keep"):
        pack_estimator(estimator)

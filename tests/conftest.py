"""What the tests of whole commands and of the configuration share: a tiny cohort, and one cache for all of them."""

from __future__ import annotations

import functools
import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
# A run of these takes a second where the packages are imported already.
TINY = (
    "cohort.simulation.n_patients=36",
    "backbone.name=test_resnet",
    "imaging.n_px=32",
    "trainer.max_epochs=1",
    "evaluation.n_bootstrap=200",
)
# Of these files and folders each takes a good part of a core's share.
LONG = frozenset({"test_options.py", "end_to_end", "test_canaries.py"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no core is left with it at the end; the rest in the order of folders."""
    items.sort(key=lambda item: LONG.isdisjoint(item.path.parts))


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what is imported by now: to look it all through takes half a second each time."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def hears_ctrl_c() -> Iterator[None]:
    """What a shell starts in its background is deaf to Ctrl-C, and so is all that it starts itself, Ray included."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Overrides that make a run as small as it can be."""
    return TINY


@pytest.fixture(scope="session")
def fusion_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests, whatever process runs them: nothing is simulated, decoded or extracted twice."""
    if find_spec("radiomics") is None:
        pytest.skip("features have to be extracted first, and PyRadiomics is not installed (Python 3.11 only)")
    own = tmp_path_factory.getbasetemp()
    cache = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "cache"
    cache.mkdir(exist_ok=True)
    return cache


@pytest.fixture(scope="session")
def compose() -> Callable[[Sequence[str]], dict[str, Any]]:
    """The plain configuration of train.py under overrides; of the same ones it is composed once."""

    @functools.cache
    def composed(overrides: tuple[str, ...]) -> dict[str, Any]:
        import hydra

        from fusion.entry import plain_config, register_resolvers

        register_resolvers()
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
            return plain_config(hydra.compose("train", overrides=list(overrides)))

    return lambda overrides: deepcopy(composed(tuple(overrides)))

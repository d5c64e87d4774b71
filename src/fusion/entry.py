"""What both entry points do around their work: plain configuration in, one clear message out."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fusion.errors import FusionError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from fusion.runs.folder import RunFolder

_INTERRUPTED = 130
_MISSING = "???"


def plain_config(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain mappings and lists, every interpolation resolved.

    Raises:
        FusionError: For a value that the user has to give and did not, or an interpolation that leads nowhere.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    # OmegaConf.missing_keys resolves, and stops at the first interpolation that leads to a missing value.
    missing = sorted(_missing_keys(OmegaConf.to_container(config, resolve=False)))
    if missing:
        example = " ".join(f"{key}=..." for key in missing)
        raise FusionError(f"required a value for {', '.join(missing)}, came none; add to the command: {example}")
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise FusionError(f"the configuration cannot be resolved: {error}") from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _missing_keys(content: Any, where: str = "") -> Iterator[str]:
    if content == _MISSING:
        yield where
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _missing_keys(value, f"{where}.{key}" if where else str(key))
    elif isinstance(content, list):
        for position, value in enumerate(content):
            yield from _missing_keys(value, f"{where}[{position}]")


@contextmanager
def messages_for_people() -> Iterator[None]:
    """Print what the user can mend without a traceback, and leave with status 1."""
    # Third-party advice about third-party internals: nothing that a user of this program can act on.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    try:
        yield
    except FusionError as error:
        print(f"\n{error}", file=sys.stderr)
        sys.exit(1)


@contextmanager
def resumable(run: RunFolder, n_folds: int) -> Iterator[None]:
    """On Ctrl-C, say what is kept and how to go on, and leave with status 130."""
    try:
        yield
    # Lightning turns Ctrl-C into an exit.
    except (KeyboardInterrupt, SystemExit):
        n_finished = len(run.finished)
        print(
            f"\ninterrupted: {n_finished} of {n_folds} folds are finished and kept in {run.path}"
            f"{'; predict.py can use them' if n_finished else ''}.\nGo on with: python train.py resume={run.path}",
            file=sys.stderr,
        )
        sys.exit(_INTERRUPTED)

"""What both entry points do around their work: plain configuration in, one clear message out."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fusion.errors import FusionError, Pruned

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig

# Exit status of a command that the user ended, as shells have it.
INTERRUPTED = 130
# Of one that a search gave up, since its inner scores promised less than others'.
PRUNED = 75
_MISSING = "???"
_LONGEST_NAME = 200  # in bytes; files within have names, too


def register_resolvers() -> None:
    """Add to the configuration's language.

    ``${first:a,b}`` is the first value that is neither null nor empty, ``${either:x,a,b}`` is a where x is such a value
    and b where it is not, ``${brief:text}`` is the text, shortened to what a folder may be called.
    """
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("first", lambda *values: next(filter(None, values)), replace=True)
    OmegaConf.register_new_resolver("brief", _brief, replace=True)
    OmegaConf.register_new_resolver("either", lambda given, yes, no: yes if given else no, replace=True)


def _brief(text: str) -> str:
    """The text itself, or its beginning and a digest of it: file systems end names at 255 bytes."""
    if len(text.encode()) <= _LONGEST_NAME:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{text.encode()[:_LONGEST_NAME].decode(errors='ignore')}…{digest}"


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


def as_override(key: str, value: object) -> str:
    """``key='value'`` as Hydra reads it on a command line, whatever is in the value."""
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{text}'"


def require_only(overrides: Sequence[str], *allowed: str) -> None:
    """Refuse values on the command line that would have no effect.

    Args:
        overrides: As typed, ``key=value``.
        allowed: Keys that may be among them.

    Raises:
        FusionError: If there are others.
    """
    others = [override for override in overrides if override.lstrip("+~").partition("=")[0] not in allowed]
    if others:
        raise FusionError(
            f"resume: required no values but {' and '.join(allowed)}, since a run goes on with its own configuration, "
            f"came {' '.join(others)}; leave them out, or start a new run with them"
        )


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
    """Print what the user can mend without a traceback, and leave with status 1; a search that gave up has its own."""
    # Third-party advice about third-party internals: nothing that a user of this program can act on.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    try:
        yield
    except FusionError as error:
        print(f"\n{error}", file=sys.stderr)
        sys.exit(1)
    except Pruned as reason:
        print(reason, file=sys.stderr)
        sys.exit(PRUNED)


@contextmanager
def resumable(run_dir: Path) -> Iterator[None]:
    """On Ctrl-C, say what is kept in the run folder and how to go on, and leave with status 130."""
    try:
        yield
    except BaseException as error:
        if not _is_interrupt(error):
            raise
        print(f"\ninterrupted: {_what_is_kept(run_dir)}", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _is_interrupt(error: BaseException | None) -> bool:
    # Lightning turns Ctrl-C into an exit, or stumbles over it while a fit begins.
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _what_is_kept(run_dir: Path) -> str:
    from fusion.runs.folder import RunFolder

    if not (run_dir / "config.yaml").exists():
        return "nothing was begun yet"
    n_finished = len(RunFolder(run_dir).finished)
    usable = "; predict.py can use them" if n_finished else ""
    return f"{n_finished} finished folds are kept in {run_dir}{usable}.\nGo on with: python train.py resume={run_dir}"

"""The file that an Optuna study is kept in: written by several processes, read by Optuna's own tools, too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna
    from optuna.pruners import BasePruner
    from optuna.storages.journal import JournalFileOpenLock

JOURNAL = "study.journal"
# Of the one study in it.
_NAME = "sweep"


def open_study(path: Path, *, pruner: BasePruner | None) -> optuna.Study:
    """The study in a journal; an empty one where there is none. Higher values are better.

    Args:
        path: Of the journal.
        pruner: Says which trials promise too little; None where that is not asked.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    # Its news (a study was made) are for people who call it themselves.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path.parent.mkdir(parents=True, exist_ok=True)
    backend = JournalFileBackend(str(path), lock_obj=_lock(path))
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name=_NAME,
        direction="maximize",
        pruner=pruner or optuna.pruners.NopPruner(),
        load_if_exists=True,
    )


def mend_journal(path: Path) -> None:
    """Drop a last line that a process which died did not write to its end: nothing could be read after it."""
    if not path.exists():
        return
    lock = _lock(path)
    lock.acquire()
    try:
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            with path.open("r+b") as stream:
                stream.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


def _lock(path: Path) -> JournalFileOpenLock:
    from optuna.storages.journal import JournalFileOpenLock

    # A file that only one can make, also on file systems that other machines share; one that was left is taken over.
    return JournalFileOpenLock(str(path))

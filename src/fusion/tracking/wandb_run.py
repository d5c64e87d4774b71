"""Weights & Biases. Its runs are opened and closed here, so that no two of them merge."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger

from fusion.errors import FusionError, Pruned
from fusion.tracking.environment import environment
from fusion.tracking.tracked import Tracked
from fusion.tracking.tracker import Picture, Tracker, Wishes

# By these an agent tells its program which run of which sweep it is.
_AGENT = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")
_QUIET = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
_FAILED = 1


def agents_sweep() -> str | None:
    """The sweep whose `wandb agent` started this process."""
    return os.environ.get("WANDB_SWEEP_ID")


def has_credentials() -> bool:
    """Whether W&B finds a login without asking for one."""
    with _session({"WANDB_MODE": "online"}):
        import wandb

        try:
            return bool(wandb.login(prompt=False, verify=False))
        except wandb.errors.AuthenticationError:  # Of no key's form.
            return False


def wandb_dir(run_dir: Path) -> Path:
    """Where all W&B runs of a run folder are: what `wandb sync` takes."""
    return run_dir / "wandb"


@contextmanager
def open_wandb(tracked: Tracked, settings: Mapping[str, Any]) -> Iterator[Tracker]:
    """A W&B run, closed at the end of the block, as failed where the block failed.

    Under an agent the evaluation has the agent's run, since its inner score is what a W&B sweep is after; the folds
    have runs of their own in the sweep's group.

    Args:
        tracked: What the run is of.
        settings: Of ``conf/logger/wandb.yaml``.
    """
    sweep = agents_sweep()
    is_agents = sweep is not None and tracked.is_evaluation
    with _session(_variables(tracked, hides_agent=not is_agents)):
        place = {} if is_agents else _place(tracked, settings, is_in_sweep=sweep is not None)
        run = _begin(tracked, mode=settings["mode"], group=sweep or tracked.group, **place)
        try:
            run.define_metric("epoch")
            run.define_metric("*", step_metric="epoch")
            yield _WandbRun(run, Wishes.from_config(settings, holds_files=True))
        except BaseException as error:
            # A search that gives a run up has not failed.
            run.finish(exit_code=0 if isinstance(error, Pruned) else _FAILED)
            raise
        run.finish()


@contextmanager
def _session(variables: Mapping[str, str | None]) -> Iterator[None]:
    """W&B reads its environment once, until it is torn down; with its service gone, its files are whole."""
    with environment({**_QUIET, **variables}):
        import wandb

        wandb.teardown()
        try:
            yield
        finally:
            wandb.teardown()


def _begin(tracked: Tracked, **place: Any) -> Any:
    import wandb

    try:
        return wandb.init(
            **place,
            name=tracked.name,
            job_type=tracked.part,
            dir=tracked.run_dir,
            config=dict(tracked.config),
            # Whatever else is open in this process is another's.
            reinit="create_new",
            settings=_what_is_left_out(),
        )
    except wandb.errors.Error as error:
        raise FusionError(
            f"logger=wandb: required a W&B run, came: {error}. A new run with logger.wandb.mode=offline needs no server"
        ) from error


def _variables(tracked: Tracked, *, hides_agent: bool) -> dict[str, str | None]:
    # Artifacts wait for `wandb sync` beside the runs that they belong to.
    data = {"WANDB_DATA_DIR": str(wandb_dir(tracked.run_dir).resolve() / "data")}
    return {**data, **(dict.fromkeys(_AGENT) if hides_agent else {})}


def _place(tracked: Tracked, settings: Mapping[str, Any], *, is_in_sweep: bool) -> dict[str, Any]:
    """Where a run of ours goes, and by which id it is known."""
    identifier = tracked.identifier()
    # What an interruption left of this very run would be sent as its beginning, beside the whole of it.
    for dead in wandb_dir(tracked.run_dir).glob(f"offline-run-*-{identifier}"):
        shutil.rmtree(dead)
    # The agent's environment says where its sweep is.
    where = {} if is_in_sweep else {"project": settings["project"], "entity": settings["entity"]}
    return {**where, "id": identifier, "resume": "allow"}


def _what_is_left_out() -> Any:
    """Neither code, nor its changes, nor what was printed: each may hold what must not leave the machine."""
    import wandb

    return wandb.Settings(
        silent=True, console="off", disable_git=True, save_code=False, disable_code=True, x_save_requirements=False
    )


class _WandbRun:
    """See ``Tracker``."""

    def __init__(self, run: Any, wishes: Wishes) -> None:
        self._run, self.wishes = run, wishes
        self.logger: Logger = WandbLogger(experiment=run)
        self.is_continued = bool(run.resumed)

    def log_settings(self, name: str, settings: Mapping[str, Any]) -> None:
        self._run.config.update({name: dict(settings)})

    def log_numbers(self, numbers: Mapping[str, float]) -> None:
        self._run.summary.update(dict(numbers))

    def log_picture(self, name: str, picture: Picture, *, epoch: int | None) -> None:
        import wandb

        self._run.log({name: wandb.Image(picture)} | ({} if epoch is None else {"epoch": epoch}))

    def log_table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        import wandb

        self._run.log({name: wandb.Table(columns=list(header), data=[list(row) for row in rows])})

    def log_file(self, path: Path, *, name: str, kind: str) -> None:
        import wandb

        artifact = wandb.Artifact(f"{name}-{self._run.id}", type=kind)
        artifact.add_file(str(path))
        self._run.log_artifact(artifact)

"""A search by Optuna: see ``conf/hydra/sweeper/optuna.yaml``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_plugins.fusion_plugins.sweepers import FusionSweeper

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from fusion.sweeps.records import JobRecord


class OptunaSweeper(FusionSweeper):
    """Values that Optuna suggests, by what the runs before gave."""

    def __init__(self, *, params: DictConfig, **search: Any) -> None:
        """Take the keys of ``conf/hydra/sweeper/optuna.yaml``: ``Search`` says what they are."""
        self.params, self._search = params, search

    def run(self, arguments: Sequence[str], sweep_dir: Path) -> None:
        """Run the jobs."""
        from fusion.sweeps.optuna_search import Search, run_search
        from fusion.sweeps.search_space import SearchSpace
        from fusion.sweeps.space import read_space

        overrides = read_space(self.params, arguments, config_loader=self.hydra_context.config_loader)
        run_search(
            Search(**self._search),
            SearchSpace.from_overrides(overrides),
            sweep_dir=sweep_dir,
            launch=self._launch,
            run_dir=self._run_dir,
            n_jobs=self.config.hydra.launcher.get("n_jobs", 1),
            stop_on_failure=self.config.sweep.stop_on_failure,
        )

    def _launch(self, jobs: Sequence[tuple[str, ...]], first: int) -> Sequence[JobRecord]:
        return [returned.return_value for returned in self.launcher.launch(jobs, initial_job_idx=first)]

    def _run_dir(self, overrides: Sequence[str]) -> Path:
        from fusion.sweeps.job import Job

        return Job.compose(self.hydra_context, self.config, overrides, number=0).run_dir

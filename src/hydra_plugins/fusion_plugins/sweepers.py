"""Which jobs a sweep has: see ``conf/hydra/sweeper``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.plugins.sweeper import Sweeper

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


class FusionSweeper(Sweeper):
    """Lets a launcher run its jobs, ranks the runs, and leaves with status 1 where a job failed."""

    # Hydra's own are None before the set-up.
    hydra_context: Any
    config: Any
    launcher: Any

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives, and make the launcher."""
        from hydra.core.plugins import Plugins

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the sweep of a command line."""
        from omegaconf import OmegaConf

        from fusion.entry import INTERRUPTED, messages_for_people
        from fusion.sweeps.ending import end_sweep

        sweep_dir = Path(str(self.config.hydra.sweep.dir))
        with messages_for_people():
            try:
                self.run(arguments, sweep_dir)
            except KeyboardInterrupt:
                print(f"\ninterrupted; the same command with hydra.sweep.dir={sweep_dir} goes on", file=sys.stderr)
                sys.exit(INTERRUPTED)
            settings: Any = OmegaConf.to_container(self.config.sweep, resolve=True)
            end_sweep(sweep_dir, settings)

    def run(self, arguments: Sequence[str], sweep_dir: Path) -> None:
        """Run the jobs."""
        raise NotImplementedError


class GridSweeper(FusionSweeper):
    """Every combination."""

    def __init__(self, *, params: DictConfig) -> None:
        """Take the keys of ``conf/hydra/sweeper/grid.yaml``."""
        self.params = params

    def run(self, arguments: Sequence[str], sweep_dir: Path) -> None:  # noqa: ARG002
        """Run the jobs."""
        from fusion.sweeps.space import every_combination, read_space

        space = read_space(self.params, arguments, config_loader=self.hydra_context.config_loader)
        self.launcher.launch(every_combination(space), initial_job_idx=0)


class RandomSweeper(FusionSweeper):
    """Combinations at random."""

    def __init__(self, *, params: DictConfig, n_trials: int, seed: int) -> None:
        """Take the keys of ``conf/hydra/sweeper/random.yaml``."""
        self.params, self.n_trials, self.seed = params, n_trials, seed

    def run(self, arguments: Sequence[str], sweep_dir: Path) -> None:  # noqa: ARG002
        """Run the jobs."""
        from fusion.sweeps.space import draw_combinations, read_space

        space = read_space(self.params, arguments, config_loader=self.hydra_context.config_loader)
        self.launcher.launch(draw_combinations(space, n_jobs=self.n_trials, seed=self.seed), initial_job_idx=0)

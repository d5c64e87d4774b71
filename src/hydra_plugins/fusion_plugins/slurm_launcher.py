"""Jobs on SLURM: see ``conf/hydra/launcher/slurm.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_plugins.fusion_plugins.launchers import CommandLauncher

if TYPE_CHECKING:
    from fusion.sweeps.backends.backend import Backend


class SlurmLauncher(CommandLauncher):
    """Batch jobs of SLURM."""

    def __init__(self, **settings: Any) -> None:
        """Take the keys of ``conf/hydra/launcher/slurm.yaml``."""
        self._settings = settings

    def backend(self) -> Backend:
        """Where they run."""
        from omegaconf import OmegaConf

        from fusion.sweeps.backends.slurm import Slurm

        plain: dict[str, Any] = {
            key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for key, value in self._settings.items()
        }
        return Slurm(folder=Path(str(self.config.hydra.sweep.dir)) / ".jobs" / "slurm", **plain)

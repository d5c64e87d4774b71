"""Jobs on Ray: see ``conf/hydra/launcher/ray.yaml``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra_plugins.fusion_plugins.launchers import CommandLauncher

if TYPE_CHECKING:
    from fusion.sweeps.backends.backend import Backend


class RayLauncher(CommandLauncher):
    """Tasks of Ray."""

    def __init__(self, *, n_jobs: int, cpus: float, gpus: float) -> None:
        """Take the keys of ``conf/hydra/launcher/ray.yaml``."""
        self._settings: dict[str, Any] = {"n_jobs": n_jobs, "cpus": cpus, "gpus": gpus}

    def backend(self) -> Backend:
        """Where they run."""
        from fusion.sweeps.backends.ray import Ray

        return Ray(**self._settings)

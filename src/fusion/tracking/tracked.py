"""What a tracker's run is of: one fold of a run folder, or the evaluation of all."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion.report.figures.style import short_text
from fusion.storage import atomic_path

EVALUATION = "evaluation"
# Longer ones are refused by W&B's server.
_N_CHARACTERS = 128


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """What a tracker's run is of.

    Attributes:
        run_dir: The run folder.
        part: ``fold_<k>``, or ``EVALUATION``.
        config: The resolved configuration.
        sweep: Name of the sweep that the run belongs to; None where there is none.
    """

    run_dir: Path
    part: str
    config: Mapping[str, Any]
    sweep: str | None

    @property
    def is_evaluation(self) -> bool:
        return self.part == EVALUATION

    @property
    def out_dir(self) -> Path:
        """Where the part has its files."""
        return self.run_dir if self.is_evaluation else self.run_dir / self.part

    @property
    def name(self) -> str:
        """For people."""
        end = f"-{self.part}"
        return short_text(f"{self.config['name']}-{self.run_dir.name}", _N_CHARACTERS - len(end)) + end

    @property
    def group(self) -> str:
        """The sweep, or the run by itself."""
        return short_text(self.sweep or f"{self.config['name']}-{self.run_dir.name}", _N_CHARACTERS)

    def identifier(self) -> str:
        """The same whenever the part is done again, so that a tracker never has two runs of it; random, and kept."""
        path = self.run_dir / ".tracking" / self.part
        if not path.is_file():
            with atomic_path(path) as temporary:
                temporary.write_text(uuid.uuid4().hex[:16])
        return path.read_text()

"""Run every benchmark with its defaults: ``python -m benchmarks``."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> int:
    """Run each in a process of its own, so that none warms up or slows down the next; 1 if any failed."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.name != "__main__")
    commands = [[sys.executable, "-m", f"benchmarks.{name}"] for name in names]
    codes = [subprocess.run(command, cwd=FOLDER.parent, check=False).returncode for command in commands]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())

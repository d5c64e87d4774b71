"""Run commands in forks of one process that has the heavy packages imported.

Each command has a process of its own, with its own exit status, output and signals, but starts at once: importing
takes ten times as long as training on a tiny cohort.

Reads one request per line (JSON: script, arguments, directory, environment, output folder, modules to hide), answers
with the process id, and, when it has ended, with its exit status.
"""

import importlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

_HEAVY = (
    "captum.attr",
    "fusion.report.html",
    "fusion.training.fit",
    "fusion.training.loggers",
    "hydra",
    "matplotlib.pyplot",
    "timm",
)


def _become(request: dict[str, Any]) -> None:
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = os.open(Path(request["output"]) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, descriptor)
    os.chdir(request["directory"])
    os.environ.update(request["environment"])
    sys.modules.update(dict.fromkeys(request["hidden"]))
    sys.argv = [request["script"], *request["arguments"]]
    runpy.run_path(request["script"], run_name="__main__")


def main() -> None:
    """Serve until the input ends."""
    for name in _HEAVY:
        importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _become(json.loads(line))
            return
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()

"""Run commands in forks of one process that has the heavy packages imported.

Each command has a process of its own, with its own exit status, output and signals, but starts at once: importing
takes ten times as long as training on a tiny cohort.

Reads one request per line (JSON: script, arguments, directory, environment, output folder, modules to hide), answers
with the process id, and, when it has ended, with its exit status.
"""

import gc
import importlib
import json
import multiprocessing
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

_HEAVY = (
    "captum.attr",
    "fusion.report.html",
    "fusion.training.fit",
    "fusion.tracking.fold",
    "hydra",
    "matplotlib.pyplot",
    "timm",
)


def _become(request: dict[str, Any]) -> None:
    # A shell starts its background jobs deaf to Ctrl-C; a user's terminal does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = os.open(Path(request["output"]) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, descriptor)
    os.chdir(request["directory"])
    os.environ.update(request["environment"])
    sys.modules.update(dict.fromkeys(request["hidden"]))
    sys.argv = [request["script"], *request["arguments"]]
    try:
        runpy.run_path(request["script"], run_name="__main__")
    finally:
        _dismiss_workers()


def _dismiss_workers() -> None:
    """A fork, unlike a command, would wait at its end until idle extraction workers give up, for five minutes."""
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    if loky is not None and loky._executor is not None:
        loky._executor.shutdown(wait=True, kill_workers=True)


def main() -> None:
    """Serve until the input ends."""
    for name in _HEAVY:
        importlib.import_module(name)
    # What is imported is shared with the forks, and their garbage collection leaves it alone.
    gc.freeze()
    print("ready", flush=True)
    for line in sys.stdin:
        process = multiprocessing.get_context("fork").Process(target=_become, args=(json.loads(line),))
        process.start()
        print(process.pid, flush=True)
        process.join()
        print(process.exitcode, flush=True)
    # Frozen modules are not torn down, of which some would complain.
    os._exit(0)


if __name__ == "__main__":
    main()

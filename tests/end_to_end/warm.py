"""Run commands in forks of one process that has the heavy packages imported.

Each command has a process of its own, with its own exit status, output and signals, but starts at once: importing
takes ten times as long as training on a tiny cohort.

Reads one request per line. A command (JSON: script, arguments, directory, environment, output folder, modules to hide)
is started and answered with its process id; a process id is waited for and answered with its exit status.
"""

import gc
import importlib
import json
import multiprocessing
import os
import runpy
import signal
import sys
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

_HEAVY = (
    "captum.attr",
    "fusion.report.html",
    "fusion.training.fit",
    "fusion.tracking.fold",
    "hydra",
    "matplotlib.pyplot",
    "skops.io",
    "sklearn.decomposition",
    "sklearn.linear_model",
    "sklearn.model_selection",
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
    started: dict[int | None, ForkProcess] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, int):
            process = started.pop(request)
            process.join()
            print(process.exitcode, flush=True)
        else:
            process = multiprocessing.get_context("fork").Process(target=_become, args=(request,))
            process.start()
            started[process.pid] = process
            print(process.pid, flush=True)
    # Frozen modules are not torn down, of which some would complain.
    os._exit(0)


if __name__ == "__main__":
    main()

"""A real SLURM of two nodes on this one machine, with everything it writes in a folder of its own.

    python tests/end_to_end/slurm/cluster.py COMMAND...         run a command with it; ends with the command's status

Needs root and Debian's packages: ``apt-get install -y --no-install-recommends slurm-wlm munge``. Their services need
not run. Debian builds slurmd so that one machine can be several nodes (``MULTIPLE_SLURMD = Yes``).
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

NODES = ("one", "two")
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
_SECONDS_TO_START = 60
_SECONDS_TO_END = 30
_CONFIG = """\
ClusterName=fusion
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# The nodes are what is written here, whatever the machine is.
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP
"""
_NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=4000\n"


def why_not() -> str | None:
    """The reason why there can be no SLURM here; None where there can."""
    if os.geteuid() != 0:
        return "starting SLURM needs root"
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    return f"SLURM is not installed: no {', '.join(missing)} (apt-get install slurm-wlm munge)" if missing else None


@contextmanager
def started() -> Iterator[dict[str, str]]:
    """Start it, and stop it whatever happens.

    Yields:
        The environment that a command needs to find it.

    Raises:
        RuntimeError: With the logs, if its nodes are not there in time.
    """
    with ExitStack() as stack:
        # Not below pytest's folders: a socket's path has at most 107 bytes, and munge asks everybody to be let in.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
        folder.chmod(0o755)
        environment = {**os.environ, "PATH": _PATH, "SLURM_CONF": str(_write_config(folder))}
        # Written by hand and by munge alike, the key has to be its owner's alone.
        (folder / "munge").mkdir(mode=0o755)
        (folder / "munge/key").touch(mode=0o600)
        (folder / "munge/key").write_bytes(secrets.token_bytes(1024))
        for name, command in _daemons(folder).items():
            stack.enter_context(_running(command, folder / f"{name}.out", environment))
            if name == "munge":
                _wait_for((folder / "munge/socket").exists, folder)
        _wait_for(lambda: _ask(environment, "sinfo", "-hN", "-o", "%T").split() == ["idle"] * len(NODES), folder)
        # Before the daemons: what a killed one leaves running would stay.
        stack.callback(cancel_all, environment)
        yield environment


def _write_config(folder: Path) -> Path:
    host = socket.gethostname()
    first, *others = _free_ports(1 + len(NODES))
    (folder / "state").mkdir()
    nodes = [_NODE.format(name=name, host=host, port=port) for name, port in zip(NODES, others, strict=True)]
    path = folder / "slurm.conf"
    path.write_text(_CONFIG.format(host=host, port=first, folder=folder) + "".join(nodes))
    return path


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _daemons(folder: Path) -> dict[str, list[str]]:
    munge, config = folder / "munge", str(folder / "slurm.conf")
    options = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    return {
        "munge": ["munged", "--foreground", *(f"--{option}={munge / name}" for option, name in options.items())],
        "slurmctld": ["slurmctld", "-D", "-f", config],
        **{f"slurmd-{name}": ["slurmd", "-D", "-N", name, "-f", config] for name in NODES},
    }


@contextmanager
def _running(command: Sequence[str], output: Path, environment: dict[str, str]) -> Iterator[None]:
    program = shutil.which(command[0], path=_PATH)
    assert program is not None
    with output.open("wb") as stream:
        process = subprocess.Popen([program, *command[1:]], stdout=stream, stderr=subprocess.STDOUT, env=environment)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ask(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def cancel_all(environment: dict[str, str]) -> None:
    """Cancel every job, and wait until none is left."""
    jobs = _ask(environment, "squeue", "-ho", "%A").split()
    if jobs:
        _ask(environment, "scancel", *jobs)
    end = time.monotonic() + _SECONDS_TO_END
    while _ask(environment, "squeue", "-ho", "%A").split() and time.monotonic() < end:
        time.sleep(0.2)


def _wait_for(there: object, folder: Path) -> None:
    assert callable(there)
    end = time.monotonic() + _SECONDS_TO_START
    while not there():
        if time.monotonic() > end:
            logs = [path for pattern in ("*.out", "*.log") for path in sorted(folder.glob(pattern))]
            said = "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-2000:]}" for path in logs)
            raise RuntimeError(f"SLURM did not start within {_SECONDS_TO_START} s\n{said}")
        time.sleep(0.1)


def main() -> int:
    """Run the command of the command line with a SLURM."""
    reason = why_not()
    if reason is not None or not sys.argv[1:]:
        print(reason or __doc__, file=sys.stderr)
        return 2
    with started() as environment:
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

"""Training images per second: ``train.py`` beside a bare PyTorch loop on tensors that lie in the device's memory.

    python -m benchmarks.throughput --cohort-root ../shared/data/busbra        needs a GPU
    python -m benchmarks.throughput --cohort phantom --trainer default --backbone tiny --n-px 64     keeps nothing

``train.py`` is run as its users run it: crops cut and changed anew for every batch, three branches, losses and inner
figures logged. Its figure is what its tracking logs, the median over the epochs but the first, whose kernels are still
chosen. The bare loop is the same timm backbone with a classifier on one batch of noise that never leaves the device,
in the same precision, with AdamW: what the device could do if nothing had to be brought to it.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fusion.storage import atomic_path

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/throughput.md"
_SECONDS_BETWEEN_LOOKS = 0.2
_N_WARM_UP, _N_STEPS = 10, 50


def main() -> None:
    """Train, run the bare loop, print the table; keep it if it is of a GPU."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / "run"
        speeds, utilization = _train(run_dir, options)
        config = yaml.safe_load((run_dir / "config.yaml").read_text())
    bare = _bare_loop(config, n_steps=options.n_steps)
    table = _table(config, trained=statistics.median(speeds[1:]), utilization=utilization, bare=bare)
    sys.stdout.write(table)
    if config["trainer"]["accelerator"] == "cuda":
        with atomic_path(RESULT) as temporary:
            temporary.write_text(table, encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cohort", default="busbra", help="conf/cohort (busbra)")
    parser.add_argument("--cohort-root", help="its folder")
    parser.add_argument("--backbone", default="resnet50", help="conf/backbone (resnet50)")
    parser.add_argument("--n-px", type=int, default=224, help="side of the crops (224)")
    parser.add_argument("--batch-size", type=int, default=32, help="images a step (32)")
    parser.add_argument("--epochs", type=int, default=4, help="from 2; the first is not counted (4)")
    parser.add_argument("--n-steps", type=int, default=_N_STEPS, help=f"of the bare loop ({_N_STEPS})")
    parser.add_argument("--trainer", default="gpu", help="conf/trainer (gpu: bf16)")
    return parser.parse_args()


def _train(run_dir: Path, options: argparse.Namespace) -> tuple[Sequence[float], Sequence[float]]:
    """Images per second of each epoch, and the GPU's utilization in percent, sampled from the second epoch on."""
    settings = [
        f"hydra.run.dir={run_dir}",
        f"cohort={options.cohort}",
        f"backbone={options.backbone}",
        f"imaging.n_px={options.n_px}",
        f"trainer={options.trainer}",
        f"trainer.batch_size={options.batch_size}",
        f"trainer.max_epochs={options.epochs}",
        f"trainer.patience={options.epochs}",
        "fold=0",
        "explain=none",
    ]
    if options.cohort_root:
        settings.append(f"cohort.root={options.cohort_root}")
    losses, log = run_dir / "fold_0/metrics.csv", run_dir.with_name("log")
    utilization: list[float] = []
    with log.open("w") as stream:
        process = subprocess.Popen([sys.executable, ROOT / "train.py", *settings], stdout=stream, stderr=stream)
        while process.poll() is None:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            n_epochs = len(_speeds(losses))
            if 1 <= n_epochs < options.epochs and options.trainer == "gpu":
                utilization.append(_utilization())
    if process.returncode:
        sys.exit(f"train.py {' '.join(settings)}\n{log.read_text()[-4000:]}")
    return _speeds(losses), utilization


def _speeds(losses: Path) -> list[float]:
    if not losses.is_file():
        return []
    with losses.open(newline="") as stream:
        rows = [row.get("throughput/images_per_s") for row in csv.DictReader(stream)]
    return [float(value) for value in rows if value]


def _utilization() -> float:
    """Of the first visible GPU, in percent of the time in which a kernel ran."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    query = ["nvidia-smi", f"--id={first}", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    return float(subprocess.run(query, capture_output=True, text=True, check=True).stdout)


def _bare_loop(config: Mapping[str, Any], *, n_steps: int) -> float:
    """Images per second of training steps on one batch."""
    import timm
    import torch

    trainer, n_px = config["trainer"], config["imaging"]["n_px"]
    device = torch.device("cuda" if trainer["accelerator"] == "cuda" else "cpu")
    network = timm.create_model(config["backbone"]["name"], num_classes=2).to(device)
    images = torch.rand(trainer["batch_size"], 3, n_px, n_px, device=device)
    labels = torch.randint(2, (trainer["batch_size"],), device=device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    begun = 0.0
    for step in range(_N_WARM_UP + n_steps):
        if step == _N_WARM_UP:
            _synchronize(device)
            begun = time.perf_counter()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled="bf16" in trainer["precision"]):
            loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _synchronize(device)
    n_images: int = n_steps * trainer["batch_size"]
    return n_images / (time.perf_counter() - begun)


def _synchronize(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _table(config: Mapping[str, Any], *, trained: float, utilization: Sequence[float], bare: float) -> str:
    import torch

    trainer = config["trainer"]
    is_cuda = trainer["accelerator"] == "cuda"
    device = torch.cuda.get_device_name() if is_cuda else f"CPU, {torch.get_num_threads()} threads"
    busy = f"{statistics.mean(utilization):.0f} % ({len(utilization)} looks)" if utilization else "not measured"
    what = (
        f"{config['backbone']['name']} at {config['imaging']['n_px']} px, batches of {trainer['batch_size']}, "
        f"precision {trainer['precision']}; cohort {config['cohort']['name']}; {device}; torch {torch.__version__}."
    )
    return "\n".join(
        [
            "# Training images per second",
            "",
            "`python -m benchmarks.throughput`",
            "",
            what,
            "",
            "| | images per second | share of the bare loop | GPU utilization |",
            "| --- | ---: | ---: | ---: |",
            f"| `train.py`, three branches | {trained:.0f} | {trained / bare:.2f} | {busy} |",
            f"| bare loop, tensors in memory | {bare:.0f} | 1.00 | |",
            "",
        ]
    )


if __name__ == "__main__":
    main()

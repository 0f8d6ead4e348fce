"""Seconds an epoch, sequences a second and peak memory of every method, beside SASRec as it is usually written.

python benchmarks/training_speed.py --data data/beauty
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from padded_sasrec import seconds_of_an_epoch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from training.config import TrainingConfig
from training.distributed import Ranks
from training.loop import peak_memory_mb
from training.pipeline import build_trainer
from training.prepared import PreparedDataset, load_prepared
from training.results import record
from training.run_log import read_lines
from training.sequences import training_sequences

METHODS = ("sasrec", "cl4srec", "iclrec", "elcrec", "s4rec", "dssrec")
LOSSES = ("bce", "ce")
EPOCHS = 2  # the second counts: the first starts the intents and warms up
SIZE: dict[str, Any] = {"hidden": 64, "layers": 1}
BATCH = 256
YARDSTICK = "padded sasrec"
CPU = torch.device("cpu")
COLUMNS = ("seconds_per_epoch", "seconds_intents", "sequences_per_second", "peak_memory_mb", "speedup")


def main(
    data: Annotated[Path, typer.Option(help="Prepared dataset (intently-train prepare).")] = Path("data/beauty"),
    results: Annotated[Path, typer.Option(help="Append to this JSONL file.")] = Path(
        "benchmarks/results/training-speed.jsonl"
    ),
    only: Annotated[str, typer.Option(help="Methods, separated by commas.")] = ",".join(METHODS),
    epoch: Annotated[str, typer.Option(hidden=True, help="Measure one method and loss in this process.")] = "",
) -> None:
    """Each is measured in its own process, one after the other; run it alone on the machine."""
    if epoch:
        print(json.dumps(measure(data, *epoch.split("/"))))
        return
    chosen = [YARDSTICK + "/bce", *(f"{method}/{loss}" for loss in LOSSES for method in only.split(","))]
    found = {name: apart(data, name) for name in track(chosen, description="epochs", console=Console(stderr=True))}
    yardstick = found[YARDSTICK + "/bce"]["seconds_per_epoch"]
    table = Table(
        "method", "loss", "s/epoch", "of it intents", "sequences/s", "peak MB", "x faster than the usual code"
    )
    for name, its in found.items():
        its["speedup"] = yardstick / its["seconds_per_epoch"]
        method, loss = name.split("/")
        table.add_row(method, loss, *(f"{its[key]:.1f}" for key in COLUMNS))
        record(results, kind="training-speed", dataset=data.name, method=method, next_item_loss=loss, metrics=its)
    Console().print(table)


def apart(data: Path, name: str) -> dict[str, float]:
    """One measurement in a process of its own, so that peak memory is its own."""
    command = [sys.executable, __file__, "--data", str(data), "--epoch", name]
    environment = os.environ | {"GOMP_SPINCOUNT": "0"}  # as `intently-train` sets it
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ).stdout
    found: dict[str, float] = json.loads(output)
    return found


def measure(data: Path, method: str, loss: str) -> dict[str, float]:
    """Train in this process: {seconds_per_epoch, seconds_intents, sequences_per_second, peak_memory_mb}."""
    dataset = load_prepared(data)
    training = training_sequences(dataset)
    if method == YARDSTICK:
        seconds, intents = seconds_of_an_epoch(training, len(dataset.item_ids), batch_size=BATCH, **SIZE), 0.0
    else:
        seconds, intents = epoch_of(dataset, method, loss)
    return {
        "seconds_per_epoch": seconds,
        "seconds_intents": intents,
        "sequences_per_second": len(training) / seconds,
        "peak_memory_mb": peak_memory_mb(CPU),
    }


def epoch_of(dataset: PreparedDataset, method: str, loss: str) -> tuple[float, float]:
    """Seconds of the last epoch, everything included, and those spent on intents before its first step."""
    config = TrainingConfig.model_validate(
        {
            "method": method,
            "next_item_loss": loss,
            "encoder": SIZE | {"heads": 1 if method == "dssrec" else 2},
            "training": {"batch_size": BATCH, "max_epochs": EPOCHS},
        }
    )
    with tempfile.TemporaryDirectory() as work:
        build_trainer(config, dataset, Path(work), CPU, Ranks()).run(resume=False)
        last = read_lines(Path(work) / "log.jsonl")[-1]
    return last["seconds"], last["seconds_intents"]


if __name__ == "__main__":
    typer.run(main)

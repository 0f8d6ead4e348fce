"""Served intents against planted ones.

Synthesizes a log with 20 planted intents (defaults), trains, asks the running service for the top intent of every
user over HTTP, and compares it with the user's dominant planted intent: normalised mutual information (arithmetic).

    python benchmarks/planted_intents.py
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from serving import running_service

from service.client import Client
from service.schemas import IntentLookup
from training.intent_report import agreement_with_truth, true_labels
from training.prepared import load_prepared
from training.results import record
from training.sequences import training_sequences

BIN = Path(sys.executable).parent


def main() -> None:
    """Make, train, serve, ask, compare, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="demo")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/accuracy-planted-intents.jsonl"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train("synthesize", "--out", folder / "raw")
        train("prepare", folder / "raw/interactions.csv", "--out", folder / "data")
        train("run", arguments.config, "--data", folder / "data", "--out", folder / "bundles", "--work", folder / "run")
        served = served_intents(folder)
        planted = true_labels(folder / "raw/truth/user_intents.csv", load_prepared(folder / "data"))
    score = agreement_with_truth(np.array(served), planted)
    print(f"NMI of served and planted intents over {len(served)} users: {score:.3f}")
    metrics = {"NMI": score}
    record(arguments.results, kind="accuracy", dataset="synthesized", method=arguments.config, metrics=metrics)


def served_intents(folder: Path) -> list[int]:
    """The strongest served intent of every user's training sequence."""
    data = load_prepared(folder / "data")
    training = training_sequences(data)
    served = []
    with running_service(folder / "bundles", folder) as url, Client(url, timeout=10) as client:
        for number in range(len(data.user_ids)):
            history = [data.item_ids[row - 1] for row in training[number]]
            served.append(client.look_up_intents(IntentLookup(history=history, top=1)).intents[0].intent_id)
    return served


def train(*words: object) -> None:
    """Run one `intently-train` command."""
    subprocess.run([BIN / "intently-train", *(str(word) for word in words)], check=True)


if __name__ == "__main__":
    main()

"""A catalogue of a million items: trained with a sampled softmax, exported, served, asked.

    python benchmarks/big_catalogue.py --items 1000000

The log is `intently-train synthesize`'s, whose planted intents are there to be learned. Items that it does not hold
come from the items file (`prepare --new-items`). Ranked are the test items of some users, beside popularity for the
same ones. The service runs with two workers; wrk posts histories from the same cores. Needs wrk.
"""

import argparse
import shutil
from pathlib import Path

import faiss
import numpy as np
from measured_command import measured
from serving import BIN
from serving_load import script_of, train
from serving_speed import OURS, asked, running

from service.bundle.files import ITEM_INDEX, newest_bundle, open_bundle
from service.bundle.manifest import Manifest
from training.baselines import popularity
from training.metrics import DEPTH, accuracy, ranks
from training.prepared import PreparedDataset, load_prepared
from training.results import record
from training.run_log import read_lines
from training.sequences import held_out, training_counts, training_sequences

RESULTS = Path(__file__).parent / "results/scale-catalogue.jsonl"
MEAN_LENGTH = 14  # two items of each user are held out
INTENTS = 500  # planted
ASKING, CONNECTIONS = 5000, 32  # users who ask, and how many at a time
SETTINGS = (
    "next_item_loss=sampled",
    "negatives.count=2048",
    "encoder.max_length=20",
    "encoder.dropout=0.1",
    "training.batch_size=512",
    "training.learning_rate=0.002",
    "intent_gate.action='off'",  # its intents are K-means at export
)


def main() -> None:
    """Synthesize, train, serve, ask, record, remove."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=400_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--evaluated-users", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=8, help="of asking")
    parser.add_argument("--work", type=Path, default=Path(".scale"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True)
    try:
        data = prepared(arguments.work, arguments.users, arguments.items)
        metrics = trained(arguments.work, arguments.epochs, arguments.evaluated_users)
        bundle = newest_bundle(arguments.work / "bundles")
        assert bundle is not None
        manifest = open_bundle(bundle).manifest
        metrics |= ranked(manifest, data, arguments.evaluated_users)
        metrics |= index_facts(bundle)
        metrics |= served(bundle, data, arguments.work, arguments.seconds)
        settings = {"items": manifest.items, "interactions": len(data.rows), "settings": SETTINGS}
        record(arguments.results, kind="scale", dataset="synthesized", method="catalogue", **settings, metrics=metrics)
        print("\n".join(f"{name:40} {value:14.5g}" for name, value in metrics.items()))
    finally:
        shutil.rmtree(arguments.work)


def prepared(work: Path, users: int, items: int) -> PreparedDataset:
    """The log as a dataset whose vocabulary is the whole catalogue."""
    sizes = ("--users", users, "--items", items, "--intents", INTENTS, "--mean-length", MEAN_LENGTH)
    train("synthesize", "--out", work / "raw", *sizes, "--popularity-exponent", 0.7)
    files = (work / "raw/interactions.csv", "--items", work / "raw/items.csv", "--new-items")
    train("prepare", *files, "--out", work / "data", "--core", 0)
    return load_prepared(work / "data")


def trained(work: Path, epochs: int, evaluated: int) -> dict[str, float]:
    """What `intently-train run` took, export included."""
    settings = (*SETTINGS, f"training.max_epochs={epochs}", f"training.evaluated_users={evaluated}")
    words = [word for setting in settings for word in ("--set", setting)]
    places = ("--data", work / "data", "--out", work / "bundles", "--work", work / "run")
    took = measured([BIN / "intently-train", "run", "sasrec", *words, *places], work)
    lines = read_lines(work / "run/log.jsonl")
    learning, whole = ([line[name] for line in lines] for name in ("seconds_training", "seconds"))
    return {
        "training, epochs": len(lines),
        "training, seconds an epoch": float(np.mean(learning)),
        "training, seconds of a validation": float(np.mean(whole) - np.mean(learning)),
        "training and export, seconds": took["seconds"],
        "training and export, peak memory MB": took["peak_memory_mb"],
    }


def ranked(manifest: Manifest, data: PreparedDataset, evaluated: int) -> dict[str, float]:
    """Test accuracy over the whole catalogue, popularity's for the same users, and what the index misses."""
    split = held_out(data, "test").spaced(evaluated)
    training, items = training_sequences(data), len(data.item_ids)
    popular = accuracy(ranks(popularity(training, items, split), split.targets))
    return {
        "items seen in training": int((training_counts(training, items) > 0).sum()),
        **{name: manifest.metrics["test"][name] for name in ("NDCG@20", "HR@20")},
        **{f"popularity, {name}": popular[name] for name in ("NDCG@20", "HR@20")},
        "index recall@20": manifest.intent_report["index_recall@20"],
    }


def index_facts(bundle: Path) -> dict[str, float]:
    """How many lists of items the index has, and in how many a search looks for the recall that is asked."""
    index = faiss.read_index(str(bundle / ITEM_INDEX))
    return {"index, lists": index.nlist, "index, lists searched": index.nprobe}


def served(bundle: Path, data: PreparedDataset, work: Path, seconds: float) -> dict[str, float]:
    """The service's start, memory, requests a second and latency."""
    chosen = held_out(data, "test").spaced(ASKING)
    bodies = [
        {"history": [data.item_ids[row - 1] for row in chosen.histories[number]], "k": DEPTH}
        for number in range(len(chosen.targets))
    ]
    script = script_of(bodies, work)
    store = f"sqlite:///{(work / 'store.sqlite3').absolute()}"
    with running(OURS, {"small": str(bundle.absolute()), "redis": store}) as server:
        its = asked(server.url, script, CONNECTIONS, seconds)
    size = sum(file.stat().st_size for file in bundle.iterdir()) / 1e6
    found = {"bundle MB": size, "start seconds": server.begun["start_seconds"], "memory MB": server.begun["memory_mb"]}
    return {f"serving, {name}": value for name, value in (found | its).items()}


if __name__ == "__main__":
    main()

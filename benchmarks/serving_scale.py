"""The service over a catalogue too large to score whole: recall, requests a second, latency, memory.

    python benchmarks/serving_scale.py --items 1000000
    python benchmarks/serving_scale.py --bundle bundles/iclrec-beauty-... --data data/beauty

The catalogue of a trained bundle is enlarged by a smoothed bootstrap: each new item has the vector of a trained one
plus noise about as long as the distance between nearest neighbours, so that the large catalogue is shaped like the
small one. Encoder and histories stay those of the bundle. Without --bundle one is trained on a synthesized log.
Needs wrk.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from serving_load import prepared, redis_server, script_for, store_sequences
from serving_speed import CONNECTIONS, HERE, OURS, asked, running

from service.bundle import contents, files
from service.bundle.contents import Item
from service.bundle.files import Bundle, open_bundle, write_bundle
from service.inference.encoder import Floats
from service.inference.recommender import Recommender
from training.index import item_index
from training.prepared import PreparedDataset, load_prepared
from training.results import record
from training.sequences import training_sequences

CATEGORIES = 20
QUERIES = 400
SAMPLE = 2000  # vectors whose nearest neighbours are looked for


def main() -> None:
    """Enlarge, serve, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--data", type=Path, help="the prepared dataset of --bundle")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--work", type=Path, default=Path(".serving"))
    parser.add_argument("--results", type=Path, default=HERE / "results/serving-scale.jsonl")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if (arguments.bundle is None) != (arguments.data is None):
        parser.error("--bundle and --data go together")
    if arguments.data:
        path, data = arguments.bundle, load_prepared(arguments.data)
    else:
        path, _, data = prepared(arguments.work)
    large, built = enlarged(open_bundle(path), data, arguments.items, arguments.work / "large")
    name = f"{arguments.items:,} items, 2 workers"
    with redis_server(arguments.work) as redis:
        store_sequences(data, redis)
        with running(OURS, {"small": str(large.absolute()), "redis": redis}) as server:
            measured = built | server.begun
            users = range(len(data.user_ids))
            one_category = [{"filters": {"category": f"c{number % CATEGORIES}"}} for number in users]
            for kind, more in {"no filter": [{} for _ in users], "one category": one_category}.items():
                script = script_for(data, more, arguments.work)
                for clients, connections in CONNECTIONS.items():
                    its = asked(server.url, script, connections, arguments.seconds)
                    measured |= {f"{kind}, {clients}, {key}": value for key, value in its.items()}
    record(arguments.results, kind="serving", dataset=data.name, method=name, items=arguments.items, metrics=measured)
    print("\n".join(f"{key:40} {value:12.3f}" for key, value in measured.items()))


def enlarged(bundle: Bundle, data: PreparedDataset, items: int, root: Path) -> tuple[Path, dict[str, float]]:
    """A bundle of so many items -> its path, and the recall and build time of its index."""
    recommender = Recommender(bundle)
    vectors = resampled(recommender.items.vectors(), items)
    training = training_sequences(data)
    numbers = np.linspace(0, len(training) - 1, QUERIES).astype(int)
    queries = recommender.encode([training[int(number)] for number in numbers]).query_vectors[:, 0]
    began = time.perf_counter()
    index, recall = item_index(vectors, queries)
    took = time.perf_counter() - began
    item_ids = [*data.item_ids, *(f"new-{number}" for number in range(items - len(data.item_ids)))]
    described = [Item(item_id=item_id, category=f"c{place % CATEGORIES}") for place, item_id in enumerate(item_ids)]
    popularity = np.zeros(items, dtype=np.int64)
    popularity[: len(bundle.popularity)] = bundle.popularity
    content = {name: (bundle.path / name).read_bytes() for name in files.FILES} | {
        files.ITEM_INDEX: index,
        files.VOCABULARY: json.dumps(item_ids).encode(),
        files.ITEMS: contents.items_jsonl(described),
        files.POPULARITY: contents.popularity_npy(popularity),
    }
    manifest = bundle.manifest.model_dump(exclude={"files", "format_version"})
    path = write_bundle(root, manifest | {"items": items, "parent": bundle.bundle_id, "blend": None}, content)
    return path, {"recall@20": recall, "index seconds": took}


def resampled(vectors: Floats, count: int) -> Floats:
    """The vectors (V, D) and noisy copies of them, (count, D)."""
    random = np.random.default_rng(0)
    sample = vectors[random.choice(len(vectors), min(SAMPLE, len(vectors)), replace=False)]
    squares = (sample**2).sum(1)[:, None] + (vectors**2).sum(1) - 2 * sample @ vectors.T
    nearest = np.sqrt(np.partition(squares, 1, axis=1)[:, 1].clip(min=0))  # the first is the vector itself
    spread = float(np.median(nearest)) / np.sqrt(vectors.shape[1])
    chosen = random.integers(0, len(vectors), max(0, count - len(vectors)))
    noise = random.standard_normal((len(chosen), vectors.shape[1]), dtype=np.float32)
    return np.concatenate([vectors, vectors[chosen] + np.float32(spread) * noise])


if __name__ == "__main__":
    main()

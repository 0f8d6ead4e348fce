"""Do callers get the lists that were evaluated?

Asks the running service for the top 20 of users of the test split by raw history over HTTP, and compares list by list
with the evaluation of the same bundle; HR@20 over HTTP must equal the evaluation's on the same users.

    python benchmarks/served_lists.py --bundle bundles --data data/beauty
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from serving import running_service

from service.bundle.files import newest_bundle, open_bundle
from service.client import Client
from service.inference.recommender import Recommender
from service.schemas import RecommendationRequest
from training.evaluation import top_rows_of_recommender
from training.metrics import hit_rate, ranks
from training.prepared import load_prepared
from training.results import record
from training.sequences import Sequences, Split, held_out

TOLERANCE = 1e-4  # neighbours whose scores differ by less may change places


def main() -> None:
    """Ask, compare, record; exit code 1 if any list differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/serving-evaluated-lists.jsonl"))
    arguments = parser.parse_args()
    path = newest_bundle(arguments.bundle)
    if path is None:
        parser.error(f"{arguments.bundle} holds no bundle")
    data = load_prepared(arguments.data)
    split = first_users(held_out(data, "test"), arguments.users)
    bundle = open_bundle(path)
    evaluated = top_rows_of_recommender(Recommender(bundle), split, lambda done: None)
    served, differing = np.zeros_like(evaluated), 0
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(path, Path(folder)) as url,
        Client(url, timeout=10) as client,
    ):
        for number in range(len(split.targets)):
            history = [data.item_ids[row - 1] for row in split.histories[number]]
            items = client.recommend(RecommendationRequest(history=history, k=20)).items
            rows = [bundle.vocabulary.row(item.item_id) for item in items]
            served[number, : len(rows)] = rows
            differing += not same_order(evaluated[number].tolist(), rows, [item.score for item in items])
    over_http, offline = (float(hit_rate(ranks(lists, split.targets), 20).mean()) for lists in (served, evaluated))
    print(f"{differing} of {len(served)} lists differ; HR@20 {over_http:.5f} over HTTP, {offline:.5f} evaluated")
    metrics = {"differing_lists": differing, "HR@20 over HTTP": over_http, "HR@20 evaluated": offline}
    record(
        arguments.results,
        kind="serving",
        dataset=data.name,
        split="test",
        method=bundle.manifest.method,
        bundle_id=bundle.bundle_id,
        users=len(served),
        metrics=metrics,
    )
    raise SystemExit(int(differing > 0 or abs(over_http - offline) > TOLERANCE))


def same_order(evaluated: list[int], served: list[int | None], scores: list[float]) -> bool:
    """Equal, but for neighbours that are within the tolerance of each other."""
    place = {row: number for number, row in enumerate(served)}
    for number, row in enumerate(evaluated):
        if row not in place or abs(scores[place[row]] - scores[number]) > TOLERANCE:
            return False
    return True


def first_users(split: Split, count: int) -> Split:
    """The first users of a split."""
    histories = Sequences(split.histories.rows, split.histories.starts[:count], split.histories.lengths[:count])
    return Split(split.name, split.users[:count], histories, split.targets[:count])


if __name__ == "__main__":
    main()

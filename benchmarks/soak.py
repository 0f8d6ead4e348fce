"""Half an hour of mixed load at half of what this machine carries: does memory stay flat, does anything fail?

    python benchmarks/soak.py
    python benchmarks/soak.py --minutes 1 --results /tmp/soak.jsonl

Two workers, a redis-server of their own, an event log; 3,000 users ask for recommendations and intents, post events and
read what is stored, and each minute the other of two bundles is activated. What the machine carries, this process
included, is measured first. Needs redis-server.
"""

import argparse
import asyncio
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median

import numpy as np
from crowd import ASK, Crowd
from harm import Metrics, Scene, p99, port_of
from serving import call
from serving_load import prepared
from serving_speed import HERE, Running, open_files, own_memory_mb, workers_of
from serving_stress import two_bundles

from service.bundle.files import find_bundles
from training.results import record

USERS = 3000
CAPACITY_SECONDS, MINUTE, PER_MINUTE = 10, 60, 12  # samples
OK = 200
Series = dict[str, list[float]]


def main() -> None:
    """Load, sample, record."""
    arguments = parsed()
    small, _, data = prepared(arguments.work)
    with tempfile.TemporaryDirectory(prefix="intently-soak-") as folder:
        scene = Scene(Path(folder), two_bundles(small, arguments.work / "two"), data.item_ids)
        measured, samples = asyncio.run(soaked(scene, arguments.minutes))
    record(arguments.results, kind="serving", dataset="synthesized", method="soak", metrics=measured, samples=samples)
    print({key: round(value, 2) for key, value in measured.items()})
    print("make render draws memory over time")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--work", type=Path, default=Path(".serving"), help="log and bundles")
    parser.add_argument("--results", type=Path, default=HERE / "results/serving-soak.jsonl")
    return parser.parse_args()


async def soaked(scene: Scene, minutes: int) -> tuple[Metrics, Series]:
    """What was measured, and what was sampled on the way."""
    with scene.redis() as redis:
        async with scene.service(redis.url, "--events", str(scene.folder / "events")) as server:
            crowd = Crowd(port_of(server), scene.item_ids, users=USERS, interval=0.0)
            async with crowd.at_work():
                await asyncio.sleep(CAPACITY_SECONDS)
                capacity = len(crowd.outcomes) / CAPACITY_SECONDS
                crowd.interval = crowd.connections / (capacity / 2)
                measured, samples = await _watched(server, crowd, find_bundles(scene.bundles), minutes)
    return {"minutes": float(minutes), "carried, requests/s": capacity} | measured, samples


async def _watched(server: Running, crowd: Crowd, bundles: list[Path], minutes: int) -> tuple[Metrics, Series]:
    """Once a minute latency is taken and the other bundle activated."""
    processes = {"supervisor": server.pid} | {f"worker {n}": pid for n, pid in enumerate(workers_of(server.pid), 1)}
    samples: defaultdict[str, list[float]] = defaultdict(list)
    p99s, statuses = [], Counter[tuple[int, str]]()
    for minute in range(minutes):
        crowd.outcomes.clear()
        for _ in range(PER_MINUTE):
            for name, pid in processes.items():
                samples[f"{name}, MB"].append(round(own_memory_mb(pid), 1))
            samples["open files"].append(sum(map(open_files, processes.values())))
            await asyncio.sleep(MINUTE / PER_MINUTE)
        p99s.append(p99([one for one in crowd.outcomes if one.kind == ASK]))
        statuses.update((one.status, one.kind) for one in crowd.outcomes)
        bundle_id = bundles[minute % len(bundles)].name
        await asyncio.to_thread(call, f"{server.admin}/admin/bundles/{bundle_id}/activate", {}, 60)
    measured = {
        "requests/s": statuses.total() / (minutes * MINUTE),
        "requests": statuses.total(),
        "failed": sum(count for (status, _), count in statuses.items() if status != OK),
        "foreign ids": crowd.foreign,
    }
    measured |= {f"{status}, {kind}": count for (status, kind), count in sorted(statuses.items()) if status != OK}
    return measured | _summarised(samples | {"p99, ms": p99s}), dict(samples)


def _summarised(samples: Series) -> Metrics:
    """Medians of the first and the last third; of memory also how it rises, once caches are full."""
    found: Metrics = {}
    for name, values in samples.items():
        third = -(-len(values) // 3)
        found |= {f"{name}, first third": median(values[:third]), f"{name}, last third": median(values[-third:])}
        if name.endswith("MB"):
            later = values[len(values) // 2 :]
            per_sample = np.polyfit(np.arange(len(later)), later, 1)[0]
            found[f"{name}/hour, second half"] = float(per_sample) * PER_MINUTE * 60
    return found


if __name__ == "__main__":
    main()

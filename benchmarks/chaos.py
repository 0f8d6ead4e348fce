"""The service harmed while it answers: what fails, how long it takes to recover, what is lost.

    python benchmarks/chaos.py
    python benchmarks/chaos.py --only "Redis stopped,a worker killed"

Two workers and a redis-server of their own for each case, which is kept on an append-only file that is synced at every
write. 200 users post events with items that nobody else has, ask for recommendations and intents and read what is
stored, over 16 connections of this process and on the same cores. An answer with another user's ids, an accepted event
that is missing afterwards and a request without an answer are counted. Needs redis-server; the full disk needs root and
the moved clock a C compiler, without which these are skipped.
"""

import chaos_service
import chaos_store
from cases import Case, parsed, try_all
from serving_speed import HERE

CASES: dict[str, Case] = {
    "Redis killed and started again": chaos_store.killed,
    "Redis stopped": chaos_store.stopped,
    "Redis cut off": chaos_store.cut_off,
    "Redis 200 ms late": chaos_store.slowed,
    "Redis emptied, rebuilt from the event log": chaos_store.emptied,
    "Redis emptied while events are posted, rebuilt": chaos_store.emptied_while_posting,
    "disk full under SQLite": chaos_store.disk_full,
    "a worker killed": chaos_service.worker_killed,
    "damaged bundles put in place": chaos_service.damaged_bundles,
    "clock moved": chaos_service.clock_moved,
    "1,000 requests cancelled": chaos_service.cancelled,
}


if __name__ == "__main__":
    try_all(CASES, parsed(__doc__, HERE / "results/serving-chaos.jsonl"), mark="chaos")

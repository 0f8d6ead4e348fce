"""How many events a second are accepted, posted alone and together.

    python benchmarks/event_speed.py

Two workers with an event log; a Redis that syncs every write to its append-only file before it answers. Events of
100,000 users, none twice. Needs wrk and redis-server.
"""

import argparse
import os
import re
import tempfile
import urllib.request
from pathlib import Path

from redis_process import RedisProcess
from serving_load import DONE, prepared
from serving_speed import CONNECTIONS, HERE, OURS, asked, running

from training.results import record

SIZES = (1, 20)  # events a post
SCRIPT = """
local size, number, began = %d, 0, os.time() - 86400
math.randomseed(1)
request = function()
  local events = {}
  for place = 1, size do
    number = number + 1
    events[place] = string.format('{"user_id":"u%%09d","item_id":"B%%09d","type":"view","timestamp":%%.4f}',
      math.random(100000), math.random(12000), began + number / 10000)
  end
  local body = '{"events":[' .. table.concat(events, ",") .. ']}'
  return wrk.format("POST", "/v1/events", {["content-type"] = "application/json"}, body)
end
"""


def main() -> None:
    """Interleaved rounds, each on a service and a Redis of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--work", type=Path, default=Path(".serving"))
    parser.add_argument("--results", type=Path, default=HERE / "results/serving-events.jsonl")
    arguments = parser.parse_args()
    small, _, _ = prepared(arguments.work)
    for number in range(1, arguments.rounds + 1):
        for size in SIZES:
            busy = os.getloadavg()[0]  # by other work, which shares the cores
            with tempfile.TemporaryDirectory(prefix="intently-events-") as folder:
                measured = posted(Path(folder), small, size, arguments.seconds)
            place = {"events_a_post": size, "load_average": busy}
            record(arguments.results, kind="serving", dataset="synthesized", method="events", **place, metrics=measured)
            print(f"round {number}, {size} events a post: {measured}", flush=True)


def posted(folder: Path, bundle: Path, size: int, seconds: float) -> dict[str, float]:
    """Posts a second and their latency."""
    script = folder / "post.lua"
    script.write_text(SCRIPT % size + DONE)
    redis = RedisProcess(folder / "redis", durable=True)
    redis.start()
    try:
        places = {"small": str(bundle), "redis": redis.url}
        with running(OURS, places, {"INTENTLY_EVENTS": str(folder / "events")}) as server:
            its = asked(server.url, script, CONNECTIONS["loaded"], seconds)
            return its | {"accepted share": accepted_share(server.admin)}
    finally:
        redis.kill()


def accepted_share(admin: str) -> float:
    """Of all events, as the service counts them: what it answers 200 may hold duplicates."""
    with urllib.request.urlopen(f"{admin}/metrics") as answer:
        counted = re.findall(r'intently_events_total\{status="(\w+)"\} (\S+)', answer.read().decode())
    counts = {status: float(value) for status, value in counted}
    return counts["accepted"] / sum(counts.values())


if __name__ == "__main__":
    main()

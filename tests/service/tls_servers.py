"""Servers that are reached over TLS only, with a client certificate, by the user of the documented ACL line only."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.http_calls import free_port
from tests.service.redis_servers import PASSWORD, SERVICE, access_rules, until

WATCHER = "user watcher on >watches ~* &* +@all"  # the sentinel's
ONE_NODE = "{id} 127.0.0.1:{port}@{bus} myself,master - 0 0 1 connected 0-16383\nvars currentEpoch 1 lastVoteEpoch 0\n"


@dataclass
class Secured:
    """A server, or a sentinel over one."""

    port: int
    folder: Path  # of the certificates
    process: int

    @property
    def options(self) -> str:
        """Of the store URL."""
        its = self.folder
        return f"ssl_ca_certs={its}/ca.pem&ssl_certfile={its}/leaf.pem&ssl_keyfile={its}/leaf.key"

    def url(self, scheme: str = "rediss", path: str = "/0", host: str = "127.0.0.1", options: str = "") -> str:
        """With the password in it."""
        login = f"intently:{quote(PASSWORD, safe='')}"
        return f"{scheme}://{login}@{host}:{self.port}{path}?{options or self.options}"


@contextmanager
def secured(folder: Path, *, cluster: bool = False) -> Iterator[Secured]:
    """One server, also as the only node of a cluster."""
    port, bus = free_port(), free_port()
    more = ["user default off", WATCHER, access_rules(cluster=cluster)]
    if cluster:
        (folder / "nodes.conf").write_text(ONE_NODE.format(id="a" * 40, port=port, bus=bus))
        more += ["cluster-enabled yes", "tls-cluster yes", f"cluster-port {bus}"]
    with _listening(folder, port, "server", more) as process:
        yield Secured(port, folder, process)


@contextmanager
def secured_sentinel(folder: Path) -> Iterator[Secured]:
    """A sentinel over such a server."""
    with secured(folder) as server:
        port = free_port()
        more = [f"sentinel monitor {SERVICE} 127.0.0.1 {server.port} 1", "tls-replication yes"]
        more += [f"sentinel auth-user {SERVICE} watcher", f"sentinel auth-pass {SERVICE} watches"]
        with _listening(folder, port, "sentinel", more, "--sentinel") as process:
            yield Secured(port, folder, process)


@contextmanager
def _listening(folder: Path, port: int, name: str, more: list[str], *words: str) -> Iterator[int]:
    """Skips where there is no server with TLS; the package of the other tests has none."""
    program = shutil.which("redis-server")
    if program is None or shutil.which("openssl") is None:
        pytest.skip("no server with TLS: apt install redis-server openssl")
    if not (folder / "leaf.pem").is_file():
        _make_certificates(folder)
    lines = ["port 0", f"tls-port {port}", "bind 127.0.0.1", f"dir {folder}", "tls-auth-clients yes", *more]
    lines += [
        f"tls-cert-file {folder}/leaf.pem",
        f"tls-key-file {folder}/leaf.key",
        f"tls-ca-cert-file {folder}/ca.pem",
    ]
    configuration = folder / f"{name}.conf"
    configuration.write_text("\n".join(lines) + "\n")
    with subprocess.Popen([program, str(configuration), *words], stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: socket.create_connection(("127.0.0.1", port), 1).close() is None, "it listens")
            yield process.pid
        finally:
            process.kill()


def _make_certificates(folder: Path) -> None:
    """An authority, and one certificate of it for 127.0.0.1 that server and client show."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    authority = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority"]
    authority += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]  # Python 3.13 asks for it
    leaf = ["-keyout", "leaf.key", "-out", "leaf.pem", "-subj", "/CN=leaf", "-CA", "ca.pem", "-CAkey", "ca.key"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    for words in (authority, leaf + names):
        subprocess.run(["openssl", "req", "-x509", *key, *words], cwd=folder, check=True, capture_output=True)

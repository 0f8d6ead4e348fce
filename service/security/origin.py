"""What browsers are told, and what pages that are not its own may have them do to the admin port: nothing."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope as Connection

from service.errors import ForbiddenError

HARDENING = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
READS = ("GET", "HEAD", "OPTIONS")
GUARDED = ("/admin", "/console")
LOCAL = ("localhost", "local", "internal", "svc")  # ends of names that no public name server answers for


def check_origin(connection: Connection, *, asks_for_keys: bool) -> None:
    """Raises ForbiddenError.

    A change must not come from a page of another origin: browsers name it, other programs name none. Where no key is
    asked for, the port must be called by an address or a local name: a public name can be made to point at this
    machine (DNS rebinding), and its pages would then be of the same origin.
    """
    if not connection["path"].startswith(GUARDED):
        return
    headers = Headers(scope=connection)
    host, origin = headers.get("host", ""), headers.get("origin")
    if origin is not None and connection["method"] not in READS and origin.partition("://")[2] != host:
        raise ForbiddenError(f"a page of {origin} asks for a change: only the console of {host} may")
    if not asks_for_keys and not _is_local(host):
        raise ForbiddenError(f"{host} is a public name: call the port by its address, or let it ask for keys (--keys)")


def _is_local(host: str) -> bool:
    """An address, a name without dots (or none at all: no browser), or one that ends as local names do."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    labels = name.rstrip(".").split(".")
    if len(labels) == 1 or labels[-1] in LOCAL:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True

"""Processes and ports: workers share the public port, the supervisor answers the admin port."""

import asyncio
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec

import uvicorn
from pydantic import ValidationError
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess

from service.draining import DrainingProtocol
from service.logs import log_config, set_up
from service.security.opening import open_access
from service.settings import Settings
from service.shared_port import PortInUseError, SharedPort
from service.stores.base import StoreUnavailableError
from service.stores.opening import opened_store

FACTORY = "service.app:create_app_from_environment"
METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
DRAIN_SECONDS = 10
LOOPBACK = ("127.0.0.1", "::1", "localhost")
log = logging.getLogger("intently")


class StartError(Exception):
    """The service cannot start; the message says what to change."""


def check_settings() -> None:
    """Read the INTENTLY_* variables and open the store once, as the workers will. Raises StartError."""
    try:
        settings = Settings()
        if settings.traces and not (find_spec("opentelemetry.sdk") and find_spec("opentelemetry.exporter")):
            raise StartError("traces need the extra otel: pip install 'intently[service,cpu,otel]' (or gpu)")
        open_access(settings)
        asyncio.run(_open_once(settings))
    except ValidationError as error:
        first = error.errors()[0]
        variable = "_".join(("INTENTLY", *(str(part).upper() for part in first["loc"][:1])))
        raise StartError(f"{variable}: {first['msg']}") from error
    except (ValueError, StoreUnavailableError) as error:
        raise StartError(str(error)) from error


async def _open_once(settings: Settings) -> None:
    async with opened_store(settings.store, **settings.store_options()):
        pass


def serve(*, host: str, port: int, admin_host: str, admin_port: int, workers: int) -> None:
    """Run until SIGTERM or SIGINT. The counters of all workers meet in files that the admin port adds up.

    Raises StartError.
    """
    settings = Settings()
    set_up(settings.log_format)
    if settings.keys is None and settings.jwt_issuer is None and admin_host not in LOOPBACK:
        log.warning("the admin port on %s asks for no key: give --keys, or close it to the outside", admin_host)
    directory = tempfile.mkdtemp(prefix="intently-metrics-")
    os.environ[METRICS_DIRECTORY] = directory  # before prometheus_client is imported, here and in the workers
    config = uvicorn.Config(
        FACTORY,
        factory=True,
        host=host,
        port=port,
        workers=workers,
        log_config=log_config(settings.log_format),
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # nothing depends on who asks
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        http=DrainingProtocol,
    )
    try:
        with _bundles_of(settings), _admin_port(settings, directory, admin_host, admin_port, _reached(host, port)):
            workers_group = Workers(config, [SharedPort(host, port)])  # type: ignore[list-item]  # a socket, there
            workers_group.run()
        if any(process.exitcode == STARTUP_FAILURE for process in workers_group.processes):
            raise SystemExit(1)
    except PortInUseError as error:
        raise StartError(str(error)) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _bundles_of(settings: Settings) -> AbstractContextManager[None]:
    if settings.mirror is None:
        return nullcontext()
    from service.bundle_mirror import mirrored

    return mirrored(settings.mirror, settings.bundle, seconds=settings.mirror_seconds)


def _reached(host: str, port: int) -> str:
    """The public port as this machine reaches it, whatever address it listens on."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # read, not listened on
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


class Workers(Multiprocess):
    """uvicorn's supervisor; the live gauges of a worker that died, or was replaced or sent away, go with it."""

    _known: frozenset[int] = frozenset()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died or hang, and forget the gauges of all that are gone."""
        from prometheus_client.multiprocess import mark_process_dead

        known = self._known | self._pids()
        super().keep_subprocess_alive()
        self._known = self._pids()
        for pid in sorted(known - self._known):
            log.warning("worker %d ended; %d serve", pid, len(self._known))
            mark_process_dead(pid)  # type: ignore[no-untyped-call]

    def _pids(self) -> frozenset[int]:
        return frozenset(process.pid for process in self.processes if process.pid is not None)


@contextmanager
def _admin_port(settings: Settings, directory: str, host: str, port: int, public: str) -> Iterator[None]:
    """The admin port lives in a thread of the supervising process. Raises StartError if it cannot listen."""
    from service.admin.app import create_admin_app

    app = create_admin_app(settings, directory, public)
    lines = log_config(settings.log_format)
    config = uvicorn.Config(
        app, host=host, port=port, log_config=lines, log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True, name="admin")
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise StartError(f"the admin port {host}:{port} cannot be opened: is it in use?")
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join(DRAIN_SECONDS)  # a loop still running while the interpreter ends would crash it

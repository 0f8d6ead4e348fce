"""Which bundle is being served."""

import asyncio
import gc
import logging
from pathlib import Path

from service.bundle.files import find_bundles
from service.engine import Engine
from service.errors import NotReadyError, UnknownBundleError
from service.telemetry import BUNDLE, READY

log = logging.getLogger("intently")


class Registry:
    """Holds one engine; a newer bundle is loaded beside it and swapped in by one assignment."""

    def __init__(self, source: Path, *, threads: int = 1) -> None:
        """`source`: a bundle, or a directory whose newest bundle is served."""
        self._source = source
        self._threads = threads
        self._engine: Engine | None = None
        self._hidden: frozenset[str] = frozenset()
        self._refused: dict[Path, list[tuple[str, int, int]]] = {}
        self._why = f"no bundle in {source.name!r} yet: publish one with intently-train run"

    @property
    def ready(self) -> bool:
        """Whether there is an engine."""
        return self._engine is not None

    def engine(self, bundle_id: str | None = None) -> Engine:
        """The engine being served. Raises NotReadyError, or UnknownBundleError if another bundle is asked for."""
        if self._engine is None:
            raise NotReadyError(self._why)
        if bundle_id is not None and bundle_id != self._engine.bundle_id:
            raise UnknownBundleError(bundle_id, self._engine.bundle_id)
        return self._engine

    def hide(self, item_ids: frozenset[str]) -> None:
        """These items are not available, in the engine being served and in those to come."""
        if item_ids != self._hidden:
            self._hidden = item_ids
            if self._engine is not None:
                self._engine.hide(item_ids)

    async def refresh(self, active: str | None = None) -> None:
        """Serve the active bundle, or without one the newest that is sound. What is served now serves until then."""
        for path in await asyncio.to_thread(self._found, active):
            if self._engine is not None and path.resolve().name == self._engine.bundle_id:
                return
            if (engine := await asyncio.to_thread(self._load, path)) is not None:
                self._swap(engine)
                return

    def _found(self, active: str | None) -> list[Path]:
        try:
            found = find_bundles(self._source)
        except OSError as error:  # a bundle was removed while it was looked at, or the directory cannot be read
            self._refuse(f"cannot look for bundles in {self._source.name!r}: {error}")
            return []
        if active is None:
            return found
        found = [path for path in found if path.resolve().name == active]
        if not found:
            self._refuse(f"the active bundle {active} is not in {self._source.name!r}")
        return found

    def _load(self, path: Path) -> Engine | None:
        """The engine of a bundle, or None for one that is refused; it is tried again once its files change."""
        try:
            state = sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in path.iterdir())
            if self._refused.get(path) == state:
                return None
            self._refused[path] = state
            engine = Engine.load(path, threads=self._threads)
        except Exception as error:  # ONNX Runtime and FAISS raise types of their own; none may stop the watch
            self._refuse(f"bundle refused: {_sentence(path, error)}")
            return None
        del self._refused[path]
        return engine

    def _refuse(self, why: str) -> None:
        if why != self._why:  # once, not every second
            log.error(why)
        self._why = why

    def _swap(self, engine: Engine) -> None:
        if self._engine is not None:
            BUNDLE.labels(self._engine.bundle_id, self._engine.manifest.method).set(0)
        engine.hide(self._hidden)
        self._engine = engine
        BUNDLE.labels(engine.bundle_id, engine.manifest.method).set(1)
        READY.set(1)
        gc.collect()
        gc.freeze()  # the engine lives on: keep the collector from walking it
        log.info("serving bundle %s", engine.bundle_id)


def _sentence(path: Path, error: Exception) -> str:
    return str(error) if path.name in str(error) else f"{path.name}: {error or type(error).__name__}"

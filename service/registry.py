"""Which bundles are being served, and to whom."""

import asyncio
import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from service.bundle.files import find_bundles
from service.bundle.pacing import working
from service.control import Control
from service.engine import Engine
from service.errors import NotReadyError, UnknownBundleError
from service.experiments.hashing import BUCKETS, bucket
from service.inference.device import Device
from service.telemetry import BUNDLE, BUNDLE_CREATED, READY

log = logging.getLogger("intently")
SHORT = 0.0005  # seconds; usually 5 ms
SHARE = 0.1  # of the time that a bundle is prepared in, beside one that answers


class Registry:
    """Holds an engine, at most one more as canary and as shadow, and those of running experiments.

    Engines are loaded beside those at work and swapped in by one assignment.
    """

    def __init__(self, source: Path, *, threads: int = 1, device: Device = "cpu") -> None:
        """`source`: a bundle, or a directory whose newest bundle is served."""
        self._source = source
        self._threads = threads
        self._device: Device = device
        self._engine: Engine | None = None
        self._others: dict[str, Engine] = {}  # by bundle_id, those on trial and in experiments
        self._control = Control()
        self._hidden: frozenset[str] = frozenset()
        self._refused: dict[Path, list[tuple[str, int, int]]] = {}
        self._why = f"no bundle in {source.name!r} yet: publish one with intently-train run"

    @property
    def ready(self) -> bool:
        """Whether there is an engine."""
        return self._engine is not None

    def engine(self, bundle_id: str | None = None) -> Engine:
        """The engine of all who are in no trial, or that of a loaded bundle.

        Raises NotReadyError, or UnknownBundleError if another bundle is asked for.
        """
        if self._engine is None:
            raise NotReadyError(self._why)
        if bundle_id is None or bundle_id == self._engine.bundle_id:
            return self._engine
        if (other := self._others.get(bundle_id)) is None:
            raise UnknownBundleError(bundle_id, ", ".join([self._engine.bundle_id, *self._others]))
        return other

    def engine_for(self, user_id: str | None, bundle_id: str | None = None) -> Engine:
        """The canary for its share of the users, once it is loaded, always the same users; or the bundle asked for.

        Raises what `engine` does.
        """
        engine, side = self.engine(bundle_id), self._control.canary
        if bundle_id is not None or side is None or user_id is None:
            return engine
        is_chosen = bucket(side.bundle_id, user_id) < side.share * BUCKETS
        return self._others.get(side.bundle_id, engine) if is_chosen else engine

    def engine_of_variant(self, bundle_id: str | None) -> Engine:
        """The engine of a variant's bundle; the active one where that is not loaded, or without one.

        Raises NotReadyError.
        """
        return self._others.get(bundle_id or "") or self.engine()

    def shadow(self) -> tuple[Engine, float] | None:
        """The engine that is asked beside the others, and for which share of the requests."""
        side = self._control.shadow
        return (
            None if side is None or side.bundle_id not in self._others else (self._others[side.bundle_id], side.share)
        )

    def hide(self, item_ids: frozenset[str]) -> None:
        """These items are not available, in the engines being served and in those to come."""
        if item_ids != self._hidden:
            self._hidden = item_ids
            for engine in self._engines():
                engine.hide(item_ids)

    async def refresh(self, control: Control = Control()) -> None:
        """Serve what was decided, or without a decision the newest sound bundle; until then what is served now."""
        await self._refresh_active(control.active)
        wanted = {side.bundle_id for side in (control.canary, control.shadow) if side is not None}
        wanted |= control.variants_bundles()
        if self._engine is not None:
            wanted.discard(self._engine.bundle_id)
        for bundle_id in sorted(wanted - self._others.keys()):
            for path in await asyncio.to_thread(self._found, bundle_id):
                if (engine := await asyncio.to_thread(self._load, path)) is not None:
                    self._others[bundle_id] = self._begun(engine)
        for bundle_id in self._others.keys() - wanted:
            _ended(self._others.pop(bundle_id))
        self._control = control

    async def _refresh_active(self, active: str | None) -> None:
        for path in await asyncio.to_thread(self._found, active):
            bundle_id = path.resolve().name
            if self._engine is not None and bundle_id == self._engine.bundle_id:
                return
            engine = self._others.pop(bundle_id, None) or await asyncio.to_thread(self._load, path)
            if engine is not None:
                if self._engine is not None:
                    self._others[self._engine.bundle_id] = self._engine  # a variant may go on with it
                self._engine = self._begun(engine)
                READY.set(1)
                BUNDLE_CREATED.set(engine.created)
                log.info("serving bundle %s", bundle_id)
                return

    def _found(self, wanted: str | None) -> list[Path]:
        try:
            found = find_bundles(self._source)
        except OSError as error:  # a bundle was removed while it was looked at, or the directory cannot be read
            self._refuse(f"cannot look for bundles in {self._source.name!r}: {error}")
            return []
        if wanted is None:
            return found
        found = [path for path in found if path.resolve().name == wanted]
        if not found:
            self._refuse(f"the bundle {wanted} was chosen and is not in {self._source.name!r}")
        return found

    def _load(self, path: Path) -> Engine | None:
        """The engine of a bundle, or None for one that is refused; it is tried again once its files change."""
        try:
            state = sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in path.iterdir())
            if self._refused.get(path) == state:
                return None
            self._refused[path] = state
            with _giving_way(), working(SHARE) if self.ready else nullcontext():
                engine = Engine.load(path, threads=self._threads, device=self._device)
        except Exception as error:  # ONNX Runtime and FAISS raise types of their own; none may stop the watch
            self._refuse(f"bundle refused: {_sentence(path, error)}")
            return None
        del self._refused[path]
        return engine

    def _refuse(self, why: str) -> None:
        if why != self._why:  # once, not every second
            log.error(why)
        self._why = why

    def _begun(self, engine: Engine) -> Engine:
        engine.hide(self._hidden)
        BUNDLE.labels(engine.bundle_id, engine.manifest.method).set(1)
        return engine

    def _engines(self) -> Iterator[Engine]:
        if self._engine is not None:
            yield self._engine
        yield from self._others.values()


@contextmanager
def _giving_way() -> Iterator[None]:
    """Whoever answers waits only shortly for the interpreter, while this thread works beside it.

    Neither does the collector stop everybody to walk, again and again, what is being built.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SHORT)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what was built lives on: keep the collector from walking it. It goes without the collector
        gc.enable()
        sys.setswitchinterval(usual)


def _ended(engine: Engine) -> None:
    BUNDLE.labels(engine.bundle_id, engine.manifest.method).set(0)


def _sentence(path: Path, error: Exception) -> str:
    return str(error) if path.name in str(error) else f"{path.name}: {error or type(error).__name__}"

"""One versioned document in the store that every worker of every replica follows."""

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import ConflictError
from service.stores.base import Document, SequenceStore, StoreUnavailableError

log = logging.getLogger("intently")
ATTEMPTS = 10


class Versioned(BaseModel):
    """What a document says; whoever changes it counts the version up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(default=0, ge=0)


Content = TypeVar("Content", bound=Versioned)


class SharedDocument(Generic[Content]):
    """The document as this process knows it."""

    def __init__(self, store: SequenceStore, name: str, empty: Content) -> None:
        """`empty`: what holds before anybody wrote it."""
        self._store = store
        self._name = name
        self._empty = empty
        self._away = False
        self.current = empty

    async def poll(self) -> Content:
        """What holds now; the last known stands while the store is away or the document cannot be read.

        A store that has lost it, because it was started empty, gets it back from whoever knows it.
        """
        try:
            found = await self._store.document(self._name, unless=self.current.version)
            if found is not None and found.version < self.current.version:
                await self._write(found.version, self.current)
            elif found is not None:
                self.current = self._parsed(found)
            self._away = False
        except (StoreUnavailableError, ValidationError) as error:
            if not self._away:  # once, not every second
                log.warning("the document %r cannot be read: %s", self._name, error)
            self._away = True
        return self.current

    async def change(self, decide: Callable[[Content], Content]) -> Content:
        """Write what `decide` makes of the current document, again if somebody else wrote meanwhile.

        Of a store that has lost it: of the last known, as `poll` has it, or whoever knows that would undo the change.

        Raises StoreUnavailableError, ConflictError.
        """
        for _ in range(ATTEMPTS):
            found = await self._store.document(self._name)
            stored = self._parsed(found) if found else self._empty
            decided = decide(max(stored, self.current, key=lambda known: known.version))
            if await self._write(stored.version, decided):
                self.current = decided
                return decided
        raise ConflictError(f"the document {self._name!r} is being changed by others; try again")

    async def _write(self, expected: int, content: Content) -> bool:
        document = Document(content.version, content.model_dump_json().encode())
        return await self._store.change_document(self._name, expected, document)

    def _parsed(self, found: Document) -> Content:
        return type(self._empty).model_validate_json(found.content) if found.content else self._empty

"""API keys: a file of hashes, read again when it changes."""

import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

log = logging.getLogger("intently")
Scope = Literal["read", "events", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class KeysError(ValueError):
    """The keys file cannot be used; the message says why."""


class ApiKey(BaseModel):
    """What is known of a key: never the key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=64)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    rate: float | None = Field(default=None, gt=0, description="requests a second; without it no limit")


_FILE = TypeAdapter(list[ApiKey])


class KeyRing:
    """The keys of one file. Keys are random, so one round of SHA-256 is enough."""

    def __init__(self, path: Path) -> None:
        """Raises KeysError."""
        self._path = path
        self._state = self._seen()
        self._keys = read_keys(path)

    def refresh(self) -> None:
        """Take up a changed file; one that cannot be used is logged, and the keys before stay."""
        if (state := self._seen()) == self._state:
            return
        self._state = state
        try:
            self._keys = read_keys(self._path)
            log.info("%d API keys are valid now", len(self._keys))
        except KeysError as error:
            log.error("%s; the keys before stay valid", error)

    def find(self, key: str) -> ApiKey | None:
        """Whose key it is; all are compared, so that time tells nothing."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for known in self._keys:
            if hmac.compare_digest(known.sha256, digest):
                found = known
        return found

    def _seen(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size


def read_keys(path: Path) -> list[ApiKey]:
    """Raises KeysError for a file that is missing, malformed, or names a key twice."""
    try:
        keys = _FILE.validate_json(path.read_bytes())
    except OSError as error:
        raise KeysError(f"the keys file {path.name} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise KeysError(f"the keys file {path.name} is not a list of keys: {place} {first['msg']}") from error
    names = [key.name for key in keys]
    if len(set(names)) < len(names):
        raise KeysError(f"the keys file {path.name} names a key twice: {', '.join(sorted(names))}")
    return keys


def add_key(path: Path, name: str, scopes: Iterable[Scope], rate: float | None) -> str:
    """Make a key and append what is known of it to the file, which is created for its owner alone -> the key.

    Raises KeysError.
    """
    keys = read_keys(path) if path.exists() else []
    if any(key.name == name for key in keys):
        raise KeysError(f"{path.name} has a key {name!r} already: remove it, or choose another name")
    key = secrets.token_urlsafe(32)
    made = ApiKey(name=name, sha256=hashlib.sha256(key.encode()).hexdigest(), scopes=frozenset(scopes), rate=rate)
    entries = [one.model_dump(mode="json", exclude_none=True) for one in (*keys, made)]
    aside = path.with_name(f".{path.name}.new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(entries, file, indent=1)
    aside.replace(path)
    return key

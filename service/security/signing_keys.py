"""The public keys that tokens are signed with: a JWKS, from a file or a URL, kept in memory and looked for again."""

import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWTError

log = logging.getLogger("intently")
TIMEOUT = 5.0  # seconds
PATIENCE = 10.0  # seconds between two looks, however many tokens name a key that is not known


class SigningKeys:
    """By key id. No request waits for them: a thread reads them when it is time."""

    def __init__(self, source: str, *, seconds: float, patience: float = PATIENCE) -> None:
        """`source`: a path or an http(s) URL; read again every `seconds`, and for an unknown key id."""
        self._source = source
        self._seconds = seconds
        self._patience = patience
        self._read_at = -seconds
        self._wanted = True
        self._thread: threading.Thread | None = None
        self._said: str | None = None
        self._fetched_before: Any = None
        self.known: Mapping[str | None, PyJWK] = {}  # replaced when the keys change, never altered

    def find(self, key_id: str | None) -> PyJWK | None:
        """The key, if it is known; else it is looked for at the next chance."""
        found = self.known.get(key_id)
        self._wanted = self._wanted or found is None
        return found

    def refresh(self) -> None:
        """Have the keys read if it is time, by a thread."""
        waited = time.monotonic() - self._read_at
        is_due = waited >= self._seconds or (self._wanted and waited >= self._patience)
        if is_due and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self.read, daemon=True, name="signing-keys")
            self._thread.start()

    def read(self) -> None:
        """Read them now; those before stay where the source is away or holds none."""
        self._read_at = time.monotonic()
        try:
            fetched = self._fetched()
            found = PyJWKSet.from_dict(fetched).keys
        except (PyJWTError, OSError, ValueError, AttributeError) as error:
            self._wanted = True
            self._say(logging.ERROR, f"the keys of tokens cannot be read, those before stay valid: {error}")
            return
        self._wanted = False
        if fetched != self._fetched_before:
            self._fetched_before = fetched
            self.known = {key.key_id: key for key in found if key.public_key_use in (None, "sig")}
        self._say(logging.INFO, f"{len(self.known)} keys of tokens are known")

    def _fetched(self) -> Any:
        if self._source.startswith(("http://", "https://")):
            return PyJWKClient(self._source, cache_jwk_set=False, timeout=TIMEOUT).fetch_data()
        return json.loads(Path(self._source).read_bytes())

    def _say(self, level: int, what: str) -> None:
        if what != self._said:  # once, not every time
            log.log(level, what)
        self._said = what

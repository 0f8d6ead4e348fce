"""Bearer tokens of an identity provider (OIDC): signed JWTs, checked without asking it."""

import hashlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jwt
from jwt import PyJWK

from service.errors import UnauthorizedError
from service.security.keys import SCOPES, Scope
from service.security.signing_keys import SigningKeys

ALGORITHMS = ("RS256", "ES256", "EdDSA")  # asymmetric: whoever checks a token could not have made it
REQUIRED = ("exp", "iss", "aud", "sub")
LEEWAY = 5.0  # seconds by which clocks may differ
LONGEST = 8192  # characters
KEPT = 10_000  # tokens that need not be checked again


class Subject(NamedTuple):
    """Whom a token speaks for."""

    name: str
    scopes: frozenset[Scope]
    rate: float | None


class _Checked(NamedTuple):
    subject: Subject
    until: float  # Unix seconds


class Tokens:
    """Tokens of one issuer for one audience. One that was found valid is known by its digest until it expires."""

    def __init__(
        self, keys: SigningKeys, *, issuer: str, audience: str, scopes_claim: str = "scope", rate: float | None = None
    ) -> None:
        """`rate`: requests a second of each subject."""
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._scopes_claim = scopes_claim
        self._rate = rate
        self._checked: dict[bytes, _Checked] = {}
        self._checked_with: Mapping[str | None, PyJWK] = keys.known

    def refresh(self) -> None:
        """Let the keys follow their source."""
        self._keys.refresh()

    def find(self, token: str) -> Subject:
        """Raises UnauthorizedError; what was sent is not repeated."""
        if self._checked_with is not self._keys.known:  # a key may have been withdrawn
            self._checked_with, self._checked = self._keys.known, {}
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._checked.get(digest)
        if known is None or known.until <= time.time():
            self._checked.pop(digest, None)
            while len(self._checked) >= KEPT:
                del self._checked[next(iter(self._checked))]
            known = self._checked[digest] = self._check(token)
        return known.subject

    def _check(self, token: str) -> _Checked:
        try:
            claims = jwt.decode(
                token,
                self._key_of(token),
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY,
                options={"require": list(REQUIRED)},
            )
        except jwt.ExpiredSignatureError as error:
            raise UnauthorizedError("the token has expired") from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise UnauthorizedError("the token is not valid") from error
        subject = Subject(f"token:{claims['sub']}", _scopes(claims.get(self._scopes_claim)), self._rate)
        return _Checked(subject, int(claims["exp"]) + LEEWAY)

    def _key_of(self, token: str) -> PyJWK:
        """The key that the token names. Raises UnauthorizedError, PyJWTError."""
        if len(token) > LONGEST:
            raise UnauthorizedError(f"the token is longer than {LONGEST} characters")
        if (key := self._keys.find(jwt.get_unverified_header(token).get("kid"))) is None:
            raise UnauthorizedError("the token names a key that is not known")
        return key


def _scopes(claim: Any) -> frozenset[Scope]:
    """Of a list, or of words with spaces between; what is no scope of ours means nothing here."""
    named = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(scope for scope in SCOPES if scope in named)

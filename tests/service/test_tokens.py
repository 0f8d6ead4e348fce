"""Tokens of an identity provider: real keys, a real JWKS over HTTP."""

import base64
import hmac
import json
import logging
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from service.app import create_app
from service.errors import UnauthorizedError
from service.security.keys import KeysError, add_key
from service.security.opening import open_access
from service.security.signing_keys import SigningKeys
from service.security.tokens import LEEWAY, LONGEST, Tokens
from service.settings import Settings
from tests.service.identity_provider import AUDIENCE, ISSUER, JWKS, PRIVATE, JwksServer, as_jwk, signed

PATIENCE = 0.05


@pytest.fixture
def server() -> Iterator[JwksServer]:
    server = JwksServer()
    yield server
    server.stop()


def tokens_of(server: JwksServer, *, seconds: float = 60) -> Tokens:
    keys = SigningKeys(server.url, seconds=seconds, patience=PATIENCE)
    keys.read()
    return Tokens(keys, issuer=ISSUER, audience=AUDIENCE)


@pytest.fixture
def tokens(server: JwksServer) -> Tokens:
    return tokens_of(server)


def eventually(tokens: Tokens, token: str, *, valid: bool) -> None:
    for _ in range(200):
        tokens.refresh()
        try:
            tokens.find(token)
        except UnauthorizedError:
            if not valid:
                return
        else:
            if valid:
                return
        time.sleep(0.02)
    raise AssertionError(f"the token did not become {'valid' if valid else 'invalid'}")


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_signed_token_speaks_for_its_subject(tokens: Tokens, algorithm: str) -> None:
    found = tokens.find(signed(algorithm))
    assert (found.name, found.scopes) == ("token:u1", {"read"})


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [("read events", {"read", "events"}), (["admin", "other"], {"admin"}), ("root", set()), (7, set()), (None, set())],
)
def test_scopes_are_words_or_a_list_and_unknown_ones_mean_nothing(
    tokens: Tokens, claim: object, scopes: set[str]
) -> None:
    assert tokens.find(signed(scope=claim)).scopes == scopes


def by_hand(header: dict[str, Any], secret: bytes | None) -> str:
    """What no library signs: without a signature, or with the public key as a shared secret."""
    claims = jwt.decode(signed(), options={"verify_signature": False})
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    digest = b"" if secret is None else hmac.digest(secret, b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(digest).rstrip(b"=")]).decode()


PEM = PRIVATE["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
NOT_VALID = {
    "not yet": lambda: signed(nbf=time.time() + 60),
    "of another audience": lambda: signed(aud="another"),
    "of another issuer": lambda: signed(iss="https://another.example"),
    "without expiry": lambda: signed(exp=None),
    "without audience": lambda: signed(aud=None),
    "without issuer": lambda: signed(iss=None),
    "without subject": lambda: signed(sub=None),
    "with a number as subject": lambda: signed(sub=7),
    "alg none": lambda: by_hand({"alg": "none", "kid": "key-RS256"}, None),
    "HS256 with the public key": lambda: by_hand({"alg": "HS256", "kid": "key-RS256"}, PEM),
    "HS256 with a key of the set": lambda: by_hand({"alg": "HS256", "kid": "shared"}, b"k" * 32),
    "RS512": lambda: signed("RS512", PRIVATE["RS256"], "key-RS256"),
    "signed by another": lambda: signed(key=rsa.generate_private_key(65537, 2048)),
    "with another's key id": lambda: signed("ES256", key_id="key-RS256"),
    "altered": lambda: signed()[:-4] + "AAAA",
    "no token": lambda: "a.b.c",
    "no text": lambda: "\xff.\x00.",
}


@pytest.mark.parametrize("token", NOT_VALID.values(), ids=NOT_VALID)
def test_what_is_not_valid_is_refused_alike(server: JwksServer, token: Callable[[], str]) -> None:
    shared = {"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(b"k" * 32).rstrip(b"=").decode()}
    server.keys = {"keys": [*JWKS["keys"], shared]}
    with pytest.raises(UnauthorizedError, match=r"^the token is not valid$"):
        tokens_of(server).find(token())


HEADERS = st.text(alphabet=string.printable, max_size=20) | st.sampled_from(["[" * 5000, '{"alg":{}}', '{"kid":[]}'])


@given(parts=st.tuples(HEADERS, HEADERS, HEADERS), raw=st.booleans())
def test_whatever_looks_like_a_token_is_refused_cleanly(parts: tuple[str, ...], raw: bool) -> None:
    tokens = Tokens(SigningKeys("nowhere", seconds=60), issuer=ISSUER, audience=AUDIENCE)
    said = parts if raw else [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
    with pytest.raises(UnauthorizedError):
        tokens.find(".".join(said))


def test_other_refusals_say_why(tokens: Tokens) -> None:
    with pytest.raises(UnauthorizedError, match="the token has expired"):
        tokens.find(signed(exp=time.time() - LEEWAY - 1))
    for stranger in (signed(key_id="unheard-of"), jwt.encode({"sub": "u"}, PRIVATE["RS256"], algorithm="RS256")):
        with pytest.raises(UnauthorizedError, match="names a key that is not known"):
            tokens.find(stranger)
    with pytest.raises(UnauthorizedError, match="longer than"):
        tokens.find(signed(note="x" * LONGEST))


def test_a_token_is_checked_once_and_until_it_expires(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    token = signed(exp=int(time.time() - LEEWAY) + 2)
    first = tokens.find(token)
    decode = jwt.decode
    monkeypatch.setattr(jwt, "decode", None)  # who used it would fail
    assert tokens.find(token) is first
    monkeypatch.setattr(jwt, "decode", decode)
    time.sleep(2.1)
    with pytest.raises(UnauthorizedError, match="expired"):
        tokens.find(token)


def test_keys_are_rotated(server: JwksServer) -> None:
    """A key that is new is found soon after its first token; a token of a withdrawn key is valid no more."""
    tokens = tokens_of(server, seconds=0.1)
    old = signed()
    assert tokens.find(old).name == "token:u1"
    private = rsa.generate_private_key(65537, 2048)
    server.keys = {"keys": [as_jwk("RS256", private, "newer")]}
    eventually(tokens, signed(key=private, key_id="newer"), valid=True)
    eventually(tokens, old, valid=False)


def test_unknown_key_ids_do_not_make_us_ask_again_and_again(server: JwksServer, tokens: Tokens) -> None:
    """200 strangers within about a second cost at most a question each `PATIENCE`."""
    began = time.monotonic()
    for number in range(200):
        with pytest.raises(UnauthorizedError):
            tokens.find(signed("EdDSA", key_id=f"stranger-{number}"))
        tokens.refresh()
    assert 1 <= server.asked <= 2 + (time.monotonic() - began) / PATIENCE


def test_while_the_server_is_away_what_is_known_stays_valid(server: JwksServer) -> None:
    tokens = tokens_of(server, seconds=PATIENCE)
    server.stop()
    for _ in range(20):
        tokens.refresh()
        time.sleep(0.01)
        assert tokens.find(signed()).name == "token:u1"


def test_who_starts_without_the_server_learns_the_keys_when_it_comes(tmp_path: Path) -> None:
    """The same for a file that is not there yet, or is no JWKS."""
    path = tmp_path / "jwks.json"
    keys = SigningKeys(str(path), seconds=60, patience=PATIENCE)
    keys.read()
    tokens = Tokens(keys, issuer=ISSUER, audience=AUDIENCE)
    for content in ("", "[]", '{"keys": []}', '{"keys": 7}', '{"keys": [{}]}'):
        path.write_text(content)
        keys.read()
        assert keys.known == {}
    path.write_text(json.dumps(JWKS))
    eventually(tokens, signed(), valid=True)


@pytest.fixture
def settings(server: JwksServer, tiny_bundle: Path, tmp_path: Path) -> Settings:
    return Settings(
        bundle=tiny_bundle,
        store=f"sqlite:///{tmp_path}/s.sqlite3",
        keys=tmp_path / "keys.json",
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        jwt_keys=server.url,
        jwt_rate=3,
    )


def test_tokens_are_taken_beside_keys_and_never_logged(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = add_key(tmp_path / "keys.json", "shop", ["read"], None)
    caplog.set_level(logging.DEBUG)
    reader, stranger = signed(), signed(aud="another")
    asked = {"history": ["a"], "k": 1}
    with TestClient(create_app(settings)) as client:

        def post(path: str, token: str, body: object = asked) -> tuple[int, str | None]:
            answer = client.post(path, json=body, headers={"authorization": f"Bearer {token}"})
            assert token not in answer.text
            return answer.status_code, answer.json().get("error", {}).get("code")

        assert post("/v1/recommendations", key) == (200, None)
        assert post("/v1/recommendations", reader) == (200, None)
        assert post("/v1/recommendations", stranger) == (401, "unauthorized")
        assert post("/v1/events", reader, {"events": [{}]}) == (403, "forbidden")
        assert post("/v1/events", signed(sub="u2", scope="events"), {"events": [{}]}) == (200, None)
        answers = [post("/v1/recommendations", reader) for _ in range(4)]
        assert answers[-1] == (429, "rate_limited"), "3 a second"
        assert post("/v1/recommendations", signed(sub="u3")) == (200, None), "each subject has its own"
    assert caplog.text
    for secret in (reader, stranger, reader.rpartition(".")[2]):
        assert secret not in caplog.text


def test_tokens_alone_are_enough_and_half_a_configuration_is_refused(settings: Settings) -> None:
    alone = open_access(settings.model_copy(update={"keys": None}))
    connection = {"method": "GET", "path": "/v1/intents"}
    headers = [(b"authorization", b"Bearer " + signed().encode())]
    assert alone.check(connection | {"headers": headers}) == "token:u1"
    with pytest.raises(UnauthorizedError, match="the API key is not valid"):
        alone.check(connection | {"headers": [(b"authorization", b"Bearer key")]})
    half = settings.model_copy(update={"keys": None, "jwt_audience": None, "jwt_keys": None})
    with pytest.raises(KeysError, match="tokens need INTENTLY_JWT_AUDIENCE and INTENTLY_JWT_KEYS too"):
        open_access(half)
    assert not open_access(Settings()).asks

"""An identity provider of the tests' own: real keys, tokens signed with them, a real JWKS over HTTP."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://identity.example", "intently"
PRIVATE = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
FAMILIES: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


def as_jwk(algorithm: str, private: Any, key_id: str) -> dict[str, Any]:
    return {**FAMILIES[algorithm].to_jwk(private.public_key(), as_dict=True), "kid": key_id, "use": "sig"}


JWKS = {"keys": [as_jwk(algorithm, private, f"key-{algorithm}") for algorithm, private in PRIVATE.items()]}


def signed(algorithm: str = "RS256", key: Any = None, key_id: str | None = None, **claims: Any) -> str:
    """A token that is valid but for what is given; None leaves a claim out."""
    now = time.time()
    usual = {"sub": "u1", "iss": ISSUER, "aud": AUDIENCE, "exp": now + 60, "nbf": now - 1, "scope": "read openid"}
    claims = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    key, key_id = key or PRIVATE.get(algorithm), key_id or f"key-{algorithm}"
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": key_id})


class JwksServer:
    """Answers with `keys`, or not at all."""

    def __init__(self) -> None:
        self.keys = JWKS
        self.asked = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/keys"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked += 1
                body = json.dumps(owner.keys).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

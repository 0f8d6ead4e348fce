"""What the OpenAPI document says of keys and tokens."""

from fastapi import FastAPI

from service.security.access import OPEN

SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key, or a token of the identity provider"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def ask_for_keys(app: FastAPI) -> None:
    """Let the document of a complete application say which calls need a key."""
    document = app.openapi()
    document["components"]["securitySchemes"] = SCHEMES
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path.startswith(OPEN) else [{name: []} for name in SCHEMES]

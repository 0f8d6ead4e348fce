"""What requests are made of: of the JSON type that is documented, and nothing that only looks like it."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

MAX_K = 500


def _number(value: object) -> object:
    if isinstance(value, str | bool):
        raise ValueError("wanted an integer")
    return value


Identifier = Annotated[str, Field(min_length=1, max_length=256)]
Whole = Annotated[int, BeforeValidator(_number)]  # 5.0 is one, "5" and true are not
K = Annotated[int, Field(ge=1, le=MAX_K), BeforeValidator(_number)]
Number = Annotated[float, Field(strict=True)]


def at_least_one(**types: str) -> dict[str, Any]:
    """JSON schema: one of these is given, and not null."""
    return {"anyOf": [{"required": [name], "properties": {name: {"type": kind}}} for name, kind in types.items()]}

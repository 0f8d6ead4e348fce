"""What requests are made of: of the JSON type that is documented, and nothing that only looks like it."""

from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BeforeValidator, Field

MAX_K = 500
LARGEST_VALUE = 1e12  # of an event, of either sign; squares of sums stay finite


def _number(value: object) -> object:
    if isinstance(value, str | bool):
        raise ValueError("wanted an integer")
    return value


Identifier = Annotated[str, Field(min_length=1, max_length=256)]
Whole = Annotated[int, BeforeValidator(_number)]  # 5.0 is one, "5" and true are not
K = Annotated[int, Field(ge=1, le=MAX_K), BeforeValidator(_number)]
Number = Annotated[float, Field(strict=True)]
EventValue = Annotated[Number, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE)]
Scalar = str | int | float | bool


def as_text(value: Scalar) -> str:
    """What values are compared by: 3, 3.0 and "3" are the same, so are true and "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def quoted(identifier: str) -> str:
    """As one part of a path; dots too, for `..` would be taken as a way up."""
    return quote(identifier, safe="").replace(".", "%2E")


def at_least_one(**types: str) -> dict[str, Any]:
    """JSON schema: one of these is given, and not null."""
    return {"anyOf": [{"required": [name], "properties": {name: {"type": kind}}} for name, kind in types.items()]}

"""What the routes of the admin port work with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from service.admin.standings import Standings
from service.availability import Unavailable
from service.control import Control
from service.errors import StoreDownError
from service.shared_document import SharedDocument, Versioned
from service.stores.base import StoreUnavailableError

Content = TypeVar("Content", bound=Versioned)


@dataclass(frozen=True)
class AdminParts:
    """Built once, at start."""

    bundles: Path  # a bundle, or a directory of bundles
    control: SharedDocument[Control]
    unavailable: SharedDocument[Unavailable]
    standings: Standings | None  # of experiments; None where no log of events and exposures is kept


async def _parts(request: Request) -> AdminParts:
    found: AdminParts = request.app.state.parts
    return found


Its = Annotated[AdminParts, Depends(_parts)]


async def change(document: SharedDocument[Content], decide: Callable[[Content], Content]) -> Content:
    """Decide for every worker. Raises StoreDownError, ConflictError."""
    try:
        return await document.change(decide)
    except StoreUnavailableError as error:
        raise StoreDownError("the store does not answer; nothing was changed, try again") from error

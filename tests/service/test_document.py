"""Both ports do what their OpenAPI documents say, whatever they are asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.conformance import conformance
from service.admin.app import create_admin_app
from service.app import create_app
from service.security.keys import SCOPES, add_key
from service.settings import Settings

EXAMPLES = 10  # an operation; `make bench-refusals` asks with many more
FEWER = 2  # where a bundle is activated, it is checked in a process of its own


def admin_app(settings: Settings) -> Any:
    return create_admin_app(settings, str(settings.bundle))


@pytest.mark.parametrize(
    ("create", "operations", "examples"), [(create_app, 17, EXAMPLES), (admin_app, 20, FEWER)], ids=["public", "admin"]
)
def test_what_is_documented_is_what_is_answered(
    tiny_bundle: Path, tmp_path: Path, create: Callable[[Settings], Any], operations: int, examples: int
) -> None:
    """All checks of schemathesis: statuses, schemas, headers, what is refused and what is not, with and without key."""
    key = add_key(tmp_path / "keys.json", "everything", SCOPES, None)
    store, keys = f"sqlite:///{tmp_path}/store.sqlite3", tmp_path / "keys.json"
    app = create(Settings(bundle=tiny_bundle, store=store, keys=keys))
    found = conformance(app, key, examples=examples)
    assert found.failures == []
    assert found.asked == found.documented
    assert len(found.documented) == operations
    assert len(found.checks) == 14
    assert found.requests > 100

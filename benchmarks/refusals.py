"""What is refused, and that nothing else goes wrong: both ports against their documents, damaged bundles.

schemathesis asks every operation of both ports with many random requests, valid and not. Of the bundle of the tests
every bit of the manifest is flipped, every file is cut to every length, and files are exchanged: each is refused.

    python benchmarks/refusals.py
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.conformance import conformance
from benchmarks.damage import each_bit_of_the_manifest, each_exchange, each_truncation
from service.admin.app import create_admin_app
from service.app import create_app
from service.security.keys import SCOPES, add_key
from service.settings import Settings
from tests.conftest import write_tiny_bundle
from training.results import record

MEMORY = Path("/dev/shm")  # files are written tens of thousands of times
RESULTS = Path(__file__).parent / "results/refusals.jsonl"
DAMAGE: dict[str, Callable[[Path], Iterator[bool]]] = {
    "bits of the manifest flipped": each_bit_of_the_manifest,
    "files cut to every length": each_truncation,
    "files exchanged": each_exchange,
}


def main() -> None:
    """Both ports, then the bundle; a failure is printed, recorded, and the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=500, help="random requests an operation of the public port")
    parser.add_argument(
        "--admin-examples", type=int, default=10, help="the same for the admin port, which loads bundles"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    failed = 0

    def tell(method: str, **metrics: int) -> None:
        nonlocal failed
        failed += metrics["failures"]
        record(arguments.results, kind="serving", dataset="synthesized", method=method, metrics=metrics)
        print(method, metrics, flush=True)

    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        write_tiny_bundle(folder / "bundles")
        bundle = write_tiny_bundle(folder / "damaged")
        tell("OpenAPI document of the public port", **asked(create_app, folder, arguments.examples))
        tell("OpenAPI document of the admin port", **asked(admin_app, folder, arguments.admin_examples))
        for method, damaged in DAMAGE.items():
            refused = list(damaged(bundle))
            tell(method, tried=len(refused), failures=refused.count(False))
    raise SystemExit(min(failed, 1))


def admin_app(settings: Settings) -> Any:
    """The application of the admin port."""
    return create_admin_app(settings, str(settings.bundle))


def asked(create: Callable[[Settings], Any], folder: Path, examples: int) -> dict[str, int]:
    """Counts of one port, asked with a key and without; what fails is printed."""
    keys = folder / f"{create.__name__}.json"
    key = add_key(keys, "everything", SCOPES, None)
    store = f"sqlite:///{folder}/{create.__name__}.sqlite3"
    found = conformance(create(Settings(bundle=folder / "bundles", store=store, keys=keys)), key, examples=examples)
    for failure in found.failures:
        print(failure, flush=True)
    counts = {"operations": len(found.asked), "requests": found.requests}
    return counts | {"checks": found.checks.total(), "failures": len(found.failures)}


if __name__ == "__main__":
    main()

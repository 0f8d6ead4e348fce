"""Cases on a service of their own, one after another, each recorded."""

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from harm import Metrics, Scene, SkippedError
from serving_load import prepared
from serving_stress import two_bundles

from training.results import record

Case = Callable[[Scene], Awaitable[Metrics]]


def try_all(cases: Mapping[str, Case], arguments: argparse.Namespace, *, mark: str) -> None:
    """Those that are asked for, each in an empty folder; their result lines are known by the field `mark`."""
    small, _, data = prepared(arguments.work)
    bundles = two_bundles(small, arguments.work / "two")
    for name, case in cases.items():
        if not name.startswith(tuple(arguments.only.split(","))):
            continue
        with tempfile.TemporaryDirectory(prefix=f"intently-{mark}-") as folder:
            scene = Scene(Path(folder), shutil.copytree(bundles, Path(folder) / "bundles"), data.item_ids)
            busy = os.getloadavg()[0]  # by other work, which shares the cores
            try:
                measured = asyncio.run(case(scene))
            except SkippedError as reason:
                print(f"{name}: skipped, {reason}", flush=True)
                continue
            except BaseException:
                print(scene.log.read_text()[-4000:] if scene.log.exists() else "the service said nothing")
                raise
        line = {"dataset": "synthesized", "method": name, mark: True, "load_average": busy, "metrics": measured}
        record(arguments.results, kind="serving", **line)
        print(name, {key: round(value, 3) for key, value in measured.items()}, flush=True)


def parsed(description: str | None, results: Path) -> argparse.Namespace:
    """The command line of a benchmark made of cases."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name begins with one of these, separated by commas")
    parser.add_argument("--work", type=Path, default=Path(".serving"), help="log and bundles")
    parser.add_argument("--results", type=Path, default=results)
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        parser.error("redis-server is not installed: apt install redis-server")
    return arguments

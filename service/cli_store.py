"""The store commands of `intently-serve`: fill one from a log or from another."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

STORE_HELP = (
    "sqlite:///path, redis://host:port/db, redis+sentinel://host,host/service or redis+cluster://host,host; "
    "rediss for TLS. docs/stores.md says how to keep a password out of the process list."
)
SLOW = 5.0  # seconds a call may take: nobody waits for an answer meanwhile
Found = TypeVar("Found")


def load_command(
    log: Annotated[
        Path, typer.Argument(exists=True, help="CSV (or .csv.gz), Parquet, or a directory of it (`run --events`).")
    ],
    store: Annotated[str, typer.Option("--store", help=STORE_HELP, envvar="INTENTLY_STORE")],
) -> None:
    """Fill a store with each user's newest events; loading a log again changes nothing.

    \b
    intently-serve load events --store redis://localhost:6379/0
    intently-serve load interactions.csv --store sqlite:///intently.sqlite3
    """
    from service.loading import Loaded, load
    from service.settings import Settings
    from service.stores.opening import StoreOptions, opened_store

    settings = Settings(store=store)
    types, kept = settings.sequence_event_types, settings.stored_events
    options: StoreOptions = {**settings.store_options(), "timeout": SLOW}

    async def loading(progress: Callable[[int], None]) -> Loaded:
        async with opened_store(store, **options) as opened:
            return await load(log, opened, stored_events=kept, types=types, progress=progress)

    found = _run("loading", loading)
    typer.echo(f"{found.events:,} events of {found.users:,} users stored, {found.rejected:,} rows rejected")
    for example in found.examples:
        typer.echo(example, err=True)


def migrate_command(
    source: Annotated[str, typer.Argument(help="The store to copy from, as in `run --store`.")],
    target: Annotated[str, typer.Argument(help="The store to copy into.")],
) -> None:
    """Copy every sequence and the decisions (active bundle, availability) of one store into another.

    Events that arrive at the source meanwhile may be missed: stop the service, or run it again after the switch; what
    is there already stays as it is.

    \b
    intently-serve migrate sqlite:///intently.sqlite3 redis://localhost:6379/0
    """
    from service.loading import migrate
    from service.settings import Settings
    from service.stores.opening import StoreOptions, opened_store

    options: StoreOptions = {**Settings(store=target).store_options(), "timeout": SLOW}

    async def copying(progress: Callable[[int], None]) -> int:
        async with opened_store(source, **options) as old, opened_store(target, **options) as new:
            return await migrate(old, new, progress)

    typer.echo(f"{_run('copying', copying):,} events copied")


def _run(name: str, work: Callable[[Callable[[int], None]], Awaitable[Found]]) -> Found:
    """Do it with a count of the events so far; a refusal becomes one sentence and exit code 1."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from service.stores.base import StoreUnavailableError

    shown = (SpinnerColumn(), TextColumn(name), TextColumn("{task.completed:,.0f} events"))
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)

        async def working() -> Found:
            return await work(lambda count: bar.advance(task, count))

        try:
            return asyncio.run(working())
        except (ValueError, StoreUnavailableError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error

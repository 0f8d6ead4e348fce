"""The data commands of `intently-train`: prepare a log, synthesize one."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Holdout(StrEnum):
    """What is kept from training, to validate and test with."""

    LAST = "last"
    TEMPORAL = "temporal"
    REST = "rest"


class Engine(StrEnum):
    """What computes."""

    DUCKDB = "duckdb"
    SPARK = "spark"


def prepare_command(
    log: Annotated[
        Path,
        typer.Argument(help="CSV, Parquet (or a directory of it), `user item item ...` or `user item` text."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Directory to write.")],
    items: Annotated[Path | None, typer.Option(help="CSV, Parquet or JSONL: item_id, title, category, more.")] = None,
    log_format: Annotated[str, typer.Option("--format", help="auto, csv, parquet, sequences or pairs.")] = "auto",
    user_column: Annotated[str, typer.Option(help="Column of the user_id.")] = "user_id",
    item_column: Annotated[str, typer.Option(help="Column of the item_id.")] = "item_id",
    time_column: Annotated[str, typer.Option(help="Column of the time: Unix seconds or RFC 3339.")] = "timestamp",
    type_column: Annotated[str | None, typer.Option(help="Column of the event type, if any.")] = None,
    event_type: Annotated[list[str] | None, typer.Option(help="Keep only this type; repeatable.")] = None,
    core: Annotated[int, typer.Option(help="Fewest interactions of a user and of an item; 0: keep all.")] = 5,
    holdout: Annotated[
        Holdout,
        typer.Option(
            help="last: each user's last two items; temporal: the newest tenth of all interactions; "
            "rest: all but the first part of each sequence, which first.parquet and rest.parquet hold as logs."
        ),
    ] = Holdout.LAST,
    first: Annotated[float, typer.Option(help="How large that first part is, with --holdout rest.")] = 0.6,
    new_items: Annotated[
        bool, typer.Option("--new-items", help="Keep items that --items alone has; see `new_items` of a configuration.")
    ] = False,
    max_bad_share: Annotated[float, typer.Option(help="Give up when more rows than this are bad.")] = 0.01,
    memory_limit: Annotated[str, typer.Option(help="DuckDB spills to disk beyond this.")] = "4GB",
    engine: Annotated[
        Engine, typer.Option(help="duckdb: this process; spark: a Spark session (extra `spark`, and Java).")
    ] = Engine.DUCKDB,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a prepared dataset at --out.")] = False,
) -> None:
    """Check a log and write sequences, vocabulary, items and a manifest; bad rows go to rejects.csv.

    \b
    intently-train prepare interactions.csv --items items.csv --out data/shop
    intently-train prepare Beauty.txt --out data/beauty
    intently-train prepare Beauty.txt --holdout rest --first 0.6 --out data/beauty-60
    intently-train prepare events --type-column type --event-type purchase --out data/today
    """
    from training.interactions import PrepareOptions, prepare
    from training.log_readers import Columns, checked_format
    from training.prepared import REJECTS

    try:
        options = PrepareOptions(
            format=checked_format(log_format),
            columns=Columns(user_column, item_column, time_column, type_column),
            event_types=tuple(event_type or ()),
            core=core,
            holdout=holdout.value,
            first=first,
            new_items=new_items,
            max_bad_share=max_bad_share,
            memory_limit=memory_limit,
        )
        manifest = prepare(log, out, items=items, options=options, overwrite=overwrite, engine=engine.value)
    except (ValueError, FileNotFoundError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    counts = manifest["counts"]
    typer.echo(
        f"{counts['users']:,} users, {counts['items']:,} items, {counts['interactions']:,} interactions "
        f"(mean length {counts['mean_length']})"
    )
    typer.echo(
        f"{counts['rows_read']:,} rows read: {counts['rejected']:,} rejected, {counts['duplicates']:,} duplicates, "
        f"{counts['core_dropped']:,} outside the {core}-core"
    )
    if counts["items_rejected"]:
        typer.echo(f"{counts['items_rejected']:,} rows of {items} rejected: see {out / REJECTS}")
    typer.echo(f"wrote {out}")


def synthesize_command(
    out: Annotated[Path, typer.Option("--out", help="Directory to write.")],
    users: Annotated[int, typer.Option(help="How many users.")] = 2000,
    items: Annotated[int, typer.Option(help="How many items.")] = 1000,
    intents: Annotated[int, typer.Option(help="How many planted intents.")] = 20,
    mean_length: Annotated[float, typer.Option(help="Mean interactions a user.")] = 12.0,
    dominant_share: Annotated[float, typer.Option(help="Share that serves the dominant intent.")] = 0.8,
    item_noise: Annotated[float, typer.Option(help="Chance of an item of no particular intent.")] = 0.05,
    popularity_exponent: Annotated[float, typer.Option(help="Zipf exponent inside an intent.")] = 1.0,
    drift: Annotated[float, typer.Option(help="Chance that the dominant intent changes half-way.")] = 0.0,
    repeat_share: Annotated[float, typer.Option(help="Chance of a repeat purchase.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
) -> None:
    """Make a log with planted intents: interactions.csv, items.csv and the ground truth in truth/.

    \b
    intently-train synthesize --out data/raw
    intently-train synthesize --out data/big --users 1000000 --items 50000
    """
    from training.synthesis import SynthesisOptions, synthesize

    try:
        options = SynthesisOptions(
            users,
            items,
            intents,
            mean_length,
            dominant_share,
            item_noise,
            popularity_exponent,
            drift,
            repeat_share,
            seed,
        )
        counts = synthesize(out, options)
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{counts['users']:,} users, {counts['items']:,} items, {counts['interactions']:,} interactions")
    typer.echo(f"wrote {out}")

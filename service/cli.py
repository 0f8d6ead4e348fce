"""`intently-serve`: answer from a bundle, check one, fill a store."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from service.cli_store import load_command, migrate_command

app = typer.Typer(
    help="Serve next items and intents from a bundle.", no_args_is_help=True, pretty_exceptions_show_locals=False
)


app.command("load")(load_command)
app.command("migrate")(migrate_command)


@app.callback()
def main() -> None:
    """Serve next items and intents from a bundle."""
    missing = [name for name in ("onnxruntime", "faiss", "fastapi", "redis") if find_spec(name) is None]
    if missing:
        typer.echo(f"error: missing {', '.join(missing)}: pip install 'intently[service,cpu]' (or gpu)", err=True)
        raise typer.Exit(2)


@app.command()
def run(
    bundle: Annotated[Path, typer.Option("--bundle", help="A bundle, or a directory whose newest bundle is served.")],
    store: Annotated[
        str, typer.Option("--store", help="sqlite:///path or redis://host:port/db.", envvar="INTENTLY_STORE")
    ] = "sqlite:///intently.sqlite3",
    host: Annotated[str, typer.Option(help="Address of the public port.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Public port.")] = 8000,
    admin_host: Annotated[str, typer.Option(help="Address of the admin port (metrics).")] = "127.0.0.1",
    admin_port: Annotated[int, typer.Option(help="Admin port.")] = 8001,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    events: Annotated[
        Path | None,
        typer.Option("--events", help="Keep accepted events as Parquet files here.", envvar="INTENTLY_EVENTS"),
    ] = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished.

    Without a sound bundle it starts all the same, not ready, and takes the first that appears.

    \b
    intently-serve run --bundle bundles
    intently-serve run --bundle bundles --store redis://localhost:6379/0 --workers 2 --events events
    """
    os.environ.update(INTENTLY_BUNDLE=str(bundle.absolute()), INTENTLY_STORE=store)
    if events is not None:
        os.environ["INTENTLY_EVENTS"] = str(events.absolute())
    from service.server import StartError, check_settings, serve

    try:
        check_settings()
        serve(host=host, port=port, admin_host=admin_host, admin_port=admin_port, workers=workers)
    except StartError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def check(bundle: Annotated[Path, typer.Argument(help="A bundle directory.")]) -> None:
    """Verify every digest, load the bundle and print its facts; exit code 1 and a sentence if it is not sound.

    \b
    intently-serve check bundles/sasrec-beauty-0123456789abcdef
    """
    from service.bundle.files import open_bundle
    from service.inference.recommender import Recommender

    try:
        opened = open_bundle(bundle)
        Recommender(opened)
    except Exception as error:  # ONNX Runtime and FAISS raise types of their own
        typer.echo(f"refused: {error}", err=True)
        raise typer.Exit(1) from error
    manifest = opened.manifest
    typer.echo(f"bundle    {opened.bundle_id}")
    typer.echo(f"method    {manifest.method}, next-item loss {manifest.next_item_loss}")
    typer.echo(
        f"catalogue {manifest.items} items, {manifest.dimensions} dimensions, {manifest.query_vectors} query vectors"
    )
    typer.echo(f"intents   {manifest.intents.count}: {manifest.intents.meaning}")
    for split, metrics in manifest.metrics.items():
        typer.echo(
            f"{split:9} " + " ".join(f"{name} {metrics[name]:.4f}" for name in sorted(metrics) if "/" not in name)
        )


if __name__ == "__main__":
    app()

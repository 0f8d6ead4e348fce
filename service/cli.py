"""`intently-serve`: answer from a bundle, check one, make keys, fill a store."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli_experiments import app as experiments
from service.cli_replay import auc_command, replay_command
from service.cli_store import STORE_HELP, load_command, migrate_command

app = typer.Typer(
    help="Serve next items and intents from a bundle.", no_args_is_help=True, pretty_exceptions_show_locals=False
)


app.command("load")(load_command)
app.command("migrate")(migrate_command)
app.add_typer(experiments, name="experiments")
app.command("replay")(replay_command)
app.command("auc")(auc_command)


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
    mirror: Annotated[
        str | None,
        typer.Option(
            "--mirror",
            help="Copy bundles from this URL (s3://, gs://, sftp://, ...) to --bundle.",
            envvar="INTENTLY_MIRROR",
        ),
    ] = None,
    store: Annotated[
        str, typer.Option("--store", help=STORE_HELP, envvar="INTENTLY_STORE")
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
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys", help="API keys file (intently-serve key); without it nobody is asked.", envvar="INTENTLY_KEYS"
        ),
    ] = None,
    log_format: Annotated[
        Literal["json", "text"], typer.Option(help="Log lines on standard error.", envvar="INTENTLY_LOG_FORMAT")
    ] = "text",
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Log every answer.", envvar="INTENTLY_ACCESS_LOG")
    ] = False,
    traces: Annotated[
        bool, typer.Option("--traces", help="Send OpenTelemetry traces (OTEL_* variables).", envvar="INTENTLY_TRACES")
    ] = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished.

    Without a sound bundle it starts all the same, not ready, and takes the first that appears.

    \b
    intently-serve run --bundle bundles
    intently-serve run --bundle bundles --store redis://localhost:6379/0 --workers 2 --events events
    intently-serve run --bundle bundles --mirror s3://models/shop
    """
    os.environ.update(INTENTLY_BUNDLE=str(bundle.absolute()), INTENTLY_STORE=store, INTENTLY_WORKERS=str(workers))
    if mirror is not None:
        os.environ["INTENTLY_MIRROR"] = mirror
    os.environ.update(INTENTLY_LOG_FORMAT=log_format, INTENTLY_ACCESS_LOG=str(access_log), INTENTLY_TRACES=str(traces))
    for name, path in {"INTENTLY_EVENTS": events, "INTENTLY_KEYS": keys}.items():
        if path is not None:
            os.environ[name] = str(path.absolute())
    from service.server import StartError, check_settings, serve

    try:
        check_settings()
        serve(host=host, port=port, admin_host=admin_host, admin_port=admin_port, workers=workers)
    except StartError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="What the key is for; the audit log names it.")],
    keys: Annotated[Path, typer.Option("--keys", help="The keys file; made if it is not there.")],
    scope: Annotated[list[str], typer.Option(help="read, events or admin; repeatable.")],
    rate: Annotated[float | None, typer.Option(help="Requests a second it may ask.")] = None,
) -> None:
    """Make an API key: it is printed once, the file keeps its hash. A running service takes it up by itself.

    Remove its entry from the file to withdraw it.

    \b
    intently-serve key shop --keys keys.json --scope read --scope events --rate 500
    intently-serve key operator --keys keys.json --scope admin
    """
    from service.security.keys import SCOPES, KeysError, add_key

    chosen = [known for known in SCOPES if known in scope]
    if unknown := sorted(set(scope) - set(SCOPES)):
        typer.echo(f"error: unknown scope {', '.join(unknown)}: there are {', '.join(SCOPES)}", err=True)
        raise typer.Exit(2)
    try:
        typer.echo(add_key(keys, name, chosen, rate))
    except KeysError as error:
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

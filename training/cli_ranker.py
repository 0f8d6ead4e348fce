"""The ranker's command of `intently-train`."""

from pathlib import Path
from typing import Annotated

import typer


def ranker_command(
    bundle: Annotated[Path, typer.Argument(help="A bundle, or a directory whose newest bundle is taken.")],
    exposures: Annotated[Path, typer.Option("--exposures", help="The service's event log (INTENTLY_EVENTS).")],
    out: Annotated[Path, typer.Option("--out", help="Bundle root; the new bundle becomes a directory in it.")],
    config: Annotated[str, typer.Option("--config", help="A YAML file, or plain or clusters.")] = "plain",
    work: Annotated[Path | None, typer.Option(help="Log and picture. Default: runs/ranker-BUNDLE.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the configuration's seed.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Instead of a value of the configuration: options.clusters=10.")
    ] = None,
    results: Annotated[Path | None, typer.Option("--results", help="Append the result to this JSONL file.")] = None,
) -> None:
    """Train the second stage on what the service showed and what came of it, and write a bundle that holds it.

    \b
    intently-train ranker bundles --exposures events --out bundles
    intently-train ranker bundles --exposures events --out bundles --config clusters --set conversion_value=5
    """
    from service.bundle.files import BundleError
    from training.ranker.config import RankerConfig
    from training.ranker.pipeline import train_ranker

    try:
        changes = [*(settings or []), *([] if seed is None else [f"training.seed={seed}"])]
        loaded = RankerConfig.load(config, settings=changes)
        folder = work or Path("runs") / f"ranker-{bundle.resolve().name}"
        made = train_ranker(bundle, exposures, out, loaded, folder)
    except (ValueError, FileNotFoundError, BundleError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(made.summary())
    if results:
        from training.results import record

        its = made.second_stage
        for group, metrics in its.metrics.items():
            line = {"dataset": exposures.name, "split": "last day", "group": group, "metrics": metrics}
            record(results, kind="accuracy", method=f"ranker {config}", ranked=made.parent, config=its.config, **line)

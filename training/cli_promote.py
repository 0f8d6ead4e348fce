"""The gate's command of `intently-train`."""

from pathlib import Path
from typing import Annotated

import typer


def promote_command(
    bundle: Annotated[Path, typer.Argument(help="A bundle, or a directory whose newest bundle is taken.")],
    data: Annotated[Path, typer.Option("--data", help="The prepared dataset that it was trained on.")],
    into: Annotated[Path, typer.Option("--into", help="Bundle root that services serve the newest of.")],
    largest_loss: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the served bundle's NDCG@20 that may be lost.")
    ] = 0.05,
) -> None:
    """Copy a bundle to where it is served, unless it ranks worse than what is served there, or than popularity.

    Both rank the test split of the new data, by item id. A refusal is one sentence and exit code 2.

    \b
    intently-train promote runs/tonight/bundles --data data/today --into bundles
    """
    from service.bundle.files import BundleError
    from training.promotion import promote

    try:
        typer.echo(promote(bundle, data, into, largest_loss=largest_loss).summary())
    except (ValueError, FileNotFoundError, BundleError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error

"""The download command of `intently-train`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer


def download_command(
    name: Annotated[str, typer.Argument(help="ml-1m, ml-20m, amazon-beauty, amazon-sports, amazon-toys, ...")],
    out: Annotated[Path, typer.Option("--out", help="Directory to write.")],
    yes: Annotated[bool, typer.Option("--yes", help="The conditions of use are known and met: do not ask.")] = False,
    mirror: Annotated[
        str | None, typer.Option("--mirror", help="Another place of the same file: an http(s) URL of its directory.")
    ] = None,
) -> None:
    """Fetch a public dataset from its publisher: resumed where it broke off, checked, unpacked.

    The same command continues a download that was interrupted. Intently ships none of these files; their publishers say
    what you may do with them.

    \b
    intently-train download ml-1m --out data/raw
    intently-train download amazon-beauty --out data/raw --yes
    """
    from training.fetching import FetchError, fetch, unpack
    from training.public_datasets import PUBLIC_DATASETS

    if name not in PUBLIC_DATASETS:
        raise _refused(f"no public dataset {name!r}; there are {', '.join(PUBLIC_DATASETS)}")
    dataset = PUBLIC_DATASETS[name]
    address = dataset.address if mirror is None else f"{mirror.rstrip('/')}/{dataset.file_name}"
    if not address.startswith(("https://", "http://")):
        raise _refused(f"--mirror must be an http or https URL, got {mirror!r}")
    _agree(dataset.terms, yes=yes)
    target = out / dataset.file_name
    try:
        with _progress(dataset.file_name) as progress:
            sha256 = fetch(address, target, dataset.checksum, progress)
        made = unpack(target, dataset.members, out) if dataset.members else []
    except (FetchError, OSError) as error:
        raise _refused(str(error)) from error
    proof = "as published" if dataset.checksum else "none is published; later downloads must be the same"
    typer.echo(f"{target}: {target.stat().st_size:,} bytes, sha256 {sha256} ({proof})")
    for path in made:
        typer.echo(f"wrote {path}")


def _agree(terms: str, *, yes: bool) -> None:
    """Show the conditions of use, and ask. Raises Exit where nobody can be asked."""
    typer.echo(terms, err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise _refused("nobody is there to be asked: give --yes once you have read the conditions above")
    typer.confirm("Fetch it under these conditions?", abort=True, err=True)


@contextmanager
def _progress(file_name: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    shown = (TextColumn(file_name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(file_name, total=None)
        yield lambda have, total: bar.update(task, completed=have, total=total)


def _refused(why: str) -> typer.Exit:
    typer.echo(f"error: {why}", err=True)
    return typer.Exit(2)

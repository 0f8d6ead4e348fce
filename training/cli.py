"""`intently-train`: from a log to a bundle, and what can be asked of a bundle offline."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training.cli_data import prepare_command, synthesize_command
from training.cli_download import download_command
from training.cli_promote import promote_command
from training.cli_ranker import ranker_command

# Waiting OpenMP threads sleep. Spinning ones starve each other where cores are shared.
os.environ.setdefault("GOMP_SPINCOUNT", "0")

app = typer.Typer(
    help="Train intent-aware sequential recommenders and publish them as bundles.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command("download")(download_command)
app.command("prepare")(prepare_command)
app.command("synthesize")(synthesize_command)
app.command("ranker")(ranker_command)
app.command("promote")(promote_command)


class Protocol(StrEnum):
    """How `evaluate` ranks."""

    FULL = "full"
    SAMPLED = "sampled-100"


DataDirectory = Annotated[Path, typer.Option("--data", help="Prepared dataset (intently-train prepare).")]
ResultsFile = Annotated[Path | None, typer.Option("--results", help="Append the result to this JSONL file.")]
BundlePath = Annotated[Path, typer.Argument(help="A bundle, or a directory whose newest bundle is taken.")]
SplitOption = Annotated[str, typer.Option("--split", help="validation or test.")]


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="A YAML file, or the name of a built-in configuration.")],
    data: DataDirectory,
    out: Annotated[Path, typer.Option("--out", help="Bundle root; the bundle becomes a directory in it.")],
    work: Annotated[Path | None, typer.Option(help="Checkpoint, run log, curves. Default: runs/CONFIG-DATA.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint in --work.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seed: Annotated[int | None, typer.Option(help="Instead of the configuration's seed.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Instead of a value of the configuration: options.num_intents=64.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="CSV of user_id and true intent, for the intent report.")] = None,
    results: ResultsFile = None,
) -> None:
    """Train one method, evaluate it and publish its bundle.

    \b
    intently-train run sasrec --data data/beauty --out bundles
    intently-train run my.yaml --data data/beauty --out bundles --resume
    intently-train run iclrec --data data/shop --out bundles --truth data/raw/truth/user_intents.csv
    intently-train run papers/iclrec --data data/beauty --out bundles --set options.intent_weight=0
    torchrun --nproc-per-node 2 -m training.cli run sasrec --data data/beauty --out bundles
    """
    from training.config import TrainingConfig
    from training.pipeline import run_training
    from training.prepared import dataset_name

    with _refusals():
        changes = [*(settings or []), *([] if seed is None else [f"training.seed={seed}"])]
        loaded = TrainingConfig.load(config, dataset=dataset_name(data), settings=changes)
        folder = work or Path("runs") / f"{Path(config).stem}-{data.resolve().name}"
        finished = run_training(loaded, data=data, out=out, work=folder, resume=resume, device=device, truth=truth)
    if finished is None:
        return  # the first rank speaks for all
    typer.echo(finished.summary())
    if results:
        from training.results import record

        for split in finished.metrics:
            started_as = {"configuration": config, "settings": settings or []}
            record(results, kind="accuracy", **started_as, **finished.result(loaded, split))


@app.command()
def evaluate(
    bundle: BundlePath,
    data: DataDirectory,
    split: SplitOption = "test",
    protocol: Annotated[
        Protocol, typer.Option(help="full, or the legacy sampled-100: rank among 100 popularity-sampled negatives.")
    ] = Protocol.FULL,
    results: ResultsFile = None,
) -> None:
    """Score a published bundle through the path that serves it (ONNX Runtime, FAISS).

    \b
    intently-train evaluate bundles --data data/beauty
    intently-train evaluate bundles --data data/beauty-54k --protocol sampled-100
    """
    from training.bundle_evaluation import evaluate_bundle
    from training.sampled_evaluation import evaluate_sampled

    with _refusals():
        score = evaluate_bundle if protocol is Protocol.FULL else evaluate_sampled
        scored = score(bundle, data, split)
    _print_metrics(scored.metrics)
    if scored.largest_difference is not None:
        typer.echo(f"largest difference to the training evaluation: {scored.largest_difference:.2e}")
    if results:
        from training.results import record

        record(results, kind="accuracy", **scored.result())


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="Bundle A.")],
    second: Annotated[Path, typer.Argument(help="Bundle B.")],
    data: DataDirectory,
    split: SplitOption = "test",
    results: ResultsFile = None,
) -> None:
    """Compare two bundles by a paired bootstrap over users: difference A - B, 95 % interval, p-value.

    \b
    intently-train compare bundles/iclrec-beauty-... bundles/sasrec-beauty-... --data data/beauty
    """
    from training.bundle_evaluation import compare_bundles

    with _refusals():
        comparisons = compare_bundles(first, second, data, split)
    for metric, found in comparisons.items():
        typer.echo(
            f"{metric:8} {found.difference:+.5f}  95 % [{found.low:+.5f}, {found.high:+.5f}]  p = {found.p_value:.4f}"
        )
    if results:
        from training.results import record

        compared = {metric: vars(found) for metric, found in comparisons.items()}
        record(results, kind="accuracy", dataset=data.name, split=split, compared=[first.name, second.name], **compared)


@app.command("blend")
def blend_command(
    bundle: BundlePath,
    data: DataDirectory,
    out: Annotated[Path, typer.Option("--out", help="Bundle root; the new bundle becomes a directory in it.")],
    results: ResultsFile = None,
) -> None:
    """Make a bundle that adds item co-occurrence to the scores, with the weight that ranks best on validation.

    \b
    intently-train blend bundles/sasrec-beauty-0123456789abcdef --data data/beauty --out bundles
    """
    from rich.console import Console

    from training.blending import blend

    with _refusals(), Console(stderr=True).status("trying weights") as status:
        made = blend(bundle, data, out, status.update)
    for weight, found in made.tried.items():
        typer.echo(f"weight {weight:10.4g}  NDCG@20 {found:.5f}" + (" <- chosen" if weight == made.weight else ""))
    _print_metrics(made.metrics["test"])
    typer.echo(f"wrote {made.path}")
    if results:
        from training.results import record

        for split, metrics in made.metrics.items():
            record(results, kind="accuracy", dataset=data.name, split=split, metrics=metrics, **made.described())


@app.command()
def baseline(
    name: Annotated[str, typer.Argument(help="popularity or cooccurrence.")],
    data: DataDirectory,
    split: SplitOption = "test",
    results: ResultsFile = None,
) -> None:
    """Score a baseline without learning under the same protocol.

    \b
    intently-train baseline cooccurrence --data data/beauty
    """
    from training.bundle_evaluation import evaluate_baseline

    with _refusals():
        scored = evaluate_baseline(name, data, split)
    _print_metrics(scored.metrics)
    if results:
        from training.results import record

        record(results, kind="accuracy", **scored.result())


@app.command("estimate-intents")
def estimate_intents(bundle: BundlePath, data: DataDirectory) -> None:
    """Estimate how many intents the data holds: the count on which K-means of two random halves agrees best.

    \b
    intently-train estimate-intents bundles --data data/beauty
    """
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from training.intent_count import CANDIDATES, estimate_for_bundle

    with _refusals(), Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("clustering", total=len(CANDIDATES))
        found = estimate_for_bundle(bundle, data, lambda: bar.advance(task))
    table = Table("intents", "agreement of two halves (AMI)")
    for count, stability in found.stability.items():
        table.add_row(str(count), f"{stability:.3f}" + (" <- most stable" if count == found.best else ""))
    Console().print(table)
    typer.echo(found.verdict)


def _print_metrics(metrics: dict[str, float]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for name, value in metrics.items():
        table.add_row(name, f"{value:.5f}")
    Console().print(table)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn a refusal into one sentence on stderr and exit code 2."""
    from service.bundle.files import BundleError

    try:
        yield
    except (ValueError, FileNotFoundError, BundleError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app()

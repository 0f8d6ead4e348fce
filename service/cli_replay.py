"""`intently-serve replay` and `auc`: try an experiment on users who are known, and set offline AUC beside it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from service.client import Client
    from service.experiments.answers import ExperimentAnswer
    from service.replay.clicks import ClickModel
    from service.replay.setting import Setting, Users

SLOW = 10.0  # seconds a call may take: nobody waits for an answer
Found = dict[str, Any]


def replay_command(
    log: Annotated[Path, typer.Argument(exists=True, help="What is held out: rest.parquet of prepare --holdout rest.")],
    experiment: Annotated[str, typer.Option("--experiment", help="One that is running.")],
    url: Annotated[str, typer.Option("--url", help="URL of the public port.")] = "http://127.0.0.1:8000",
    key: Annotated[
        Path | None, typer.Option("--key", exists=True, dir_okay=False, help="A file that holds an API key.")
    ] = None,
    k: Annotated[int, typer.Option(min=1, max=500, help="Items of a list.")] = 20,
    seed: Annotated[int, typer.Option(help="Of arrivals, clicks and conversions.")] = 1,
    log_times: Annotated[bool, typer.Option("--log-times", help="The log's own times, not simulated ones.")] = False,
    position_bias: Annotated[float, typer.Option(help="P(look at rank r) = r^-bias.")] = 1.0,
    click: Annotated[float, typer.Option(help="P(click) of who looks at the item to come.")] = 1.0,
    conversion: Annotated[float, typer.Option(help="P(conversion) of who clicked.")] = 0.1,
    uplift: Annotated[
        list[str] | None, typer.Option(help="VARIANT=0.1: its lists are clicked 10 % more often; repeatable.")
    ] = None,
    truth: Annotated[
        bool, typer.Option("--truth", help="First ask every variant for every list: the effect there is.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file for plan, truth and counts.")] = None,
) -> None:
    """Ask before every held-out interaction, click by a position-based model, post what happened.

    The store holds what came before. Days lie before the start of the experiment's phase. A run that was broken off
    goes on where it stopped. docs/experiments.md says how to set up the service.

    \b
    intently-serve load data/beauty-60/first.parquet --store redis://localhost:6379/0
    intently-serve replay data/beauty-60/rest.parquet --experiment s4rec --url http://localhost:8000
    """
    with _asking(url, key) as client:
        from service.replay.clicks import ClickModel

        model = ClickModel(position_bias, click, conversion, _uplifts(uplift or []))
        setting, users = _setting(client, experiment, log, model, seed, k, log_times)
        found: Found = {"experiment": experiment, "seed": seed, "k": k, "model": vars(model)}
        found["plan"] = _plan(setting, users)
        if truth:
            found["truth"] = _truth(setting, users)
        found["replayed"] = _replay(setting, users)
        typer.echo(f"report: {url}/v1/experiments/{experiment}/report?format=markdown, once the events are written")
    if out is not None:
        out.write_text(json.dumps(found, indent=1))


def auc_command(
    experiment: Annotated[str, typer.Argument(help="One that was started, whose variants have bundles.")],
    events: Annotated[Path, typer.Option("--events", exists=True, file_okay=False, help="As in `run --events`.")],
    bundles: Annotated[Path, typer.Option("--bundles", exists=True, file_okay=False, help="Where the bundles lie.")],
    treatment: Annotated[
        str | None, typer.Option(help="The variant beside the control; the second, if not given.")
    ] = None,
    earlier: Annotated[
        Path | None, typer.Option(exists=True, help="A log of what the store was filled with by `load`.")
    ] = None,
    url: Annotated[str, typer.Option("--url", help="URL of the public port.")] = "http://127.0.0.1:8000",
    key: Annotated[
        Path | None, typer.Option("--key", exists=True, dir_okay=False, help="A file that holds an API key.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file.")] = None,
) -> None:
    """Offline AUC of the bundles of two variants on the lists that were shown, by day and by who made the list.

    INTENTLY_SEQUENCE_EVENT_TYPES says which events make a history, as it does for the service.

    \b
    intently-serve auc s4rec --events events --bundles bundles --earlier data/beauty-60/first.parquet
    """
    with _asking(url, key) as client:
        from service.engine import Engine
        from service.replay.auc import Wanted, offline_aucs
        from service.replay.clicked_lists import clicked_lists
        from service.settings import Settings

        its = client.experiment(experiment)
        control, treated = (Engine.load(bundles / bundle_id) for bundle_id in _bundles_of(its, treatment))
        lists = clicked_lists(events, its, Settings().sequence_event_types, earlier)
        wanted: dict[str, Wanted] = {"ctr": "clicked", "cvr": "converted"}
        found = {kind: offline_aucs(control, treated, lists, one) for kind, one in wanted.items()}
    for kind, parts in found.items():
        for part, one in parts.items():
            difference = f"{one.treatment - one.control:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
            typer.echo(f"{kind} AUC, {part}: {one.control:.4f}, {one.treatment:.4f}, {difference}, {one.lists:,} lists")
    if out is not None:
        told = {kind: {part: vars(one) for part, one in parts.items()} for kind, parts in found.items()}
        out.write_text(json.dumps(told, indent=1))


def _setting(
    client: "Client", name: str, log: Path, model: "ClickModel", seed: int, k: int, log_times: bool
) -> "tuple[Setting, Users]":
    from service.replay.held_out import as_logged, days_before, simulated
    from service.replay.setting import Setting

    its = client.experiment(name)
    if its.state != "running":
        raise ValueError(f"{name!r} is {its.state}: start it first, so that somebody is in it")
    if unknown := model.uplift.keys() - {variant.name for variant in its.variants}:
        raise ValueError(f"{name!r} has no variant {', '.join(sorted(unknown))}")
    if log_times:
        span, users = as_logged(log, its.days)
    else:
        span = days_before(its.phases[-1].started, its.days, its.attribution_seconds)
        users = simulated(log, span, seed)
    return Setting(client, its, span, model, seed, k), users


def _plan(setting: "Setting", users: "Users") -> Found:
    """Printed before anything is posted, so that nobody waits for an effect that could not be seen."""
    from service.replay.plan import PILOT, pilot, seen_at_the_end

    with _progress("pilot", min(PILOT, len(users))) as advance:
        history = pilot(setting, users, lambda: advance(1))
    found = seen_at_the_end(setting.experiment, history, setting.experiment.share * len(users))
    for metric, days in found.items():
        last = days[-1]
        typer.echo(
            f"{metric}: {last.users:,} users in {last.day} days find an uplift of {100 * last.detectable:.1f} % "
            "in four of five experiments"
        )
    return {metric: [vars(day) for day in days] for metric, days in found.items()}


def _truth(setting: "Setting", users: "Users") -> Found:
    from service.replay.truth import truth

    with _progress("truth", len(users)) as advance:
        found = truth(setting, users, lambda: advance(1))
    control = setting.experiment.variants[0].name
    for metric, values in found.items():
        for name, value in values.items():
            has_uplift = name != control and values[control] > 0
            uplift = f", uplift {100 * (value / values[control] - 1):+.2f} %" if has_uplift else ""
            typer.echo(f"truth: {metric} of {name} {value:.5f}{uplift}")
    return found


def _replay(setting: "Setting", users: "Users") -> Found:
    from service.replay.driving import replay

    begun = perf_counter()
    with _progress("replaying", sum(map(len, users.values()))) as advance:
        tally = replay(setting, users, advance)
    measured = tally.measured(perf_counter() - begun)
    for name, value in measured.items():
        typer.echo(f"{name}: {value}")
    return measured


def _bundles_of(its: "ExperimentAnswer", treatment: str | None) -> tuple[str, str]:
    """Of the control and of that variant. Raises ValueError."""
    control, *others = its.variants
    chosen = others[0] if treatment is None else next((one for one in others if one.name == treatment), None)
    if chosen is None:
        raise ValueError(f"{its.name!r} has no treatment {treatment!r}, but {', '.join(one.name for one in others)}")
    if control.bundle_id is None or chosen.bundle_id is None:
        raise ValueError(f"{control.name!r} and {chosen.name!r} must both name a bundle")
    return control.bundle_id, chosen.bundle_id


@contextmanager
def _progress(name: str, total: int) -> "Iterator[Callable[[int], None]]":
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def _asking(url: str, key: Path | None) -> "Iterator[Client]":
    """A refusal becomes one sentence and exit code 1."""
    try:
        from service.bundle.files import BundleError
        from service.client import Client, ClientError
        from service.replay.asking import NotAnsweredError
    except ImportError as error:
        raise _refused(f"missing {error.name}: pip install 'intently[service,client,cpu]' (or gpu)") from error
    try:
        with Client(url, key=key.read_text(encoding="utf-8").strip() if key else None, timeout=SLOW) as client:
            yield client
    except (ClientError, NotAnsweredError, BundleError, ValueError) as error:
        raise _refused(str(error)) from error


def _refused(why: str) -> typer.Exit:
    typer.echo(f"error: {why}", err=True)
    return typer.Exit(1)


def _uplifts(given: list[str]) -> dict[str, float]:
    """Raises ValueError."""
    found = {}
    for one in given:
        variant, _, share = one.partition("=")
        try:
            found[variant] = float(share)
        except ValueError:
            raise ValueError(f"--uplift: wanted VARIANT=0.1, found {one!r}") from None
    return found

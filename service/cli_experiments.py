"""`intently-serve experiments`: declare, start, widen, stop and judge A/B experiments."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.admin_client import AdminClient
    from service.experiments.declarations import Declaration, Experiment
    from service.experiments.report.contents import Report

app = typer.Typer(help="A/B experiments of a running service.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML or JSON, docs/experiments.md.")]
Name = Annotated[str, typer.Argument(help="The experiment's name.")]
Share = Annotated[float, typer.Option("--share", help="Of the layer's users, 0.0001 to 1.")]
Admin = Annotated[str, typer.Option("--admin", help="URL of the admin port.")]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key", exists=True, dir_okay=False, help="A file that holds an API key of scope admin (report: read)."
    ),
]
LONG = 120.0  # seconds, for a report
ADMIN = "http://127.0.0.1:8001"


@app.command()
def create(
    declaration: File,
    admin: Admin = ADMIN,
    key: Key = None,
) -> None:
    """Declare an experiment: a draft that nobody is in.

    \b
    intently-serve experiments create blend.yaml
    """
    wanted = _declared(declaration)
    with _asking(admin, key) as client:
        _say(client.create(wanted))


@app.command()
def plan(
    declaration: File,
    after: Annotated[str, typer.Option(help="An earlier experiment, whose users tell how much a metric varies.")],
    events: Annotated[Path, typer.Option("--events", exists=True, file_okay=False, help="As in `run --events`.")],
    traffic: Annotated[float, typer.Option(min=0.0001, help="Users to come for each of its users.")] = 1.0,
    admin: Admin = ADMIN,
    key: Key = None,
) -> None:
    """Before an experiment: the smallest uplift it finds in four of five cases, day by day.

    \b
    intently-serve experiments plan blend.yaml --after diversity --events /events --traffic 2
    """
    from service.experiments.exposures import EXPOSURES
    from service.experiments.report.markdown import plan_as_markdown
    from service.experiments.report.past import past_of
    from service.experiments.statistics.planner import Design, plans

    wanted = _declared(declaration)
    metrics = [one.metric() for one in wanted.metrics]
    with _asking(admin, key) as client:
        experiment = client.experiment(after)
    with _reading():
        history = past_of(experiment, metrics, events / EXPOSURES, events)
    design = Design.of([one.weight for one in wanted.variants], wanted.alpha)
    typer.echo(plan_as_markdown(plans(metrics, history, design, traffic=traffic)), nl=False)


@app.command("list")
def list_all(admin: Admin = ADMIN, key: Key = None) -> None:
    """All experiments, a line each."""
    with _asking(admin, key) as client:
        kept = client.experiments()
    for one in kept.experiments:
        _say(one)
    typer.echo(f"hold-out {kept.holdout:g}")


@app.command()
def show(name: Name, admin: Admin = ADMIN, key: Key = None) -> None:
    """Everything about one experiment, as JSON."""
    with _asking(admin, key) as client:
        typer.echo(client.experiment(name).model_dump_json(indent=2, exclude_none=True))


@app.command()
def start(name: Name, share: Share, admin: Admin = ADMIN, key: Key = None) -> None:
    """Run a draft or a stopped experiment, in a new phase.

    \b
    intently-serve experiments start blend --share 0.1
    """
    with _asking(admin, key) as client:
        _say(client.start(name, share))


@app.command()
def ramp(name: Name, share: Share, admin: Admin = ADMIN, key: Key = None) -> None:
    """Let more users in; all who were in it keep their variants."""
    with _asking(admin, key) as client:
        _say(client.ramp(name, share))


@app.command()
def phase(
    name: Name,
    share: Annotated[float | None, typer.Option(help="Of the layer's users; as before, if it is not given.")] = None,
    weight: Annotated[
        list[str] | None, typer.Option(help="VARIANT=BASIS_POINTS, one for each variant; as before, if none is given.")
    ] = None,
    admin: Admin = ADMIN,
    key: Key = None,
) -> None:
    """Begin anew: every user draws a variant again.

    \b
    intently-serve experiments phase blend --share 0.05 --weight control=9000 --weight blended=1000
    """
    weights = {}
    for one in weight or []:
        variant, _, points = one.partition("=")
        if not points.isdecimal():
            raise _refused(f"--weight: wanted VARIANT=BASIS_POINTS, found {one!r}")
        weights[variant] = int(points)
    with _asking(admin, key) as client:
        _say(client.begin_phase(name, share, weights))


@app.command()
def stop(name: Name, admin: Admin = ADMIN, key: Key = None) -> None:
    """End it: nobody is in it any more."""
    with _asking(admin, key) as client:
        _say(client.stop(name))


@app.command()
def report(
    name: Name,
    url: Annotated[str, typer.Option("--url", help="URL of the public port.")] = "http://127.0.0.1:8000",
    events: Annotated[
        Path | None,
        typer.Option(
            "--events", exists=True, file_okay=False, help="Build it here, from this event log (asks --admin)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of Markdown.")] = False,
    plots: Annotated[Path | None, typer.Option("--plots", help="Write pictures (SVG) into this directory.")] = None,
    admin: Admin = ADMIN,
    key: Key = None,
) -> None:
    """How an experiment stands: uplifts, intervals, sample ratio, and what to do.

    \b
    intently-serve experiments report blend --plots plots
    intently-serve experiments report blend --events /events --json
    """
    from service.experiments.report.markdown import as_markdown

    found = _asked_report(name, url, key) if events is None else _built_report(name, events, admin, key)
    if plots is not None:
        try:
            from service.experiments.report.plots import draw
        except ImportError as error:
            raise _refused(f"missing {error.name}: pip install 'intently[experiments]'") from error
        for file in draw(found, plots):
            typer.echo(f"wrote {file}", err=True)
    typer.echo(found.model_dump_json(indent=2) if as_json else as_markdown(found), nl=as_json)


@app.command()
def delete(name: Name, admin: Admin = ADMIN, key: Key = None) -> None:
    """Forget a draft or a stopped experiment; its exposures stay in their files."""
    with _asking(admin, key) as client:
        client.delete(name)
    typer.echo(f"{name} deleted")


@app.command("hold-out")
def hold_out(
    share: Annotated[float, typer.Option("--share", help="Of all users; 0: nobody.")],
    admin: Admin = ADMIN,
    key: Key = None,
) -> None:
    """Keep a share of the users out of every experiment; it changes only while none runs."""
    with _asking(admin, key) as client:
        typer.echo(f"hold-out {client.hold_out(share).share:g}")


def _asked_report(name: str, url: str, key: Path | None) -> "Report":
    with _refusing():
        from service.client import Client

        with Client(url, key=_secret(key), timeout=LONG) as client:
            return client.report(name)


def _built_report(name: str, events: Path, admin: str, key: Path | None) -> "Report":
    from service.experiments.exposures import EXPOSURES
    from service.experiments.report.building import build_report

    with _asking(admin, key) as client:
        experiment = client.experiment(name)
    with _reading():
        return build_report(experiment, events / EXPOSURES, events)


def _declared(file: Path) -> "Declaration":
    import yaml
    from pydantic import ValidationError

    from service.experiments.declarations import Declaration

    try:
        return Declaration.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as error:
        raise _refused(f"{file}: {error}") from error


@contextmanager
def _reading() -> Iterator[None]:
    """Of the event log: what is wrong with it becomes one sentence."""
    import duckdb

    from service.errors import ConflictError

    try:
        yield
    except (ConflictError, duckdb.Error, OSError) as error:
        raise _refused(str(error)) from error


@contextmanager
def _asking(admin: str, key: Path | None) -> Iterator["AdminClient"]:
    with _refusing():
        from service.admin_client import AdminClient

        with AdminClient(admin, key=_secret(key)) as client:
            yield client


@contextmanager
def _refusing() -> Iterator[None]:
    """A refusal becomes one sentence and exit code 1."""
    try:
        from service.client import ClientError
    except ImportError as error:
        raise _refused(f"missing {error.name}: pip install 'intently[service,client,cpu]' (or gpu)") from error
    try:
        yield
    except ClientError as error:
        raise _refused(str(error)) from error


def _secret(key: Path | None) -> str | None:
    return key.read_text(encoding="utf-8").strip() if key else None


def _refused(why: str) -> typer.Exit:
    typer.echo(f"error: {why}", err=True)
    return typer.Exit(1)


def _say(its: "Experiment") -> None:
    phase = f"phase {its.phases[-1].number}" if its.phases else "no phase"
    shares = its.phases[-1].weights if its.phases else [variant.weight for variant in its.variants]
    variants = ", ".join(f"{one.name} {weight / 100:g} %" for one, weight in zip(its.variants, shares, strict=True))
    typer.echo(f"{its.name}: {its.state}, layer {its.layer}, share {its.share:g}, {phase}, {variants}")

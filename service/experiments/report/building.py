"""The whole report of an experiment."""

import time
from pathlib import Path

import duckdb

from service.experiments.activity import GROUPS
from service.experiments.columns import COLUMNS
from service.experiments.declarations import Experiment
from service.experiments.report.at_the_end import novelties, quantiles
from service.experiments.report.contents import Declared, Report, Treatment, Value
from service.experiments.report.files import Connection, read
from service.experiments.report.judging import Judge
from service.experiments.report.period import Period
from service.experiments.report.planning import planned
from service.experiments.report.split import arms, ratio_of
from service.experiments.report.sums import alone, columns_of, through
from service.experiments.report.treatments import Material, treatment_of
from service.experiments.report.values import values_of
from service.experiments.statistics.metrics import before

MEMORY = "2GB"  # beyond it DuckDB uses the disk


def build_report(
    experiment: Experiment, exposures: Path, events: Path, *, until: float | None = None, threads: int | None = None
) -> Report:
    """Of the present phase, as known at `until` (Unix seconds; now). `threads`: of DuckDB, as many as cores.

    Raises ConflictError for an experiment that was not started; OSError and duckdb.Error for what cannot be read.
    """
    with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
        if threads is not None:
            connection.execute(f"SET threads = {threads:d}")
        period = read(connection, experiment, exposures, events, time.time() if until is None else until)
        return _reported(connection, experiment, period)


def _reported(connection: Connection, experiment: Experiment, period: Period) -> Report:
    ratio, split = ratio_of(connection, experiment)
    material = _material(connection, experiment, period)
    weights = experiment.phases[-1].weights
    treatments: list[Treatment] = []
    values: dict[tuple[str, str], Value] = {}
    for variant, weight in zip(experiment.variants[1:], weights[1:], strict=True):
        shares = weights[0] / (weights[0] + weight), weight / (weights[0] + weight)
        judge = Judge(period.ended, experiment.alpha, len(weights) - 1, shares)
        found = treatment_of(material, judge, ratio, experiment.variants[0].name, variant.name)
        known = values_of(material, judge, (found.control, found.variant))
        values |= {(one.metric, one.variant): one for one in known if (one.metric, one.variant) not in values}
        treatments.append(_with_the_end(connection, found, material, judge) if period.ended else found)
    return Report(
        experiment=experiment.name,
        description=experiment.description,
        phase=period.phase,
        started=period.started,
        ends=period.ends,
        stopped=period.stopped,
        until=period.until,
        day=period.day,
        days=period.days,
        ended=period.ended,
        valid="at the planned end" if period.ended else "at any time",
        level=1 - experiment.alpha / (len(weights) - 1),
        adjusted=material.cuped,
        metrics=[Declared(**one.model_dump()) for one in experiment.metrics],
        variants=arms(connection, experiment),
        split=split,
        values=list(values.values()),
        treatments=treatments,
    )


def _material(connection: Connection, experiment: Experiment, period: Period) -> Material:
    metrics = tuple(declared.metric() for declared in experiment.metrics)
    past = " + ".join(f"sum({before(name)})" for name in COLUMNS)
    cuped = bool(connection.execute(f"SELECT {past} FROM users").fetchall()[0][0])
    columns = columns_of(metrics, cuped=cuped)
    present = {found for (found,) in connection.execute("SELECT DISTINCT user_group FROM users").fetchall()}
    groups = tuple(group for group in GROUPS if group in present)
    names = tuple(variant.name for variant in experiment.variants)
    return Material(
        metrics,
        groups,
        through(connection, columns, period.day),
        alone(connection, columns, period.complete),
        planned(connection, columns, metrics, names, groups, period, cuped=cuped),
        period,
        cuped,
    )


def _with_the_end(connection: Connection, found: Treatment, material: Material, judge: Judge) -> Treatment:
    """Novelty and quantiles are asked once."""
    pair = found.control, found.variant
    goals = [metric for metric in material.metrics if metric.role == "goal"]
    trends = novelties(connection, goals, pair, material.period.days, judge.level)
    asked = quantiles(connection, material.metrics, pair, judge.level)
    return found.model_copy(update={"novelty": trends, "quantiles": asked})

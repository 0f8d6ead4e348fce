"""An earlier experiment as the past that a planned one is judged by."""

import time
from collections.abc import Iterable
from functools import reduce
from operator import add
from pathlib import Path

import duckdb

from service.errors import ConflictError
from service.experiments.declarations import Experiment
from service.experiments.report.building import MEMORY
from service.experiments.report.files import read
from service.experiments.report.sums import columns_of, through
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Moments


def past_of(experiment: Experiment, metrics: Iterable[Metric], exposures: Path, events: Path) -> list[Moments]:
    """Of days 1 to 1, 1 to 2, ... of its present phase, as far as they are complete: all variants' users together.

    Raises ConflictError for an experiment without a complete day; OSError and duckdb.Error for what cannot be read.
    """
    with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
        period = read(connection, experiment, exposures, events, time.time())
        if not period.complete:
            raise ConflictError(f"{experiment.name!r} has no complete day yet, from which to plan")
        looks = through(connection, columns_of(metrics, cuped=False), period.complete)
    return [reduce(add, (look.of(variant.name) for variant in experiment.variants)) for look in looks]

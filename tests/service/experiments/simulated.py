"""Small, seeded users for the statistics of experiments."""

import numpy as np
from numpy.typing import NDArray

from service.experiments.statistics.metrics import Metric, before
from service.experiments.statistics.moments import Days, Moments, Part

PVCTR = Metric("pvctr", "ratio", "clicks", "page_views")
UVCTR = Metric("uvctr", "proportion", "clicks")
VIEWS = Metric("vv", "mean", "page_views")
METRICS = (PVCTR, UVCTR, VIEWS)
WEEK = Days(1, 7)

Table = dict[str, NDArray[np.float64]]


def table(seed: int, users: int = 500) -> Table:
    """Totals of each user, with a past that tells something of them."""
    generator = np.random.default_rng(seed)
    rates, propensities = generator.lognormal(1, 1, users), generator.beta(1, 9, users)
    views, past = 1 + generator.poisson(rates), generator.poisson(rates)
    clicks, past_clicks = generator.binomial(views, propensities), generator.binomial(past, propensities)
    columns = {
        "page_views": views,
        "clicks": clicks,
        "any_clicks": clicks > 0,
        before("page_views"): past,
        before("clicks"): past_clicks,
        before("any_clicks"): past_clicks > 0,
    }
    return {name: column.astype(np.float64) for name, column in columns.items()}


def of(variant: str, totals: Table, group: str = "all") -> Moments:
    """Their moments over a week."""
    return Moments.of_users(totals, days=WEEK, part=Part(variant, group))

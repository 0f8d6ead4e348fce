"""Users as recommenders have them: few do much, who clicks often does so again, and they come back.

Page views a day are negative binomial (shape 1) around a rate that is log-normal over users; each view is clicked with
the user's own propensity, Beta over users; a tenth of the clicks convert. A user enters on the first day with a view.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.experiments.statistics.metrics import Metric, before, on_day
from service.experiments.statistics.moments import Days, Moments, Part
from service.experiments.statistics.novelty import ACTIVE

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
DAYS = 14
RATE, SPREAD = 0.5, 1.0  # median page views a day, and the standard deviation of its logarithm
CLICKS = (0.9, 17.1)  # Beta: 5 % on average
CONVERSIONS = 0.1

PVCTR = Metric("pvctr", "ratio", "clicks", "page_views")
UVCTR = Metric("uvctr", "proportion", "clicks")
CVR = Metric("cvr", "ratio", "conversions", "clicks")
VIEWS = Metric("views a user", "mean", "page_views")
SECONDS = Metric("seconds a user", "mean", "seconds")
CLICKED = Metric("clicks a user", "mean", "clicks")


@dataclass(frozen=True)
class Users:
    """Page views and clicks of N users by day (N, D), totals of their past (N), and which are treated (N)."""

    page_views: Integers
    clicks: Integers
    conversions: Integers  # (N), of all days
    seconds: Floats  # (N), of all days
    past_views: Integers
    past_clicks: Integers
    propensities: Floats  # to click a page view, before any uplift
    treated: Flags


def draw(generator: np.random.Generator, users: int, *, by_day: bool = True, uplift: float = 0.0) -> Users:
    """About so many users who came within the days; `uplift` raises the click propensity of the treated.

    Without `by_day` there is one column of the days' totals: the same distribution, cheaper.
    """
    count = round(users / 0.985)  # the others never come
    rates = RATE * generator.lognormal(0.0, SPREAD, count)
    propensities = generator.beta(*CLICKS, count)
    stay = 1 / (1 + rates)
    views = generator.geometric(stay[:, None], (count, DAYS)) - 1 if by_day else total(generator, stay)[:, None]
    came = views.sum(axis=1) > 0
    views, propensities, stay = views[came], propensities[came], stay[came]
    treated = generator.random(len(views)) < 0.5
    clicks = generator.binomial(views, (propensities * (1 + uplift * treated))[:, None])
    past = total(generator, stay)
    return Users(
        views,
        clicks,
        generator.binomial(clicks.sum(axis=1), CONVERSIONS),
        generator.gamma(views.sum(axis=1)) * generator.lognormal(3.0, 0.5, len(views)),
        past,
        generator.binomial(past, propensities),
        propensities,
        treated,
    )


def total(generator: np.random.Generator, stay: Floats) -> Integers:
    """Page views of all days together (N)."""
    return generator.negative_binomial(DAYS, stay)


def at_the_end(users: Users) -> tuple[Moments, Moments]:
    """Control and treatment over all days, with the past."""
    clicks = users.clicks.sum(axis=1)
    totals = {
        "page_views": users.page_views.sum(axis=1),
        "clicks": clicks,
        "any_clicks": clicks > 0,
        "conversions": users.conversions,
        "seconds": users.seconds,
        before("page_views"): users.past_views,
        before("clicks"): users.past_clicks,
    }
    return split(totals, users.treated, DAYS)


def at_every_look(users: Users) -> list[tuple[Moments, Moments]]:
    """Control and treatment over days 1 to 1, 1 to 2, ...: at each look one total a user who has come by then."""
    views, clicks = users.page_views.cumsum(axis=1), users.clicks.cumsum(axis=1)
    looks = []
    for day in range(1, views.shape[1] + 1):
        came = views[:, day - 1] > 0
        seen, clicked = views[came, day - 1], clicks[came, day - 1]
        totals = {"page_views": seen, "clicks": clicked, "any_clicks": clicked > 0}
        looks.append(split(totals, users.treated[came], day))
    return looks


def day_by_day(users: Users) -> tuple[Moments, Moments]:
    """Control and treatment with a column for each day."""
    totals = {}
    for day in range(1, DAYS + 1):
        views = users.page_views[:, day - 1]
        totals[on_day("clicks", day)] = users.clicks[:, day - 1]
        totals[on_day("page_views", day)] = views
        totals[on_day(ACTIVE, day)] = views > 0
    return split(totals, users.treated, DAYS)


def split(totals: dict[str, NDArray], treated: Flags, day: int) -> tuple[Moments, Moments]:
    """Moments of control and treatment."""
    sides = (("control", ~treated), ("treatment", treated))
    control, treatment = (
        Moments.of_users(
            {name: column[side] for name, column in totals.items()}, days=Days(1, day), part=Part(it, "all")
        )
        for it, side in sides
    )
    return control, treatment

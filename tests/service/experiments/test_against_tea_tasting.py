"""Agreement with tea-tasting on the same users, wherever both define the same quantity.

They differ in three places. Proportions: our p-value has the pooled variance and our intervals each variant's own,
theirs have one of the two in both (so each is asked for what it has), and correct for continuity unless told not to.
Relative intervals of proportions: theirs divides a pooled error by the pooled share, ours is the delta method.
Bootstrap and confidence sequences: other resamples, and none.
"""

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt

from service.experiments.statistics.comparison import compare
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.planner import Design, baseline, detectable, users_needed
from tests.service.experiments.simulated import METRICS, PVCTR, UVCTR, VIEWS, Table, of, table

EXACT = {"rel": 1e-9, "abs": 1e-12}
THEIRS = ("control", "treatment", "effect_size", "effect_size_ci_lower", "effect_size_ci_upper", "rel_effect_size")
THEIRS += ("rel_effect_size_ci_lower", "rel_effect_size_ci_upper", "pvalue")


def ours(metric: Metric, control: Table, treatment: Table, *, cuped: bool = False) -> list[float]:
    found = compare(metric, of("a", control), of("b", treatment), cuped=cuped)
    assert found.relative is not None
    effects = [end for it in (found.absolute, found.relative) for end in (it.value, it.low, it.high)]
    return [found.control, found.treatment, *effects, found.p_value]


def theirs(metric: object, control: Table, treatment: Table) -> list[float]:
    columns = {name: np.concatenate([control[name], treatment[name]]) for name in control}
    variant = np.repeat([0, 1], [len(control["clicks"]), len(treatment["clicks"])])
    found = tt.Experiment(metric=metric).analyze(pa.table(columns | {"variant": variant}))["metric"]
    return [getattr(found, name) for name in THEIRS]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("metric", "cuped", "oracle"),
    [
        (VIEWS, False, tt.Mean("page_views")),
        (VIEWS, True, tt.Mean("page_views", "before_page_views")),
        (PVCTR, False, tt.RatioOfMeans("clicks", "page_views")),
        (PVCTR, True, tt.RatioOfMeans("clicks", "page_views", "before_clicks", "before_page_views")),
    ],
)
def test_means_and_ratios(metric: Metric, cuped: bool, oracle: object, seed: int) -> None:
    """Values, effects, both intervals and the p-value of Welch, delta method and CUPED agree to 1e-9."""
    control, treatment = table(seed), table(seed + 100, users=400)
    assert ours(metric, control, treatment, cuped=cuped) == pytest.approx(theirs(oracle, control, treatment), **EXACT)


@pytest.mark.parametrize("seed", range(5))
def test_proportions(seed: int) -> None:
    """The p-value agrees with their pooled test, the intervals with their unpooled one."""
    control, treatment = table(seed), table(seed + 100, users=400)
    pooled, apart = (
        theirs(tt.Proportion("any_clicks", method="norm", correction=False, equal_var=equal), control, treatment)
        for equal in (True, False)
    )
    assert ours(UVCTR, control, treatment) == pytest.approx([*apart[:-1], pooled[-1]], **EXACT)


@pytest.mark.parametrize("metric", METRICS[::2])
def test_the_smallest_effect_and_the_users_for_it(metric: Metric) -> None:
    """Their power counts effects found in the wrong direction too, and solves by iteration: equal to 1e-5."""
    totals = table(7)
    oracle = tt.RatioOfMeans("clicks", "page_views", use_t=False, n_obs=10_000)
    if metric is VIEWS:
        oracle = tt.Mean("page_views", use_t=False, n_obs=10_000)
    smallest = oracle.solve_power(pa.table(totals), "rel_effect_size")[0].rel_effect_size
    base = baseline(metric, of("a", totals))
    assert detectable(base, 10_000, Design()) == pytest.approx(smallest, rel=1e-5)
    assert users_needed(base, smallest, Design()) == pytest.approx(10_000, rel=1e-4)

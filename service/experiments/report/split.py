"""What every variant got, and whether it is what it was to get."""

from collections import Counter, defaultdict

from service.experiments.declarations import Experiment
from service.experiments.report.contents import Arm, Off, Split
from service.experiments.report.files import Connection
from service.experiments.statistics.sample_ratio import SampleRatio, Slice, sample_ratio

CUTS = ("day", "group", "source")  # all of a user's first exposure


def ratio_of(connection: Connection, experiment: Experiment) -> tuple[SampleRatio, Split]:
    """Of the present phase's weights."""
    users: Counter[str] = Counter()
    slices: defaultdict[Slice, Counter[str]] = defaultdict(Counter)
    found = connection.execute("SELECT variant, day, user_group, source, count(*) FROM users GROUP BY ALL").fetchall()
    for variant, *pieces, count in found:
        users[variant] += count
        for cut, piece in zip(CUTS, pieces, strict=True):
            slices[cut, str(piece)][variant] += count
    names = [variant.name for variant in experiment.variants]
    ratio = sample_ratio(users, dict(zip(names, experiment.phases[-1].weights, strict=True)), slices)
    off = [Off(cut=cut, piece=piece, p_value=p_value) for (cut, piece), p_value in ratio.off.items()]
    last = max((int(piece) for cut, piece in slices if cut == "day"), default=0)
    by_day = [{name: slices["day", str(day)][name] for name in names} for day in range(1, last + 1)]
    return ratio, Split(p_value=ratio.p_value, blocks=ratio.blocks, off=off, by_day=by_day)


def arms(connection: Connection, experiment: Experiment) -> list[Arm]:
    """Users and events of each variant, the control first."""
    found = connection.execute(
        "SELECT variant, count(DISTINCT number), sum(page_views)::BIGINT, sum(clicks)::BIGINT, "
        "sum(conversions)::BIGINT FROM daily JOIN users USING (number) GROUP BY variant"
    ).fetchall()
    counts = {variant: numbers for variant, *numbers in found}
    arms = []
    for variant, weight in zip(experiment.variants, experiment.phases[-1].weights, strict=True):
        users, page_views, clicks, conversions = counts.get(variant.name, (0, 0, 0, 0))
        numbers = {"users": users, "page_views": page_views, "clicks": clicks, "conversions": conversions}
        share = weight / sum(experiment.phases[-1].weights)
        arms.append(Arm(name=variant.name, bundle_id=variant.bundle_id, share=share, **numbers))
    return arms

"""Reports from real Parquet files, few enough rows to count by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.errors import ConflictError
from service.event_log.entries import Erasure
from service.event_log.files import EventFiles
from service.experiments.declarations import Experiment
from service.experiments.lifecycle import rephased, stopped
from service.experiments.report.building import build_report
from service.experiments.report.contents import Report, Result
from tests.service.experiments.declared import NOW, declaration
from tests.service.experiments.logged import CONTROL, DAY, TREATMENT, exposure, outcome, simulated, started, write

LATER = NOW + 10 * DAY


def report(directory: Path, experiment: Experiment | None = None, until: float = LATER) -> Report:
    return build_report(experiment or started(), directory / "exposures", directory, until=until)


def counts(found: Report) -> dict[str, tuple[int, int, int]]:
    """Users, page views and clicks of each variant."""
    return {one.name: (one.users, one.page_views, one.clicks) for one in found.variants}


def test_what_is_written_twice_counts_once(tmp_path: Path) -> None:
    """A crash writes an exposure and a click again, into another file."""
    shown = exposure("ann", CONTROL, 5)
    clicks = [outcome(shown), outcome(shown, after=70)]
    write(tmp_path, [shown, exposure("bob", TREATMENT, 6)], clicks)
    write(tmp_path, [shown], clicks[:1], name="2")
    assert counts(report(tmp_path)) == {CONTROL: (1, 1, 2), TREATMENT: (1, 1, 0)}


def test_outcomes_count_within_their_time_and_for_their_user(tmp_path: Path) -> None:
    """An hour is allowed, to the second; not before, not by another user, not on a list that nobody was shown."""
    shown = exposure("ann", CONTROL, 5)
    elsewhere = outcome(shown, recommendation_id="x", event_id="x")
    events = [outcome(shown, after) for after in (0, 3600, 3601, -1)] + [elsewhere]
    events += [outcome(shown, user_id="eve", event_id="eve"), outcome(shown, type="cart")]
    write(tmp_path, [shown], events)
    assert counts(report(tmp_path))[CONTROL] == (1, 1, 2)


def test_what_was_not_known_yet_is_not_in_a_report_of_then(tmp_path: Path) -> None:
    """Of two lists, one shown and clicked after the time of the report, and a click after it on the other."""
    first, second = exposure("ann", CONTROL, 0), exposure("ann", CONTROL, 100)
    write(tmp_path, [first, second], [outcome(first, 10), outcome(first, 90), outcome(second, 10)])
    assert counts(report(tmp_path, until=NOW + 50))[CONTROL] == (1, 1, 1)


def test_users_number_their_events_each_for_themselves(tmp_path: Path) -> None:
    """As devices do that count from 1: an event is known by its user and its event_id."""
    rows = [exposure(user, CONTROL, 5) for user in ("ann", "bob")]
    clicks = [outcome(row, event_id="1") for row in rows]
    write(tmp_path, rows, [*clicks, *clicks])
    assert counts(report(tmp_path))[CONTROL] == (2, 2, 2)


def test_what_another_experiment_of_the_name_showed_is_not_its_own(tmp_path: Path) -> None:
    """It was deleted an hour before this one was created, had other variants too, and more users."""
    old = [exposure(f"user-{at}", "gone" if at % 2 else TREATMENT, -3600 + at) for at in range(9)]
    write(tmp_path, [*old, exposure("ann", CONTROL, 5)], [outcome(row) for row in old])
    found = report(tmp_path)
    assert (found.started, counts(found)) == (NOW, {CONTROL: (1, 1, 0), TREATMENT: (0, 0, 0)})


def test_who_came_while_the_store_was_away_is_in_no_group(tmp_path: Path) -> None:
    """Nobody knows how active they are: they count in the whole."""
    rows = [exposure("ann", CONTROL, 5, user_group=None, stored_events=None), exposure("bob", TREATMENT, 5)]
    write(tmp_path, [*rows, exposure("ann", CONTROL, 9)])
    found = report(tmp_path)
    groups = {one.name: (one.control_users, one.treatment_users) for one in found.treatments[0].groups}
    assert (counts(found)[CONTROL], groups) == ((1, 2, 0), {"new": (0, 1)})


def test_testers_do_not_count_at_all(tmp_path: Path) -> None:
    """Nor what they were shown before they were listed."""
    rows = [exposure("tess", TREATMENT, 5), exposure("tess", CONTROL, 50, tester=True), exposure("ann", CONTROL, 1)]
    write(tmp_path, rows, [outcome(row) for row in rows])
    assert counts(report(tmp_path)) == {CONTROL: (1, 1, 1), TREATMENT: (0, 0, 0)}


def test_a_user_keeps_the_group_of_the_first_exposure(tmp_path: Path) -> None:
    """Ann was new and grew active: all her views are a new user's, and she is one user."""
    rows = [exposure("ann", CONTROL, 9, user_group="low"), exposure("ann", CONTROL, 2, user_group="new")]
    write(tmp_path, [*rows, exposure("bob", TREATMENT, 3, user_group="low")])
    groups = {one.name: (one.control_users, one.treatment_users) for one in report(tmp_path).treatments[0].groups}
    assert groups == {"new": (1, 0), "low": (0, 1)}


def test_only_the_present_phase_until_its_end_counts(tmp_path: Path) -> None:
    """Three days from the start; the phase before is a look-back, and so is another experiment."""
    rows = [exposure("ann", CONTROL, at * DAY) for at in (-0.1, 0, 2.9, 3)]
    rows += [exposure("ann", TREATMENT, 8, phase=2), exposure("ann", TREATMENT, 9, experiment="other")]
    write(tmp_path, rows)
    assert counts(report(tmp_path)) == {CONTROL: (1, 2, 0), TREATMENT: (0, 0, 0)}
    [again] = rephased((started(),), "blend", None, {}, NOW)
    assert counts(report(tmp_path, again)) == {CONTROL: (0, 0, 0), TREATMENT: (1, 1, 0)}


def test_days_of_a_replayed_log_count_from_its_first_exposure(tmp_path: Path) -> None:
    """All that is shown bears times of a year ago, though the experiment was started now."""
    ago = -365 * DAY
    rows = [exposure("ann", CONTROL, ago + at * DAY, received=NOW + 1) for at in (0, 1, 2.5, 3.5)]
    write(tmp_path, rows)
    found = report(tmp_path)
    assert (found.started, found.ended) == (NOW + ago, True)
    assert counts(found)[CONTROL] == (1, 3, 0)


def test_an_erased_user_vanishes(tmp_path: Path) -> None:
    """With exposures and clicks: files are rewritten without the user."""
    rows = [exposure(user, CONTROL, 1) for user in ("ann", "bob")]
    write(tmp_path, rows, [outcome(row) for row in rows])
    assert EventFiles(tmp_path).erase([Erasure("ann", LATER)]) == 2
    assert counts(report(tmp_path))[CONTROL] == (1, 1, 1)


def test_what_has_no_files_is_a_report_of_nobody(tmp_path: Path) -> None:
    """And what was never started is none."""
    found = report(tmp_path)
    assert counts(found) == {CONTROL: (0, 0, 0), TREATMENT: (0, 0, 0)}
    assert (found.split.p_value, found.treatments[0].decision[:11]) == (1.0, "do not ship")
    assert all(one.problem for one in found.treatments[0].overall)
    draft = Experiment(**dict(declaration()))
    with pytest.raises(ConflictError, match="has not been started"):
        report(tmp_path, draft)


def test_values_by_hand(tmp_path: Path) -> None:
    """Control: 4 views, 1 click, by 2 users; treatment: 5 views, 4 clicks, by 2 users who both clicked."""
    rows = [exposure("ann", CONTROL, at) for at in (1, 2, 3)] + [exposure("bob", CONTROL, 4)]
    rows += [exposure("cid", TREATMENT, at) for at in (1, 2)] + [exposure("dan", TREATMENT, at) for at in (3, 4, 5)]
    clicked = [rows[0], rows[4], rows[6], rows[7], rows[8]]
    write(tmp_path, rows, [outcome(row) for row in clicked])
    found = {one.metric: one for one in report(tmp_path).treatments[0].overall}
    assert (found["pvctr"].control, found["pvctr"].treatment) == pytest.approx((1 / 4, 4 / 5))
    assert (found["uvctr"].control, found["uvctr"].treatment) == pytest.approx((1 / 2, 1))
    assert (found["vv"].control, found["vv"].treatment) == pytest.approx((2, 2.5))
    assert found["vv"].uplift is not None
    assert found["vv"].uplift.value == pytest.approx(0.25)


@pytest.mark.parametrize("absurd", [1e200, -1e200, float("inf"), float("nan"), None])
def test_a_value_that_nothing_can_have_adds_nothing(tmp_path: Path, absurd: float | None) -> None:
    """Older versions accepted it; the conversion is one."""
    rows = [exposure(name, variant, 1) for name, variant in zip("abcd", (CONTROL, TREATMENT) * 2, strict=True)]
    bought = [(0, 3.0), (1, absurd), (2, 5.0), (3, 4.0), (0, 1.0), (3, 2.0)]
    events = [outcome(rows[row], after, "conversion", value=price) for after, (row, price) in enumerate(bought)]
    write(tmp_path, rows, events)
    metrics = [{"name": name, "kind": "mean", "numerator": name} for name in ("conversions", "revenue")]
    counted, earned = report(tmp_path, started(metrics=metrics)).treatments[0].overall
    assert (counted.control, counted.treatment) == pytest.approx((1.5, 1.5))
    assert (earned.control, earned.treatment) == pytest.approx((4.5, 3))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A treatment that is clicked half as often again."""
    return write(tmp_path_factory.mktemp("planted"), *simulated(uplift=0.5))


def test_a_planted_effect_is_recovered(planted: Path) -> None:
    """+50 % lies in the interval of the clicks, the verdict is to ship, and the number of views is left alone."""
    found = report(planted)
    treatment, results = found.treatments[0], {one.metric: one for one in found.treatments[0].overall}
    uplift = results["pvctr"].uplift
    assert uplift is not None
    assert uplift.low < 0.5 < (uplift.high or 0)
    assert results["pvctr"].p_corrected is not None
    assert results["pvctr"].p_corrected < 1e-6
    assert (treatment.decision, "pvctr" in treatment.because, "vv" in treatment.because) == ("ship", True, False)
    assert found.valid == "at the planned end"
    assert [one.name for one in treatment.groups] == ["new", "high"]
    assert [one.name for one in treatment.through] == ["1", "2", "3"]
    assert {one.metric for one in treatment.novelty if one.slope} == {"pvctr", "uvctr", "vv"}
    assert [(one.metric, one.probability) for one in treatment.quantiles] == [("vv", 0.5), ("vv", 0.9)]


def test_the_past_narrows_what_it_explains(planted: Path) -> None:
    """Who was shown more in an earlier experiment comes more often: CUPED's interval of the views is narrower."""
    found = report(planted)
    assert found.adjusted
    adjusted, plain = (
        next(width(one) for one in results if one.metric == "vv")
        for results in (found.treatments[0].overall, found.treatments[0].unadjusted)
    )
    assert adjusted < 0.8 * plain


def width(one: Result) -> float:
    assert one.difference is not None
    assert one.difference.high is not None
    return one.difference.high - one.difference.low


def judged(found: Report) -> list[Result]:
    """Of all users and of each group, by what was known in the end."""
    one = found.treatments[0]
    return one.overall + one.unadjusted + [result for group in one.groups for result in group.results]


def test_before_the_planned_end_nothing_is_of_a_fixed_horizon(planted: Path) -> None:
    """A second before it, all intervals are wider than they are then; novelty and quantiles are not asked."""
    experiment = started()
    early = report(planted, experiment, until=NOW + 3 * DAY + 3599)
    late = report(planted, experiment, until=NOW + 3 * DAY + 3600)
    assert (early.valid, late.valid) == ("at any time", "at the planned end")
    assert early.treatments[0].novelty == early.treatments[0].quantiles == []
    pairs = list(zip(judged(early), judged(late), strict=True))
    assert len(pairs) == 3 + 3 + 2 * 3
    for look, fixed in pairs:
        assert (look.metric, look.control, look.treatment) == (fixed.metric, fixed.control, fixed.treatment)
        assert width(look) > 1.5 * width(fixed)
        assert (look.p_value or 0) > (fixed.p_value or 0)
    assert early.treatments[0].through == late.treatments[0].through[:2], "earlier looks are looks at the end too"


def test_an_experiment_that_is_stopped_early_never_reaches_its_planned_end(planted: Path) -> None:
    """Its users of the last half day count; its intervals are those of a look."""
    [experiment] = stopped((started(),), "blend", NOW + 1.5 * DAY)
    found = report(planted, experiment)
    assert (found.ended, found.valid, found.stopped) == (False, "at any time", NOW + 1.5 * DAY)
    assert [one.name for one in found.treatments[0].days] == ["1", "2"]
    assert found.variants[0].page_views < report(planted).variants[0].page_views


def test_a_look_does_not_depend_on_when_the_days_before_were_looked_at(planted: Path) -> None:
    """What is said of days 1 and 2 stays what it was said on day 3."""
    [[first, second], [once, again, _]] = (
        report(planted, until=NOW + days * DAY + 3600).treatments[0].through for days in (2, 3)
    )
    assert [first, second] == [once, again]


def test_before_the_first_day_is_over_there_is_no_look(planted: Path) -> None:
    """What to expect of the variance is not known yet; users are counted."""
    found = report(planted, until=NOW + DAY / 2)
    assert found.variants[0].users > 100
    assert {one.problem for one in found.treatments[0].overall} == {
        "the first look is a day after the start, if values vary by then"
    }
    assert found.treatments[0].decision == "go on"


def test_a_wrong_split_blocks_and_names_where_it_is_wrong(tmp_path: Path) -> None:
    """200 of 1,200 users of the treatment are lost, all on day 2, all of them answered by a fallback."""
    rows = []
    for user in range(2400):
        day, variant = user % 3, (CONTROL, TREATMENT)[user % 2]
        lost = day == 1 and variant == TREATMENT and user % 4 == 3
        source = "popular" if day == 1 and user % 4 > 1 else "model"
        rows += [] if lost else [exposure(f"u{user}", variant, day * DAY + user, source=source)]
    clicks = [outcome(row) for row in rows if row["variant"] == TREATMENT]
    found = report(write(tmp_path, rows, clicks))
    assert found.split.blocks
    assert [(one.cut, one.piece) for one in found.split.off][:2] == [("source", "popular"), ("day", "2")]
    assert found.treatments[0].decision.startswith("blocked")
    assert found.treatments[0].because[:2] == ["source popular", "day 2"]


def test_guardrails_that_are_not_known_to_hold_ship_nothing(planted: Path) -> None:
    """Nobody got a fallback, so nothing varies, and nothing is known of its share."""
    guardrail = {"name": "fallbacks", "kind": "ratio", "numerator": "fallbacks", "denominator": "page_views"}
    guarded = started(metrics=[*PLAIN, guardrail | {"role": "guardrail", "better": "down", "tolerance": 0.05}])
    found = report(planted, guarded).treatments[0]
    assert (found.decision[:11], found.because) == ("do not ship", ["fallbacks"])


PLAIN: list[dict[str, Any]] = [
    {"name": "pvctr", "kind": "ratio", "numerator": "clicks", "denominator": "page_views"},
]


def test_two_treatments_share_the_error(planted: Path) -> None:
    """Of alpha .05 each has half: intervals of 97.5 %, and Holm's p-values doubled."""
    names = (CONTROL, TREATMENT, "other")
    weights = [{"name": name, "weight": weight} for name, weight in zip(names, (4000, 4000, 2000), strict=True)]
    found = report(planted, started(variants=weights, metrics=PLAIN))
    assert found.level == 0.975
    one = found.treatments[0].overall[0]
    assert one.p_value is not None
    assert one.p_corrected == pytest.approx(2 * one.p_value)
    assert found.split.blocks, "the third got nobody"


def test_a_report_is_json(planted: Path) -> None:
    """It comes back as it was, infinite ends of intervals as null."""
    found = report(planted, until=NOW + DAY)
    assert Report.model_validate_json(found.model_dump_json()) == found
    assert json.loads(found.model_dump_json())["experiment"] == "blend"

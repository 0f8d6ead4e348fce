"""What is replayed, and when."""

from pathlib import Path

import pytest

from service.experiments.declarations import DAY_SECONDS
from service.replay.chances import chances
from service.replay.held_out import Span, as_logged, days_before, simulated

SPAN = Span(1_700_006_400.0, 5)  # 2023-11-15, midnight


def written(folder: Path, *lines: str) -> Path:
    log = folder / "rest.csv"
    log.write_text("\n".join(["user_id,item_id,timestamp", *lines, ""]))
    return log


def test_arrivals_are_drawn_for_each_user_and_keep_the_order(tmp_path: Path) -> None:
    """Uniform over five days: of 4,000 arrivals each day has 800, give or take five standard deviations of 25."""
    users = [f"u{number}" for number in range(1000)]
    log = written(tmp_path, *(f"{user},i{place},{9 - place}" for user in users for place in range(4)))
    found = simulated(log, SPAN, seed=1)
    assert sorted(found) == sorted(users)
    for steps in found.values():
        assert [step.item_id for step in steps] == ["i3", "i2", "i1", "i0"], "by the log's time"
        assert [step.position for step in steps] == [0, 1, 2, 3]
        assert [step.timestamp for step in steps] == sorted(step.timestamp for step in steps)
    days = [SPAN.day(step.timestamp) for steps in found.values() for step in steps]
    assert set(days) == {1, 2, 3, 4, 5}
    assert all(675 < days.count(day) < 925 for day in range(1, 6))
    assert simulated(log, SPAN, seed=1) == found
    assert simulated(log, SPAN, seed=2)["u1"] != found["u1"]


def test_a_user_draws_the_same_beside_any_others(tmp_path: Path) -> None:
    log = written(tmp_path, "a,x,1", "b,x,1", "b,y,2")
    together = simulated(log, SPAN, seed=1)
    assert simulated(written(tmp_path, "b,x,1", "b,y,2"), SPAN, seed=1) == {"b": together["b"]}
    assert chances(1, "b", 0) != chances(1, "b", 1)
    assert all(0 <= one < 1 for one in chances(1, "b", 0))


def test_the_days_end_when_every_outcome_is_known(tmp_path: Path) -> None:
    """Begun at noon of the 20th with a day of attribution: days 1 to 5 are the 14th to the 18th."""
    noon = 1_700_481_600.0  # 2023-11-20T12:00Z
    assert days_before(noon, 5, DAY_SECONDS) == Span(1_699_920_000.0, 5)  # 2023-11-14
    assert days_before(noon, 5, DAY_SECONDS).end == 1_700_352_000.0  # 2023-11-19


def test_the_logs_own_times_are_kept(tmp_path: Path) -> None:
    span, steps = as_logged(written(tmp_path, "a,x,100", "b,y,50.5", "a,z,86450"), days=1)
    assert span == Span(50.5, 1)
    assert [step.timestamp for step in steps["a"]] == [100, 86_450]
    with pytest.raises(ValueError, match="covers more than the 1 days of the experiment"):
        as_logged(written(tmp_path, "a,x,50", "a,y,86450"), days=1)
    with pytest.raises(ValueError, match="the times of 'a' must rise"):
        as_logged(written(tmp_path, "a,x,50", "a,y,50"), days=1)


def test_a_log_with_bad_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has 1 bad rows, the first on line 3: wanted Unix seconds"):
        simulated(written(tmp_path, "a,x,1", "a,y,noon"), SPAN, seed=1)
    with pytest.raises(ValueError, match="holds nothing to replay"):
        simulated(written(tmp_path), SPAN, seed=1)

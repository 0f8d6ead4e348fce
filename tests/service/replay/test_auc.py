"""Offline AUC, by hand."""

from math import inf, pi, sqrt, tan
from pathlib import Path

import duckdb
import pytest

from service.engine import Engine
from service.experiments.answers import ExperimentAnswer
from service.replay.auc import auc, compared, list_aucs, offline_aucs
from service.replay.clicked_lists import ClickedList, clicked_lists

DAY = 86_400
NOON = 10 * DAY + DAY / 2


def clicked(user_id: str, history: list[str], items: list[str], *wanted: str, day: int = 1) -> ClickedList:
    return ClickedList(user_id, "control", day, items, frozenset(wanted), frozenset(), history)


def test_auc_counts_pairs_in_order_and_ties_half() -> None:
    """Two wanted, two others: 4 pairs, of which 3 in order and a tie."""
    assert auc([3, 2, 2, 1], [True, False, True, False]) == 0.875
    assert auc([-inf, -inf], [True, False]) == 0.5
    assert auc([0, 1], [True, False]) == 0


def test_a_bundle_is_judged_by_its_own_scores(tiny_bundle: Path) -> None:
    """After `a` the scores are b .9, c .8, e .1, d 0; an item that the bundle lacks is last."""
    engine = Engine.load(tiny_bundle)
    lists = [
        clicked("u", ["a"], ["d", "c", "b"], "c"),
        clicked("u", ["a"], ["d", "zzz", "e", "b"], "e"),
        clicked("u", ["a"], ["d", "zzz"], "zzz"),
    ]
    assert list_aucs(engine, lists, "clicked") == pytest.approx([1 / 2, 2 / 3, 0])


def test_lists_of_one_user_are_not_independent() -> None:
    """u: two lists, each 1/2 better; v: one, 1/5 better. The mean is .4; linearised, +-.2 / 1.5 of the two users, of
    whose t distribution (one degree of freedom) 95 % lie within tan(.475 pi).
    """
    found = compared(["u", "v", "u"], [0.25, 0.5, 0.25], [0.75, 0.7, 0.75])
    assert (found.lists, found.control, found.uplift) == (3, pytest.approx(1 / 3), pytest.approx(1.2))
    half = tan(0.475 * pi) * sqrt(2 * (0.2 / 1.5) ** 2 / 2)
    assert (found.low, found.high) == (pytest.approx(0.4 - half), pytest.approx(0.4 + half))


def test_days_and_makers_of_lists_are_told_apart(tiny_bundle: Path) -> None:
    """A list in which everything was clicked tells nothing, one that nobody bought from tells nothing of buying."""
    engine = Engine.load(tiny_bundle)
    lists = [clicked("u", ["a"], ["b", "d"], "b", day=2), clicked("v", ["a"], ["b", "d"], "b", "d")]
    found = offline_aucs(engine, engine, lists, "clicked")
    assert {name: one.lists for name, one in found.items()} == {"all": 1, "day 2": 1, "lists of control": 1}
    assert (found["all"].control, found["all"].uplift) == (1, 0)
    assert offline_aucs(engine, engine, lists, "converted") == {}


@pytest.fixture
def experiment() -> ExperimentAnswer:
    return ExperimentAnswer.model_validate(
        {
            "name": "new",
            "description": "",
            "layer": "bundles",
            "state": "running",
            "share": 1.0,
            "variants": [{"name": "control", "weight": 5000}, {"name": "new", "weight": 5000}],
            "targeting": {},
            "days": 5,
            "metrics": [],
            "alpha": 0.05,
            "attribution_seconds": DAY,
            "lookback_days": 14,
            "phases": [{"number": 2, "weights": [5000, 5000], "started": 10 * DAY, "ends": 15 * DAY}],
        }
    )


def written(folder: Path, name: str, columns: str, *rows: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.execute(f"COPY (SELECT * FROM (VALUES {', '.join(rows)}) AS t({columns})) TO '{path}'")


def test_clicked_lists_come_with_what_was_done_before_them(tmp_path: Path, experiment: ExperimentAnswer) -> None:
    """Each once; no other phase, tester, or earlier experiment of the name.

    No click of another user, none too late, none on what was not shown.
    """
    columns = "recommendation_id, phase, tester, user_id, variant, items, timestamp, received"
    shown = [
        f"('r1', 2, false, 'u', 'new', ['x', 'y'], {NOON}, {NOON})",
        f"('r1', 2, false, 'u', 'new', ['x', 'y'], {NOON}, {NOON})",
        f"('r2', 2, false, 'v', 'control', ['x', 'y'], {NOON + DAY}, {NOON + DAY})",
        f"('old', 1, false, 'u', 'new', ['x', 'y'], {NOON}, {NOON})",
        f"('test', 2, true, 'u', 'new', ['x', 'y'], {NOON}, {NOON})",
        f"('before', 2, false, 'u', 'gone', ['x', 'y'], {NOON}, {9 * DAY})",
        f"('none', 2, false, 'w', 'new', ['x', 'y'], {NOON}, {NOON})",
    ]
    written(tmp_path, "exposures/experiment=new/day=1970-01-11/1.parquet", columns, *shown)
    happened = [
        ("u", "x", "click", NOON + 5, "r1"),
        ("u", "z", "click", NOON + 5, "r1"),
        ("u", "x", "conversion", NOON + 6, "r1"),
        ("u", "x", "click", NOON, "old"),
        ("u", "x", "click", NOON, "test"),
        ("u", "x", "click", NOON, "before"),
        ("w", "x", "click", NOON + DAY + 1, "none"),
        ("u", "x", "click", NOON, "none"),
        ("v", "y", "click", NOON + DAY, "r2"),
        ("u", "second", "interaction", NOON - 1, None),
        ("u", "seen only", "view", NOON - 1, None),
        ("u", "same moment", "interaction", NOON, None),
    ]
    rows = [f"('{u}', '{i}', '{t}', {at}, {'NULL' if r is None else repr(r)})" for u, i, t, at, r in happened]
    written(tmp_path, "day=1970-01-11/1.parquet", "user_id, item_id, type, timestamp, recommendation_id", *rows)
    (tmp_path / "first.csv").write_text("user_id,item_id,timestamp\nu,first,1\nw,other,1\n")
    found = clicked_lists(tmp_path, experiment, frozenset({"interaction"}), tmp_path / "first.csv")
    assert found == [
        ClickedList("u", "new", 1, ["x", "y"], frozenset("x"), frozenset("x"), ["first", "second"]),
        ClickedList("v", "control", 2, ["x", "y"], frozenset("y"), frozenset(), ()),
    ]
    with pytest.raises(ValueError, match=r"none holds no exposures of 'new'"):
        clicked_lists(tmp_path / "none", experiment, frozenset())

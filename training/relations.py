"""What becomes of a log's rows, as Ibis expressions: DuckDB and Spark compute the same from them."""

from typing import Any

import ibis
from ibis import _
from ibis.expr.types import Table

LONGEST_ID = 256  # characters; what the service takes
LATEST = 2**53 / 1e6  # seconds whose microseconds a float64 tells apart
# What the engines read alike: beyond these each accepts its own ("1e5f", "2026-1", "24:00", "infinity").
NUMBER = r"^[+-]?[0-9]{1,20}([.][0-9]{0,20})?([eE][+-]?[0-9]{1,2})?\z"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
_OFFSET = "(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)"
MOMENT = rf"^[12][0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}}([T ]{_TIME}{_OFFSET}?)?\z"


def checked(raw: Table, *, has_time: bool) -> Table:
    """The rows of a log with `microseconds` since 1970, and with the `reason` why a row is refused, or NULL."""
    seconds = _matching(NUMBER).try_cast("float64")
    moment = _matching(MOMENT).try_cast("timestamp('UTC')")
    usable = ibis.ifelse((seconds >= 0) & (seconds <= LATEST), seconds, ibis.null("float64"))
    return raw.mutate(
        microseconds=ibis.coalesce((usable * 1e6).round().cast("int64"), epoch_us(moment)),
        reason=_reason(has_time, seconds, moment),
    )


def _matching(pattern: str) -> Any:
    """The timestamp's text, or NULL where it is of another form."""
    return ibis.ifelse(_.timestamp.re_search(pattern), _.timestamp, ibis.null("string"))


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def epoch_us(moment: ibis.dtype("timestamp('UTC')")) -> int:  # type: ignore[valid-type, empty-body]
    """Microseconds since 1970, as DuckDB calls it."""


def _reason(has_time: bool, seconds: Any, moment: Any) -> Any:
    branches = [
        (_.user_id.isnull() | (_.user_id == ""), "user_id is empty"),
        (_.item_id.isnull() | (_.item_id == ""), "item_id is empty"),
        (_.user_id.length() > LONGEST_ID, f"user_id is longer than {LONGEST_ID} characters"),
        (_.item_id.length() > LONGEST_ID, f"item_id is longer than {LONGEST_ID} characters"),
    ]
    if has_time:
        branches.append((_.timestamp.isnull(), "timestamp is empty"))
        wrong = seconds.isnull() & moment.isnull()
        branches.append((wrong, "timestamp is neither Unix seconds nor RFC 3339"))
        branches.append(((seconds < 0) | (seconds > LATEST), "timestamp is out of range"))
    return ibis.cases(*branches, else_=ibis.null("string"))


def rejected(rows: Table) -> Table:
    """Of checked rows those with a reason, as rejects.csv reports them."""
    bad = rows.filter(_.reason.notnull())
    text = bad.user_id.fill_null("") + "," + bad.item_id.fill_null("") + "," + bad.timestamp.fill_null("")
    return bad.select(line=bad.line, reason=bad.reason, text=text)


def numbered(raw: Table) -> dict[str, Table]:
    """A number for each user, the line it appeared on, and for each item: rows of numbers are smaller than of ids."""
    items = raw.select("item_id").distinct()
    return {
        "user": raw.group_by("user_id").agg(user=_.line.min()),
        "item": items.mutate(item=ibis.row_number().over(order_by="item_id")),
    }


def accepted(rows: Table, numbers: dict[str, Table], *, has_time: bool) -> Table:
    """Of checked rows those without a reason, as (line, position, user, item, microseconds).

    An exact repeat of a timed event is one event, the first; without a time it is a repeat purchase.
    """
    good = rows.filter(_.reason.isnull()).join(numbers["user"], "user_id").join(numbers["item"], "item_id")
    if has_time:
        key = ["user", "item", "microseconds", "type"]
        good = good.group_by(key).agg(line=_.line.min(), position=_.position.min())
    return good.select("line", "position", "user", "item", "microseconds")


def seen(interactions: Table, column: str) -> Table:
    """How often each user, or each item, occurs."""
    return interactions.group_by(column).agg(seen=_.count())


def frequent(interactions: Table, counted: dict[str, Table], core: int) -> Table:
    """Without the users and the items that were counted fewer than `core` times."""
    for column, its in counted.items():
        interactions = interactions.semi_join(its.filter(its.seen >= core), column)
    return interactions


def vocabulary(interactions: Table, numbers: Table, more: Table | None) -> Table:
    """One row an item, by falling count and then item_id; the items of `more` that were never met have count 0."""
    counted = interactions.group_by("item").agg(count=_.count()).join(numbers, "item")
    counted = counted.select("item_id", "count", "item")
    if more is not None:
        new = more.anti_join(counted, "item_id")
        counted = counted.union(new.select("item_id", count=ibis.literal(0, "int64"), item=ibis.null("int64")))
    rows = counted.mutate(item_row=ibis.row_number().over(order_by=[ibis.desc("count"), "item_id"]) + 1)
    return rows.select("item_row", "item_id", "count", "item")


def users(interactions: Table, numbers: Table, before_cut: Any) -> Table:
    """One row a user: the `first` line, which is its own, how many interactions, how many of them before the cut."""
    its = interactions.group_by("user").agg(first=_.line.min(), length=_.count(), before_cut=before_cut)
    return its.join(numbers, "user").select("user", "user_id", "first", "length", "before_cut")


def in_order(its: Table) -> Table:
    """Users by first appearance, those with nothing before the cut last."""
    return its.order_by(_.before_cut == 0, "first")


def interactions_in_order(interactions: Table, its: Table, rows: Table) -> Table:
    """Every interaction's `item_row` and `microseconds`, user by user as `in_order`, the oldest first."""
    joined = interactions.join(its, "user").join(rows, "item")
    flat = joined.select("item_row", "microseconds", "first", "line", "position", late=_.before_cut == 0)
    return flat.order_by("late", "first", "microseconds", "line", "position")

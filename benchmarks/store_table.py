"""What stores take and how fast they are filled, as tables."""

from typing import Any

from pages import header, row

Line = dict[str, Any]
EVENT_BYTES, USER_BYTES = 36, 200  # what was asked for
WORDS = (
    "`make bench-stores`: bytes a user takes with all that the server keeps beside them, item ids of 10 bytes; "
    f"asked were {EVENT_BYTES} an event and {USER_BYTES} a user."
)
LOADED = (
    "`intently-serve load` of an event log into an empty store, its start included; asked were 50,000 events a second. "
    "The load average says how many other processes wanted the two cores."
)


def stores(lines: list[Line]) -> str:
    """The newest line of each case."""
    found = [line for line in lines if line["kind"] == "store"]
    parts = ["## Stores"]
    memory = {(line["method"], line["events_per_user"], line["stored_days"]): line for line in found if "users" in line}
    if memory:
        parts += [WORDS, memory_table(list(memory.values()))]
    loads = {line["method"]: line for line in found if "loaded" in line}
    if loads:
        parts += [LOADED, load_table(list(loads.values()))]
    return "\n\n".join(parts)


def memory_table(lines: list[Line]) -> str:
    """One row a store and case."""
    rows = header(
        ("store", "users", "events a user", "days kept", "bytes a user", "an event", "asked a user", "command")
    )
    for line in lines:
        events, days, metrics = line["events_per_user"], line["stored_days"], line["metrics"]
        taken = (f"{metrics['bytes_per_user']:,.0f}", f"{metrics['bytes_per_event']:.1f}")
        asked = f"{EVENT_BYTES * events + USER_BYTES:,}"
        kept = "for ever" if days is None else f"{days:.0f}"
        rows.append(row(line["method"], f"{line['users']:,}", str(events), kept, *taken, asked, f"`{line['command']}`"))
    return "\n".join(rows)


def load_table(lines: list[Line]) -> str:
    """One row a store."""
    rows = header(("store", "events", "seconds", "events/s", "processor seconds", "load average", "command"))
    for line in lines:
        metrics = line["metrics"]
        took = (f"{metrics['seconds']:.1f}", f"{metrics['events_per_second']:,.0f}", f"{metrics['cpu_seconds']:.1f}")
        busy = f"{metrics['load_average']:.1f}"
        rows.append(row(line["method"], f"{line['loaded']:,}", *took, busy, f"`{line['command']}`"))
    return "\n".join(rows)

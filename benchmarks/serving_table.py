"""The serving benchmarks as tables."""

import statistics
from typing import Any

from pages import header, row

Line = dict[str, Any]
OURS, USUAL, LITSERVE = "intently, 2 workers", "FastAPI + ONNX Runtime + FAISS, 2 workers", "LitServe, 2 workers"
LOADED = "loaded, requests/s"
COLUMNS = {
    "loaded, requests/s": ("requests/s", 0),
    "loaded, p50 ms": ("p50 ms", 1),
    "loaded, p99 ms": ("p99 ms", 1),
    "one client, p50 ms": ("p50 ms, one client", 2),
    "one client, p99 ms": ("p99 ms, one client", 2),
    "memory_mb": ("memory MB", 0),
    "start_seconds": ("start s", 1),
}
WORDS = (
    "`make bench-serving`: 20,000 users with 9 interactions on average in Redis, 12,000 items, 2 layers of width 64, "
    "top 20, seen items excluded, one category filter, metrics on; wrk with 32 connections (and with one) on the same "
    "cores. Medians of the rounds, which are interleaved."
)
STRESS = "`python benchmarks/serving_stress.py`, the same users, items and requests:"
EVENTS = (
    "`make bench-events`: events of 100,000 users, accepted into a Redis that syncs every write to its append-only "
    "file, and into the event log; two workers, 32 connections, wrk and Redis on the same cores, medians of the rounds."
)
LARGE = (
    "`python benchmarks/serving_scale.py --bundle BUNDLE --data DATA`: the catalogue of a trained bundle enlarged by a "
    "smoothed bootstrap, an inverted index behind the recall gate, two workers."
)


def serving(lines: list[Line]) -> str:
    """The rows of `make bench-serving`, the curve, and catalogues too large to score whole."""
    found = [line for line in lines if line["kind"] == "serving"]
    speed = [line for line in found if "round" in line]
    large = list({line["items"]: line for line in found if "items" in line}.values())
    parts = ["## Serving"]
    if speed:
        parts += [f"{WORDS} {where(speed)}", rows_of(speed)]
    if any("connections" in line for line in found):
        parts.append("![latency against requests a second](figures/serving-curve.svg)")
    stress = list({line["method"]: line for line in found if line.get("stress")}.values())
    if stress:
        parts += [STRESS, "\n".join(f"- {line['method']}: {in_words(line['metrics'])}" for line in stress)]
    if posts := [line for line in found if "events_a_post" in line]:
        parts += [EVENTS, posts_of(posts)]
    if large:
        table = header(("", *(f"{line['items']:,} items" for line in large)))
        table += [row(key, *(f"{line['metrics'][key]:.4g}" for line in large)) for key in large[-1]["metrics"]]
        parts += [LARGE, "\n".join(table)]
    return "\n\n".join(parts)


def headline(lines: list[Line]) -> str | None:
    """The README's sentences, from the speed of all servers and the newest run of a million items; None without."""
    medians = medians_of([line for line in lines if line["kind"] == "serving" and "round" in line])
    large = [line["metrics"] for line in lines if line["kind"] == "scale" and line["method"] == "catalogue"]
    if OURS not in medians or not large:
        return None
    ours, its = medians[OURS], large[-1]
    times = {name: ours[LOADED] / one[LOADED] for name, one in medians.items()}
    return (
        f"On two cores, which the load generator shares, the service answers {ours[LOADED]:,.0f} requests a second at "
        f"a p99 of {ours['loaded, p99 ms']:.1f} ms\n(64 dimensions, 12,000 items, histories in Redis, seen items "
        f"excluded, one category filter), {times[USUAL]:.1f} times as many as the\nsame parts put together in the "
        f"usual way and {times[LITSERVE]:.1f} times as many as LitServe. With a million items of 128 dimensions it is\n"
        f"{its['serving, requests/s']:,.0f} a second at a recall of {its['index recall@20']:.3f}. "
        "Every number, with its command: [benchmarks](docs/benchmarks.md)."
    )


def posts_of(lines: list[Line]) -> str:
    """One row a size of posts."""
    table = header(("events a post", "posts/s", "events/s", "p50 ms", "p99 ms"))
    for size in sorted({line["events_a_post"] for line in lines}):
        rounds = [line["metrics"] for line in lines if line["events_a_post"] == size]
        its = {key: statistics.median(one[key] for one in rounds) for key in rounds[-1]}
        cells = (
            f"{its['requests/s']:,.0f}",
            f"{size * its['requests/s']:,.0f}",
            f"{its['p50 ms']:.1f}",
            f"{its['p99 ms']:.1f}",
        )
        table.append(row(str(size), *cells))
    return "\n".join(table)


def in_words(metrics: dict[str, float]) -> str:
    """Name and value, one after another."""
    return ", ".join(f"{name} {number(value)}" for name, value in metrics.items())


def number(value: float) -> str:
    """Short, and never as a power of ten."""
    return f"{value:,.4g}" if value < 100 else f"{value:,.0f}"


def rows_of(lines: list[Line]) -> str:
    """One row a server, with how many times as fast ours is."""
    medians = medians_of(lines)
    table = header(("server", *(title for title, _ in COLUMNS.values()), "ours is x as fast"))
    for name, its in medians.items():
        cells = (f"{its[key]:.{digits}f}" for key, (_, digits) in COLUMNS.items())
        ratio = medians[OURS][LOADED] / its[LOADED] if OURS in medians else None
        table.append(row(name, *cells, "" if ratio is None else f"{ratio:.2f}"))
    return "\n".join(table)


def medians_of(lines: list[Line]) -> dict[str, dict[str, float]]:
    """Of each server, over its rounds."""
    found: dict[str, list[dict[str, float]]] = {}
    for line in lines:
        found.setdefault(line["method"], []).append(line["metrics"])
    return {
        name: {key: statistics.median(one[key] for one in rounds) for key in COLUMNS} for name, rounds in found.items()
    }


def where(lines: list[Line]) -> str:
    """The machine, and how many rounds."""
    machine = lines[-1]["machine"]
    return f"{max(line['round'] for line in lines)} rounds on {machine['cpu']}, {machine['cores']} cores."

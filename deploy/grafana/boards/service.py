"""Does it answer, how fast, and how much more could it: rate, errors, duration, stages, saturation."""

from boards.panels import RATE, Json, dashboard, series, stat

DURATIONS = "intently_request_duration_seconds_bucket"
LATENCY = f"sum by (le) (rate({DURATIONS}{RATE}))"
ROUTE_LATENCY = f"sum by (le, route) (rate({DURATIONS}{RATE}))"
LIST_LATENCY = f'sum by (le) (rate({DURATIONS}{{route="/v1/recommendations"}}{RATE}))'
REQUESTS = f"sum(rate(intently_requests_total{RATE}))"
WINDOWS = {"1 h": "1h", "6 h": "6h", "3 d": "3d"}

NOW = [
    stat("Requests a second", "reqps", "Of all routes and replicas.", REQUESTS),
    stat(
        "Server errors",
        "percentunit",
        "Share of the answers below /v1 in five minutes; 0.1 % is promised.",
        "sum(job:intently_errors:rate5m) / sum(job:intently_requests:rate5m)",
        limit=0.001,
    ),
    stat(
        "Lists over 25 ms",
        "percentunit",
        "Share in five minutes; 1 % is promised.",
        "sum(job:intently_slow_lists:rate5m) / sum(job:intently_lists:rate5m)",
        limit=0.01,
    ),
    stat(
        "p99 of lists",
        "s",
        "Time to answer /v1/recommendations.",
        f"histogram_quantile(0.99, {LIST_LATENCY})",
        limit=0.025,
    ),
    stat("Ready workers", "short", "Workers that have a bundle, of all replicas.", "sum(intently_ready)"),
    stat(
        "Alerts",
        "short",
        "That fire now; what to do stands in docs/operations.md.",
        'count(ALERTS{alertname=~"Intently.*", alertstate="firing"}) or vector(0)',
        limit=1,
    ),
]

PROMISES = [
    series(
        f"Budget of {what}: burn rate",
        "short",
        f"How many times as fast as it may the budget is used up; 1: {share} of them, as promised. A page at 14.4 in 1 h.",
        {legend: f"job:intently_{name}:ratio_rate{window} / {budget}" for legend, window in WINDOWS.items()},
        width=12,
        limit=1,
    )
    for what, name, budget, share in (("errors", "errors", 0.001, "0.1 %"), ("slow lists", "slow_lists", 0.01, "1 %"))
]

ANSWERS = [
    series(
        "Requests",
        "reqps",
        "Requests answered a second, by route.",
        {"{{route}}": f"sum by (route) (rate(intently_requests_total{RATE}))"},
    ),
    series(
        "Errors",
        "percentunit",
        "Share of answers with a server error (5xx) and a client error (4xx).",
        {
            f"{digit}xx": f'(sum(rate(intently_requests_total{{status=~"{digit}.."}}{RATE})) or vector(0)) / {REQUESTS}'
            for digit in (5, 4)
        },
    ),
    series(
        "Latency",
        "s",
        "Time to answer, all routes.",
        {f"p{percent}": f"histogram_quantile({percent / 100}, {LATENCY})" for percent in (50, 95, 99)},
    ),
    *(
        series(
            f"Latency by route, p{percent}",
            "s",
            f"Time within which {percent} % of a route's requests are answered.",
            {"{{route}}": f"histogram_quantile({percent / 100}, {ROUTE_LATENCY})"},
        )
        for percent in (50, 95, 99)
    ),
]

STAGES = [
    series(
        "Stages, p95",
        "s",
        "Where the time of a batch goes: waiting in the queue, store, encoder, search, answer as JSON, exposures.",
        {
            "{{stage}}": f"histogram_quantile(0.95, sum by (le, stage) (rate(intently_stage_duration_seconds_bucket{RATE})))"
        },
        width=12,
    ),
    series(
        "Seconds of a second, by stage",
        "short",
        "How long all workers together are in a stage. The queue is left out: those who wait there wait beside each other.",
        {"{{stage}}": f'sum by (stage) (rate(intently_stage_duration_seconds_sum{{stage!="queue"}}{RATE}))'},
        width=12,
        stacked=True,
    ),
]

SATURATION = [
    series(
        "Wait in the queue, p90",
        "s",
        "One batch in ten has waited that long; at INTENTLY_DEADLINE (.5 s) requests are refused.",
        {"{{instance}}": "instance:intently_queue_seconds:p90_rate5m"},
        limit=0.05,
    ),
    series(
        "Queue and batches",
        "short",
        "Requests waiting when a batch was begun, of all workers; requests answered together, on average.",
        {
            "waiting": "sum(intently_queue_depth)",
            "batch": f"sum(rate(intently_batch_size_sum{RATE})) / sum(rate(intently_batch_size_count{RATE}))",
        },
    ),
    series(
        "Workers by replica", "short", "That have a bundle.", {"{{instance}}": "sum by (instance) (intently_ready)"}
    ),
]

STORE = [
    series(
        "Store errors",
        "cps",
        "Calls the store did not answer, by operation.",
        {"{{operation}}": f"sum by (operation) (rate(intently_store_errors_total{RATE}))"},
    ),
    series(
        "Circuit breaker",
        "short",
        "Workers that ask the store no more than once a second, because their last calls failed; changes a minute.",
        {
            "open": "sum(intently_store_breaker_open)",
            "to {{to}}": f"60 * sum by (to) (rate(intently_store_breaker_changes_total{RATE}))",
        },
    ),
    series(
        "Events",
        "eps",
        "Events received, by what became of them.",
        {"{{status}}": f"sum by (status) (rate(intently_events_total{RATE}))"},
    ),
    series(
        "Event log: what waits",
        "bytes",
        "For its writer, which moves them to files; at INTENTLY_EVENTS_BUFFER_MB, the room, events are refused.",
        {"waiting": "max(intently_event_log_buffered_bytes)", "room": "max(intently_event_log_buffer_bytes)"},
    ),
    series(
        "Event log: written",
        "eps",
        "Events and exposures that are in files now.",
        {
            "events": f"sum(rate(intently_event_log_written_total{RATE}))",
            "exposures": f"sum(rate(intently_event_log_exposures_written_total{RATE}))",
        },
    ),
    series(
        "Exposures dropped",
        "eps",
        "That no file will hold, by reason.",
        {"{{reason}}": f"sum by (reason) (rate(intently_exposures_dropped_total{RATE}))"},
    ),
]


def board() -> Json:
    """The dashboard "service"."""
    rows = {
        "Now": NOW,
        "Promises": PROMISES,
        "Rate, errors, duration": ANSWERS,
        "Stages": STAGES,
        "Saturation": SATURATION,
        "Store and events": STORE,
    }
    return dashboard("service", rows)

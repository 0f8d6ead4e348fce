"""Write dashboards/service.json. Edit the panels here, then run: python deploy/grafana/build.py"""

import json
from pathlib import Path
from typing import Any

RATE = "[$__rate_interval]"
LATENCY = f"sum by (le) (rate(intently_request_duration_seconds_bucket{RATE}))"
ROUTE_LATENCY = f"sum by (le, route) (rate(intently_request_duration_seconds_bucket{RATE}))"

# title, unit, what it tells, {legend: query}
PANELS: list[tuple[str, str, str, dict[str, str]]] = [
    (
        "Requests",
        "reqps",
        "Requests answered a second, by route.",
        {"{{route}}": f"sum by (route) (rate(intently_requests_total{RATE}))"},
    ),
    (
        "Errors",
        "percentunit",
        "Share of answers with a server error (5xx) and a client error (4xx).",
        {
            "5xx": f'(sum(rate(intently_requests_total{{status=~"5.."}}{RATE})) or vector(0)) / sum(rate(intently_requests_total{RATE}))',
            "4xx": f'(sum(rate(intently_requests_total{{status=~"4.."}}{RATE})) or vector(0)) / sum(rate(intently_requests_total{RATE}))',
        },
    ),
    (
        "Latency",
        "s",
        "Time to answer, all routes.",
        {
            "p50": f"histogram_quantile(0.5, {LATENCY})",
            "p95": f"histogram_quantile(0.95, {LATENCY})",
            "p99": f"histogram_quantile(0.99, {LATENCY})",
        },
    ),
    *(
        (
            f"Latency by route, p{percent}",
            "s",
            f"Time within which {percent} % of a route's requests are answered.",
            {"{{route}}": f"histogram_quantile({percent / 100}, {ROUTE_LATENCY})"},
        )
        for percent in (50, 95, 99)
    ),
    (
        "Stages, p95",
        "s",
        "Where the time goes: waiting in the queue, store, encoder, search, encoding the answer.",
        {
            "{{stage}}": f"histogram_quantile(0.95, sum by (le, stage) (rate(intently_stage_duration_seconds_bucket{RATE})))",
        },
    ),
    (
        "Lists by source",
        "reqps",
        "model: from the sequence; popular: nothing was known, the fallback.",
        {
            "{{source}}": f"sum by (source) (rate(intently_recommendations_total{RATE}))",
        },
    ),
    (
        "Fallback share",
        "percentunit",
        "Lists of popular items, of whichever kind, instead of the model's.",
        {
            "popular": f'sum(rate(intently_recommendations_total{{source!="model"}}{RATE})) / sum(rate(intently_recommendations_total{RATE}))',
        },
    ),
    (
        "Events",
        "eps",
        "Events received, by what became of them.",
        {"{{status}}": f"sum by (status) (rate(intently_events_total{RATE}))"},
    ),
    (
        "Unknown items and short lists",
        "cps",
        "Items of histories that the bundle lacks; lists with fewer items than asked.",
        {
            "unknown items": f"rate(intently_unknown_items_total{RATE})",
            "short lists": f"rate(intently_underfilled_total{RATE})",
        },
    ),
    (
        "Store errors",
        "cps",
        "Calls the store did not answer, by operation.",
        {"{{operation}}": f"sum by (operation) (rate(intently_store_errors_total{RATE}))"},
    ),
    (
        "Circuit breaker",
        "short",
        "Workers that ask the store no more than once a second, because their last calls failed; changes a minute.",
        {
            "open": "intently_store_breaker_open",
            "to {{to}}": f"60 * rate(intently_store_breaker_changes_total{RATE})",
        },
    ),
    (
        "Queue",
        "short",
        "Requests waiting when a batch was begun; requests answered together, on average.",
        {
            "waiting": "intently_queue_depth",
            "batch": f"rate(intently_batch_size_sum{RATE}) / rate(intently_batch_size_count{RATE})",
        },
    ),
    (
        "Event log",
        "bytes",
        "What waits in the store for the event log's writer.",
        {"waiting": "intently_event_log_buffered_bytes"},
    ),
    (
        "Intents in use",
        "short",
        "Effective number of intents of the latest answers (e to the power of their entropy): 1 when all share one.",
        {"intents": "exp(intently_intent_entropy)"},
    ),
    (
        "Age of the bundle",
        "s",
        "Time since the active bundle was made.",
        {"age": "time() - (intently_bundle_created_seconds > 0)"},
    ),
    (
        "Ready workers and bundle",
        "short",
        "Workers with a bundle; the bundle being served.",
        {
            "ready workers": "intently_ready",
            "{{bundle_id}}": "intently_bundle_info == 1",
        },
    ),
]


def panel(number: int, title: str, unit: str, description: str, queries: dict[str, str]) -> dict[str, Any]:
    """One time series; two panels a row."""
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "description": description,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(65 + place), "expr": query, "legendFormat": legend}
            for place, (legend, query) in enumerate(queries.items())
        ],
    }


def dashboard() -> dict[str, Any]:
    """The whole dashboard."""
    return {
        "uid": "intently-service",
        "title": "Intently: service",
        "tags": ["intently"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "panels": [panel(number, *facts) for number, facts in enumerate(PANELS)],
    }


if __name__ == "__main__":
    target = Path(__file__).parent / "dashboards/service.json"
    target.write_text(json.dumps(dashboard(), indent=1) + "\n")
    print(f"wrote {target}")

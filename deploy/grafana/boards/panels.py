"""Panels and dashboards as Grafana's JSON has them; panels flow from left to right, row by row."""

from collections.abc import Mapping, Sequence
from typing import Any

RATE = "[$__rate_interval]"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
LEGEND = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
Json = dict[str, Any]


def series(
    title: str,
    unit: str,
    description: str,
    queries: Mapping[str, str],
    *,
    width: int = 8,
    limit: float | None = None,
    least: float | None = 0,
    stacked: bool = False,
    logarithmic: bool = False,
    overrides: Sequence[Json] = (),
) -> Json:
    """Lines over time, {legend: query}; `limit` is drawn as a line, `least` is where the axis begins."""
    custom: Json = {"fillOpacity": 60 if stacked else 10, "showPoints": "never"}
    custom |= {"stacking": {"mode": "normal"}} if stacked else {}
    custom |= {"scaleDistribution": {"type": "log", "log": 10}} if logarithmic else {}
    custom |= {"thresholdsStyle": {"mode": "dashed"}} if limit is not None else {}
    defaults: Json = {"unit": unit, "custom": custom}
    defaults |= {} if least is None else {"min": least}
    defaults |= {} if limit is None else {"thresholds": _thresholds(limit)}
    found = _panel("timeseries", title, description, queries, (width, 8), defaults, LEGEND)
    return found | {"fieldConfig": {"defaults": defaults, "overrides": list(overrides)}}


def stat(
    title: str, unit: str, description: str, query: str, *, width: int = 4, limit: float | None = None, name: str = ""
) -> Json:
    """One figure of now, red from `limit` on; or instead of it a `name`, made of labels."""
    defaults: Json = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": _thresholds(limit)}
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "textMode": "name" if name else "value",
        "graphMode": "none",
        "colorMode": "value",
    }
    return _panel("stat", title, description, {name: query}, (width, 4), defaults, options, instant=True)


def matrix(
    title: str, unit: str, description: str, query: str, *, row: str, column: str, width: int = 12, height: int = 8
) -> Json:
    """A table of now: a value for each pair of the labels `row` and `column`."""
    found = _panel("table", title, description, {"": query}, (width, height), {"unit": unit}, {}, instant=True)
    return found | {"transformations": [_matrix(row, column)]}


def listed(title: str, unit: str, description: str, query: str, *, width: int = 12, height: int = 8) -> Json:
    """A table of now, a series a row."""
    found = _panel("table", title, description, {"": query}, (width, height), {"unit": unit}, {}, instant=True)
    return found | {"transformations": [{"id": "organize", "options": {"excludeByName": {"Time": True}}}]}


def curves(title: str, description: str, query: str, *, line: str) -> Json:
    """Values by epoch, a line for each value of the label `line`."""
    epoch = f"epoch\\{line}"  # as the matrix names its first column, which holds text
    defaults: Json = {"unit": "short", "custom": {"drawStyle": "line", "showPoints": "auto"}}
    options = {"xField": epoch, **LEGEND}
    found = _panel("trend", title, description, {"": query}, (12, 9), defaults, options, instant=True)
    number = {"targetField": epoch, "destinationType": "number"}
    return found | {
        "transformations": [
            _matrix("epoch", line),
            {"id": "convertFieldType", "options": {"conversions": [number]}},
            {"id": "sortBy", "options": {"sort": [{"field": epoch}]}},
        ]
    }


def variable(name: str, query: str) -> Json:
    """A choice at the top of a dashboard, of the values that a query finds."""
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
    }


def dashboard(name: str, rows: Mapping[str, Sequence[Json]], variables: Sequence[Json] = ()) -> Json:
    """The whole of a dashboard, {title of a row: its panels}."""
    source = {"name": "datasource", "label": "data source", "type": "datasource", "query": "prometheus"}
    return {
        "uid": f"intently-{name}",
        "title": f"Intently: {name}",
        "tags": ["intently"],
        "links": [{"type": "dashboards", "title": "Intently", "tags": ["intently"], "keepTime": True}],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": [source, *variables]},
        "panels": [{"id": number, **panel} for number, panel in enumerate(_laid_out(rows), start=1)],
    }


def _laid_out(rows: Mapping[str, Sequence[Json]]) -> list[Json]:
    placed: list[Json] = []
    top = 0
    for title, panels in rows.items():
        heading = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        placed.append({"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": heading})
        top, left, tallest = top + 1, 0, 0
        for panel in panels:
            size = panel["gridPos"]
            if left + size["w"] > COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            placed.append(panel | {"gridPos": size | {"x": left, "y": top}})
            left, tallest = left + size["w"], max(tallest, size["h"])
        top += tallest
    return placed


def _panel(
    kind: str,
    title: str,
    description: str,
    queries: Mapping[str, str],
    size: tuple[int, int],
    defaults: Json,
    options: Json,
    *,
    instant: bool = False,
) -> Json:
    asked = {"instant": True, "range": False, "format": "time_series" if kind == "stat" else "table"} if instant else {}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "gridPos": {"w": size[0], "h": size[1]},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(65 + place), "datasource": SOURCE, "expr": query, "legendFormat": legend, **asked}
            for place, (legend, query) in enumerate(queries.items())
        ],
    }


def _thresholds(limit: float | None) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    return {"mode": "absolute", "steps": steps + ([] if limit is None else [{"color": "red", "value": limit}])}


def _matrix(row: str, column: str) -> Json:
    fields = {"rowField": row, "columnField": column, "valueField": "Value", "emptyValue": "null"}
    return {"id": "groupingToMatrix", "options": fields}

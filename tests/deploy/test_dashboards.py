"""Every panel of every dashboard is well placed and explained, and its queries find data in a real Prometheus."""

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import EXPERIMENT, Scraped
from tests.service.test_processes import eventually
from tests.test_operations import metrics

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy/grafana"
NAMES = ("experiments", "models", "service", "training")
STANDS_FOR = {  # what Grafana puts in; an interval that the traffic is still in when it is asked
    "$__rate_interval": "1m",
    "$experiment": str(EXPERIMENT["name"]),
    "$metric": "pvctr",
}
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GRAFANA / f"dashboards/{name}.json").read_text())
    return found


def panels(name: str) -> list[dict[str, Any]]:
    """Without the rows' headings."""
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def queries(name: str) -> list[str]:
    return [target["expr"] for panel in panels(name) for target in panel["targets"]]


def asked(query: str) -> str:
    """As Grafana sends it."""
    for variable, value in STANDS_FOR.items():
        query = query.replace(variable, value)
    return query


def test_the_dashboards_are_what_their_source_says() -> None:
    """`python deploy/grafana/build.py` has been run."""
    program = "import build, json; print(json.dumps({name: board() for name, board in build.BOARDS.items()}))"
    built = subprocess.run([sys.executable, "-c", program], cwd=GRAFANA, capture_output=True, check=True)
    assert json.loads(built.stdout) == {name: dashboard(name) for name in NAMES}
    assert sorted(path.stem for path in GRAFANA.glob("dashboards/*")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_panels_are_told_apart_and_do_not_overlap(name: str) -> None:
    """Each lies in the 24 columns, and no two share a cell."""
    placed = dashboard(name)["panels"]
    assert len({panel["id"] for panel in placed}) == len(placed) >= 10
    cells = [cells_of(panel["gridPos"]) for panel in placed]
    assert all(0 <= x < 24 for its in cells for x, _ in its)
    assert not [pair for pair in combinations(cells, 2) if pair[0] & pair[1]]
    titles = [panel["title"] for panel in placed]
    assert len(set(titles)) == len(titles)


def cells_of(place: dict[str, int]) -> set[tuple[int, int]]:
    columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return {(x, y) for x in columns for y in lines}


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_shows(name: str) -> None:
    """A description and a unit; what its table or its curves are made of are labels of its query."""
    for panel in panels(name):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert {target["refId"] for target in panel["targets"]} == set("ABCDEFG"[: len(panel["targets"])])
        for transformation in panel.get("transformations", []):
            fields = {transformation["options"].get(kind) for kind in ("rowField", "columnField")} - {None}
            assert fields <= set(re.findall(r"\w+", panel["targets"][0]["expr"].split(")")[0])), panel["title"]
        for target in panel["targets"]:
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"])) - {"instance"}
            assert shown <= set(re.findall(r"\w+", target["expr"])), panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_query_leaves_open_can_be_chosen(name: str) -> None:
    chosen = {variable["name"] for variable in dashboard(name)["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard(name)))) - {"__rate_interval"}
    assert used == chosen


def test_every_metric_is_on_a_dashboard() -> None:
    """By itself, or in a recording rule that is."""
    rules = (ROOT / "deploy/prometheus/recording.yml").read_text()
    shown = " ".join(query for name in NAMES for query in queries(name)) + rules
    assert metrics() - {SUFFIX.sub("", found) for found in re.findall(r"intently_\w+", shown)} == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_query_finds_data(name: str, prometheus: Scraped) -> None:
    """A quantile of a route nobody asked is NaN; of all of them, a fault."""
    found = queries(name)
    assert len(found) >= 10
    assert [query for query in found if not prometheus.ask(asked(query))] == []


def test_the_requests_are_counted(prometheus: Scraped) -> None:
    """One refusal a round: Prometheus ends at exactly as many."""
    eventually(lambda: prometheus.ask('sum(intently_requests_total{status="404"})') == [prometheus.refusals])

"""A report as Markdown and as pictures."""

import re
from pathlib import Path

import pytest

from service.experiments.report.building import build_report
from service.experiments.report.contents import Interval, Report
from service.experiments.report.markdown import as_markdown, interval, percent, probability
from service.experiments.report.plots import draw
from tests.service.experiments.declared import NOW
from tests.service.experiments.logged import DAY, simulated, started, write


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """At the planned end of an effect of 50 %."""
    directory = write(tmp_path_factory.mktemp("shown"), *simulated(uplift=0.5))
    return build_report(started(), directory / "exposures", directory, until=NOW + 10 * DAY)


def test_numbers() -> None:
    """Signs always; no leading zero of a probability; an interval without an upper end says so."""
    assert percent(0.0245) == "+2.45 %"
    assert interval(Interval(value=0.1, low=-0.05, high=0.25)) == "-5.00 to +25.00 %"
    assert interval(Interval(value=0.1, low=-0.05, high=None)) == "-5.00 % or more"
    assert [probability(one) for one in (None, 0.0004, 0.04, 1.0)] == ["", "< .001", ".040", "1.000"]


def test_tables_are_whole(report: Report) -> None:
    """Every row of a table has as many cells as its header; what decides stands before the tables."""
    text = as_markdown(report)
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 8
    assert all(len({row.count("|") for row in table.splitlines()}) == 1 for table in tables)
    assert text.index("**treatment: ship (") < text.index("| variant |")
    assert re.search(r"\| pvctr \| goal \| 0\.2\d+ \| 0\.3\d+ \| \+5\d\.\d\d % \|", text)


def test_a_wrong_split_is_said_before_anything_else_may_be_believed(report: Report) -> None:
    wrong = report.model_copy(update={"split": report.split.model_copy(update={"blocks": True, "p_value": 1e-5})})
    assert "**Sample ratio: off, no other number may be believed** (p < .001)" in as_markdown(wrong)


def test_pictures(report: Report, tmp_path: Path) -> None:
    """Effect, groups and sample ratio; the same report gives the same files, one without users none."""
    files = draw(report, tmp_path / "plots")
    names = ["blend-treatment-effect.svg", "blend-treatment-groups.svg", "blend-sample-ratio.svg"]
    assert [file.name for file in files] == names
    again = draw(report, tmp_path / "again")
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]
    nothing = build_report(started(), tmp_path / "no", tmp_path / "no", until=NOW)
    assert draw(nothing, tmp_path / "nothing") == []

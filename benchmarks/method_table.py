"""What was measured of one method, for its page in docs/methods: between two markers, never by hand."""

from pathlib import Path
from typing import Any

from experiments import DEFAULT, FILES, PUBLISHED_NAMES, Experiment
from pages import header, row, write_part
from reproduction import is_temporal, newest_by_seed, spread

from models.methods import METHODS

Line = dict[str, Any]
METRICS = ("HR@5", "HR@20", "NDCG@5", "NDCG@20")
COLUMNS = ("dataset", "configuration", "seeds", *METRICS, "intents used", "effective number")


def table(method: str, lines: list[Line]) -> str:
    """A row for each dataset with the paper's and with the default configuration, where one was run."""
    rows = [
        measured
        for dataset in FILES
        for configuration in (f"papers/{method}", method)
        if (measured := measured_row(dataset, configuration, lines))
    ]
    return "\n".join([*header(COLUMNS), *rows])


def measured_row(dataset: str, configuration: str, lines: list[Line]) -> str | None:
    """None where nothing was run."""
    ours = [line for line in lines if line.get("dataset") == dataset and line.get("split") == "test"]
    ours = [line for line in ours if not is_temporal(line) and METRICS[0] in line.get("metrics", {})]
    found, is_old = newest_by_seed(Experiment(DEFAULT, configuration, configuration), ours)
    if not found:
        return None
    scores = [spread([line["metrics"][metric] for line in found]) for metric in METRICS]
    report = found[-1].get("intent_report", {})
    intents = [f"{report['used']:.0f} of {report['intents']:.0f}", f"{report['effective']:.1f}"] if report else ["", ""]
    name = f"`{configuration}`" + (", before it changed" if is_old else "")
    return row(PUBLISHED_NAMES[dataset], name, str(len(found)), *scores, *intents)


def write_pages(pages: Path, lines: list[Line]) -> None:
    """Every page of a method in the folder."""
    for path in pages.glob("*.md"):
        if path.stem in METHODS:
            write_part(path, "numbers", table(path.stem, lines))

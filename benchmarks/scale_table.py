"""What was measured at a large size, as tables between the markers of docs/scaling.md."""

from pathlib import Path
from typing import Any

from pages import header, row, write_part

Line = dict[str, Any]
PAGE = Path(__file__).parent.parent / "docs/scaling.md"
COLUMNS = (
    "engine",
    "rows read",
    "left of them",
    "users",
    "items",
    "seconds",
    "rows/s",
    "peak memory MB",
    "peak disk MB",
    "command",
)


def scaling(lines: list[Line]) -> None:
    """Render every part of the page that has results."""
    parts = {
        "prepare": prepare_table([line for line in lines if line["method"] == "prepare"]),
        "catalogue": catalogue_table([line for line in lines if line["method"] == "catalogue"]),
    }
    for name, table in parts.items():
        if table:
            write_part(PAGE, name, table)


def prepare_table(lines: list[Line]) -> str:
    """One row a size and engine, the newest line of each."""
    newest = dict(sorted({(line["engine"], line["rows"]): line for line in lines}.items())).values()
    table = header(COLUMNS)
    for line in newest:
        counts, metrics = line["counts"], line["metrics"]
        sizes = [f"{counts[name]:,}" for name in ("rows_read", "interactions", "users", "items")]
        took = [f"{metrics[name]:,.0f}" for name in ("rows/s", "peak_memory_mb", "peak_disk_mb")]
        table.append(row(line["engine"], *sizes, f"{metrics['seconds']:.1f}", *took, f"`{line['command']}`"))
    return "\n".join(table) if newest else ""


def catalogue_table(lines: list[Line]) -> str:
    """The newest run, one row a figure."""
    if not lines:
        return ""
    line = lines[-1]
    machine = line["machine"]
    table = header((f"{line['items']:,} items, {line['interactions']:,} interactions", f"`{line['command']}`"))
    table += [row(name, f"{value:,.4g}" if value < 100 else f"{value:,.0f}") for name, value in line["metrics"].items()]
    table.append(row("settings", " ".join(f"`{setting}`" for setting in line["settings"])))
    table.append(row("machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB"))
    return "\n".join(table)

"""Markdown tables, and the parts of pages that are rendered: between two markers, never by hand."""

import re
from pathlib import Path


def header(columns: tuple[str, ...]) -> list[str]:
    """The first two lines of a table."""
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]


def row(*cells: str) -> str:
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"


def write_part(page: Path, name: str, text: str) -> None:
    """Put the text between the markers of this name. Raises ValueError where the page has none."""
    begin, end = f"<!-- {name}: rendered by make render -->\n", f"<!-- {name}: end -->"
    marked = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not marked.search(page.read_text()):
        raise ValueError(f"{page.name} has no markers of {name}")
    page.write_text(marked.sub(lambda _: f"{begin}{text}\n{end}", page.read_text()))

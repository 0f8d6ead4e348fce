"""README, CONTRIBUTING and docs as the tests read them: code blocks, and the comments that speak of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
FIRST = ("docs/getting-started.md", "docs/training.md")  # later pages find what these made
_SAID = re.compile(r"<!--\s*(not run|checked as):\s*(.+?)\s*-->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced code block. `not_run`: why not; `checked_as`: the model that must take it."""

    page: str
    line: int
    language: str
    text: str
    not_run: str | None = None
    checked_as: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> dict[str, str]:
    """Every page by its name, those first that others build on."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    names = [str(file.relative_to(ROOT)) for file in files]
    return {name: (ROOT / name).read_text() for name in [*FIRST, *(name for name in names if name not in FIRST)]}


def blocks(*languages: str) -> list[Block]:
    """Those of all pages in these languages, in order."""
    return [block for name, text in pages().items() for block in _blocks(name, text) if block.language in languages]


def _blocks(name: str, text: str) -> Iterator[Block]:
    said: dict[str, str] = {}
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "html_block":
            said = dict(_SAID.findall(token.content))
        elif token.type == "fence" and token.map is not None:
            not_run, checked_as = said.get("not run"), said.get("checked as")
            yield Block(name, token.map[0] + 1, token.info.strip(), token.content, not_run, checked_as)
            said = {}
        elif token.nesting >= 0 and token.level == 0:
            said = {}


def section(page: str, heading: str) -> str:
    """What stands below a second-level heading."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(text: str) -> dict[str, str]:
    """The rows of tables that begin with a word in code: that word, and the second cell without its backticks."""
    found = re.findall(r"^\| `([^`]+)` \|([^|]*)\|", text, re.MULTILINE)
    assert len(found) == len({name for name, _ in found}), "a row stands twice"
    return {name: cell.strip().strip("`") for name, cell in found}

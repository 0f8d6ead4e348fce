"""Every relative link of README and docs leads to a file that is there, and to a heading that it has."""

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.docs.pages import ROOT, pages


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_links_are_found() -> None:
    assert "docs/house.svg" in links("README.md")
    assert "experiments.md#second-stage" not in anchors(ROOT / "docs/experiments.md")
    assert {"second-stage", "offline-auc"} <= anchors(ROOT / "docs/experiments.md")


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        found = {os.path.normpath((ROOT / page).parent / link.partition("#")[0]) for link in links(page)}
        names = {os.path.relpath(path, ROOT) for path in found if path.endswith(".md")}
        waiting += sorted(names & pages().keys() - reached)
    assert pages().keys() - reached == set()


def links(page: str) -> list[str]:
    """Where a page's links and pictures lead, but for those to other hosts."""
    found = [token.attrs.get("href", token.attrs.get("src")) for token in inline(ROOT / page)]
    return [str(target) for target in found if target and not re.match(r"[a-z]+:", str(target))]


def inline(file: Path) -> list[Token]:
    return [
        child
        for token in MarkdownIt("commonmark").enable("table").parse(file.read_text())
        for child in token.children or []
    ]


def anchors(file: Path) -> set[str]:
    """As GitHub makes them of headings."""
    tokens = MarkdownIt("commonmark").parse(file.read_text())
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}

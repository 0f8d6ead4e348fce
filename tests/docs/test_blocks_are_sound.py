"""Blocks that cannot run here are right as far as one can see without running them; and so are the others."""

import ast
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from fastapi.testclient import TestClient

from service.admin.app import create_admin_app
from service.app import create_app
from service.experiments.declarations import Declaration
from service.schemas import ErrorAnswer, EventsAnswer, RecommendationAnswer
from service.settings import Settings
from tests.docs.pages import ROOT, Block, blocks, pages
from tests.docs.shell import PROGRAMS, cannot_run, commands, misprint
from training.config import TrainingConfig

LANGUAGES = {"sh", "python", "json", "yaml", "sql", "math", ""}  # "" is text and pictures
MODELS: dict[str, Callable[[Any], Any]] = {
    "Declaration": Declaration.model_validate,
    "ErrorAnswer": ErrorAnswer.model_validate,
    "EventsAnswer": EventsAnswer.model_validate,
    "RecommendationAnswer": RecommendationAnswer.model_validate,
}


def test_pages_and_blocks_are_found() -> None:
    assert {"README.md", "docs/api.md", "docs/methods/iclrec.md"} <= set(pages())
    assert len(blocks("sh")) > 25


def test_every_block_has_a_language_that_is_checked() -> None:
    fences = {(name, info) for name, text in pages().items() for info in re.findall(r"^```(\w+)", text, re.MULTILINE)}
    assert [(name, info) for name, info in sorted(fences) if info not in LANGUAGES] == []


def test_most_blocks_of_commands_run() -> None:
    """What needs Docker, an index or hours is the smaller part."""
    skipped = [block for block in blocks("sh") if cannot_run(block)]
    assert len(skipped) < len(blocks("sh")) * 2 / 3, [str(block) for block in skipped]


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_commands_are_as_the_command_line_wants_them(block: Block) -> None:
    """Shell syntax; names, options and arguments of our own commands; targets of make."""
    checked = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    for words in commands(block.text):
        if words[0] in PROGRAMS:
            assert misprint(words) is None
        if words[0] == "make":
            assert words[1] in make_targets()


def test_a_misprint_is_noticed() -> None:
    """An option, a command and an argument that do not exist, an argument that is missing."""
    [printed] = commands("A=1 intently-train prepare log.csv --out data --itmes items.csv | cat  # comment")[:1]
    assert printed == ["intently-train", "prepare", "log.csv", "--out", "data", "--itmes", "items.csv"]
    assert "--itmes" in (misprint(printed) or "")
    assert "no command" in (misprint(["intently-serve", "experiments", "begin", "x"]) or "")
    assert "too many" in (misprint(["intently-serve", "check", "one", "two"]) or "")
    assert "misses" in (misprint(["intently-serve", "check"]) or "")


def test_every_target_of_make_that_is_mentioned_exists() -> None:
    mentioned = {name for text in pages().values() for name in re.findall(r"`make ([a-z-]+)", text)}
    assert len(mentioned) > 10
    assert mentioned <= make_targets()


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", blocks("yaml", "json"), ids=str)
def test_yaml_and_json_are_taken(block: Block, tmp_path: Path) -> None:
    content = json.loads(block.text) if block.language == "json" else yaml.safe_load(block.text)
    if block.checked_as == "TrainingConfig":
        (tmp_path / "its.yaml").write_text(block.text)
        TrainingConfig.load(str(tmp_path / "its.yaml"), dataset="shop")
    elif block.checked_as:
        MODELS[block.checked_as](content)


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_sql_parses(block: Block) -> None:
    assert duckdb.extract_statements(block.text)


@pytest.mark.parametrize("port", [8000, 8001])
def test_every_printed_call_is_documented(port: int, tiny_bundle: Path, tmp_path: Path) -> None:
    """`curl ... localhost:PORT/path` is in that port's OpenAPI document, with its method."""
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")
    with TestClient(create_app(settings) if port == 8000 else create_admin_app(settings, str(tmp_path)).app) as client:
        paths = client.get("/openapi.json").json()["paths"]
    calls = [call for block in blocks("sh") for words in commands(block.text) if (call := called(words, port))]
    assert len(calls) >= 4
    for method, path in calls:
        fitting = [its for its in paths if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(its)), path)]
        assert path == "/metrics" or any(method.lower() in paths[its] for its in fitting), (method, path)


def called(words: list[str], port: int) -> tuple[str, str] | None:
    """Method and path of a curl command to this port."""
    address = next((word for word in words if re.match(rf"(http://)?(localhost|127\.0\.0\.1):{port}/", word)), None)
    if words[0] != "curl" or address is None:
        return None
    posts = bool({"-d", "--data"} & set(words))
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if posts else "GET"
    return method, "/" + address.partition(f":{port}/")[2].partition("?")[0]

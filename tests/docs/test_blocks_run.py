"""Every block of commands and of Python does what it is printed for, or says why it is not run."""

import pytest

from tests.docs.conftest import House
from tests.docs.pages import FIRST, Block, blocks
from tests.docs.shell import cannot_run

METHOD_PAGE = "docs/adding-a-method.md"  # test_adding_a_method.py


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_commands_succeed(block: Block, request: pytest.FixtureRequest) -> None:
    """With the exit code of every command, and of HTTP every status below 400."""
    if reason := cannot_run(block):
        pytest.skip(f"{block}: {reason}")
    house: House = request.getfixturevalue("house")
    house.follow(block)


@pytest.mark.parametrize("block", [block for block in blocks("python") if block.page != METHOD_PAGE], ids=str)
def test_python_runs(block: Block, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    if block.not_run:
        pytest.skip(f"{block}: {block.not_run}")
    monkeypatch.chdir(house.folder)
    exec(compile(house.as_here(block.text), str(block), "exec"), {"__name__": "block"})


def test_a_newcomer_gets_recommendations(house: House) -> None:
    """By a history, by a user after one event, and that user's intents: all of the model."""
    [said] = [text for block, text in house.followed.items() if block.page == FIRST[0] and "/metrics" in block.text]
    assert said.count('"source":"model"') == 3
    assert '"status":"accepted"' in said
    assert "intently_requests_total" in said


@pytest.mark.parametrize("text", ["curl -s localhost:8000/v1/nothing", "intently-train prepare no.csv --out x | cat"])
def test_a_block_that_fails_is_noticed(text: str, house: House) -> None:
    """A status of 404, and the exit code of a command before a pipe."""
    with pytest.raises(AssertionError, match="ended with"):
        house.follow(Block("a page", 1, "sh", text))

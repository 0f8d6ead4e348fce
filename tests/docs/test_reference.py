"""What there is, is documented, and what is documented, there is: settings, keys, options, commands, errors, calls."""

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from models.methods import METHODS
from models.ranker import RankerOptions
from service.admin.app import create_admin_app
from service.app import create_app
from service.settings import Settings
from tests.docs.pages import ROOT, pages, rows, section
from tests.docs.shell import PROGRAMS
from training.config import TrainingConfig
from training.ranker.config import RankerConfig

PAGE = (ROOT / "docs/configuration.md").read_text()


def test_every_setting_has_a_row_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set to what its row says changes nothing; one without a default is not set at all."""
    documented = rows(section(PAGE, "Settings").partition("Others than the service")[0])
    defaults = {f"INTENTLY_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    assert documented.keys() == defaults.keys()
    assert {name for name, cell in documented.items() if not cell} == {n for n, it in defaults.items() if it is None}
    for name, cell in documented.items():
        if cell:
            monkeypatch.setenv(name, cell)
        else:
            monkeypatch.delenv(name, raising=False)
    assert Settings().model_dump() == {name: field.default for name, field in Settings.model_fields.items()}


def test_no_page_speaks_of_a_variable_that_there_is_not() -> None:
    spoken = {name for text in pages().values() for name in re.findall(r"\bINTENTLY_\w+", text)}
    assert spoken == rows(section(PAGE, "Settings")).keys()


def test_every_key_of_a_training_configuration_has_a_row_with_its_default() -> None:
    assert_defaults(section(PAGE, "Training"), keys(TrainingConfig))


def test_every_key_of_a_ranker_configuration_has_a_row_with_its_default() -> None:
    assert_defaults(section(PAGE, "Ranker"), keys(RankerConfig))


@pytest.mark.parametrize("name", [*sorted(METHODS), "ranker"])
def test_every_option_of_a_method_has_a_row_with_its_default(name: str) -> None:
    options = RankerOptions if name == "ranker" else METHODS[name].Options
    page = (ROOT / f"docs/methods/{name}.md").read_text()
    assert_defaults(section(page, "Options"), of_dataclass(options))


def test_every_method_is_in_the_overview() -> None:
    overview = (ROOT / "docs/methods/README.md").read_text()
    assert set(re.findall(r"^\| \[`(\w+)`\]\(\1\.md\)", overview, re.MULTILINE)) == set(METHODS)


def test_every_command_has_a_row() -> None:
    listed = rows(section(PAGE, "Commands"))
    assert listed.keys() == {" ".join(words) for name, command in PROGRAMS.items() for words in leaves(command, [name])}


def test_every_error_code_is_in_the_api() -> None:
    """Of the classes in service/errors.py, and those that are written where routes and bodies are refused."""
    code = "\n".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
    there = set(re.findall(r'^    code = "(\w+)"', code, re.MULTILINE)) | set(
        re.findall(r'error_body\(\s*"(\w+)"', code)
    )
    api = (ROOT / "docs/api.md").read_text()
    table = api.partition("| status | code |")[2].partition("\n\n")[0]
    of_http = {"not_found", "method_not_allowed"}  # HTTP's own words
    assert set(re.findall(r"`([a-z_]+)`", table)) == (there - {"bad_request"}) | of_http


@pytest.mark.parametrize("create", [create_app, create_admin_app])
def test_every_call_is_in_the_api(create: Any, tiny_bundle: Path, tmp_path: Path) -> None:
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")
    app = create(settings) if create is create_app else create(settings, str(tmp_path)).app
    with TestClient(app) as client:
        paths = client.get("/openapi.json").json()["paths"]
    api = (ROOT / "docs/api.md").read_text()
    assert len(paths) > 10
    assert [path for path in paths if not re.search(printed(path), api)] == []


def printed(path: str) -> str:
    """As a pattern: whole, with any name in the place of a parameter, or only its end, `/ramp`, beside another."""
    whole = re.sub(r"\\{\w+\\}", r"[\\w{}]+", re.escape(path))
    return f"{whole}|`/{re.escape(path.rpartition('/')[2])}`"


def test_rendered_pages_are_those_of_the_results(tmp_path: Path) -> None:
    """Nothing between the markers is written by hand."""
    shutil.copyfile(ROOT / "README.md", tmp_path / "README.md")
    for name in ("docs", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    subprocess.run([sys.executable, "benchmarks/render.py"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True)
    pages = [tmp_path / "README.md", *tmp_path.glob("docs/**/*.md")]
    stale = [page.name for page in pages if page.read_text() != (ROOT / page.relative_to(tmp_path)).read_text()]
    assert stale == [], "run `make render`"


def assert_defaults(text: str, defaults: dict[str, Any]) -> None:
    """The rows' second cells are YAML."""
    documented = rows(text)
    assert documented.keys() == defaults.keys()
    for name, default in defaults.items():
        found = yaml.safe_load(documented[name]) if documented[name] else None
        assert found == (pytest.approx(default, rel=1e-5) if isinstance(default, float) else default), name


def keys(model: type[BaseModel]) -> dict[str, Any]:
    """Defaults by key, `a.b` for those of nested blocks."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            found |= {f"{name}.{key}": value for key, value in keys(type(field.default)).items()}
        elif dataclasses.is_dataclass(field.default):
            found |= {f"{name}.{key}": value for key, value in of_dataclass(field.default).items()}
        else:
            found[name] = "required" if field.default is PydanticUndefined else field.default
    return found


def of_dataclass(options: Any) -> dict[str, Any]:
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}


def leaves(command: Any, words: list[str]) -> list[list[str]]:
    """The words of every command below a group."""
    if not hasattr(command, "commands"):
        return [words]
    return [leaf for name, inner in command.commands.items() for leaf in leaves(inner, [*words, name])]

"""The house keeps its rules."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "service", "training")


def test_import_contracts_hold() -> None:
    """import-linter's contracts in pyproject.toml: the service never sees torch, models are pure, and so on."""
    found = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout
    assert "Contracts: 7 kept, 0 broken" in found.stdout


def test_files_are_short_and_named_after_one_idea() -> None:
    """Under 300 lines, no `utils`, `helpers` or `common`."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 50
    assert [path for path in files if len(path.read_text().splitlines()) >= 300] == []
    assert {path.stem for path in files} & {"utils", "helpers", "common"} == set()


def test_public_names_have_docstrings() -> None:
    """Every public module, class and function of the packages says what its name cannot."""
    silent = []
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        module = ast.parse(path.read_text())
        for node in [module, *public(module), *(inner for outer in public(module) for inner in public(outer))]:
            if ast.get_docstring(node) is None:
                silent.append(f"{path.name}: {getattr(node, 'name', 'module')}")
    assert silent == []


def public(node: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """The public classes and functions directly inside a module or class."""
    if not isinstance(node, ast.Module | ast.ClassDef):
        return []
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [inner for inner in node.body if isinstance(inner, kinds) and not inner.name.startswith("_")]

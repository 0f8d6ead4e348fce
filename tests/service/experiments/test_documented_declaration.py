"""docs/experiments.md prints a declaration that is taken, and what it says of it."""

import re
from pathlib import Path

import yaml

from service.experiments.declarations import Declaration

PAGE = Path(__file__).parents[3] / "docs/experiments.md"


def test_the_printed_declaration_is_taken() -> None:
    [printed] = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL) if "layer:" in block]
    its = Declaration.model_validate(yaml.safe_load(printed))
    assert (its.name, its.settings(), its.alpha, its.attribution_seconds) == ("diversity", {"diversity"}, 0.05, 86_400)
    assert set(yaml.safe_load(printed)["targeting"]) == set(type(its.targeting).model_fields)

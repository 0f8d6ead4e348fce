"""Metrics as they are declared."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.experiments.statistics.declarations import MetricsDeclaration
from service.experiments.statistics.metrics import Metric
from tests.service.experiments.simulated import PVCTR, UVCTR

RATIO: dict[str, Any] = {"name": "pvctr", "kind": "ratio", "numerator": "clicks", "denominator": "page_views"}


def test_a_declaration_is_a_metric_and_names_its_columns() -> None:
    """Numerators of proportions are whether, not how often; the past has columns of its own."""
    delay = {"name": "delay", "kind": "mean", "numerator": "seconds", "role": "guardrail", "better": "down"}
    found = [it.metric() for it in MetricsDeclaration(metrics=[RATIO, delay | {"tolerance": 0.01}]).metrics]
    assert found == [PVCTR, Metric("delay", "mean", "seconds", None, "guardrail", "down", 0.01)]
    assert PVCTR.columns == ("clicks", "page_views")
    assert UVCTR.columns == ("any_clicks",)
    assert PVCTR.covariates == ("before_clicks", "before_page_views")


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([RATIO | {"denominator": None}], "a ratio has a denominator"),
        ([RATIO | {"kind": "mean"}], "nothing else has"),
        ([RATIO | {"role": "guardrail"}], "a guardrail has a tolerance"),
        ([RATIO | {"tolerance": 0.1}], "a goal has none"),
        ([RATIO | {"numerator": "a; drop"}], "pattern"),
        ([RATIO | {"direction": "up"}], "Extra inputs"),
        ([RATIO, RATIO], "a name of its own"),
        ([RATIO | {"role": "guardrail", "tolerance": 0.1}], "found guardrails only"),
        ([RATIO | {"role": "guardrail", "tolerance": 2}], "less than 1"),
    ],
)
def test_what_means_nothing_is_refused(metrics: list[dict[str, Any]], message: str) -> None:
    """With the reason."""
    with pytest.raises(ValidationError, match=message):
        MetricsDeclaration(metrics=metrics)

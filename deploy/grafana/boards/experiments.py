"""A running experiment: who is in it, what they did, what that says. The report (docs/experiments.md) decides."""

from boards.panels import RATE, Json, dashboard, matrix, series, stat, variable

ITS = 'experiment="$experiment"'
METRIC = f'{ITS}, metric="$metric"'
USERS = f"max by (variant) (intently_experiment_users{{{ITS}}})"
SAMPLE_RATIO = f"min(intently_experiment_sample_ratio_p_value{{{ITS}}})"
DASHED = {
    "matcher": {"id": "byRegexp", "options": "/ (low|high)$/"},
    "properties": [
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 6]}},
        {"id": "custom.fillOpacity", "value": 0},
    ],
}


def by_bound(name: str) -> dict[str, str]:
    """Estimate and ends of the interval of each variant."""
    return {
        f"{{{{variant}}}} {bound}": f'max by (variant) ({name}{{{METRIC}, bound="{bound}"}})'
        for bound in ("estimate", "low", "high")
    }


NOW = [
    stat("Users exposed", "short", "Who was exposed, testers aside.", f"sum({USERS})"),
    stat("Sample ratio", "short", "Below .001 the report must not be believed.", SAMPLE_RATIO),
    stat(
        "Lists a second",
        "reqps",
        "Shown by a variant.",
        f"sum(rate(intently_exposures_total{{{ITS}}}{RATE}))",
    ),
]

EXPOSED = [
    series(
        "Exposures",
        "reqps",
        "Lists shown a second, by variant.",
        {"{{variant}}": f"sum by (variant) (rate(intently_exposures_total{{{ITS}}}{RATE}))"},
    ),
    series("Users by variant", "short", "Who was exposed in this phase, by variant.", {"{{variant}}": USERS}),
    series(
        "Sample ratio, p",
        "short",
        "How likely these numbers of users are under the weights; below .001 something is broken.",
        {"p": SAMPLE_RATIO},
        limit=0.001,
        least=None,
        logarithmic=True,
    ),
]

OUTCOMES = [
    series(
        "Outcomes",
        "eps",
        "Clicks and conversions that count, a second.",
        {"{{variant}} {{type}}": f"max by (variant, type) (rate(intently_outcomes_total{{{ITS}}}{RATE}))"},
        width=12,
    ),
    series(
        "Clicks a list, last hour",
        "percentunit",
        "As they come in, without interval: look, but decide by the metric below.",
        {
            "{{variant}}": f'max by (variant) (rate(intently_outcomes_total{{{ITS}, type="click"}}[1h]))'
            f" / sum by (variant) (rate(intently_exposures_total{{{ITS}}}[1h]))"
        },
        width=12,
    ),
]

VALUES = [
    series(
        "$metric by variant",
        "short",
        "With intervals that hold however often one looks (dashed); from the second day on.",
        by_bound("intently_experiment_value"),
        width=12,
        least=None,
        overrides=[DASHED],
    ),
    series(
        "Uplift of $metric",
        "percentunit",
        "Relative to control, with intervals that hold however often one looks (dashed): decided once 0 is outside.",
        by_bound("intently_experiment_uplift"),
        width=12,
        limit=0,
        least=None,
        overrides=[DASHED],
    ),
    matrix(
        "$metric by variant, now",
        "short",
        "Estimate and interval.",
        f"max by (variant, bound) (intently_experiment_value{{{METRIC}}})",
        row="variant",
        column="bound",
    ),
    matrix(
        "Uplift of $metric, now",
        "percentunit",
        "Relative to control: estimate and interval.",
        f"max by (variant, bound) (intently_experiment_uplift{{{METRIC}}})",
        row="variant",
        column="bound",
    ),
]


def board() -> Json:
    """The dashboard "experiments"."""
    variables = [
        variable("experiment", "label_values(intently_exposures_total, experiment)"),
        variable("metric", f"label_values(intently_experiment_value{{{ITS}}}, metric)"),
    ]
    rows = {"Now": NOW, "Who is in it": EXPOSED, "What they did": OUTCOMES, "What it says": VALUES}
    return dashboard("experiments", rows, variables)

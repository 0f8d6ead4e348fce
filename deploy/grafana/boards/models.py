"""What is recommended: bundles, fallbacks, intents, and how the shadow compares."""

from boards.panels import RATE, Json, dashboard, series, stat

OVERLAP = f"sum(rate(intently_shadow_overlap_sum{RATE})) / sum(rate(intently_shadow_overlap_count{RATE}))"
LISTS = f"sum(rate(intently_recommendations_total{RATE}))"
ACTIVE = 'intently_stage_duration_seconds_sum{stage=~"encode|search"}'

NOW = [
    stat(
        "Bundle",
        "short",
        "The bundles in use.",
        "max by (bundle_id) (intently_bundle_info) == 1",
        width=9,
        name="{{bundle_id}}",
    ),
    stat(
        "Age",
        "s",
        "Since the active bundle was made.",
        "time() - min(intently_bundle_created_seconds > 0)",
        width=3,
        limit=3 * 86400,
    ),
    stat(
        "Intents in use",
        "short",
        "Effective number of intents of the latest answers: e to the power of their entropy.",
        "exp(max(intently_intent_entropy))",
        width=3,
    ),
    stat(
        "Fallbacks",
        "percentunit",
        "Share of the lists of the last 15 minutes that were popular items.",
        "max(instance:intently_fallback:ratio_rate15m)",
        width=3,
        limit=0.5,
    ),
    stat(
        "Short lists",
        "percentunit",
        "Share of the lists of the last 15 minutes with fewer items than asked for.",
        "max(instance:intently_underfilled:ratio_rate15m)",
        width=3,
        limit=0.05,
    ),
    stat("Unavailable", "short", "Items that must not be shown for now.", "max(intently_unavailable_items)", width=3),
]

BUNDLES = [
    series(
        "Bundles in use",
        "short",
        "Replicas that have a bundle loaded: the active one, and those on trial or in experiments.",
        {"{{bundle_id}} ({{method}})": "count by (bundle_id, method) (intently_bundle_info == 1)"},
    ),
    series(
        "Age of the bundle",
        "s",
        "Time since the active bundle was made.",
        {"{{instance}}": "time() - (intently_bundle_created_seconds > 0)"},
        limit=3 * 86400,
    ),
    series(
        "Decision followed",
        "short",
        "Version of the control state: one line lower than the others cannot read the store.",
        {"{{instance}}": "max by (instance) (intently_control_version)"},
        least=None,
    ),
]

LISTED = [
    series(
        "Lists by source",
        "reqps",
        "model: from the sequence; popular: nothing was known, the fallback.",
        {"{{source}}": f"sum by (source) (rate(intently_recommendations_total{RATE}))"},
    ),
    series(
        "Fallbacks and short lists",
        "percentunit",
        "Share of the lists that are popular items instead of the model's; share with fewer items than asked for.",
        {
            "popular": f'sum(rate(intently_recommendations_total{{source!="model"}}{RATE})) / {LISTS}',
            "short": f"sum(rate(intently_underfilled_total{RATE})) / {LISTS}",
        },
    ),
    series(
        "Unknown items",
        "cps",
        "Items of histories that the bundle lacks.",
        {"unknown items": f"sum(rate(intently_unknown_items_total{RATE}))"},
    ),
]

INTENTS = [
    series(
        "Effective number of intents",
        "short",
        "Effective number of intents of the latest answers: 1 when all share one.",
        {"{{instance}}": "exp(intently_intent_entropy)"},
        width=12,
        limit=2,
    ),
    series(
        "Intents served",
        "percentunit",
        "Share of the latest answers (a thousand of each worker) that the most frequent intent had, the second, and so on.",
        {"{{rank}}": "sum by (rank) (intently_intent_answers) / scalar(sum(intently_intent_answers))"},
        width=12,
        stacked=True,
    ),
]

SHADOW = [
    series(
        "Overlap",
        "percentunit",
        "Share of a list that the shadow shows too: the mean, and what nine lists in ten exceed.",
        {
            "mean": OVERLAP,
            "p10": f"histogram_quantile(0.1, sum by (le) (rate(intently_shadow_overlap_bucket{RATE})))",
        },
    ),
    series(
        "Time of a batch",
        "s",
        "Of the shadow, and of encoder and search of the bundles that answer, on average.",
        {
            "shadow": f"sum(rate(intently_shadow_duration_seconds_sum{RATE})) / sum(rate(intently_shadow_duration_seconds_count{RATE}))",
            "active": f'sum(rate({ACTIVE}{RATE})) / sum(rate(intently_stage_duration_seconds_count{{stage="encode"}}{RATE}))',
        },
    ),
    series(
        "Not compared",
        "reqps",
        "Requests of the sample that came while the shadow was at work: lower its share.",
        {"requests": f"sum(rate(intently_shadow_dropped_total{RATE}))"},
    ),
]

MIRROR = [
    series(
        "Copies that failed",
        "cps",
        "Bundles, or lists of them, that could not be copied from --mirror.",
        {"{{instance}}": f"sum by (instance) (rate(intently_mirror_failures_total{RATE}))"},
        width=24,
    ),
]


def board() -> Json:
    """The dashboard "models"."""
    rows = {"Now": NOW, "Bundles": BUNDLES, "Lists": LISTED, "Intents": INTENTS, "Shadow": SHADOW, "Mirror": MIRROR}
    return dashboard("models", rows)

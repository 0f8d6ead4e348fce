"""The last training: what the newest bundle's manifest says of it."""

from boards.panels import Json, curves, dashboard, listed, matrix, series, stat

ACCURACY = 'intently_training_score{metric=~"(HR|NDCG|MRR)@.+"}'

LAST = [
    stat(
        "Bundle",
        "short",
        "The newest one.",
        "max by (bundle_id) (intently_training_info)",
        width=7,
        name="{{bundle_id}}",
    ),
    stat(
        "Method",
        "short",
        "And what it learned the next item by.",
        "max by (method, next_item_loss) (intently_training_info)",
        width=5,
        name="{{method}}, {{next_item_loss}}",
    ),
    stat("Epochs", "short", "That it took.", "max(intently_training_epochs)", width=3),
    stat("Best epoch", "short", "Whose weights are in the bundle.", "max(intently_training_best_epoch)", width=3),
    stat("Time", "s", "Of all epochs.", "max(intently_training_seconds)", width=3),
    stat(
        "Peak memory", "decbytes", "Of the process, or of the GPU.", "max(intently_training_peak_memory_bytes)", width=3
    ),
]

BY_EPOCH = [
    curves("Loss", "Mean of each loss term, by epoch.", "max by (term, epoch) (intently_training_loss)", line="term"),
    curves("Validation", "By epoch.", "max by (metric, epoch) (intently_training_validation)", line="metric"),
]

FIGURES = [
    matrix(
        "Accuracy",
        "percentunit",
        "Every item of the catalogue ranked.",
        f"max by (metric, split) ({ACCURACY})",
        row="metric",
        column="split",
    ),
    listed("Intent report", "short", "How the intents came out.", "max by (measure) (intently_training_intents)"),
    series(
        "Accuracy from bundle to bundle",
        "percentunit",
        "On the test split, whenever a newer bundle came.",
        {"{{metric}}": 'max by (metric) (intently_training_score{split="test", metric=~"(HR|NDCG)@20"})'},
        width=24,
    ),
]


def board() -> Json:
    """The dashboard "training"."""
    return dashboard("training", {"Last training": LAST, "Curves": BY_EPOCH, "Figures": FIGURES})

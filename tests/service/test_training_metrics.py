"""What Prometheus sees of the last training is what the newest bundle's manifest says."""

from pathlib import Path

from service.admin.training import LastTraining
from tests.conftest import write_tiny_bundle
from tests.service.test_registry import newer

RUN = {
    "epochs": 3,
    "best_epoch": 2,
    "seconds": 7.5,
    "peak_memory_mb": 12.5,
    "losses": {"next_item": [(1, 2.0), (3, 0.5)]},
    "validation": {"NDCG@20": [(2, 0.25)]},
}


def samples(bundles: Path) -> dict[str, float]:
    """`name{label=value,...}` -> value."""
    return {
        f"{one.name}{{{','.join(f'{name}={value}' for name, value in one.labels.items())}}}": one.value
        for family in LastTraining(bundles).collect()
        for one in family.samples
    }


def test_the_newest_bundle_counts(tmp_path: Path) -> None:
    """One made before runs were kept has no curves; the next one has."""
    assert samples(tmp_path / "nowhere") == {}
    first = newer(write_tiny_bundle(tmp_path, "first", metrics={"test": {"HR@20": 0.125}}), 1)
    assert samples(tmp_path) == {
        f"intently_training_info{{bundle_id={first.name},method=sum,next_item_loss=none}}": 1,
        "intently_training_score{split=test,metric=HR@20}": 0.125,
    }
    second = newer(write_tiny_bundle(tmp_path, "second", run=RUN, intent_report={"used": 2}), 2)
    assert samples(tmp_path) == {
        f"intently_training_info{{bundle_id={second.name},method=sum,next_item_loss=none}}": 1,
        "intently_training_intents{measure=used}": 2,
        "intently_training_epochs{}": 3,
        "intently_training_best_epoch{}": 2,
        "intently_training_seconds{}": 7.5,
        "intently_training_peak_memory_bytes{}": 12_500_000,
        "intently_training_loss{term=next_item,epoch=1}": 2,
        "intently_training_loss{term=next_item,epoch=3}": 0.5,
        "intently_training_validation{metric=NDCG@20,epoch=2}": 0.25,
    }


def test_a_bundle_that_cannot_be_read_costs_no_other_metric(tmp_path: Path) -> None:
    """The scrape goes on without: its workers refuse it and say so."""
    broken = write_tiny_bundle(tmp_path)
    (broken / "manifest.json").write_text("{}")
    assert samples(tmp_path) == {}

"""How the last training went, as Prometheus reads it: what the newest bundle's manifest says."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.bundle.files import BundleError, newest_bundle, read_manifest
from service.bundle.manifest import Curve, Manifest, TrainingRun


class LastTraining(Collector):
    """Nothing without a bundle that can be read."""

    def __init__(self, bundles: Path) -> None:
        """`bundles`: a bundle, or a directory of bundles."""
        self._bundles = bundles

    def collect(self) -> Iterable[Metric]:
        """As a collector of prometheus_client."""
        try:
            newest = newest_bundle(self._bundles)
            return [] if newest is None else _of_bundle(newest.resolve())
        except (BundleError, OSError):  # the workers refuse it too, and their log says why
            return []


@lru_cache(maxsize=1)  # a bundle never changes
def _of_bundle(path: Path) -> list[Metric]:
    manifest = read_manifest(path)
    return [*_made(manifest, path.name), *([] if manifest.run is None else _went(manifest.run))]


def _made(its: Manifest, bundle_id: str) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "intently_training_info", "1 for the newest bundle.", labels=["bundle_id", "method", "next_item_loss"]
    )
    info.add_metric([bundle_id, its.method, its.next_item_loss], 1)
    yield info
    scores = GaugeMetricFamily(
        "intently_training_score", "What the newest bundle scored, by split and metric.", labels=["split", "metric"]
    )
    for split, metrics in its.metrics.items():
        for metric, value in metrics.items():
            scores.add_metric([split, metric], value)
    yield scores
    intents = GaugeMetricFamily(
        "intently_training_intents", "The intent report of the newest bundle, by measure.", labels=["measure"]
    )
    for measure, value in its.intent_report.items():
        intents.add_metric([measure], value)
    yield intents


def _went(run: TrainingRun) -> Iterator[Metric]:
    yield GaugeMetricFamily("intently_training_epochs", "Epochs of the last training.", run.epochs)
    yield GaugeMetricFamily("intently_training_best_epoch", "The epoch whose weights were kept.", run.best_epoch)
    yield GaugeMetricFamily("intently_training_seconds", "Time of the last training.", run.seconds)
    yield GaugeMetricFamily(
        "intently_training_peak_memory_bytes", "The largest memory of the last training.", run.peak_memory_mb * 1e6
    )
    loss = GaugeMetricFamily("intently_training_loss", "Loss terms by epoch, thinned.", labels=["term", "epoch"])
    yield _filled(loss, run.losses)
    validation = GaugeMetricFamily(
        "intently_training_validation", "Validation metrics by epoch, thinned.", labels=["metric", "epoch"]
    )
    yield _filled(validation, run.validation)


def _filled(family: GaugeMetricFamily, curves: Mapping[str, Curve]) -> Metric:
    for name, curve in curves.items():
        for epoch, value in curve:
            family.add_metric([name, str(epoch)], value)
    return family

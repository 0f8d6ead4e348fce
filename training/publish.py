"""A finished method becomes a bundle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.methods.base import IntentMethod
from service.bundle import contents, files
from service.bundle.contents import Item
from service.bundle.manifest import TrainingRun
from service.inference.retrieval import flat_index
from training.batches import packed_batches
from training.config import TrainingConfig
from training.evaluation import all_sequence_vectors
from training.export import export_encoder
from training.index import LARGEST_EXACT, item_index
from training.intent_report import agreement_with_truth, describe_intents, head_rates, length_r2, lift, summarise
from training.intent_twin import seed_agreement
from training.prepared import PreparedDataset
from training.sequences import Integers, Sequences, held_out, training_counts
from training.topk import topk_graph

RECALL_QUERIES = 200


@dataclass(frozen=True)
class Published:
    """Where the bundle lies and what its intents look like."""

    path: Path
    intent_report: dict[str, float]
    warnings: list[str]  # what the intent gate finds wrong
    head_rates: list[float]  # share of head sequences in each used intent (S4Rec Fig. 3)


def publish(
    method: IntentMethod,
    config: TrainingConfig,
    data: PreparedDataset,
    training: Sequences,
    metrics: Mapping[str, Mapping[str, float]],
    run: TrainingRun,
    root: Path,
    truth: list[str] | None = None,
) -> Published:
    """Refresh the intents, index, describe, judge, export, write. Raises ParityError, RecallError, RankingError,
    IntentGateError.
    """
    method = method.cpu().eval()
    torch.manual_seed(config.training.seed)  # the same intents, and so the same verdict, after --resume
    if method.refresh in ("every_epoch", "export"):
        method.refresh_intents(all_sequence_vectors(method, training, torch.device("cpu")))
    queries, assigned = _encode_training(method, training)
    asked = queries[:: max(1, len(queries) // RECALL_QUERIES)]
    index, recall = item_index(method.encoder.item_vectors().detach().numpy(), asked)
    report = _intent_report(assigned, len(method.prototypes()), config, data, training, root, truth)
    warnings = config.intent_gate.check(report)
    manifest = _manifest(method, config, data, training, metrics, report | {"index_recall@20": recall})
    path = files.write_bundle(
        root, manifest | {"run": run, "intent_warnings": warnings}, _files(method, index, assigned, training, data)
    )
    return Published(path, report, warnings, head_rates(assigned, training.lengths))


def _files(
    method: IntentMethod, index: bytes, assigned: Integers, training: Sequences, data: PreparedDataset
) -> dict[str, bytes]:
    """Every file of the bundle but its manifest."""
    prototypes = method.prototypes().detach().numpy()
    descriptions = describe_intents(assigned, len(prototypes), training, data)
    vectors = method.encoder.item_vectors().detach().numpy()
    optional = {files.TOPK: topk_graph(vectors)} if len(vectors) <= LARGEST_EXACT else {}
    return optional | {
        files.ENCODER: export_encoder(method),
        files.ITEM_INDEX: index,
        files.INTENT_INDEX: flat_index(prototypes),
        files.VOCABULARY: json.dumps(data.item_ids).encode(),
        files.ITEMS: contents.items_jsonl(_items(data)),
        files.POPULARITY: contents.popularity_npy(training_counts(training, len(data.item_ids))),
        files.INTENTS: contents.intents_json(descriptions),
    }


def _intent_report(
    assigned: Integers,
    count: int,
    config: TrainingConfig,
    data: PreparedDataset,
    training: Sequences,
    root: Path,
    truth: list[str] | None,
) -> dict[str, float]:
    """Every measure there is; the agreement with a twin or the truth only where there is one."""
    validation = held_out(data, "validation")
    report = summarise(assigned, count) | {
        "length_r2": length_r2(assigned, training.lengths),
        "lift": lift(assigned, training, validation, len(data.item_ids)),
    }
    twin = seed_agreement(root, config.model_dump(mode="json"), data.fingerprint, assigned, training)
    if twin is not None:
        report["seed_agreement"] = twin
    if truth is not None:
        report["nmi"] = agreement_with_truth(assigned, truth)
    return report


def _manifest(
    method: IntentMethod,
    config: TrainingConfig,
    data: PreparedDataset,
    training: Sequences,
    metrics: Mapping[str, Mapping[str, float]],
    report: dict[str, float],
) -> dict[str, Any]:
    prototypes = method.prototypes()
    return {
        "name": config.name or f"{config.method}-{data.name}",
        "method": config.method,
        "next_item_loss": config.next_item_loss,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "max_length": method.encoder.max_length,
        "dimensions": prototypes.shape[1],
        "query_vectors": method.query_vectors,
        "items": len(data.item_ids),
        "intents": {"count": len(prototypes), "post_hoc": method.post_hoc, "meaning": method.intents_are},
        "training_users": len(training),
        "training_interactions": len(training.rows),
        "metrics": {split: dict(its) for split, its in metrics.items()},
        "intent_report": report,
        "config": config.model_dump(mode="json"),
        "data_fingerprint": data.fingerprint,
    }


@torch.no_grad()
def _encode_training(method: IntentMethod, training: Sequences) -> tuple[np.ndarray, Integers]:
    """The first query vector (N, D) and the strongest intent (N) of every training sequence."""
    assigned = np.zeros(len(training), dtype=np.int64)
    queries: np.ndarray | None = None
    for numbers, rows, lengths in packed_batches(
        training, max_length=method.encoder.max_length, batch_size=512, device=torch.device("cpu")
    ):
        encoding = method.encode(rows, lengths)
        if queries is None:
            queries = np.zeros((len(training), encoding.query_vectors.shape[2]), dtype=np.float32)
        queries[numbers.numpy()] = encoding.query_vectors[:, 0].numpy()
        assigned[numbers.numpy()] = encoding.intent_weights.argmax(1).numpy()
    if queries is None:
        raise ValueError("there are no training sequences to describe")
    return queries, assigned


def _items(data: PreparedDataset) -> list[Item]:
    columns = zip(data.item_ids, data.titles, data.categories, data.attributes, strict=True)
    return [
        Item(item_id=i, title=title, category=category, attributes=more or {}) for i, title, category, more in columns
    ]

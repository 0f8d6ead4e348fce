"""Fixtures shared by all tests: a tiny bundle small enough to check by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.bundle import contents, files
from service.bundle.contents import IntentDescription, IntentItem, Item
from service.inference.retrieval import flat_index
from training.topk import topk_graph

TINY_ITEMS = ["a", "b", "c", "d", "e", "f"]
# Row i of the table is item row i; row 0 is padding. Two intents: items a-c point along x, d-f along y.
TINY_VECTORS = np.array([[1.0, 0.0], [0.9, 0.1], [0.8, 0.0], [0.0, 1.0], [0.1, 0.9], [0.0, 0.8]], dtype=np.float32)


def tiny_encoder() -> bytes:
    """A hand-made encoder: a history's query vector is the sum of its items' vectors."""
    table = np.vstack([np.zeros((1, 2), dtype=np.float32), TINY_VECTORS])
    constants = {
        "table": table,
        "zero": np.array([0], dtype=np.int64),
        "one": np.array([1], dtype=np.int64),
        "shape": np.array([-1, 1, 2], dtype=np.int64),
        "axis0": np.array(0, dtype=np.int64),
    }
    nodes = [
        # cumulative sums of item vectors, with a zero row in front, differenced at the ends of the histories
        helper.make_node("Gather", ["table", "rows"], ["vectors"]),
        helper.make_node("Gather", ["table", "zero"], ["front"]),
        helper.make_node("Concat", ["front", "vectors"], ["framed"], axis=0),
        helper.make_node("CumSum", ["framed", "axis0"], ["sums"]),
        helper.make_node("CumSum", ["lengths", "axis0"], ["ends"]),
        helper.make_node("Sub", ["ends", "lengths"], ["starts"]),
        helper.make_node("Gather", ["sums", "ends"], ["sums_at_end"]),
        helper.make_node("Gather", ["sums", "starts"], ["sums_at_start"]),
        helper.make_node("Sub", ["sums_at_end", "sums_at_start"], ["query"]),
        helper.make_node("Reshape", ["query", "shape"], ["query_vectors"]),
        helper.make_node("Softmax", ["query"], ["intent_weights"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, [axis])
            for name, axis in (("rows", "T"), ("lengths", "B"))
        ],
        [
            helper.make_tensor_value_info("query_vectors", TensorProto.FLOAT, ["B", 1, 2]),
            helper.make_tensor_value_info("intent_weights", TensorProto.FLOAT, ["B", 2]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def write_tiny_bundle(root: Path, name: str = "tiny", item_ids: list[str] = TINY_ITEMS, **said: Any) -> Path:
    """Six items, two intents, D = 2; popularity falls from a (60) to f (10). `said`: more of the manifest."""
    descriptions = [
        IntentDescription(intent_id=0, size=3, share=0.75, top_items=[IntentItem(item_id=item_ids[0], score=1.0)]),
        IntentDescription(intent_id=1, size=1, share=0.25, top_items=[IntentItem(item_id=item_ids[3], score=1.0)]),
    ]
    manifest = {
        "name": name,
        "method": "sum",
        "next_item_loss": "none",
        "created": "2026-01-01T00:00:00Z",
        "max_length": 4,
        "dimensions": 2,
        "query_vectors": 1,
        "items": len(item_ids),
        "intents": {"count": 2, "post_hoc": True, "meaning": "softmax of the summed item vectors"},
        "training_users": 4,
        "training_interactions": 210,
        "data_fingerprint": "hand-made",
        **said,
    }
    items = [
        Item(item_id=item_id, title=f"Title of {item_id}", category="x" if i < 3 else "y")
        for i, item_id in enumerate(item_ids)
    ]
    return files.write_bundle(
        root,
        manifest,
        {
            files.ENCODER: tiny_encoder(),
            files.ITEM_INDEX: flat_index(TINY_VECTORS),
            files.INTENT_INDEX: flat_index(np.eye(2, dtype=np.float32)),
            files.VOCABULARY: json.dumps(item_ids).encode(),
            files.ITEMS: contents.items_jsonl(items),
            files.POPULARITY: contents.popularity_npy(np.arange(60, 0, -10)),
            files.INTENTS: contents.intents_json(descriptions),
            files.TOPK: topk_graph(TINY_VECTORS),
        },
    )


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of the hand-made bundle."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles"))

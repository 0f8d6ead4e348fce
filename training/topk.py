"""Scoring and top-k as one ONNX graph over the item vectors, and the gate that it ranks as numpy does."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.inference.encoder import Floats
from service.inference.topk import INPUTS, OUTPUTS, TopK

OPSET = 18
IR_VERSION = 8
TOLERANCE = 1e-4
DEPTH, QUERIES = 20, 64


class RankingError(ValueError):
    """The graph ranks otherwise than the vectors it was made of."""


def topk_graph(item_vectors: Floats) -> bytes:
    """(V, D) -> ONNX bytes. Raises RankingError unless it ranks random queries as the vectors do.

    The score of an item is its best inner product over Q, plus its penalty (row `penalty[b]` of `penalties`), plus
    what is added at its place among B x V. Item rows come out, best first, ties by row.
    """
    model = _graph(item_vectors)
    _check(model, item_vectors)
    return model


def _graph(item_vectors: Floats) -> bytes:
    sizes: dict[str, list[str | int]] = {
        "query_vectors": ["B", "Q", "D"],
        "penalties": ["M", "V"],
        "penalty": ["B"],
        "places": ["E"],
    }
    sizes |= {"amounts": ["E"], "k": [1], "scores": ["B", "K"], "rows": ["B", "K"]}
    whole = {"penalty", "places", "k", "rows"}
    typed = {
        name: helper.make_tensor_value_info(name, TensorProto.INT64 if name in whole else TensorProto.FLOAT, size)
        for name, size in sizes.items()
    }
    constants: dict[str, np.ndarray] = {
        "items": np.ascontiguousarray(item_vectors.T, dtype=np.float32),
        "flat": np.array([-1], dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
        "queries": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["query_vectors", "items"], ["products"]),
        helper.make_node("ReduceMax", ["products", "queries"], ["best"], keepdims=0),
        helper.make_node("Gather", ["penalties", "penalty"], ["penalised"]),
        helper.make_node("Add", ["best", "penalised"], ["allowed"]),
        helper.make_node("Shape", ["allowed"], ["shape"]),
        helper.make_node("Reshape", ["allowed", "flat"], ["line"]),
        helper.make_node("ScatterElements", ["line", "places", "amounts"], ["changed"], axis=0, reduction="add"),
        helper.make_node("Reshape", ["changed", "shape"], ["final"]),
        helper.make_node("TopK", ["final", "k"], ["scores", "positions"], axis=1),
        helper.make_node("Add", ["positions", "one"], ["rows"]),
    ]
    values = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes, "topk", [typed[name] for name in INPUTS], [typed[name] for name in OUTPUTS], values
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _check(model: bytes, item_vectors: Floats) -> None:
    """Random queries, one item of each forbidden: the scores found are the largest there are, at their items."""
    generator = np.random.default_rng(0)
    queries = generator.standard_normal((QUERIES, 2, item_vectors.shape[1]), dtype=np.float32)
    hidden = generator.integers(1, len(item_vectors) + 1, QUERIES)
    exact = (queries @ item_vectors.T).max(axis=1)
    exact[np.arange(QUERIES), hidden - 1] = -np.inf
    wanted = -np.sort(-exact, axis=1)[:, :DEPTH]
    found = TopK(model, items=len(item_vectors)).best(queries, DEPTH, [{int(row)} for row in hidden])
    for number, (scores, rows) in enumerate(found):
        best = wanted[number][np.isfinite(wanted[number])]
        for values in (scores, exact[number, rows - 1]):
            if values.shape != best.shape or not np.allclose(values, best, rtol=1e-5, atol=TOLERANCE):
                raise RankingError(f"topk.onnx ranks query {number} otherwise than the item vectors do")

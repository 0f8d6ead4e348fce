"""What every rival reads: the files of a bundle as they lie, and a Redis list `list:USER` of item ids a user."""

import json
import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import onnxruntime
from pydantic import BaseModel

BUNDLE, REDIS = Path(os.environ["RIVAL_BUNDLE"]), os.environ["RIVAL_REDIS"]
MAX_LENGTH = 50


class Ask(BaseModel):
    """The part of a recommendation request that the benchmark sends."""

    user_id: str
    k: int = 20
    filters: dict[str, str] = {}


class Files:
    """The catalogue, the encoder and the index."""

    def __init__(self) -> None:
        self.item_ids: list[str] = json.loads((BUNDLE / "vocabulary.json").read_text())
        self.rows = {item_id: row for row, item_id in enumerate(self.item_ids, start=1)}
        items = [json.loads(line) for line in (BUNDLE / "items.jsonl").read_text().splitlines()]
        self.categories: list[str | None] = [item.get("category") for item in items]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.encoder = onnxruntime.InferenceSession(BUNDLE / "encoder.onnx", options, ["CPUExecutionProvider"])
        self.index = faiss.read_index(str(BUNDLE / "items.faiss"))
        faiss.omp_set_num_threads(1)

    def known(self, item_ids: list[bytes]) -> list[int]:
        """Item rows of stored ids."""
        return [self.rows[one.decode()] for one in item_ids if one.decode() in self.rows]

    def encode(self, histories: list[list[int]]) -> np.ndarray:
        """Query vectors (B, D)."""
        cut = [history[-MAX_LENGTH:] for history in histories]
        rows = np.concatenate([np.array(history, dtype=np.int64) for history in cut])
        lengths = np.array([len(history) for history in cut], dtype=np.int64)
        vectors: np.ndarray = self.encoder.run(["query_vectors"], {"rows": rows, "lengths": lengths})[0]
        return vectors[:, 0]

    def listed(self, vector: np.ndarray, history: list[int], ask: Ask) -> list[dict[str, Any]]:
        """The k best that are unseen and of the category, searched deeper until there are enough."""
        seen, wanted, depth = set(history), ask.filters.get("category"), ask.k + len(history)
        while True:
            scores, places = self.index.search(vector[None], depth)
            found = [
                {"item_id": self.item_ids[place], "score": float(score)}
                for score, place in zip(scores[0], places[0], strict=True)
                if place + 1 not in seen and (wanted is None or self.categories[place] == wanted)
            ]
            if len(found) >= ask.k or depth >= len(self.item_ids):
                return found[: ask.k]
            depth = min(8 * depth, len(self.item_ids))

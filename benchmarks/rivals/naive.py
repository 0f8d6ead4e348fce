"""FastAPI and PyTorch in eager mode: the model padded to its full length, every item scored."""

from typing import Any

import torch
from common import MAX_LENGTH, REDIS, Ask, Files
from fastapi import FastAPI
from padded_sasrec import PaddedSASRec
from redis import Redis

torch.set_num_threads(1)
app = FastAPI()
files = Files()
redis = Redis.from_url(REDIS)
of_category = {
    category: torch.tensor([other != category for other in files.categories]) for category in set(files.categories)
}
model = PaddedSASRec(len(files.item_ids), hidden=64, layers=2, heads=2, max_length=MAX_LENGTH, dropout=0.0).eval()


@app.post("/v1/recommendations")
def recommend(ask: Ask) -> dict[str, Any]:
    """One request, one forward pass."""
    history = files.known(redis.lrange(f"list:{ask.user_id}", 0, -1))
    rows = [0] * (MAX_LENGTH - len(history)) + history[-MAX_LENGTH:]
    with torch.inference_mode():
        scores = model(torch.tensor([rows]))[0, -1] @ model.items.weight[1:].T
        scores[torch.tensor(history) - 1] = -torch.inf
        if category := ask.filters.get("category"):
            scores[of_category[category]] = -torch.inf
        best = scores.topk(ask.k)
    found = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return {"items": [{"item_id": files.item_ids[place], "score": score} for score, place in found]}

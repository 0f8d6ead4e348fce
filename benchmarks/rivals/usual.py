"""FastAPI, ONNX Runtime, FAISS and Redis put together in the straightforward way."""

from typing import Any

from common import REDIS, Ask, Files
from fastapi import FastAPI
from redis.asyncio import Redis

app = FastAPI()
files = Files()
redis = Redis.from_url(REDIS)


@app.post("/v1/recommendations")
async def recommend(ask: Ask) -> dict[str, Any]:
    """One request, one encoder call, one search."""
    history = files.known(await redis.lrange(f"list:{ask.user_id}", 0, -1))
    return {"items": files.listed(files.encode([history])[0], history, ask)}

"""LitServe with batching, serving the same encoder and index."""

import sys
from typing import Any

import litserve
from common import REDIS, Ask, Files
from redis import Redis


class Recommend(litserve.LitAPI):
    """Batches of up to 32 requests, two workers."""

    def setup(self, device: str) -> None:
        """Once in each worker."""
        self.files = Files()
        self.redis = Redis.from_url(REDIS)

    def decode_request(self, request: dict[str, Any]) -> Ask:
        """JSON to a checked request."""
        return Ask.model_validate(request)

    def batch(self, inputs: list[Ask]) -> list[Ask]:
        """Nothing to stack: histories have different lengths."""
        return inputs

    def predict(self, asks: list[Ask]) -> list[dict[str, Any]]:
        """One encoder call a batch."""
        pipeline = self.redis.pipeline(transaction=False)
        for ask in asks:
            pipeline.lrange(f"list:{ask.user_id}", 0, -1)
        histories = [self.files.known(stored) for stored in pipeline.execute()]
        vectors = self.files.encode(histories)
        return [{"items": self.files.listed(*one)} for one in zip(vectors, histories, asks, strict=True)]

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A list is one answer a request already."""
        return output


if __name__ == "__main__":
    api = Recommend(max_batch_size=32, batch_timeout=0.002, api_path="/v1/recommendations")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")

"""What a variant would show at each step of a user, without anybody being exposed to it."""

from collections.abc import Sequence

from service.client import Client
from service.experiments.declarations import Variant
from service.replay.held_out import Step
from service.schemas import ErrorAnswer, RecommendationRequest

AT_ONCE = 256  # requests of a batch
LONGEST = 1000  # items of a history


class NotAnsweredError(Exception):
    """The service refused what a replay asks."""


def ranks(client: Client, past: Sequence[str], steps: Sequence[Step], variant: Variant, k: int) -> list[int | None]:
    """Where each step's item stands in the list of k (from 1; None: nowhere), by raw histories, which no report counts.

    `past`: item ids before the first step. Where a variant sets the order of its fallback, that is not followed.
    Raises ClientError, NotAnsweredError.
    """
    items = [*past, *(step.item_id for step in steps)]
    options = variant.options.model_dump(exclude_none=True, exclude={"fallback"})
    requests = [
        RecommendationRequest(history=items[: len(past) + number][-LONGEST:], k=k, **options)
        for number in range(len(steps))
    ]
    found: list[int | None] = []
    for start in range(0, len(requests), AT_ONCE):
        answers = client.recommend_batch(requests[start : start + AT_ONCE], bundle_id=variant.bundle_id)
        for step, answer in zip(steps[start : start + AT_ONCE], answers, strict=True):
            if isinstance(answer, ErrorAnswer):
                raise NotAnsweredError(f"variant {variant.name!r}: {answer.error.code}: {answer.error.message}")
            found.append(rank_of(step.item_id, [item.item_id for item in answer.items]))
    return found


def rank_of(item_id: str, shown: Sequence[str]) -> int | None:
    """From 1; None where it is not shown."""
    return shown.index(item_id) + 1 if item_id in shown else None

"""From nothing to an answer: synthesize, prepare, train, serve, ask, post an event, ask again."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from serving import running_service

from service.client import Client
from service.schemas import Event, RecommendationAnswer, RecommendationRequest

FOLDER = Path(".demo")
BIN = Path(sys.executable).parent


def main() -> None:
    """Run every step; the last two print what a caller of the API sees."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    started = time.perf_counter()
    train("synthesize", "--out", FOLDER / "raw")
    train("prepare", FOLDER / "raw/interactions.csv", "--items", FOLDER / "raw/items.csv", "--out", FOLDER / "data")
    train("run", "demo", "--data", FOLDER / "data", "--out", FOLDER / "bundles", "--work", FOLDER / "run")
    print(f"\n$ intently-serve run --bundle {FOLDER}/bundles", flush=True)
    with running_service(FOLDER / "bundles", FOLDER) as url, Client(url, timeout=10) as client:
        ask(client)
    print(f"\nall of it took {time.perf_counter() - started:.0f} s")


def ask(client: Client) -> None:
    """A new user interacts with one item, gets a list with intents, interacts again, gets another."""
    first, second = items_of_two_themes()
    print_answer("a user nobody has seen", recommend(client))
    post_event(client, first)
    before = recommend(client)
    print_answer(f"after an event with {first['title']!r}", before)
    post_event(client, second)
    after = recommend(client)
    print_answer(f"after an event with {second['title']!r}", after)
    gone = {item.item_id for item in before.items} - {item.item_id for item in after.items}
    print(f"\nthe event replaced {len(gone)} of {len(before.items)} items")


def recommend(client: Client) -> RecommendationAnswer:
    """Five items and three intents for the demo user."""
    return client.recommend(RecommendationRequest(user_id="demo", k=5, intents=3, titles=True))


def post_event(client: Client, item: dict[str, str]) -> None:
    """Report a click."""
    status = client.send([Event(user_id="demo", item_id=item["item_id"], timestamp=time.time())])[0].status
    print(f"\nPOST /v1/events {item['item_id']}: {status}")


def print_answer(when: str, answer: RecommendationAnswer) -> None:
    """The list as a person reads it."""
    print(f"\n{when} (source: {answer.source})")
    for item in answer.items:
        print(f"  {item.score:8.4f}  {item.item_id:10} {item.title or ''}")
    for intent in answer.intents:
        print(f"  intent {intent.intent_id:<3} weight {intent.weight:.3f}")


def items_of_two_themes() -> list[dict[str, str]]:
    """The most popular item, and the most popular of another category."""
    import polars as pl

    items = pl.read_parquet(FOLDER / "data/items.parquet").sort("item_row").to_dicts()
    return [items[0], next(item for item in items if item["category"] != items[0]["category"])]


def train(*words: object) -> None:
    """Run one `intently-train` command."""
    command = [BIN / "intently-train", *words]
    print(f"\n$ {shown(command)}", flush=True)
    subprocess.run([str(word) for word in command], check=True)


def shown(command: list[Any]) -> str:
    """A command as one would type it."""
    return " ".join([Path(command[0]).name, *(str(word) for word in command[1:])])


if __name__ == "__main__":
    main()

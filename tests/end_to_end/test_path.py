"""From a log to answers over HTTP: callers get the lists that were evaluated, and no accepted event is lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.bundle.files import open_bundle
from service.client import Client, ClientError, UnreachableError
from service.schemas import Event, RecommendationRequest
from tests.http_calls import free_port
from training.config import TrainingConfig
from training.interactions import prepare
from training.metrics import hit_rate, ranks
from training.pipeline import run_training
from training.prepared import load_prepared
from training.sequences import held_out
from training.synthesis import SynthesisOptions, synthesize

CONFIG = TrainingConfig.model_validate(
    {
        "method": "sasrec",
        "encoder": {"hidden": 16, "layers": 1, "dropout": 0.1},
        "options": {"num_intents": 8},
        "training": {"learning_rate": 0.01, "max_epochs": 3},
    }
)
EVENTS_BEFORE_THE_KILL = 150


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A prepared dataset and its bundle."""
    folder = tmp_path_factory.mktemp("path")
    synthesize(folder / "raw", SynthesisOptions(users=300, items=120, intents=4))
    prepare(folder / "raw/interactions.csv", folder / "data", items=folder / "raw/items.csv")
    run = run_training(CONFIG, data=folder / "data", out=folder / "bundles", work=folder / "work")
    return folder / "data", run.published.path


@pytest.fixture
def serve(trained: tuple[Path, Path]) -> Iterator[Callable[[str], tuple[Client, subprocess.Popen[bytes]]]]:
    """Start the service on a store -> a client and the process."""
    running: list[subprocess.Popen[bytes]] = []
    clients: list[Client] = []

    def start(store: str) -> tuple[Client, subprocess.Popen[bytes]]:
        ports = [free_port(), free_port()]
        command = [sys.executable, "-m", "service.cli", "run", "--bundle", str(trained[1]), "--store", store]
        command += ["--port", str(ports[0]), "--admin-port", str(ports[1])]
        running.append(subprocess.Popen(command, start_new_session=True))
        clients.append(Client(f"http://127.0.0.1:{ports[0]}", timeout=5))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                clients[-1].ready()
            except ClientError:
                time.sleep(0.1)
            else:
                return clients[-1], running[-1]
        raise AssertionError("the service was not ready after 30 s")

    yield start
    for client in clients:
        client.close()
    for process in running:
        process.terminate()
        process.wait(20)


def test_callers_get_the_lists_that_were_evaluated(
    trained: tuple[Path, Path], serve: Callable[..., Any], tmp_path: Path
) -> None:
    """The top 20 over HTTP by raw history scores exactly what training measured in torch."""
    client, _ = serve(f"sqlite:///{tmp_path}/store.sqlite3")
    data, bundle = load_prepared(trained[0]), open_bundle(trained[1])
    split = held_out(data, "test")
    lists = np.zeros((len(split.targets), 20), dtype=np.int64)
    for number in range(len(lists)):
        history = [data.item_ids[row - 1] for row in split.histories[number]]
        items = client.recommend(RecommendationRequest(history=history, k=20)).items
        rows = [bundle.vocabulary.row(item.item_id) for item in items]
        assert not set(rows) & set(split.histories[number].tolist()), "what was seen is not shown"
        lists[number, : len(rows)] = rows
    served = hit_rate(ranks(lists, split.targets), 20).mean()
    assert served == pytest.approx(bundle.manifest.metrics["test"]["HR@20"], abs=1e-4)
    assert served > 0.25


def test_no_accepted_event_is_lost_when_the_service_is_killed(serve: Callable[..., Any], tmp_path: Path) -> None:
    """kill -9 to every process of the service in the middle of ingestion; a new one knows all it accepted."""
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    client, process = serve(store)
    accepted: list[str] = []
    try:
        for number in range(2 * EVENTS_BEFORE_THE_KILL):
            event = Event(user_id="u", item_id=f"item-{number}", timestamp=1_700_000_000 + number)
            status = client.send([event])[0].status
            accepted.append(event.item_id)
            assert status == "accepted"
            if number == EVENTS_BEFORE_THE_KILL:
                os.killpg(process.pid, signal.SIGKILL)
    except UnreachableError:
        pass
    assert process.wait(10) == -signal.SIGKILL
    assert len(accepted) > EVENTS_BEFORE_THE_KILL
    client, _ = serve(store)
    stored = [one.item_id for one in client.user("u").interactions]
    assert stored[: len(accepted)] == accepted
    assert len(stored) - len(accepted) <= 1, "at most the event that was under way"

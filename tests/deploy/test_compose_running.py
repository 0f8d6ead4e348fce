"""What the compose stack does, asked over its published ports, where it is up.

    docker compose --profile train up --wait
    INTENTLY_COMPOSE_URL=http://127.0.0.1:8000 pytest tests/deploy

The admin port is asked from inside, by `docker exec`.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.http_calls import call

URL = os.environ.get("INTENTLY_COMPOSE_URL", "")
PROMETHEUS = os.environ.get("INTENTLY_PROMETHEUS_URL", "http://127.0.0.1:9090")
PROJECT = os.environ.get("COMPOSE_PROJECT_NAME", "intently")
ADMIN = """
import sys, urllib.request
method, path = sys.argv[1:]
with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8001" + path, method=method)) as answer:
    print(answer.read().decode())
"""
pytestmark = pytest.mark.skipif(not URL, reason="INTENTLY_COMPOSE_URL names no running compose stack")


def docker(*words: str, seconds: float = 60) -> str:
    """What one command of the engine says, that DOCKER_HOST names."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=seconds)
    assert done.returncode == 0, done.stderr
    return done.stdout


def containers(*service: str) -> list[str]:
    """Ids of the stack's containers, of one service if it is named; ended ones too."""
    labels = [f"project={PROJECT}", *(f"service={one}" for one in service)]
    filters = [word for label in labels for word in ("--filter", f"label=com.docker.compose.{label}")]
    return docker("ps", "--all", "--quiet", *filters).split()


def container(service: str) -> str:
    [found] = containers(service)
    return found


def admin(method: str, path: str) -> Any:
    return json.loads(docker("exec", container("service"), "python", "-c", ADMIN, method, path))


def until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for it; a refusal is one more reason to wait."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except urllib.error.HTTPError as refused:
            refused.close()
        except (OSError, AssertionError):  # the latter of `docker`
            pass
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s: {what}")


def recommended(user: str, **more: Any) -> Any:
    return call(f"{URL}/v1/recommendations", {"user_id": user, "k": 5, **more})


def send(user: str, item: str) -> str:
    event = {"user_id": user, "item_id": item, "timestamp": time.time()}
    return str(call(f"{URL}/v1/events", {"events": [event]})["results"][0]["status"])


def measured(query: str) -> float:
    """What Prometheus says now; -1 for nothing."""
    asked = urllib.parse.urlencode({"query": query})
    result = call(f"{PROMETHEUS}/api/v1/query?{asked}")["data"]["result"]
    return float(result[0]["value"][1]) if result else -1.0


def served() -> set[str]:
    """The bundles of 20 answers, so that every worker is asked."""
    return {recommended("nobody")["bundle_id"] for _ in range(20)}


@pytest.fixture
def user() -> str:
    """Nobody has seen this one."""
    return f"compose-{time.time_ns()}"


@pytest.fixture
def redis() -> Iterator[str]:
    """Its container, which runs again after the test."""
    yield (found := container("redis"))
    docker("start", found)
    until(lambda: call(f"{URL}/health/ready")["store"] == "ok", "the store answers again")


def test_an_event_posted_in_one_request_changes_the_next_answer(user: str) -> None:
    assert call(f"{URL}/health/ready")["store"] == "ok"
    before = recommended(user)
    assert before["source"] == "popular"
    assert send(user, before["items"][0]["item_id"]) == "accepted"
    after = recommended(user, intents=3)
    assert after["source"] == "model"
    assert after["items"] != before["items"]
    assert len(after["intents"]) == 3


def test_prometheus_shows_the_requests_and_evaluates_its_rules() -> None:
    recommended("nobody")
    until(lambda: measured('sum(intently_requests_total{route="/v1/recommendations"})') >= 1, "the request is counted")
    groups = call(f"{PROMETHEUS}/api/v1/rules")["data"]["groups"]
    states = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert len(states) >= 11
    assert set(states.values()) == {"ok"}


def test_no_container_has_rights_or_shows_the_password() -> None:
    """Root file systems are read-only, no user is root, and the password is in no configuration and no log."""
    read = "print(open('/secrets/redis_password').read())"
    password = docker("exec", container("service"), "python", "-c", read).strip()
    assert len(password) == 43
    found = json.loads(docker("inspect", *containers()))
    assert len(found) >= 4
    for one in found:
        assert one["HostConfig"]["ReadonlyRootfs"], one["Name"]
        assert one["HostConfig"]["CapDrop"] == ["ALL"], one["Name"]
        assert int(one["Config"]["User"].partition(":")[0]) > 0, one["Name"]
        assert password not in json.dumps(one), one["Name"]
        assert password not in docker("logs", one["Id"]), one["Name"]


def test_redis_refuses_who_has_no_password() -> None:
    said = docker("exec", container("redis"), "redis-cli", "get", "intently:control")
    assert said.startswith("NOPERM"), said


def test_a_killed_redis_degrades_answers_until_it_is_back_with_all_it_had(redis: str, user: str) -> None:
    item = recommended(user)["items"][0]["item_id"]
    assert send(user, item) == "accepted"
    known = recommended(user)
    assert (known["source"], known.get("degraded")) == ("model", None)
    docker("kill", redis)
    until(lambda: recommended(user).get("degraded") == "store_unavailable", "answers say what they lack")
    assert call(f"{URL}/health/ready")["store"] == "unavailable"
    assert call(f"{URL}/v1/recommendations", {"history": [item], "k": 5})["items"] == known["items"]
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        send(user, item)
    refused.value.close()
    until(lambda: measured("intently_store_breaker_open") >= 1, "Prometheus shows that the store is away")
    docker("start", redis)
    until(lambda: all(recommended(user)["source"] == "model" for _ in range(10)), "every worker knows the user again")
    assert recommended(user)["items"] == known["items"]
    until(lambda: send(user, known["items"][0]["item_id"]) == "accepted", "events are taken again")
    until(lambda: bool(admin("POST", "/admin/bundles/newest")), "decisions are taken again")


def test_a_new_bundle_is_taken_up_by_itself_and_another_can_be_decided_upon() -> None:
    """The training job once more: the service follows what is new, then what is decided, then what is new."""
    admin("POST", "/admin/bundles/newest")
    [old] = served()
    docker("start", "--attach", container("training"), seconds=900)
    until(lambda: len(served()) == 1 and old not in served(), "every worker serves the new bundle")
    [new] = served()
    admin("POST", f"/admin/bundles/{old}/activate")
    until(lambda: served() == {old}, "every worker serves what was activated")
    assert {bundle["bundle_id"] for bundle in admin("GET", "/admin/bundles")["bundles"]} >= {old, new}
    admin("POST", "/admin/bundles/newest")
    until(lambda: served() == {new}, "every worker serves the newest again")

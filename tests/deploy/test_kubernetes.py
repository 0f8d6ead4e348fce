"""The manifests of deploy/k8s against the schemas of Kubernetes, and against the code that they start."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from fastapi.testclient import TestClient
from typer.main import get_command

from service.app import create_app
from service.cli import app as service_commands
from service.draining import GRACE, SETTLE
from service.server import DRAIN_SECONDS
from service.settings import Settings
from tests.deploy.manifests import (
    OVERLAYS,
    ROOT,
    Object,
    containers,
    needs_kubectl,
    of_kind,
    pods,
    rendered,
    selects,
    service_container,
    the,
)
from training.cli import app as training_commands

pytestmark = [needs_kubectl, pytest.mark.parametrize("overlay", OVERLAYS)]

CUSTOM = {"ServiceMonitor": ("selector", "endpoints"), "PrometheusRule": ("groups",)}  # and what their specs need
MADE_BY_HAND = {"intently-keys", "intently-store"}  # Secrets, as docs/kubernetes.md says
OURS = {"service": service_commands, "training": training_commands}


def test_every_object_follows_its_schema(overlay: str) -> None:
    """The schemas of Kubernetes 1.37, no unknown field; those of the operator's two kinds are not among them."""
    validation = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed (pip)")
    assert len(rendered(overlay)) >= 14
    for one in rendered(overlay):
        if one["kind"] in CUSTOM:
            assert one["apiVersion"] == "monitoring.coreos.com/v1"
            assert all(one["spec"][field] for field in CUSTOM[one["kind"]])
        else:
            validation.validate(one, "1.37", strict=True)
    assert bool(of_kind(overlay, *CUSTOM)) == (overlay != "dev")


def test_every_object_is_in_the_overlays_namespace(overlay: str) -> None:
    [namespace] = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    places = {one["metadata"].get("namespace") for one in rendered(overlay) if one["kind"] != "Namespace"}
    assert places == {namespace["metadata"]["name"]}


def test_every_container_is_hardened(overlay: str) -> None:
    """More than the profile `restricted` asks: also no token, a file system that cannot be written, and limits."""
    assert len(list(containers(overlay))) == (6 if overlay == "dev" else 4)
    for pod in pods(overlay).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False, "a Service intently-x would set INTENTLY_X_..."
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001, "the user of the image"
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    for _, one in containers(overlay):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        for amount in ("cpu", "memory", "ephemeral-storage"):
            assert one["resources"]["requests"][amount], one["name"]
            assert one["resources"]["limits"][amount], one["name"]


def test_images_are_pinned_and_those_of_the_compose_file(overlay: str) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    known = {name: compose[name]["image"] for name in ("service", "training", "redis")}
    for component, one in containers(overlay):
        name, _, tag = one["image"].rpartition(":")
        assert re.search(r"\d+\.\d+", tag), one["image"]
        expected, _, version = known["redis" if component == "store" else component].rpartition(":")
        assert name.rpartition("/")[2] == expected
        assert tag.removesuffix("-gpu") == version


def test_every_command_is_one_that_the_program_takes(overlay: str) -> None:
    """Parsed by the very command line, and with INTENTLY_* variables that are settings."""
    parsed = []
    for component, one in containers(overlay):
        if component in OURS:
            name, *arguments = one["args"]
            group = get_command(OURS[component])
            assert isinstance(group, click.Group) or hasattr(group, "commands")
            parsed.append(group.commands[name].make_context(name, list(arguments)).params)  # type: ignore[attr-defined]
        for variable in (entry["name"] for entry in one.get("env", [])):
            if variable.startswith("INTENTLY_"):
                assert variable.removeprefix("INTENTLY_").lower() in Settings.model_fields
    assert len(parsed) == (5 if overlay == "dev" else 4)
    [run] = [one for one in parsed if "workers" in one]
    assert (run["host"], run["admin_host"]) == ("0.0.0.0", "0.0.0.0"), "probes and Prometheus come from outside"
    [port, admin] = (one["containerPort"] for one in service_container(overlay)["ports"])
    assert (run["port"], run["admin_port"]) == (port, admin)
    amounts = service_container(overlay)["resources"]
    assert int(amounts["limits"]["cpu"]) > run["workers"], "a core a worker, and one for the supervising process"


def test_the_device_of_the_overlay_is_asked_for_and_lent(overlay: str) -> None:
    lent = {one["name"] for _, one in containers(overlay) if "nvidia.com/gpu" in one["resources"]["limits"]}
    asked = {
        one["name"]
        for _, one in containers(overlay)
        if "cuda" in one["args"] or {"name": "INTENTLY_DEVICE", "value": "cuda"} in one.get("env", [])
    }
    assert lent == asked == ({"service", "train"} if overlay == "gpu" else set())


def test_probes_ask_what_the_service_answers(overlay: str, tiny_bundle: Path, tmp_path: Path) -> None:
    one = service_container(overlay)
    asked = {name: one[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {get["port"] for get in asked.values()} == {"http"}
    paths = {name: get["path"] for name, get in asked.items()}
    assert paths == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
    with TestClient(create_app(Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3"))) as client:
        assert {client.get(path).status_code for path in paths.values()} == {200}


def test_the_time_to_stop_is_enough(overlay: str) -> None:
    """preStop, then requests, then the event log and the admin port: each has its bound in the service."""
    spec = pods(overlay)["service"]["spec"]
    before = service_container(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
    readiness = service_container(overlay)["readinessProbe"]
    assert before >= 2 * readiness["periodSeconds"], "whoever watches readiness has seen it"
    assert SETTLE + GRACE < DRAIN_SECONDS
    assert spec["terminationGracePeriodSeconds"] >= before + DRAIN_SECONDS + DRAIN_SECONDS + 5


def test_every_selector_finds_its_pods(overlay: str) -> None:
    labels = {component: pod["metadata"]["labels"] for component, pod in pods(overlay).items()}
    for one in of_kind(overlay, "Deployment", "StatefulSet", "PodDisruptionBudget"):
        found = [component for component, its in labels.items() if selects(one["spec"]["selector"], its)]
        assert found == ["store" if one["metadata"]["name"] == "redis" else "service"]
    for one in of_kind(overlay, "Service"):
        [found] = [name for name, its in labels.items() if one["spec"]["selector"].items() <= its.items()]
        ports = {port["name"] for _, its in containers(overlay) if _ == found for port in its["ports"]}
        assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports
    for spread in pods(overlay)["service"]["spec"]["topologySpreadConstraints"]:
        assert selects(spread["labelSelector"], labels["service"])


def test_many_replicas_are_spread_and_never_all_evicted(overlay: str) -> None:
    """In dev there is one."""
    rules = pods(overlay)["service"]["spec"]["topologySpreadConstraints"]
    wanted = {rule["topologyKey"]: rule["whenUnsatisfiable"] for rule in rules}
    zones = "ScheduleAnyway" if overlay == "dev" else "DoNotSchedule"
    assert wanted == {"topology.kubernetes.io/zone": zones, "kubernetes.io/hostname": "ScheduleAnyway"}
    deployment = the(overlay, "Deployment", "intently")["spec"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    if overlay == "dev":
        assert deployment["replicas"] == 1
    else:
        assert "replicas" not in deployment, "applying the manifests must not undo what the autoscaler did"
        assert the(overlay, "HorizontalPodAutoscaler", "intently")["spec"]["minReplicas"] >= 3
        assert the(overlay, "PodDisruptionBudget", "intently")["spec"]["maxUnavailable"] == 1


def test_what_is_mounted_exists_and_is_writable_where_it_must_be(overlay: str) -> None:
    """Bundles: by the gate alone. Events: by replicas, which share them wherever there may be several."""
    made = {(one["kind"], one["metadata"]["name"]) for one in rendered(overlay)}
    writers: dict[str, set[str]] = {"bundles": set(), "events": set()}
    for component, pod in pods(overlay).items():
        volumes = {one["name"]: one for one in pod["spec"].get("volumes", [])}
        for volume in volumes.values():
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in made
            if secret := volume.get("secret"):
                assert secret["secretName"] in MADE_BY_HAND
        for name, one in (found for found in containers(overlay) if found[0] == component):
            for mount in one["volumeMounts"]:
                assert mount["name"] in volumes or name == "store"
                assert "subPath" not in mount, "it would hide every later version of a Secret"
                if mount["name"] in writers and not mount.get("readOnly"):
                    writers[mount["name"]].add(one["name"])
    assert writers == {"bundles": {"promote"}, "events": {"service"}}
    for claim in of_kind(overlay, "PersistentVolumeClaim"):
        assert claim["spec"]["accessModes"] == ["ReadWriteOnce" if overlay == "dev" else "ReadWriteMany"]


def test_secrets_are_made_by_hand_and_reach_the_service_as_files(overlay: str) -> None:
    """But for the store's URL, which holds none where a password file is given, as in prod."""
    made = {one["metadata"]["name"]: one["data"] for one in of_kind(overlay, "Secret")}
    url = base64.b64encode(b"redis://redis:6379/0").decode()
    assert made == ({"intently-store": {"url": url}} if overlay == "dev" else {}), "no password in the repository"
    one = service_container(overlay)
    folders = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
    assert one["args"][one["args"].index("--keys") + 1] == f"{folders['keys']}/keys.json"
    environment: dict[str, Any] = {entry["name"]: entry for entry in one["env"]}
    assert environment["INTENTLY_STORE"]["valueFrom"]["secretKeyRef"] == {"name": "intently-store", "key": "url"}
    if overlay != "dev":
        assert environment["INTENTLY_STORE_PASSWORD_FILE"]["value"] == f"{folders['store']}/password"


def test_the_job_trains_on_what_users_did_and_passes_through_both_gates(overlay: str) -> None:
    """Each step reads what the one before wrote; intents that collapsed and a worse bundle end the job.

    In dev nobody has done anything yet: a log is synthesized.
    """
    spec = pods(overlay)["training"]["spec"]
    steps = {one["name"]: one["args"] for one in spec["initContainers"] + spec["containers"]}
    synthesized = steps.pop("synthesize", [])
    assert synthesized == (["synthesize", "--out", "/scratch/raw"] if overlay == "dev" else [])
    assert list(steps) == ["prepare", "train", "promote"]
    assert steps["prepare"][1] == ("/scratch/raw/interactions.csv" if overlay == "dev" else "/events")
    data = steps["prepare"][steps["prepare"].index("--out") + 1]
    assert data == steps["train"][steps["train"].index("--data") + 1]
    assert data == steps["promote"][steps["promote"].index("--data") + 1]
    assert steps["train"][steps["train"].index("--set") + 1] == "intent_gate.action=refuse"
    assert steps["train"][steps["train"].index("--out") + 1] == steps["promote"][1]
    run = service_container(overlay)["args"]
    assert steps["promote"][steps["promote"].index("--into") + 1] == run[run.index("--bundle") + 1]
    job: Object = the(overlay, "CronJob", "intently-training")["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    [rule] = job["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [2]), "what refused is not tried again"


def test_what_is_built_is_what_its_sources_say(overlay: str) -> None:
    """`python deploy/k8s/build.py` has been run, and no rule is lost on the way through kustomize."""
    program = "import json, build; print(json.dumps({str(path): its for path, its in build.built().items()}))"
    folder = ROOT / "deploy/k8s"
    built = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, check=True, text=True)
    files: dict[str, Object] = json.loads(built.stdout)
    assert len(files) == 2
    for path, expected in files.items():
        assert yaml.safe_load(Path(path).read_text()) == expected
    if overlay != "dev":
        [rules] = [expected["spec"] for expected in files.values() if expected["kind"] == "PrometheusRule"]
        assert the(overlay, "PrometheusRule", "intently")["spec"] == rules

"""What lies around the pods of deploy/k8s: who may talk to whom, what Prometheus sees, what the autoscaler reads."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import (
    OVERLAYS,
    ROOT,
    needs_kubectl,
    of_kind,
    pods,
    rendered,
    selects,
    service_container,
    the,
)

pytestmark = needs_kubectl
PROMETHEUS = ("namespace kubernetes.io/metadata.name=monitoring", "pod app.kubernetes.io/name=prometheus")
DNS = ("namespace kubernetes.io/metadata.name=kube-system", "pod k8s-app=kube-dns")
CLIENT = ("namespace intently-client=true",)
ADAPTER = ROOT / "deploy/k8s/prometheus-adapter.yaml"


def peer_in_words(peer: dict[str, Any]) -> tuple[str, ...]:
    """A pod of the same namespace by its component."""
    if "ipBlock" in peer:
        return ("addresses",)
    words = []
    for kind in ("namespace", "pod"):
        labels = peer.get(f"{kind}Selector", {}).get("matchLabels", {})
        if component := labels.get("app.kubernetes.io/component"):
            words.append(component)
        else:
            words += [f"{kind} {name}={value}" for name, value in labels.items()]
    assert words, f"{peer} is everybody"
    return tuple(words)


def allowed(overlay: str) -> set[tuple[str, str, tuple[str, ...], str]]:
    """(component, direction, peer, port): the union of all policies, for pods that one of them closes."""
    found = set()
    for component, pod in pods(overlay).items():
        mine = [
            one["spec"]
            for one in of_kind(overlay, "NetworkPolicy")
            if selects(one["spec"]["podSelector"], pod["metadata"]["labels"])
        ]
        closed = {direction for policy in mine for direction in policy["policyTypes"]}
        assert closed == {"Ingress", "Egress"}, f"{component} is open"
        for policy in mine:
            for direction, key in (("ingress", "from"), ("egress", "to")):
                for rule in policy.get(direction, []):
                    for peer in rule[key]:
                        for port in rule["ports"]:
                            place = f"{port['protocol']} {port['port']}"
                            found.add((component, direction, peer_in_words(peer), place))
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_exactly_this_is_allowed(overlay: str) -> None:
    """Clients the public port, Prometheus the admin port, the service names and its store; training nothing."""
    common = {
        ("service", "ingress", CLIENT, "TCP http"),
        ("service", "ingress", PROMETHEUS, "TCP admin"),
        ("service", "egress", DNS, "UDP 53"),
        ("service", "egress", DNS, "TCP 53"),
    }
    inside = {
        ("service", "egress", ("store",), "TCP redis"),
        ("store", "ingress", ("service",), "TCP redis"),
    }
    outside = {("service", "egress", ("addresses",), "TCP 6379")}
    assert allowed(overlay) == common | (inside if overlay == "dev" else outside)


@pytest.mark.parametrize("overlay", ["prod", "gpu"])
def test_prometheus_finds_the_admin_port_of_every_replica(overlay: str) -> None:
    """By a Service that lists replicas which are not ready too, under the job that the alerts name."""
    monitor = the(overlay, "ServiceMonitor", "intently")["spec"]
    [endpoint] = monitor["endpoints"]
    [chosen] = [one for one in of_kind(overlay, "Service") if selects(monitor["selector"], one["metadata"]["labels"])]
    assert chosen["spec"]["publishNotReadyAddresses"] is True
    assert [port["name"] for port in chosen["spec"]["ports"]] == [endpoint["port"]]
    assert endpoint["path"] == "/metrics"
    job = chosen["metadata"]["labels"][monitor["jobLabel"]]
    jobs = re.findall(r'job="(\w+)"', json.dumps(the(overlay, "PrometheusRule", "intently")).replace('\\"', '"'))
    assert set(jobs) == {job}


def test_every_dashboard_goes_to_grafana() -> None:
    """As it is, with the label that the sidecar looks for."""
    given = the("prod", "ConfigMap", "intently-dashboards")
    assert given["metadata"]["labels"]["grafana_dashboard"] == "1"
    files = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
    assert files
    assert given["data"] == {file.name: file.read_text() for file in files}


@pytest.mark.parametrize("overlay", ["prod", "gpu"])
def test_the_autoscaler_reads_what_the_adapter_gives(overlay: str) -> None:
    scaler = the(overlay, "HorizontalPodAutoscaler", "intently")["spec"]
    assert scaler["scaleTargetRef"]["name"] == the(overlay, "Deployment", "intently")["metadata"]["name"]
    [wanted] = [one["pods"]["metric"]["name"] for one in scaler["metrics"] if one["type"] == "Pods"]
    [rule] = yaml.safe_load(ADAPTER.read_text())["rules"]["custom"]
    assert rule["name"]["as"] == wanted
    assert yaml.safe_load(ADAPTER.read_text())["prometheus"]["url"].startswith("http://")
    assert "9090}  # YOURS" in ADAPTER.read_text()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (apt install prometheus)")
def test_the_adapters_query_is_the_requests_in_flight(tmp_path: Path) -> None:
    """8 seconds of answering within a second, on two routes, are 8 requests in flight; health checks do not count."""
    [rule] = yaml.safe_load(ADAPTER.read_text())["rules"]["custom"]
    series, _, filters = rule["seriesQuery"].partition("{")
    assert filters == 'namespace!="",pod!=""}'
    query = rule["metricsQuery"].replace("<<.Series>>", series).replace("<<.GroupBy>>", "pod")
    query = query.replace("<<.LabelMatchers>>", 'namespace="intently",pod=~"one|two"')
    assert "<<" not in query
    name = rule["name"]["as"]
    (tmp_path / "rules.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "g", "rules": [{"record": name, "expr": query}]}]})
    )
    rates = {("one", "/v1/recommendations"): 6, ("one", "/v1/events"): 2, ("one", "/health/ready"): 5}
    rates |= {("two", "/v1/recommendations"): 1}
    played = [
        {"series": f'{series}{{namespace="intently",pod="{pod}",route="{route}"}}', "values": f"0+{15 * rate}x20"}
        for (pod, route), rate in rates.items()
    ]
    expected = [{"labels": f'{name}{{pod="{pod}"}}', "value": value} for pod, value in (("one", 8), ("two", 1))]
    check = {"expr": name, "eval_time": "4m", "exp_samples": expected}
    case = {"interval": "15s", "input_series": played, "promql_expr_test": [check]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [case]}))
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_the_page_says_to_type_exists(overlay: str) -> None:
    """docs/kubernetes.md: the overlays, the Secrets with their keys, the names of what is looked at."""
    page = (ROOT / "docs/kubernetes.md").read_text()
    assert f"deploy/k8s/overlays/{overlay}" in page
    names = {(one["kind"].lower(), one["metadata"]["name"]) for one in rendered(overlay)}
    for kind, name in re.findall(r"\b(deployment|cronjob|service|statefulset)/([\w-]+)", page):
        assert (kind, name) in names or (kind, name) == ("statefulset", "redis"), (kind, name)
    secrets = set(re.findall(r"create secret generic ([\w-]+)", page))
    assert secrets == {"intently-keys", "intently-store"}


def test_with_a_registry_of_ones_own_the_gpu_overlay_still_has_its_images(tmp_path: Path) -> None:
    """It is named in prod alone."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    prod = tmp_path / "deploy/k8s/overlays/prod/kustomization.yaml"
    prod.write_text(prod.read_text().replace("registry.example.com", "registry.acme.example"))
    command = ["kubectl", "kustomize", tmp_path / "deploy/k8s/overlays/gpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    images = set(re.findall(r"image: (\S+)", done.stdout))
    assert images == {f"registry.acme.example/intently-{name}:0.1.0-gpu" for name in ("service", "training")}


def test_dev_has_room_for_more_than_the_event_logs_buffer() -> None:
    """Redis is not full before the buffer is: half of it is left for users and decisions."""
    [redis] = pods("dev")["store"]["spec"]["containers"]
    limit = redis["args"][redis["args"].index("--maxmemory") + 1]
    environment = {one["name"]: one.get("value") for one in service_container("dev")["env"]}
    assert int(limit.removesuffix("mb")) == 2 * int(environment["INTENTLY_EVENTS_BUFFER_MB"] or 0)


def test_a_first_bundle_comes_in_by_a_pod_as_hardened_as_the_others() -> None:
    """Onto the volume that the training job writes, as its user; no policy lets it talk to anybody."""
    pod = yaml.safe_load((ROOT / "deploy/k8s/first-bundle.yaml").read_text())
    if shutil.which("kubectl") is not None:
        pytest.importorskip("kubernetes_validate").validate(pod, "1.37", strict=True)
    training = pods("prod")["training"]["spec"]
    [ours], [promote] = pod["spec"]["containers"], training["containers"]
    assert pod["spec"]["securityContext"] == training["securityContext"]
    assert (ours["image"], ours["securityContext"]) == (promote["image"], promote["securityContext"])
    [volume] = pod["spec"]["volumes"]
    assert volume in training["volumes"]
    assert ours["volumeMounts"] == [mount for mount in promote["volumeMounts"] if mount["name"] == volume["name"]]

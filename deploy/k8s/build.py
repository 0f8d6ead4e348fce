"""Write what Kustomize cannot make of deploy/prometheus and deploy/grafana by itself. Run it after editing those:

python deploy/k8s/build.py
"""

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parent.parent
PROMETHEUS, GRAFANA = DEPLOY / "prometheus", DEPLOY / "grafana"
HEAD = "# Written by deploy/k8s/build.py; do not edit.\n"


def built() -> dict[Path, dict[str, Any]]:
    """Each file and its content."""
    return {
        DEPLOY / "k8s/monitoring/rules.yaml": prometheus_rule(),
        GRAFANA / "kustomization.yaml": dashboards(),
    }


def prometheus_rule() -> dict[str, Any]:
    """Every group of every file that prometheus.yml names, as the operator wants them."""
    names = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["rule_files"]
    files = [file for name in names for file in sorted(PROMETHEUS.glob(name))]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "intently", "labels": {"release": "kube-prometheus-stack"}},
        "spec": {"groups": [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]},
    }


def dashboards() -> dict[str, Any]:
    """A ConfigMap that Grafana's sidecar takes up, by its label."""
    files = [str(file.relative_to(GRAFANA)) for file in sorted(GRAFANA.glob("dashboards/*.json"))]
    options = {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "configMapGenerator": [{"name": "intently-dashboards", "files": files, "options": options}],
    }


def main() -> None:
    """Write the files."""
    for path, content in built().items():
        path.write_text(HEAD + yaml.safe_dump(content, sort_keys=False, width=10_000, allow_unicode=True))


if __name__ == "__main__":
    main()

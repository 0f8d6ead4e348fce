"""Write monitoring/rules.yaml: the rules that Prometheus loads, as the operator wants them. Run it after editing those:

python deploy/k8s/rules.py
"""

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
PROMETHEUS = HERE.parent / "prometheus"
HEAD = "# Written by deploy/k8s/rules.py from deploy/prometheus; do not edit.\n"


def prometheus_rule() -> dict[str, Any]:
    """Every group of every file that prometheus.yml names."""
    names = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["rule_files"]
    files = [file for name in names for file in sorted(PROMETHEUS.glob(name))]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "intently", "labels": {"release": "kube-prometheus-stack"}},
        "spec": {"groups": [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]},
    }


def main() -> None:
    """Write the file."""
    content = yaml.safe_dump(prometheus_rule(), sort_keys=False, width=10_000, allow_unicode=True)
    (HERE / "monitoring/rules.yaml").write_text(HEAD + content)


if __name__ == "__main__":
    main()

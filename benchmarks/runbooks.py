"""Every runbook of docs/runbooks.md, carried out while users are served: seconds it takes, what fails, what is lost.

    python benchmarks/runbooks.py
    python benchmarks/runbooks.py --only "an API key,a user"

The crowd and its counts are those of chaos.py. *Harmed* is here the time from the first command to the last. The
commands are those of the page where it has any for one machine; what Kubernetes does there (new processes, where
connections go, SIGTERM after preStop) is done by hand. Needs redis-server and redis-cli.
"""

import runbook_cluster
import runbook_service
import runbook_store
from cases import Case, parsed, try_all
from serving_speed import HERE

CASES: dict[str, Case] = {
    "a bundle activated and rolled back": runbook_service.bundles,
    "the service replaced by another version": runbook_service.replaced,
    "an API key rotated": runbook_service.key_rotated,
    "the password of Redis rotated": runbook_store.password_rotated,
    "a user erased": runbook_store.erased,
    "backup, Redis lost, restored": runbook_store.restored,
    "moved to a Redis Cluster": runbook_cluster.moved,
    "a Redis Cluster grown by a primary": runbook_cluster.grown,
    "a primary of a Redis Cluster lost": runbook_cluster.primary_lost,
}


if __name__ == "__main__":
    try_all(CASES, parsed(__doc__, HERE / "results/serving-runbooks.jsonl"), mark="runbook")

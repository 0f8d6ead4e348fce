#!/bin/sh
# The training container's job: a log becomes a bundle in /bundles. INTENTLY_LOG names it: /events, the service's event
# log, or one of yours that is mounted; without it one is synthesized. Change the job at will.
set -eu
if [ -n "${INTENTLY_LOG:-}" ]; then
    intently-train prepare "$INTENTLY_LOG" --out /data/prepared --overwrite
else
    intently-train synthesize --out /data/raw
    intently-train prepare /data/raw/interactions.csv --items /data/raw/items.csv --out /data/prepared --overwrite
fi
exec intently-train run demo --data /data/prepared --out /bundles --work /runs/demo

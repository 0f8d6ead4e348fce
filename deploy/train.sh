#!/bin/sh
# The training container's demo job: a synthesized log becomes a bundle in /bundles. Mount a log and change it at will.
set -eu
intently-train synthesize --out /data/raw
intently-train prepare /data/raw/interactions.csv --items /data/raw/items.csv --out /data/prepared --overwrite
exec intently-train run demo --data /data/prepared --out /bundles --work /runs/demo

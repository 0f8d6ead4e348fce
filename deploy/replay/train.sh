#!/bin/sh
# The replay's first part: a synthesized log, two methods trained on the first 60 % of every sequence, and the experiment
# that compares them. What was done before is not done again.
set -eu
cd /replay
[ -e experiment.yaml ] && exit 0
intently-train synthesize --out raw
intently-train prepare raw/interactions.csv --items raw/items.csv --holdout rest --first 0.6 --out replayed --overwrite
for method in sasrec elcrec; do
    ls -d /bundles/$method-replayed-* >/dev/null 2>&1 ||
        intently-train run $method --data replayed --out /bundles --work run-$method --resume
done
cat >experiment.yaml.new <<END
name: replay
layer: bundles
variants:
  - {name: sasrec, weight: 5000, bundle_id: $(basename /bundles/sasrec-replayed-*)}
  - {name: elcrec, weight: 5000, bundle_id: $(basename /bundles/elcrec-replayed-*)}
days: 5
metrics:
  - {name: pvctr, kind: ratio, numerator: clicks, denominator: page_views}
  - {name: cvr, kind: ratio, numerator: conversions, denominator: clicks}
  - {name: vv, kind: mean, numerator: page_views, role: guardrail, tolerance: 0.1}
END
mv experiment.yaml.new experiment.yaml

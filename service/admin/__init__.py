"""The second port, for operators: metrics of all workers, bundles, availability of items."""

"""One loss a file; each names its paper and equation."""

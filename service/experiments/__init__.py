"""Online experiments: which variant is better, and whether that may be believed."""

"""One dashboard a file: `board()` is what Grafana reads."""

"""THE inference path: histories in, scored items and intents out. The service answers and training evaluates here."""

import os

# ONNX Runtime reports usage by default since 1.29; this must be set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

"""How ONNX models of a bundle are opened."""

from collections.abc import Sequence

import onnxruntime

# How an ONNX tensor points at a file outside the model: its `external_data` entry with the key "location".
_EXTERNAL_DATA = b"\x0a\x08location\x12"


def open_session(model: bytes, *, threads: int, providers: Sequence[str] = ()) -> onnxruntime.InferenceSession:
    """A session with `threads` threads, said explicitly because the runtime's own guess oversubscribes containers.

    Raises ValueError for a model with data outside its file, RuntimeError if the first wanted provider is absent.
    """
    if _EXTERNAL_DATA in model:
        raise ValueError("the ONNX model keeps data outside its file: a bundle's models are single files")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    wanted = list(providers) or ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model, options, providers=wanted)
    if wanted[0] not in session.get_providers():
        raise RuntimeError(f"ONNX Runtime has no {wanted[0]}: install the extra `gpu` or choose the CPU")
    return session

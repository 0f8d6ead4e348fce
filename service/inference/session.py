"""How ONNX models of a bundle are opened."""

import onnxruntime

from service.inference.device import Device

# How an ONNX tensor points at a file outside the model: its `external_data` entry with the key "location".
_EXTERNAL_DATA = b"\x0a\x08location\x12"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def open_session(model: bytes, *, threads: int, device: Device = "cpu") -> onnxruntime.InferenceSession:
    """A session with `threads` threads, said explicitly because the runtime's own guess oversubscribes containers.

    `auto` is CUDA where the extra `gpu` is installed and finds a device. Raises ValueError for a model with data
    outside its file, or where `cuda` is wanted and cannot be had: ONNX Runtime itself would fall back in silence.
    """
    if _EXTERNAL_DATA in model:
        raise ValueError("the ONNX model keeps data outside its file: a bundle's models are single files")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    usable = device != "cpu" and CUDA in onnxruntime.get_available_providers()
    session = onnxruntime.InferenceSession(model, options, providers=[CUDA, CPU] if usable else [CPU])
    session._model_bytes = None  # a second copy of every vector, kept to open the model again with other providers
    if device == "cuda" and CUDA not in session.get_providers():
        raise ValueError("ONNX Runtime finds no CUDA device: install the extra `gpu` and its driver, or choose the CPU")
    return session

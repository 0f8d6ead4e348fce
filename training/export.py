"""The encoder as one ONNX file, and the gate that it says what torch says."""

import io
import warnings

import numpy as np
import torch
from torch import Tensor, nn

from models.methods.base import IntentMethod
from service.bundle.inputs import pack
from service.inference.encoder import Encoder

OPSET = 17
TOLERANCE = 1e-4
PARITY_BATCHES = (1, 2, 7)


class ParityError(ValueError):
    """The exported encoder disagrees with the method it was exported from."""


class _Exported(nn.Module):
    """`encode` as a module with tensors in and tensors out."""

    def __init__(self, method: IntentMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        encoding = self.method.encode(rows, lengths)
        return encoding.query_vectors, encoding.intent_weights


def export_encoder(method: IntentMethod) -> bytes:
    """ONNX bytes of `method.encode`, T and B free. Raises ParityError unless it agrees with torch to 1e-4.

    The TorchScript exporter is used on purpose: its graph takes ragged input, the dynamo exporter refuses the
    data-dependent width, and it runs faster.
    """
    method = method.cpu().eval()
    rows, lengths = pack([[1, 2, 1], [], [2]])
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation of the exporter, and its remarks on constant folding
        torch.onnx.export(
            _Exported(method).eval(),
            (torch.from_numpy(rows), torch.from_numpy(lengths)),
            buffer,  # type: ignore[arg-type]  # the TorchScript exporter writes to a file object
            input_names=["rows", "lengths"],
            output_names=["query_vectors", "intent_weights"],
            dynamic_axes={
                "rows": {0: "T"},
                "lengths": {0: "B"},
                "query_vectors": {0: "B"},
                "intent_weights": {0: "B"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
    model = buffer.getvalue()
    check_parity(method, model)
    return model


@torch.no_grad()
def check_parity(method: IntentMethod, model: bytes) -> None:
    """Compare torch and ONNX Runtime over batch sizes, lengths and empty histories. Raises ParityError."""
    encoder = Encoder(model, max_length=method.encoder.max_length)
    generator = np.random.default_rng(0)
    longest = method.encoder.max_length
    for batch in PARITY_BATCHES:
        for length in sorted({0, 1, 2, longest // 2, longest, longest + 3}):
            sizes = [length, *generator.integers(0, longest + 1, batch - 1).tolist()]
            histories = [generator.integers(1, method.encoder.items + 1, size) for size in sizes]
            cut = pack([history[-longest:] for history in histories])
            wanted = method.encode(torch.from_numpy(cut[0]), torch.from_numpy(cut[1]))
            for name, found, expected in zip(wanted._fields, encoder.encode(histories), wanted, strict=True):
                difference = float(np.abs(found - expected.numpy()).max(initial=0.0))
                if not difference <= TOLERANCE:
                    raise ParityError(f"{name} differs by {difference:.2e} > {TOLERANCE} at lengths {sizes}")

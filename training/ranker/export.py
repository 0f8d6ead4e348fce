"""The ranker as one ONNX file, and the gate that it says what torch says."""

import io
import warnings

import numpy as np
import torch
from torch import Tensor, nn

from models.ranker import Ranker
from service.inference.ranker import FACTS, INPUTS, OUTPUTS
from service.inference.session import open_session
from training.export import OPSET, PARITY_BATCHES, TOLERANCE, ParityError

CANDIDATES = (1, 3, 100)  # of each user, in the gate


class _Exported(nn.Module):
    """Chances in place of logits."""

    def __init__(self, ranker: Ranker) -> None:
        super().__init__()
        self.ranker = ranker

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        click, conversion = self.ranker(*inputs)
        return click.sigmoid(), click.sigmoid() * conversion.sigmoid()


def export_ranker(ranker: Ranker, widths: tuple[int, int, int]) -> bytes:
    """ONNX bytes, users and candidates free. Raises ParityError unless they agree with torch to 1e-4.

    `widths`: of context, intent weights and item vectors.
    """
    ranker = ranker.cpu().eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation of the exporter
        torch.onnx.export(
            _Exported(ranker).eval(),
            _asked(np.random.default_rng(0), 2, (2, 1), widths),
            buffer,  # type: ignore[arg-type]  # the TorchScript exporter writes to a file object
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "B" if name in INPUTS[:2] else "N"} for name in (*INPUTS, *OUTPUTS)},
            opset_version=OPSET,
            dynamo=False,
        )
    model = buffer.getvalue()
    check_parity(ranker, model, widths)
    return model


@torch.no_grad()
def check_parity(ranker: Ranker, model: bytes, widths: tuple[int, int, int]) -> None:
    """Compare torch and ONNX Runtime over numbers of users and of candidates. Raises ParityError."""
    exported, session = _Exported(ranker).eval(), open_session(model, threads=1)
    generator = np.random.default_rng(0)
    for batch in PARITY_BATCHES:
        for count in CANDIDATES:
            asked = _asked(generator, batch, tuple(generator.integers(1, count + 1, batch).tolist()), widths)
            found = session.run(OUTPUTS, {name: one.numpy() for name, one in zip(INPUTS, asked, strict=True)})
            for name, ours, theirs in zip(OUTPUTS, found, exported(*asked), strict=True):
                difference = float(np.abs(ours - theirs.numpy()).max())
                if not difference <= TOLERANCE:
                    raise ParityError(f"{name} differs by {difference:.2e} > {TOLERANCE} for {batch} users")


def _asked(
    generator: np.random.Generator, batch: int, counts: tuple[int, ...], widths: tuple[int, int, int]
) -> tuple[Tensor, ...]:
    """Random inputs; the last of several users has no known history."""
    context, intents, dimensions = widths
    weights = generator.dirichlet(np.ones(intents), batch)
    if batch > 1:
        weights[-1] = 0
    owners = np.repeat(np.arange(batch), counts)
    floats = (generator.normal(size=(len(owners), dimensions)), generator.normal(size=(len(owners), FACTS)))
    first = (generator.normal(size=(batch, context)), weights)
    return (
        *(torch.from_numpy(one.astype(np.float32)) for one in first),
        torch.from_numpy(owners),
        *(torch.from_numpy(one.astype(np.float32)) for one in floats),
    )

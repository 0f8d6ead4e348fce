"""Where a model runs is said, never guessed in silence."""

from pathlib import Path

import onnxruntime
import pytest

from service.bundle.files import open_bundle
from service.inference.session import CPU, CUDA, open_session


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="ONNX Runtime is built for CUDA here")
def test_cuda_is_refused_where_it_cannot_be_had(tiny_bundle: Path) -> None:
    """And `auto` takes the processor there."""
    model = open_bundle(tiny_bundle).encoder
    with pytest.raises(ValueError, match="no CUDA device: install the extra `gpu`"):
        open_session(model, threads=1, device="cuda")
    assert open_session(model, threads=1, device="auto").get_providers() == [CPU]

"""Where ONNX models of a bundle run."""

from typing import Literal

Device = Literal["auto", "cpu", "cuda"]

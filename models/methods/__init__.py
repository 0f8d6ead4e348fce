"""The methods, one a file. Importing this package registers them all in METHODS."""

from models.methods import iclrec, sasrec
from models.methods.base import METHODS, Batch, Encoding, IntentMethod, build

__all__ = ["METHODS", "Batch", "Encoding", "IntentMethod", "build", "iclrec", "sasrec"]

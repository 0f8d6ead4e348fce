"""The methods, one a file. Importing this package registers them all in METHODS."""

from models.methods import cl4srec, dssrec, elcrec, iclrec, s4rec, sasrec
from models.methods.base import METHODS, Batch, Encoding, Histories, IntentMethod, Objective, build

__all__ = [
    "METHODS",
    "Batch",
    "Encoding",
    "Histories",
    "IntentMethod",
    "Objective",
    "build",
    "cl4srec",
    "dssrec",
    "elcrec",
    "iclrec",
    "s4rec",
    "sasrec",
]

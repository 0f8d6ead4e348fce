"""sequences.parquet: one row a user, from users and interactions that come in order, a part at a time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

USERS_AT_ONCE = 65_536
INTERACTIONS_AT_ONCE = 1_000_000


def write_sequences(
    path: Path, users: Iterator[pa.RecordBatch], interactions: Iterator[pa.RecordBatch], *, with_cut: bool
) -> None:
    """Users (user_id, length, before_cut) and, user after user, their interactions (item_row, microseconds).

    `timestamps` are NULL where the log has none.
    """
    lists = pa.list_(pa.int64())
    fields = [("user_id", pa.string()), ("item_rows", lists), ("timestamps", lists)]
    schema = pa.schema(fields + ([("before_cut", pa.int64())] if with_cut else []))
    tape = _Tape(interactions)
    with parquet.ParquetWriter(path, schema) as writer:
        for batch in users:
            lengths = batch["length"].to_numpy()
            found = tape.take(int(lengths.sum()))
            offsets = pa.array(np.concatenate([[0], lengths.cumsum()]), pa.int32())
            columns = [batch["user_id"], _lists(offsets, found["item_row"]), _lists(offsets, found["microseconds"])]
            columns += [batch["before_cut"]] if with_cut else []
            writer.write_table(
                pa.table([column.cast(kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)
            )


def _lists(offsets: pa.Array, values: pa.ChunkedArray) -> pa.Array:
    """One list a user; NULL ones for values that are all NULL."""
    if values.null_count:
        return pa.nulls(len(offsets) - 1, pa.list_(pa.int64()))
    return pa.ListArray.from_arrays(offsets, values.combine_chunks())


class _Tape:
    """Batches of any size, taken in other sizes."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: list[pa.RecordBatch] = []

    def take(self, rows: int) -> pa.Table:
        """The next so many rows."""
        taken, missing = [], rows
        while missing:
            batch = self._rest.pop() if self._rest else next(self._batches)
            taken.append(batch[:missing])
            if len(batch) > missing:
                self._rest.append(batch[missing:])
            missing -= len(taken[-1])
        return pa.Table.from_batches(taken)

"""Where the relations of a log are computed: DuckDB in this process, or Spark."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, Protocol

import duckdb
import ibis
import pyarrow as pa
from ibis.expr.types import Table, Value

Engine = Literal["duckdb", "spark"]


class Tables(Protocol):
    """Tables by name and expressions over them. Logs are read and datasets written by DuckDB, whichever computes."""

    def taken(self, name: str) -> Table:
        """A table or view of DuckDB's, to compute with."""

    def keep(self, name: str, expression: Table) -> Table:
        """Compute it now, instead of what had that name."""

    def kept(self, name: str) -> Table:
        """What was kept."""

    def given(self, name: str) -> None:
        """What was kept, as a table of DuckDB's."""

    def value(self, expression: Value) -> Any:
        """The one value of it."""

    def batches(self, expression: Table, rows: int) -> Iterator[pa.RecordBatch]:
        """Its rows in order, about so many at a time."""


def tables_of(engine: Engine, connection: duckdb.DuckDBPyConnection, work: Path) -> AbstractContextManager[Tables]:
    """The engine by its name; `work` is for what it writes meanwhile. Raises ValueError when it is not installed."""
    if engine == "spark":
        from training.spark import spark_tables

        return spark_tables(connection, work)
    return nullcontext(DuckDBTables(connection))


class DuckDBTables:
    """The connection that reads and writes computes too."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._backend = ibis.duckdb.from_connection(connection)

    def taken(self, name: str) -> Table:
        """It is there already."""
        return self._backend.table(name)

    def keep(self, name: str, expression: Table) -> Table:
        """CREATE OR REPLACE TABLE AS."""
        return self._backend.create_table(name, expression, overwrite=True)

    def kept(self, name: str) -> Table:
        """A table like every other."""
        return self._backend.table(name)

    def given(self, name: str) -> None:
        """It is there already."""

    def value(self, expression: Value) -> Any:
        """Through the backend."""
        return expression.to_pyarrow().as_py()

    def batches(self, expression: Table, rows: int) -> Iterator[pa.RecordBatch]:
        """Streamed, by a cursor of its own: several can be read at a time."""
        with self._connection.cursor() as cursor:
            yield from cursor.execute(self._backend.compile(expression)).to_arrow_reader(rows)

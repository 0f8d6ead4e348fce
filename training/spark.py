"""The relations of a log on Spark. What passes between it and DuckDB are Parquet files in the work directory."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
from ibis.expr.types import Table, Value
from pyarrow import parquet

MISSING = "--engine spark needs pyspark and Java: pip install 'intently[spark]', apt install default-jre-headless"


@contextmanager
def spark_tables(connection: duckdb.DuckDBPyConnection, work: Path) -> Iterator["SparkTables"]:
    """With the session there is, else one as spark-defaults.conf and PYSPARK_SUBMIT_ARGS say: this machine's cores.

    Drivers and executors must all see `work`. Raises ValueError without pyspark or Java.
    """
    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ValueError(MISSING) from error
    found = SparkSession.getActiveSession()
    try:
        session = found or SparkSession.builder.appName("intently-train prepare").getOrCreate()
    except PySparkRuntimeError as error:  # no Java
        raise ValueError(f"{MISSING} ({error})") from error
    try:
        yield SparkTables(session, connection, work)
    finally:
        if found is None:
            session.stop()


class SparkTables:
    """A kept table is a folder of Parquet files behind a view."""

    def __init__(self, session: Any, connection: duckdb.DuckDBPyConnection, work: Path) -> None:
        self._session = session
        self._connection = connection
        self._work = work.resolve() / "spark"
        self._work.mkdir()
        self._backend = ibis.pyspark.connect(session)
        self._folders: dict[str, Path] = {}
        self._written = 0
        session.sql(  # DuckDB's name for it, so that one expression serves both
            "CREATE OR REPLACE TEMPORARY FUNCTION epoch_us(moment TIMESTAMP) RETURNS BIGINT RETURN unix_micros(moment)"
        )

    def taken(self, name: str) -> Table:
        """DuckDB writes it as Parquet."""
        folder = self._fresh(name)
        folder.mkdir()
        self._connection.execute(f'COPY (FROM "{name}") TO ? (FORMAT parquet)', [str(folder / "part-0.parquet")])
        return self._viewed(name, folder)

    def keep(self, name: str, expression: Table) -> Table:
        """Spark writes it as Parquet."""
        folder = self._fresh(name)
        self._written_to(folder, expression)
        return self._viewed(name, folder)

    def kept(self, name: str) -> Table:
        """The view."""
        return self._backend.table(name)

    def given(self, name: str) -> None:
        """DuckDB reads the Parquet."""
        files = str(self._folders[name] / "*.parquet")
        self._connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS FROM read_parquet(?)', [files])

    def value(self, expression: Value) -> Any:
        """The first column of the first row."""
        return self._session.sql(self._backend.compile(expression.as_table())).first()[0]

    def batches(self, expression: Table, rows: int) -> Iterator[pa.RecordBatch]:
        """Spark sorts into files whose names are in order; they are read one after another and removed."""
        folder = self._fresh("batches")
        self._written_to(folder, expression)
        for file in sorted(folder.glob("part-*.parquet")):
            with parquet.ParquetFile(file) as opened:
                yield from opened.iter_batches(rows)
        shutil.rmtree(folder)

    def _written_to(self, folder: Path, expression: Table) -> None:
        """In the types that Ibis promises: Spark's row numbers are narrower."""
        from ibis.backends.pyspark.datatypes import PySparkSchema

        frame = self._session.sql(self._backend.compile(expression))
        frame.to(PySparkSchema.from_ibis(expression.schema())).write.parquet(str(folder))

    def _viewed(self, name: str, folder: Path) -> Table:
        self._session.read.parquet(str(folder)).createOrReplaceTempView(name)
        outdated = self._folders.pop(name, None)
        if outdated is not None:
            shutil.rmtree(outdated)
        self._folders[name] = folder
        return self._backend.table(name)

    def _fresh(self, name: str) -> Path:
        self._written += 1
        return self._work / f"{name}-{self._written}"

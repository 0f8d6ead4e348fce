"""Spark prepares what DuckDB prepares, row by row. Skipped, visibly, without pyspark (extra `spark`) or Java."""

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from training.interactions import PrepareOptions, prepare
from training.log_readers import Columns
from training.synthesis import SynthesisOptions, synthesize

pytestmark = [  # py4j leaves sockets to the collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
HOSTILE = """user_id,item_id,timestamp,kind
007,"a,b",1,click
007,"say ""hi"" now",2.0000005,click
007,"a,b",1970-01-01T00:00:01Z,click
007,"a,b",1970-01-01T00:00:01Z,click
007,"a,b",1,click
007,b,1e0,view
007,b,.5,click
007,b,1e5f,click
007,b,1e99,click
007,b,-1,click
007,b,nan,click
007,b,9007199254.740992,click
007,b,2026-02-30,click
007,b,2026-01,click
007,b,infinity,click
,b,4,click
007,,4,click
broken
007,b,,click
naïve,b,2026-01-01 12:00:00.123456+02:00,click
naïve,"a,b",2026-01-01 12:00:00.1234567-02:30,click
naïve,Ärger,2026-01-01,click
naïve,b,2026-01-01T10:00:00.123456Z,click
Zoë,b,2026-01-01 10:00,click
Zoë,b,2026-01-01T24:00:00Z,click
Zoë,b,2026-01-01T10:00:60Z,click
Zoë,b,2026-01-01T10:00:00+19:00,click
Zoë,"b,1767261600,click
Zoë,b,1767261600,click
Zoë,"a,b",1767261600,click
Zoë,Ärger,1767261600,click
"""


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """A session of two local cores, which `prepare` finds."""
    pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'intently[spark]'")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed: apt install default-jre-headless")
    from pyspark.sql import SparkSession

    local = {"spark.master": "local[2]", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    quick = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "3"}
    builder = SparkSession.builder
    for name, value in (local | quick).items():
        builder = builder.config(name, value)
    found = builder.getOrCreate()
    yield
    found.stop()
    gc.collect()


def assert_both_write_the_same(log: Path, options: PrepareOptions, *, items: Path | None = None) -> Path:
    """Every table with its types, every reject, the manifest with its fingerprint -> what DuckDB wrote."""
    duckdb, spark = (log.parent / engine / "data" for engine in ("duckdb", "spark"))
    prepare(log, duckdb, items=items, options=options)
    prepare(log, spark, items=items, options=options, engine="spark")
    names = sorted(path.name for path in duckdb.iterdir())
    assert names == sorted(path.name for path in spark.iterdir())
    for name in names:
        if name.endswith(".parquet"):
            wanted, found = (pl.read_parquet(folder / name) for folder in (duckdb, spark))
            assert wanted.schema == found.schema, name
            assert wanted.equals(found), name
        else:
            assert (duckdb / name).read_bytes() == (spark / name).read_bytes(), name
    return duckdb


@pytest.mark.parametrize(
    ("log", "options", "rejected"),
    [
        ("log.csv", PrepareOptions(core=0, holdout="rest"), 16),
        ("log.csv", PrepareOptions(core=2, columns=Columns(type="kind"), event_types=("click",)), 16),
        ("log.csv", PrepareOptions(core=0, holdout="temporal"), 16),
        ("log.txt", PrepareOptions(core=2), 1),
        ("log.parquet", PrepareOptions(core=0), 1),
    ],
    ids=["rest", "core", "temporal", "text", "parquet"],
)
def test_a_log_with_everything_that_can_be_wrong(
    tmp_path: Path, log: str, options: PrepareOptions, rejected: int
) -> None:
    (tmp_path / "log.csv").write_text(HOSTILE)
    (tmp_path / "log.txt").write_text("u1 a b a c\nu2 c a d\nlonely\nu1 b\n")
    pl.DataFrame({"user_id": "u", "item_id": "a", "timestamp": ["5\n", "5"]}).write_parquet(tmp_path / "log.parquet")
    wide = PrepareOptions(**{**vars(options), "max_bad_share": 0.9})
    found = assert_both_write_the_same(tmp_path / log, wide)
    assert json.loads((found / "manifest.json").read_text())["counts"]["rejected"] == rejected


def test_a_synthesized_log_with_its_items(tmp_path: Path) -> None:
    """From Parquet, with new items: 300 users, 12 interactions each."""
    synthesize(tmp_path / "raw", SynthesisOptions(users=300, items=200, intents=4))
    log = tmp_path / "log.parquet"
    pl.read_csv(tmp_path / "raw/interactions.csv").sort("timestamp").write_parquet(log)
    found = assert_both_write_the_same(log, PrepareOptions(new_items=True), items=tmp_path / "raw/items.csv")
    assert json.loads((found / "manifest.json").read_text())["counts"]["interactions"] > 3000
    assert len(pl.read_parquet(found / "vocabulary.parquet")) == 200

"""Amazon reviews become a prepared dataset: 5-core JSON lines (packed or not), or the CSV of ratings only.

python docs/examples/amazon_reviews.py data/raw/reviews_Beauty_5.json.gz data/beauty
"""

import sys
from pathlib import Path

import duckdb

from training.interactions import prepare

JSON_LINES = """
    SELECT reviewerID AS user_id, asin AS item_id, unixReviewTime AS timestamp
    FROM read_json($1, format = 'newline_delimited',
                   columns = {'reviewerID': 'VARCHAR', 'asin': 'VARCHAR', 'unixReviewTime': 'BIGINT'})
"""
RATINGS_ONLY = """
    SELECT user_id, item_id, timestamp
    FROM read_csv($1, header = false,
                  columns = {'user_id': 'VARCHAR', 'item_id': 'VARCHAR', 'stars': 'DOUBLE', 'timestamp': 'BIGINT'})
"""


def main(reviews: Path, out: Path) -> None:
    """A review counts as an interaction at the day it was written, whatever its stars."""
    query = RATINGS_ONLY if ".csv" in reviews.suffixes else JSON_LINES
    log = out.parent / f"{out.name}-log.parquet"
    log.parent.mkdir(parents=True, exist_ok=True)
    duckdb.execute(f"COPY ({query}) TO $2 (FORMAT parquet)", [str(reviews), str(log)])
    counts = prepare(log, out)["counts"]
    print(f"{counts['users']:,} users, {counts['items']:,} products, {counts['interactions']:,} reviews in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

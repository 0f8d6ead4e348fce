"""A shop's export as such files are: semicolons, local times, prices with commas, returns among the sales.

orders.csv    customer;article;date;quantity        17;A-3;24.12.2025 09:30;1
articles.csv  article;name;group;price              A-3;Lamp;Home;1.299,00

python docs/examples/csv_export.py orders.csv articles.csv data/shop
"""

import sys
from pathlib import Path

import duckdb

from training.interactions import PrepareOptions, prepare

SHOP = "Europe/Berlin"  # whose clock the export is written by
ORDERS = """
    SELECT customer AS user_id, article AS item_id, epoch(timezone($2, strptime(date, '%d.%m.%Y %H:%M'))) AS timestamp
    FROM read_csv($1, delim = ';', header = true, all_varchar = true) WHERE quantity::INTEGER > 0
"""
ARTICLES = """
    SELECT article AS item_id, name AS title, "group" AS category,
           replace(replace(price, '.', ''), ',', '.')::DOUBLE AS price
    FROM read_csv($1, delim = ';', header = true, all_varchar = true)
"""


def main(orders: Path, articles: Path, out: Path) -> None:
    """Prices become an attribute: `filters: {"price": {"max": 50}}` in a request."""
    log, items = (out.parent / f"{out.name}-{name}.parquet" for name in ("log", "items"))
    log.parent.mkdir(parents=True, exist_ok=True)
    duckdb.execute(f"COPY ({ORDERS}) TO $3 (FORMAT parquet)", [str(orders), SHOP, str(log)])
    duckdb.execute(f"COPY ({ARTICLES}) TO $2 (FORMAT parquet)", [str(articles), str(items)])
    counts = prepare(log, out, items=items, options=PrepareOptions(core=2))["counts"]
    print(f"{counts['users']:,} customers, {counts['items']:,} articles, {counts['interactions']:,} purchases in {out}")


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:4]))

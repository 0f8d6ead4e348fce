"""MovieLens as it is downloaded (ml-1m with `::`, ml-20m as CSV) becomes a prepared dataset with titles and genres.

python docs/examples/movielens.py data/raw/ml-1m data/ml-1m
"""

import sys
from pathlib import Path

import duckdb

from training.interactions import prepare


def main(raw: Path, out: Path) -> None:
    """A rating counts as an interaction, whatever its stars; the first genre is the category."""
    work = out.parent / f"{out.name}-log"
    work.mkdir(parents=True, exist_ok=True)
    ratings, movies = tables(raw)
    interactions, items = work / "interactions.parquet", work / "items.parquet"
    duckdb.sql(f"SELECT user_id, item_id, timestamp FROM {ratings}").write_parquet(str(interactions))
    described = f"SELECT item_id, title, split_part(genres, '|', 1) AS category, genres FROM {movies}"
    duckdb.sql(described).write_parquet(str(items))
    counts = prepare(interactions, out, items=items)["counts"]
    print(f"{counts['users']:,} users, {counts['items']:,} movies, {counts['interactions']:,} ratings in {out}")


def tables(raw: Path) -> tuple[str, str]:
    """Both files as DuckDB reads them, in our words. Titles of ml-1m are in Latin-1."""
    if (raw / "ratings.dat").exists():
        rating = "{'user_id': 'VARCHAR', 'item_id': 'VARCHAR', 'stars': 'DOUBLE', 'timestamp': 'BIGINT'}"
        movie = "{'item_id': 'VARCHAR', 'title': 'VARCHAR', 'genres': 'VARCHAR'}"
        plain = "delim = '::', header = false, quote = '', escape = '', auto_detect = false"
        ratings = f"read_csv('{raw}/ratings.dat', columns = {rating}, {plain})"
        return ratings, f"read_csv('{raw}/movies.dat', columns = {movie}, {plain}, encoding = 'latin-1')"
    ratings = f"(SELECT userId AS user_id, movieId AS item_id, timestamp FROM read_csv('{raw}/ratings.csv'))"
    return ratings, f"(SELECT movieId AS item_id, title, genres FROM read_csv('{raw}/movies.csv'))"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

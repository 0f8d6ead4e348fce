"""Each example on a small file of the format it is for, and the client's loop against the running service."""

import gzip
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.docs.conftest import House
from tests.docs.pages import ROOT
from training.prepared import PreparedDataset, load_prepared

EXAMPLES = ROOT / "docs/examples"
# Six users with six of seven items each; the item of a place is (user + place) modulo 7.
SEEN = [(user, (user + place) % 7, 1_000_000_000 + 60 * place) for user in range(6) for place in range(6)]


Example = Callable[..., str]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Example:
    """Run one with these words on its command line -> what it printed."""

    def run(name: str, *words: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_every_example_is_listed_and_tried() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {"movielens", "amazon_reviews", "csv_export", "client_loop"}
    assert names == {name for name in names if f"[{name}.py]({name}.py)" in (EXAMPLES / "README.md").read_text()}


def of_first_user(data: PreparedDataset) -> list[str]:
    """The item ids of the user who comes first in the log, in order."""
    return [data.item_ids[row - 1] for row in data.rows[: data.offsets[1]]]


@pytest.mark.parametrize("form", ["ml-1m", "ml-20m"])
def test_movielens(form: str, example: Example, tmp_path: Path) -> None:
    """Movie 0 is `Amélie, Fabuleux (2001)` of the genres Comedy and Romance, in Latin-1 in the older form."""
    raw = tmp_path / form
    raw.mkdir()
    titles = ["Amélie, Fabuleux (2001)"] + [f"Movie {number}" for number in range(1, 7)]
    if form == "ml-1m":
        ratings = "".join(f"{user}::{item}::5::{time}\n" for user, item, time in SEEN)
        movies = "".join(f"{number}::{title}::Comedy|Romance\n" for number, title in enumerate(titles))
        (raw / "ratings.dat").write_text(ratings)
        (raw / "movies.dat").write_bytes(movies.encode("latin-1"))
    else:
        rows = "".join(f"{user},{item},5.0,{time}\n" for user, item, time in SEEN)
        (raw / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + rows)
        movies = "".join(f'{number},"{title}",Comedy|Romance\n' for number, title in enumerate(titles))
        (raw / "movies.csv").write_text("movieId,title,genres\n" + movies)
    said = example("movielens", raw, tmp_path / "data/movies")
    assert "6 users, " in said
    data = load_prepared(tmp_path / "data/movies")
    assert of_first_user(data)[0] == "0"
    row = data.item_ids.index("0")
    assert (data.titles[row], data.categories[row]) == ("Amélie, Fabuleux (2001)", "Comedy")
    assert data.attributes[row] == {"genres": "Comedy|Romance"}


@pytest.mark.parametrize("name", ["reviews_Beauty_5.json.gz", "reviews.json", "ratings_Beauty.csv"])
def test_amazon_reviews(name: str, example: Example, tmp_path: Path) -> None:
    """Packed JSON lines, plain ones, and the CSV without a header; ids keep their leading zeros."""
    if name.endswith("csv"):
        text = "".join(f"A{user},000{item},4.0,{time}\n" for user, item, time in SEEN)
    else:
        lines = [
            {"reviewerID": f"A{user}", "asin": f"000{item}", "helpful": [0, 1], "reviewText": "So \"so\", la la",
             "overall": 4.0, "unixReviewTime": time, "reviewTime": "09 9, 2001"}
            for user, item, time in SEEN
        ]  # fmt: skip
        text = "".join(json.dumps(line) + "\n" for line in lines)
    content = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
    (tmp_path / name).write_bytes(content)
    assert "6 users, " in example("amazon_reviews", tmp_path / name, tmp_path / "data/reviews")
    data = load_prepared(tmp_path / "data/reviews")
    assert data.user_ids[0] == "A0"
    assert of_first_user(data)[0] == "0000"


def test_csv_export(example: Example, tmp_path: Path) -> None:
    """A return is no purchase; 24.12.2025 09:30 in Berlin is 08:30 UTC; 1.299,00 is 1299."""
    orders = "".join(
        f"{user};A-{item};24.12.2025 09:3{place};1\n" for user in range(4) for place, item in enumerate("123")
    )
    (tmp_path / "orders.csv").write_text("customer;article;date;quantity\n" + orders + "0;A-9;24.12.2025 09:39;-1\n")
    articles = "".join(f"A-{item};Lamp {item};Home;1.299,00\n" for item in "1239")
    (tmp_path / "articles.csv").write_text("article;name;group;price\n" + articles)
    said = example("csv_export", tmp_path / "orders.csv", tmp_path / "articles.csv", tmp_path / "data/shop")
    assert "4 customers, 3 articles, 12 purchases" in said
    data = load_prepared(tmp_path / "data/shop")
    assert of_first_user(data) == ["A-1", "A-2", "A-3"]
    assert data.attributes[0] == {"price": 1299.0}
    first = pl.read_parquet(tmp_path / "data/shop/sequences.parquet")["timestamps"][0][0]
    assert first == 1_766_565_000 * 1_000_000


def test_client_loop(house: House, example: Example) -> None:
    """Popular items for a visitor nobody knows, then the model's; what was clicked is remembered, then forgotten."""
    said = example("client_loop", f"http://127.0.0.1:{house.public_port}", "visitor", 3).splitlines()
    assert said[0].startswith("popular, intents []: ")
    assert said[2].startswith("model, intents [")
    clicked = [line.split()[1].rstrip(":") for line in said if line.startswith("clicked")]
    assert len(set(clicked)) == 3
    assert said[-3:] == ["refused: unknown_item", f"remembered: {clicked}", "forgotten: True"]

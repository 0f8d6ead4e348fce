"""Laws of the synthesized log."""

from pathlib import Path

import polars as pl
import pytest

from training.synthesis import SynthesisOptions, synthesize

OPTIONS = SynthesisOptions(users=1000, items=400, intents=8, mean_length=12)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("log")
    synthesize(folder, OPTIONS)
    return (
        pl.read_csv(folder / "interactions.csv")
        .join(pl.read_csv(folder / "truth/item_intents.csv"), on="item_id")
        .join(pl.read_csv(folder / "truth/user_intents.csv"), on="user_id")
    )


def test_the_dominant_intent_takes_its_share(log: pl.DataFrame) -> None:
    """.8 of the interactions serve it, of which .95 hit its items; noise and minor intents add at most a little."""
    share = (log["intent"] == log["dominant_intent"]).mean()
    assert share == pytest.approx(0.8 * 0.95 + 0.05 / 8, abs=0.02)


def test_lengths_have_a_heavy_tail(log: pl.DataFrame) -> None:
    lengths = log.group_by("user_id").len()["len"]
    assert lengths.min() == 5
    assert lengths.mean() == pytest.approx(12, abs=0.7)
    assert lengths.quantile(0.99) > 2.5 * lengths.median()


def test_popularity_falls_as_zipf_inside_an_intent(log: pl.DataFrame) -> None:
    counts = log.filter(pl.col("intent") == 0).group_by("item_id").len().sort("len", descending=True)["len"]
    assert counts[0] > 4 * counts[len(counts) // 2]


def test_a_seed_gives_one_log(tmp_path: Path) -> None:
    for name in ("a", "b"):
        synthesize(tmp_path / name, SynthesisOptions(users=50, items=40, intents=4))
    assert (tmp_path / "a/interactions.csv").read_bytes() == (tmp_path / "b/interactions.csv").read_bytes()


def test_repeat_purchases_occur_when_asked_for(tmp_path: Path) -> None:
    synthesize(tmp_path, SynthesisOptions(users=200, items=400, intents=4, repeat_share=0.5))
    log = pl.read_csv(tmp_path / "interactions.csv")
    assert len(log.unique(["user_id", "item_id"])) < 0.75 * len(log)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="intents must be from 2 to items / 2"):
        SynthesisOptions(items=10, intents=9)
    with pytest.raises(ValueError, match="drift must be in"):
        SynthesisOptions(drift=2)

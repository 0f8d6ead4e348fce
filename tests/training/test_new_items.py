"""Items that training did not see get the vectors of what is described like them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder import EncoderOptions, SequenceEncoder
from service.bundle.files import open_bundle
from service.inference.recommender import Recommender
from tests.training.conftest import CONFIG
from tests.training.test_sequences import dataset
from training.interactions import PrepareOptions, prepare
from training.new_items import place_new_items
from training.pipeline import run_training
from training.prepared import load_prepared
from training.synthesis import SynthesisOptions, synthesize


def encoder_of(*vectors: list[float]) -> SequenceEncoder:
    built = SequenceEncoder(len(vectors), EncoderOptions(hidden=2, layers=1, heads=1))
    with torch.no_grad():
        built.item_vectors()[:] = torch.tensor(vectors)
    return built


def test_a_new_item_is_the_mean_of_its_like_and_as_long_as_they_are() -> None:
    """(3, 0) and (0, 3) -> direction (1, 1), length 3; an item like no other, and those seen, stay what they were."""
    encoder = encoder_of([3, 0], [0, 3], [-5, 0], [9, 9], [7, 7])
    described = dataclasses.replace(dataset([[1, 2, 3]], 5), categories=["pen", "pen", "ink", "pen", "stone"])
    assert place_new_items(encoder, np.array([4, 2, 1, 0, 0]), described) == 1
    root = 3 / 2**0.5
    expected = torch.tensor([[3, 0], [0, 3], [-5, 0], [root, root], [7, 7]])
    torch.testing.assert_close(encoder.item_vectors().detach(), expected)


def test_the_rarer_word_counts_more() -> None:
    """It shares its only maker with one item and its category with both: nearer to the one, but not on it."""
    encoder = encoder_of([1, 0], [0, 1], [0, 0])
    described = dataclasses.replace(
        dataset([[1, 2]], 3), categories=["pen"] * 3, attributes=[{"maker": ["A", "B"]}, {"maker": "C"}, {"maker": "A"}]
    )
    place_new_items(encoder, np.array([1, 1, 0]), described)
    x, y = encoder.item_vectors()[2].tolist()
    assert x > y > 0
    assert np.hypot(x, y) == pytest.approx(1)


def test_without_descriptions_or_new_items_nothing_changes() -> None:
    encoder = encoder_of([1, 0], [0, 1])
    plain = dataset([[1, 2]], 2)
    assert place_new_items(encoder, np.array([1, 0]), plain) == 0
    assert place_new_items(encoder, np.array([1, 1]), dataclasses.replace(plain, categories=["pen", "pen"])) == 0
    assert encoder.item_vectors().tolist() == [[1, 0], [0, 1]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planted log with 12 intents, and one new item an intent that only the items file has."""
    folder = tmp_path_factory.mktemp("new-items")
    synthesize(folder / "raw", SynthesisOptions(users=300, items=120, intents=12, mean_length=10))
    with (folder / "raw/items.csv").open("a") as file:
        columns = len((folder / "raw/items.csv").read_text().splitlines()[0].split(","))
        categories = sorted({line.split(",")[2] for line in (folder / "raw/items.csv").read_text().splitlines()[1:]})
        file.writelines(f"new-{name},New {name},{name}{',' * (columns - 3)}\n" for name in categories)
    return folder


def test_prepare_keeps_items_that_only_the_items_file_has_when_asked(shop: Path) -> None:
    """They come last in the vocabulary, with a count of 0, and nothing else changes."""
    data = {}
    for wanted in (False, True):
        options = PrepareOptions(new_items=wanted)
        prepare(shop / "raw/interactions.csv", shop / f"{wanted}", items=shop / "raw/items.csv", options=options)
        data[wanted] = load_prepared(shop / f"{wanted}")
    known = len(data[False].item_ids)
    assert data[True].item_ids[:known] == data[False].item_ids
    new = data[True].item_ids[known:]
    assert {"new-" + str(name) for name in set(data[False].categories)} <= set(new)
    assert (data[True].counts[known:] == 0).all()
    assert (data[True].rows == data[False].rows).all()
    assert data[True].fingerprint != data[False].fingerprint


def test_a_published_bundle_shows_new_items_beside_their_like(shop: Path) -> None:
    """The twenty items nearest to a new one, through the bundle's own index, are mostly of its category."""
    prepare(
        shop / "raw/interactions.csv",
        shop / "data",
        items=shop / "raw/items.csv",
        options=PrepareOptions(new_items=True),
    )
    finished = run_training(
        CONFIG.model_copy(update={"new_items": "neighbours"}),
        data=shop / "data",
        out=shop / "bundles",
        work=shop / "work",
    )
    assert finished is not None
    assert f"{finished.new_items} got a vector" in finished.summary()
    bundle = open_bundle(finished.published.path)
    recommender = Recommender(bundle)
    new = [row for row, item in enumerate(bundle.items, start=1) if item.item_id.startswith("new-")]
    assert len(new) >= 4
    same = [
        bundle.items[found - 1].category == bundle.items[row - 1].category
        for row in new
        for found in recommender.similar(row, 5).rows.tolist()
    ]
    assert np.mean(same) > 0.8

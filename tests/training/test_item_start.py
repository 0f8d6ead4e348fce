import numpy as np
import pytest
import torch

from models.encoder import EncoderOptions, SequenceEncoder
from tests.training.conftest import sequences
from training.item_start import SPREAD, cooccurrence_vectors, start_at_cooccurrence


def test_items_seen_together_start_near_each_other():
    """Two groups of items that never meet."""
    random = np.random.default_rng(0)
    lists = [list(random.permutation(np.arange(1, 6) + 5 * (number % 2))) for number in range(40)]
    vectors = torch.nn.functional.normalize(cooccurrence_vectors(sequences(*lists), 10, 4), dim=1)
    cosines = vectors @ vectors.T
    assert cosines[:5, 5:].abs().max() < 0.05
    assert cosines[:5, :5].mean() > 0.2
    assert cosines[5:, 5:].mean() > 0.2


def test_the_factors_are_those_of_the_positive_mutual_information():
    """One pair beside one item alone: PMI of (1, 2) is log(1 / (p q)) with p = 1 / 2, q = 1 / 2, twice."""
    mutual = np.array([[0, np.log(2), 0], [np.log(2), 0, 0], [0, 0, 0]])
    vectors = cooccurrence_vectors(sequences([1, 2], [3]), 3, 2).double().numpy()
    left, singular, _ = np.linalg.svd(mutual)
    expected = (left * singular) @ left.T
    assert np.allclose(vectors @ vectors.T / (vectors @ vectors.T)[0, 0], expected / expected[0, 0], atol=1e-6)
    assert (vectors[2] == 0).all()


def test_the_values_have_a_fixed_spread():
    vectors = cooccurrence_vectors(sequences([1, 2, 3], [3, 1, 2], [4, 5]), 5, 4)
    assert vectors.std(correction=0) == pytest.approx(SPREAD, rel=1e-5)


def test_a_catalogue_narrower_than_the_vectors_keeps_the_other_columns():
    torch.manual_seed(0)
    encoder = SequenceEncoder(3, EncoderOptions(hidden=8, layers=1))
    before = encoder.item_embedding.weight.detach().clone()
    start_at_cooccurrence(encoder, sequences([1, 2, 3], [1, 2]))
    after = encoder.item_embedding.weight.detach()
    assert not torch.equal(after[1:4, :2], before[1:4, :2])
    assert torch.equal(after[:, 2:], before[:, 2:])
    assert torch.equal(after[[0, 4]], before[[0, 4]])


def test_sequences_without_any_pair_start_at_zero():
    assert (cooccurrence_vectors(sequences([1], [2]), 2, 1) == 0).all()

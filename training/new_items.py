"""Vectors for items that no training sequence holds: the mean of the items that are described like them."""

import numpy as np
import torch
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from models.encoder import SequenceEncoder
from training.prepared import PreparedDataset
from training.sequences import Integers

NEIGHBOURS = 20
AT_ONCE = 1024  # new items compared with the catalogue at a time


def place_new_items(encoder: SequenceEncoder, counts: Integers, data: PreparedDataset) -> int:
    """Give each item of training count (V) zero a vector, where its description allows -> how many have one now.

    It is the mean of the NEIGHBOURS seen items most alike, weighted by likeness and as long as they are on average,
    so that it competes with them. Alike is the cosine of TF-IDF vectors of category and attribute values.
    """
    new, seen = np.flatnonzero(counts == 0), np.flatnonzero(counts)
    described = [_values(data, place) for place in range(len(counts))]
    if not len(new) or not any(described):
        return 0
    features = sparse.csr_array(TfidfVectorizer(analyzer=lambda values: values).fit_transform(described))
    vectors = encoder.item_vectors().detach().cpu().numpy()
    placed = 0
    for some in np.split(new, range(AT_ONCE, len(new), AT_ONCE)):
        nearest = _nearest(sparse.csr_array(features[some] @ features[seen].T))
        found = nearest.sum(axis=1) > 0
        means = nearest[found] @ vectors[seen]
        lengths = nearest[found] @ np.linalg.norm(vectors[seen], axis=1)
        means *= (lengths / np.maximum(np.linalg.norm(means, axis=1), np.finfo(np.float32).tiny))[:, None]
        with torch.no_grad():
            target = encoder.item_weights()
            target[torch.from_numpy(some[found])] = torch.from_numpy(means).to(target)
        placed += int(found.sum())
    return placed


def _values(data: PreparedDataset, place: int) -> list[str]:
    """`column=value` for the category and every attribute, each value of a list on its own."""
    columns = {"category": data.categories[place]} | data.attributes[place]
    lists = {name: value if isinstance(value, list) else [value] for name, value in columns.items()}
    return [f"{name}={value}" for name, values in lists.items() for value in values if value is not None]


def _nearest(likeness: sparse.csr_array) -> sparse.csr_array:
    """Each row's NEIGHBOURS largest values, shared out so that they sum to 1; ties go to the more popular item."""
    likeness.sort_indices()
    for row in range(likeness.shape[0]):
        values = likeness.data[likeness.indptr[row] : likeness.indptr[row + 1]]
        values[np.argsort(-values, kind="stable")[NEIGHBOURS:]] = 0
    likeness.eliminate_zeros()
    totals = likeness.sum(axis=1)
    return sparse.csr_array(likeness.multiply((1 / np.where(totals > 0, totals, 1))[:, None]))

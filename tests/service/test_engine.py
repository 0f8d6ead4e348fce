"""Answers one can work out by hand: items a, b, c lie along x (1, .9, .8), d, e, f along y."""

import asyncio
from pathlib import Path

import faiss
import pytest

from service.engine import Answer, Engine, Question
from service.telemetry import Stages


@pytest.fixture(scope="module")
def engine(tiny_bundle: Path) -> Engine:
    return Engine.load(tiny_bundle)


def ids(answer: Answer) -> list[str]:
    return ["abcdef"[row - 1] for row in answer.ranking.rows]


def test_candidates_score_as_they_do_in_the_whole_catalogue(engine: Engine) -> None:
    """[a] asks with (1, 0): b .9, c .8, e .1; d and f tie at 0 and go by row; unknown candidates are no candidates."""
    everything, candidates = engine.recommend(
        [
            Question(history=["a"], k=6),
            Question(history=["a"], k=6, allow=["f", "d", "nonsense", "c", "b", "e"], exclude=["b"]),
        ],
        Stages(),
    )
    assert ids(everything) == ["a", "b", "c", "e", "d", "f"]
    assert ids(candidates) == ["c", "e", "d", "f"]
    assert candidates.ranking.scores.tolist() == pytest.approx([0.8, 0.1, 0.0, 0.0])
    assert (candidates.source, candidates.available) == ("model", 4)


def test_neighbours_in_a_batch_do_not_change_an_answer(engine: Engine) -> None:
    questions = [
        Question(history=["a"], k=1),
        Question(history=[], k=2),
        Question(history=["d", "e"], k=6, seen=["d", "e"], intents=2, titles=True),
        Question(history=["nonsense"], k=3, allow=["f", "c"]),
        Question(history=["b"], k=2, allow=["f", "c"]),
    ]
    together = engine.recommend(questions, Stages())
    alone = [engine.recommend([question], Stages())[0] for question in questions]
    for one, other in zip(together, alone, strict=True):
        assert (ids(one), one.source, one.available) == (ids(other), other.source, other.available)
        assert one.ranking.scores.tolist() == pytest.approx(other.ranking.scores.tolist(), abs=1e-4)
    assert [ids(answer) for answer in together] == [["a"], ["a", "b"], ["f", "b", "a", "c"], ["c", "f"], ["c", "f"]]


def test_popular_items_score_their_share_of_all_interactions(engine: Engine) -> None:
    """60 + 50 + 40 + 30 + 20 + 10 = 210 interactions."""
    answer = engine.recommend([Question(history=[], k=2)], Stages())[0]
    assert answer.ranking.scores.tolist() == pytest.approx([60 / 210, 50 / 210])


async def test_whoever_searches_keeps_to_the_threads_given(tiny_bundle: Path) -> None:
    """OpenMP's setting belongs to one thread: loading in another must not leave this one with all cores."""
    faiss.omp_set_num_threads(2)
    engine = await asyncio.to_thread(lambda: Engine.load(tiny_bundle, threads=1))
    assert faiss.omp_get_max_threads() == 2
    engine.recommend([Question(history=["a"], k=1)], Stages())
    assert faiss.omp_get_max_threads() == 1

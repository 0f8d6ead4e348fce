"""Answers one can work out by hand: items a, b, c lie along x (1, .9, .8), d, e, f along y."""

import asyncio
from pathlib import Path

import faiss
import pytest

from service.engine import Engine
from service.question import Answer, Question, Why
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
        Question(history=["b"], k=3, max_per_category=1, diversity=0.3),
    ]
    together = engine.recommend(questions, Stages())
    alone = [engine.recommend([question], Stages())[0] for question in questions]
    for one, other in zip(together, alone, strict=True):
        assert (ids(one), one.source, one.available) == (ids(other), other.source, other.available)
        assert one.ranking.scores.tolist() == pytest.approx(other.ranking.scores.tolist(), abs=1e-4)
    assert [ids(answer) for answer in together] == [
        ["a"],
        ["a", "b"],
        ["f", "b", "a", "c"],
        ["c", "f"],
        ["c", "f"],
        ["a", "e"],
    ]


def test_so_many_a_category_and_no_more(engine: Engine) -> None:
    """a, b, c are of category x, the others of y: one of each leaves two, two of each four."""
    one, two, popular = engine.recommend(
        [
            Question(history=["a"], k=3, max_per_category=1),
            Question(history=["a"], k=4, max_per_category=2, seen=["a"]),
            Question(history=[], k=3, max_per_category=2),
        ],
        Stages(),
    )
    assert (ids(one), one.available) == (["a", "e"], 2)
    assert (ids(two), two.available) == (["b", "c", "e", "d"], None)
    assert (ids(popular), popular.available) == (["a", "b", "d"], None)


def test_a_list_looks_deeper_until_it_is_full(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the two best-scored both are of category x; the first of y lies deeper."""
    monkeypatch.setattr("service.question.POOL", 1)
    monkeypatch.setattr("service.question.POOL_FACTOR", 1)
    questions = [Question(history=["a"], k=2, max_per_category=1), Question(history=[], k=2, max_per_category=1)]
    assert [ids(answer) for answer in engine.recommend(questions, Stages())] == [["a", "e"], ["a", "d"]]


def test_a_diverse_list_leaves_the_direction_of_its_first_item(engine: Engine) -> None:
    """After a (score 1): d scores .5 x 0 - .5 x 0, b .5 x .9 - .5 x .994."""
    answer = engine.recommend([Question(history=["a"], k=3, diversity=0.5)], Stages())[0]
    assert ids(answer) == ["a", "d", "b"]
    assert answer.ranking.scores.tolist() == pytest.approx([1.0, 0.0, 0.9])


def test_reasons_name_the_intent_and_what_was_most_like_it(engine: Engine) -> None:
    """[a, e] has intent weights .55 and .45: b along x serves the first, d along y the second."""
    answer = engine.recommend([Question(history=["a", "e"], seen=["a", "e", "c", "f"], reasons=True)], Stages())[0]
    assert answer.reasons == [Why(0, ["a", "e"]), Why(1, ["e", "a"])]
    assert ids(answer) == ["b", "d"]


def test_without_a_history_what_is_known_comes_first_and_the_list_is_filled(engine: Engine) -> None:
    """d, e, f are of intent 1 and of category y; where nothing of either is left, popular items are shown."""
    questions = [
        Question(history=[], k=4, last_intent=1, category="x"),
        Question(history=["nonsense"], k=2, category="y", exclude=["d"]),
        Question(history=[], k=2, last_intent=1, category="y", exclude=["d", "e", "f"]),
        Question(history=[], k=1, category="no such category"),
        Question(history=[], k=4, category="y", max_per_category=2),
    ]
    answers = engine.recommend(questions, Stages())
    assert [(answer.source, "".join(ids(answer))) for answer in answers] == [
        ("popular_in_intent", "defa"),
        ("popular_in_category", "ef"),
        ("popular", "ab"),
        ("popular", "a"),
        ("popular_in_category", "deab"),
    ]


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

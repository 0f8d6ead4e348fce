"""Who gets what: the same users always, disjoint inside a layer, independent across layers."""

from collections.abc import Mapping

import numpy as np
import pytest

from service.experiments.assignment import Assignments
from service.experiments.hashing import BUCKETS, bucket
from service.experiments.lifecycle import Experiments, find, ramped, rephased, stopped
from tests.service.experiments.declared import NOW, USERS, declaration, running, salted

MANY = [f"user-{number}" for number in range(20_000)]
FAR = 5.0  # standard deviations; a test that draws anew each time fails about once in a million runs


def variants(them: Experiments, users: list[str], holdout: float = 0.0) -> Mapping[str, Mapping[str, str]]:
    """User -> experiment -> variant."""
    assignments = Assignments(them, holdout)
    return {user: {one.experiment: one.variant for one in assignments.assign(user, "new")} for user in users}


def expected(count: float, of: int) -> pytest.approx:
    share = count / of
    return pytest.approx(count, abs=FAR * (of * share * (1 - share)) ** 0.5)


def test_a_bucket_is_eight_bytes_of_sha256_mod_ten_thousand() -> None:
    """sha256sum of `layer:ranking:u1` begins with b400f2a4a94d5b02, which is 12970633715856005890."""
    assert bucket("layer:ranking", "u1") == 5890


def test_weights_are_kept_and_a_user_keeps_the_variant() -> None:
    uneven = [{"name": "a", "weight": 1000}, {"name": "b", "weight": 9000}]
    them = running(declaration(variants=uneven), share=0.5)
    drawn = variants(them, MANY)
    inside = [its["blend"] for its in drawn.values() if its]
    assert len(inside) == expected(10_000, len(MANY))
    assert inside.count("a") == expected(len(inside) / 10, len(inside))
    assert variants(them, MANY[:100]) == {user: drawn[user] for user in MANY[:100]}


def test_experiments_of_a_layer_exclude_each_other() -> None:
    drawn = variants(running(declaration("a"), declaration("b"), declaration("c"), share=0.3), MANY)
    assert max(len(its) for its in drawn.values()) == 1
    for name in "abc":
        assert sum(name in its for its in drawn.values()) == expected(6000, len(MANY))


def test_layers_are_independent() -> None:
    """Being in, and the variant, of three experiments in three layers: no correlation beyond chance, 5 / sqrt(n)."""
    them = running(*(declaration(name, layer=name) for name in "abc"), share=0.5)
    drawn = list(variants(them, MANY).values())
    columns = [[name in its for its in drawn] for name in "abc"]
    columns += [[its.get(name) == "treatment" for its in drawn] for name in "abc"]
    correlations = np.corrcoef(np.array(columns, dtype=float))
    across = [correlations[i, j] for i in range(6) for j in range(6) if i % 3 != j % 3]
    assert np.abs(across).max() < FAR / len(MANY) ** 0.5


def test_the_variant_does_not_depend_on_the_bucket_in_the_layer() -> None:
    """A ramp's first users are not of one variant."""
    drawn = variants(running(declaration(), share=0.1), MANY)
    early = [its["blend"] for its in drawn.values() if its]
    assert early.count("treatment") == expected(len(early) / 2, len(early))


def test_a_ramp_keeps_everybody_and_a_new_phase_draws_anew() -> None:
    them = running(declaration(), share=0.3)
    before = {user: its for user, its in variants(them, MANY).items() if its}
    wider = ramped(them, "blend", 0.6)
    after = variants(wider, MANY)
    assert {user: after[user] for user in before} == before
    assert sum(map(bool, after.values())) == expected(12_000, len(MANY))
    anew = variants(rephased(wider, "blend", 0.3, {}, NOW), MANY)
    assert [user for user in MANY if anew[user]] == list(before)
    same = sum(anew[user] == before[user] for user in before)
    assert same == expected(len(before) / 2, len(before)), "of those who stay, half have the variant they had"


def test_testers_get_what_their_list_says_whatever_the_buckets_say() -> None:
    """Outside the share, outside the targeted groups and in the hold-out; and nobody else is marked."""
    testers = {"treatment": USERS[:50], "control": USERS[50:60]}
    them = running(declaration(testers=testers, targeting={"user_groups": ["high"]}), share=0.0001)
    assignments = Assignments(them, holdout=0.99)
    for user in USERS[:60]:
        [its] = assignments.assign(user, "new")
        assert (its.tester, its.variant) == (True, "treatment" if user in USERS[:50] else "control")
    assert not any(one.tester for user in USERS[60:] for one in assignments.assign(user, "high"))
    assert Assignments(stopped(them, "blend", NOW)).assign(USERS[0]) == ()


@pytest.mark.parametrize(
    ("group", "attributes", "is_in"),
    [
        ("low", {"country": "de", "age": 30}, True),
        ("low", {"country": "de", "age": 30.0}, True),
        ("low", {"country": "at", "age": "31"}, True),
        ("high", {"country": "de", "age": 30}, False),
        (None, {"country": "de", "age": 30}, False),
        ("low", {"country": "fr", "age": 30}, False),
        ("low", {"country": "de"}, False),
        ("low", {"country": ["de"], "age": 30}, False),
        ("low", {"country": None, "age": 30}, False),
    ],
)
def test_who_does_not_match_is_not_in_it(group: str | None, attributes: dict[str, object], is_in: bool) -> None:
    targeting = {"user_groups": ["low", "medium"], "attributes": {"country": ["de", "at"], "age": [30, 31]}}
    assignments = Assignments(running(declaration(targeting=targeting)))
    assert bool(assignments.assign("u", group, attributes)) is is_in  # type: ignore[arg-type]


def test_the_held_out_are_in_no_experiment_and_the_others_as_before() -> None:
    them = running(declaration("a"), declaration("b", layer="other"))
    everybody, rest = variants(them, MANY), variants(them, MANY, holdout=0.1)
    out = [user for user in MANY if not rest[user]]
    assert len(out) == expected(2000, len(MANY))
    assert {user for user in MANY if bucket("holdout", user) < BUCKETS / 10} == set(out)
    assert all(rest[user] == everybody[user] for user in MANY if rest[user])


def test_what_a_variant_carries() -> None:
    arms = [
        {"name": "control", "weight": 5000},
        {"name": "new", "weight": 5000, "bundle_id": "x-0123456789abcdef", "options": {"blend": 2, "diversity": 0.5}},
    ]
    them = running(declaration(variants=arms, testers={"control": ["c"], "new": ["n"]}))
    [control], [new] = Assignments(them).assign("c"), Assignments(them).assign("n")
    assert (control.bundle_id, control.compares_bundles, control.options) == (None, True, {})
    assert (new.bundle_id, new.compares_bundles, new.options) == (
        "x-0123456789abcdef", True, {"blend": 2.0, "diversity": 0.5}
    )  # fmt: skip
    assert (new.phase, new.json) == (1, b'"experiment":"blend","variant":"new"')


def test_another_salt_is_another_draw_and_the_same_salt_the_same() -> None:
    [its] = running(declaration())
    one, same, other = (variants((salted(its, salt),), USERS) for salt in ("a", "a", "b"))
    assert one == same
    assert sum(one[user] == other[user] for user in USERS) == expected(2000, len(USERS))
    assert find((its,), "blend") is its

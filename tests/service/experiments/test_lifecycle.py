"""What can be done to an experiment, in which order, and what it leaves."""

import pytest
from pydantic import ValidationError

from service.errors import ConflictError, UnknownExperimentError
from service.experiments.declarations import DAY_SECONDS
from service.experiments.lifecycle import (
    Experiments,
    created,
    deleted,
    find,
    ramped,
    rephased,
    started,
    stopped,
)
from tests.service.experiments.declared import NOW, declaration, running

THIRDS = [{"name": "a", "weight": 3333}, {"name": "b", "weight": 3333}, {"name": "c", "weight": 3334}]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"variants": [{"name": "a", "weight": 5000}, {"name": "b", "weight": 4999}]}, "sum to 10000, found .*: 9999"),
        ({"variants": [{"name": "a", "weight": 5000}, {"name": "a", "weight": 5000}]}, "a name of its own"),
        ({"variants": [{"name": "a", "weight": 10000}]}, "at least 2 items"),
        ({"testers": {"nobody": ["u"]}}, r"listed by variant \(control, treatment\), found \['nobody'\]"),
        ({"testers": {"control": ["u"], "treatment": ["u"]}}, "a tester is listed once"),
        ({"name": "../etc"}, "String should match pattern"),
        (
            {"metrics": [{"name": "m", "kind": "mean", "numerator": "n", "role": "guardrail", "tolerance": 0.1}]},
            "a goal",
        ),
        ({"targeting": {"user_groups": ["old"]}}, "Input should be 'pure_new'"),
        ({"days": 0}, "greater than or equal to 1"),
    ],
)
def test_what_means_nothing_cannot_be_declared(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        declaration(**wrong)


def test_a_phase_has_a_number_a_salt_its_weights_and_a_planned_end() -> None:
    them = running(declaration(variants=THIRDS, days=3), share=0.25)
    [its] = them
    assert (its.state, its.share, its.buckets) == ("running", 0.25, ((0, 2500),))
    first = its.phases[0]
    assert (first.number, first.weights, first.hash_version) == (1, (3333, 3333, 3334), 1)
    assert (first.started, first.ends, first.ended) == (NOW, NOW + 3 * DAY_SECONDS, None)
    [its] = rephased(them, "blend", 0.1, {"a": 1000, "b": 1000, "c": 8000}, NOW + 60)
    assert (its.share, its.phases[0].ended, its.phases[1].started) == (0.1, NOW + 60, NOW + 60)
    assert (its.phases[1].number, its.phases[1].weights) == (2, (1000, 1000, 8000))
    assert len({phase.salt for phase in its.phases}) == 2
    [its] = stopped((its,), "blend", NOW + 90)
    assert (its.state, its.buckets, its.phases[-1].ended) == ("stopped", (), NOW + 90)
    [its] = started((its,), "blend", 1.0, NOW + 99)
    assert (its.state, its.phases[-1].number, its.phases[1].ended) == ("running", 3, NOW + 90)


def test_a_ramp_only_grows() -> None:
    them = running(declaration(), share=0.2)
    [wider] = ramped(them, "blend", 0.5)
    assert (wider.buckets, wider.phases) == (((0, 5000),), them[0].phases)
    with pytest.raises(ConflictError, match=r"'blend' has 0.5 of its layer, and a ramp only grows: begin a new phase"):
        ramped((wider,), "blend", 0.4999)
    assert ramped((wider,), "blend", 0.5) == (wider,)


def test_experiments_of_a_layer_own_disjoint_buckets_and_free_them() -> None:
    them = running(declaration("a"), declaration("b"), share=0.4)
    assert [one.buckets for one in them] == [((0, 4000),), ((4000, 8000),)]
    with pytest.raises(ConflictError, match=r"room for a share of 0\.6, and 0\.7 is asked; 'b' has the rest"):
        ramped(them, "a", 0.7)
    them = ramped(them, "a", 0.5)
    assert find(them, "a").buckets == ((0, 4000), (8000, 9000))
    them = stopped(them, "b", NOW)
    assert find(ramped(them, "a", 1.0), "a").buckets == ((0, 10_000),)
    elsewhere = started(created(them, declaration("c", layer="other")), "c", 1.0, NOW)
    assert find(elsewhere, "c").share == 1.0


@pytest.mark.parametrize(("options", "named"), [({"blend": 1.0}, "blend"), ({"fallback": ["popular"]}, "fallback")])
def test_two_layers_do_not_set_the_same_thing(options: dict[str, object], named: str) -> None:
    setting = [{"name": "a", "weight": 5000}, {"name": "b", "weight": 5000, "options": options}]
    other = [{"name": "a", "weight": 5000, "bundle_id": "x-0123456789abcdef"}, {"name": "b", "weight": 5000}]
    them = running(declaration("first", "one", variants=setting), declaration("second", "two", variants=other))
    them = created(them, declaration("third", "three", variants=setting))
    with pytest.raises(ConflictError, match=f"'third' and 'first', which runs in the layer 'one', both set {named}"):
        started(them, "third", 0.1, NOW)
    assert find(started(stopped(them, "first", NOW), "third", 0.1, NOW), "third").state == "running"
    beside = created(them, declaration("fourth", "one", variants=setting))
    with pytest.raises(ConflictError, match=r"has room for a share of 0, and .* is asked; 'first' has the rest"):
        started(beside, "fourth", 0.1, NOW)


def test_only_what_fits_its_state_is_done() -> None:
    draft: Experiments = created((), declaration())
    for refused in (ramped, started):
        with pytest.raises(ConflictError, match=r"'blend' is (draft|running)"):
            refused(*((draft, "blend", 0.5) if refused is ramped else (running(declaration()), "blend", 0.5, NOW)))
    with pytest.raises(ConflictError, match="'blend' is draft, and this is done to one that is running"):
        stopped(draft, "blend", NOW)
    with pytest.raises(ConflictError, match="there is an experiment 'blend' already"):
        created(draft, declaration())
    with pytest.raises(ConflictError, match="wanted a weight for each of control, treatment, found control"):
        rephased(running(declaration()), "blend", None, {"control": 10_000}, NOW)
    with pytest.raises(ConflictError, match=r"found .*: 9000"):
        rephased(running(declaration()), "blend", None, {"control": 4000, "treatment": 5000}, NOW)
    with pytest.raises(UnknownExperimentError, match="no experiment 'other' here; there is blend"):
        deleted(draft, "other")
    with pytest.raises(ConflictError, match="is running"):
        deleted(running(declaration()), "blend")
    assert deleted(draft, "blend") == ()

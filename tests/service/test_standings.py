"""How running experiments stand, as Prometheus sees it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.admin.standings import Standings
from service.control import Control, control_state
from service.experiments.declarations import Experiment
from service.experiments.report.keeper import Reports
from service.shared_document import SharedDocument
from service.stores.opening import open_store
from tests.service.experiments.declared import declaration
from tests.service.experiments.logged import DAY, exposure, outcome, started, write


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[SharedDocument[Control]]:
    """One experiment runs, another is a draft."""
    store = open_store(f"sqlite:///{tmp_path}/store.sqlite3")
    document = control_state(store)
    draft = Experiment(**dict(declaration("draft")))
    await document.change(lambda _: Control(version=1, experiments=(started(), draft)))
    yield document
    await store.close()


def series(standings: Standings) -> dict[tuple[str, ...], float]:
    """What is shown: name and labels -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in standings.collect()
        for sample in family.samples
    }


async def test_the_figures_of_the_report(control: SharedDocument[Control], tmp_path: Path) -> None:
    """30 users against 10 instead of halves: chi-square of 10 at one degree, p = .00157; 9 of 60 lists clicked."""
    control_users = [exposure(f"c{user}", "control", at) for user in range(30) for at in (0, DAY + user)]
    treated = [exposure(f"t{user}", "treatment", at) for user in range(10) for at in (0, DAY + user)]
    clicks = [outcome(shown) for shown in control_users[:9]] + [outcome(shown) for shown in treated[::3]]
    write(tmp_path / "events", control_users + treated, [*clicks, outcome(treated[0], type="conversion")])
    standings = Standings(control, Reports(tmp_path / "events"), lambda: True)
    assert series(standings) == {}
    await standings.refresh()
    found = series(standings)
    assert found["intently_outcomes_total", "blend", "control", "click"] == 9
    assert found["intently_outcomes_total", "blend", "treatment", "conversion"] == 1
    assert found["intently_experiment_users", "blend", "treatment"] == 10
    assert found["intently_experiment_sample_ratio_p_value", "blend"] == pytest.approx(0.001565, rel=1e-3)
    wanted = {
        ("value", "control"): 9 / 60,
        ("value", "treatment"): 7 / 20,
        ("uplift", "treatment"): 7 / 20 / (9 / 60) - 1,
    }
    for (what, variant), value in wanted.items():
        low, estimate, high = (
            found[f"intently_experiment_{what}", "blend", variant, "pvctr", bound]
            for bound in ("low", "estimate", "high")
        )
        assert estimate == pytest.approx(value)
        assert low < estimate < high
    assert not any("draft" in one for one in found)


async def test_a_replica_that_does_not_write_the_files_shows_nothing(
    control: SharedDocument[Control], tmp_path: Path
) -> None:
    """So that every series is there once."""
    write(tmp_path / "events", [exposure("ann", "control", 5)])
    turns = iter([True, False])
    standings = Standings(control, Reports(tmp_path / "events"), lambda: next(turns))
    await standings.refresh()
    assert series(standings)
    await standings.refresh()
    assert series(standings) == {}


async def test_files_that_cannot_be_read_hide_one_experiment_only_for_a_while(
    control: SharedDocument[Control], tmp_path: Path
) -> None:
    """Until the next time."""
    write(tmp_path / "events", [exposure("ann", "control", 5)])
    [file] = (tmp_path / "events").glob("exposures/*/*/1.parquet")
    whole = file.read_bytes()
    standings = Standings(control, Reports(tmp_path / "events"), lambda: True)
    file.write_bytes(b"no parquet")
    await standings.refresh()
    assert series(standings) == {}
    file.write_bytes(whole)
    await standings.refresh()
    assert series(standings)

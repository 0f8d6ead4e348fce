"""The intent report against values one can work out by hand, and the gate that reads it."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from service.bundle.files import open_bundle
from training.cli import app
from training.config import TrainingConfig
from training.intent_gate import IntentGate, IntentGateError
from training.intent_report import agreement, agreement_with_truth, length_r2, lift, summarise, true_labels
from training.intent_twin import seed_agreement, strongest_intents
from training.pipeline import run_training
from training.prepared import load_prepared
from training.run_log import read_lines
from training.sequences import Sequences, Split, training_sequences


def numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def sequences(*histories: list[int]) -> Sequences:
    lengths = numbers(*(len(history) for history in histories))
    rows = numbers(*(row for history in histories for row in history))
    return Sequences(rows, np.concatenate([[0], lengths.cumsum()[:-1]]), lengths)


def config(seed: int = 1, **more: object) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "method": "iclrec",
            "encoder": {"hidden": 16, "layers": 1, "max_length": 20, "dropout": 0.1},
            "options": {"num_intents": 4},
            "training": {"seed": seed, "batch_size": 64, "learning_rate": 0.01, "max_epochs": 3},
        }
        | more
    )


def test_the_effective_number_counts_equal_shares() -> None:
    """Two of four intents with half the sequences each: exp(ln 2) = 2."""
    assert summarise(numbers(0, 0, 3, 3), 4) == pytest.approx(
        {"intents": 4, "used": 2, "effective": 2, "largest_share": 0.5}
    )


def test_length_is_explained_by_the_share_of_its_variance_between_intents() -> None:
    """Logs in units of ln 2 are 0, 2, 2, 4: grouped means 1 and 3, within 4, total 8, so half is explained."""
    lengths = numbers(1, 4, 4, 16)
    assert length_r2(numbers(0, 0, 1, 1), lengths) == pytest.approx(0.5)
    assert length_r2(numbers(0, 1, 0, 1), numbers(2, 2, 3, 3)) == pytest.approx(0)
    assert length_r2(numbers(0, 1), numbers(5, 5)) == 0


def test_lift_is_what_popularity_gains_by_knowing_the_intent() -> None:
    """30 items; item 30 is the favourite of intent 1 and unpopular overall: found within the intent, not globally.

    Intent 0: item r is bought 40 - r times for r = 1..25. Intent 1: item 30 is bought 3 times. One user of each intent
    is asked: item 1 is found either way, item 30 only within its intent: 2 hits to 1.
    """
    popular = [[row] * (40 - row) for row in range(1, 26)]
    training = sequences(*popular, [30], [30], [30])
    assigned = numbers(*[0] * 25, 1, 1, 1)
    asked = Split("validation", numbers(24, 25), sequences([25], [29]), numbers(1, 30))
    assert lift(assigned, training, asked, 30) == pytest.approx(2)


def test_an_items_own_history_leaves_the_lists() -> None:
    """Item 21 has place 21 and moves into the first 20 when one better item is in the history, bought twice or once."""
    training = sequences(*([row] * (40 - row) for row in range(1, 31)))
    assigned = np.zeros(30, dtype=np.int64)
    for history, found in (([22], 0.0), ([3], 1.0), ([3, 3], 1.0)):
        asked = Split("validation", numbers(0), sequences(history), numbers(21))
        assert lift(assigned, training, asked, 30) == found


def test_agreement_ignores_the_names_of_intents() -> None:
    assert agreement(numbers(0, 0, 1, 1), numbers(5, 5, 2, 2)) == pytest.approx(1)
    generator = np.random.default_rng(0)
    assert abs(agreement(generator.integers(0, 5, 2000), generator.integers(0, 5, 2000))) < 0.02


def test_the_gate_names_what_it_found_and_what_it_wanted() -> None:
    collapsed = {"intents": 100.0, "used": 3.0, "effective": 1.01, "largest_share": 0.999}
    used, largest, effective = IntentGate().check(collapsed)
    assert used.startswith("3 of 100 intents are used, wanted 90%")
    assert largest.startswith("one intent holds 99.9% of the sequences, wanted at most 5.0%")
    assert effective.startswith("the effective number of intents is 1.0, wanted 33.3")
    assert all(" try " in sentence for sentence in (used, largest, effective)), "and what to do"
    assert IntentGate(action="off").check(collapsed) == []
    with pytest.raises(IntentGateError, match="nothing was published"):
        IntentGate(action="refuse").check(collapsed)
    healthy = {"intents": 4.0, "used": 4.0, "effective": 2.0, "largest_share": 0.7}  # 3 / K = .75
    assert IntentGate(action="refuse").check(healthy) == []


def test_a_run_reports_its_intents_with_its_twin_and_the_truth(prepared: Path, tmp_path: Path) -> None:
    """The second seed finds the first as its twin; another method in the same root is none."""
    truth = prepared.parent / "raw/truth/user_intents.csv"
    places = {"data": prepared, "out": tmp_path / "bundles"}
    first = run_training(config(1), work=tmp_path / "1", truth=truth, **places)
    run_training(config(3, method="sasrec"), work=tmp_path / "3", **places)
    second = run_training(config(2), work=tmp_path / "2", **places)
    assert first is not None
    assert second is not None
    opened = [open_bundle(run.published.path) for run in (first, second)]
    report, twin = (bundle.manifest.intent_report for bundle in opened)
    assert {"used", "effective", "largest_share", "length_r2", "lift", "nmi"} < set(report)
    assert "seed_agreement" not in report
    assert 0 <= report["nmi"] <= 1
    assert "NMI with the truth" in first.summary()
    assert "nmi" not in twin
    served = [strongest_intents(bundle, training_sequences(load_prepared(prepared))) for bundle in opened]
    assert twin["seed_agreement"] == pytest.approx(agreement(served[0], served[1]))
    assert "agreement with another seed" in second.summary()


def test_a_twin_differs_in_the_seed_alone(prepared: Path, tmp_path: Path) -> None:
    """Its name and its gate teach nothing and may differ; a longer training or other data make it another bundle."""
    data = load_prepared(prepared)
    training = training_sequences(data)
    run = run_training(config(1), data=prepared, out=tmp_path, work=tmp_path / ".work")
    assert run is not None
    assigned = strongest_intents(open_bundle(run.published.path), training)

    def agreed(asked: TrainingConfig, fingerprint: str = data.fingerprint) -> float | None:
        return seed_agreement(tmp_path, asked.model_dump(mode="json"), fingerprint, assigned, training)

    assert agreed(config(2)) == pytest.approx(1), "its own assignment"
    assert agreed(config(2, name="other", intent_gate={"action": "off"})) == pytest.approx(1)
    assert agreed(config(1)) is None
    assert agreed(config(2), fingerprint="other data") is None
    assert agreed(config(2, options={"num_intents": 5})) is None
    longer = config(2).training.model_copy(update={"max_epochs": 4})
    assert agreed(config(2).model_copy(update={"training": longer})) is None
    (run.published.path / "encoder.onnx").write_bytes(b"damaged")
    assert agreed(config(2)) is None


def test_the_truth_must_know_every_user(prepared: Path, tmp_path: Path) -> None:
    data = load_prepared(prepared)
    known = tmp_path / "truth.csv"
    known.write_text("user_id,label\n" + "".join(f"{user},{n % 2}\n" for n, user in enumerate(data.user_ids)))
    halves = np.arange(len(data.user_ids)) % 2
    assert agreement_with_truth(halves, true_labels(known, data)) == pytest.approx(1)
    for content in ("user_id,label\n", ""):
        known.write_text(content)
        with pytest.raises(ValueError, match="has no label for 300 users"):
            true_labels(known, data)
    with pytest.raises(ValueError, match="has no label"):
        run_training(config(), data=prepared, out=tmp_path / "out", work=tmp_path / "work", truth=known)
    assert not (tmp_path / "work").exists(), "it is refused before anything is trained"


def test_what_the_truth_knows_is_counted() -> None:
    """Labels aabb against intents 0012: I = ln 2, H = ln 2 and 1.5 ln 2, so NMI = 2 / 2.5."""
    assert agreement_with_truth(numbers(0, 0, 1, 2), ["a", "a", "b", "b"]) == pytest.approx(0.8)
    assert agreement_with_truth(numbers(0, 1, 0, 1), ["a", "a", "b", "b"]) == pytest.approx(0)


def test_a_refused_bundle_can_be_published_by_resuming_with_a_laxer_gate(prepared: Path, tmp_path: Path) -> None:
    """Four intents of exactly equal size are wanted, and not found. Only the first run trains."""

    def invoked(action: str) -> Result:
        lines = strict.model_dump(mode="json") | {"intent_gate": {"action": action, "effective_share": 1.0}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(lines).replace("'off'", "off"))
        out = tmp_path / action
        options = ["--data", str(prepared), "--out", str(out), "--work", str(tmp_path / "work"), "--resume"]
        return CliRunner().invoke(app, ["run", str(tmp_path / "config.yaml"), *options])

    strict = config()
    sentence = "the effective number of intents is"
    refused = invoked("refuse")
    assert refused.exit_code == 2
    assert "nothing was published" in refused.output
    assert sentence in refused.output
    assert not list(tmp_path.glob("refuse/*"))
    trained = read_lines(tmp_path / "work/log.jsonl")
    warned, looked_away = invoked("warn"), invoked("off")
    assert (warned.exit_code, looked_away.exit_code) == (0, 0), warned.output + looked_away.output
    assert read_lines(tmp_path / "work/log.jsonl") == trained
    assert sentence in warned.output
    assert sentence not in looked_away.output
    first, second = (open_bundle(next((tmp_path / name).iterdir())).manifest for name in ("warn", "off"))
    assert first.intent_warnings[0] in refused.output, "the verdict is the same after the checkpoint"
    assert second.intent_warnings == []
    assert first.intent_report == second.intent_report

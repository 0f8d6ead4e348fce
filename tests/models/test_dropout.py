import pytest
import torch

from models.dropout import Dropout


@pytest.mark.parametrize("probability", [0.1, 0.4, 0.5])
def test_each_element_is_dropped_with_the_probability_and_the_mean_is_kept(probability: float) -> None:
    torch.manual_seed(0)
    values = Dropout(probability)(torch.ones(1000, 1001))
    assert (values == 0).float().mean().item() == pytest.approx(probability, abs=1 / 256 + 0.002)
    assert values.mean().item() == pytest.approx(1, abs=0.005)
    assert len(values.unique()) == 2


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(1_000_000)) != 0).float() - 0.5
    for distance in (1, 2, 4, 8, 64):
        assert (kept[:-distance] * kept[distance:]).mean().abs() < 0.25 * 0.005


def test_the_gradient_passes_where_the_value_does() -> None:
    values = torch.randn(7, 5, requires_grad=True)
    dropped = Dropout(0.3)(values)
    dropped.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad * values, dropped)


def test_evaluation_and_zero_leave_the_values_alone() -> None:
    values = torch.randn(3, 3)
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0)(values) is values
    assert torch.equal(Dropout(0.5)(values.new_empty(0)), values.new_empty(0))

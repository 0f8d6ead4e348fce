"""The breaker against a clock that is set by hand."""

from service.stores.breaker import CircuitBreaker


def test_three_failures_in_a_row_open_it_and_one_call_a_second_tries_again() -> None:
    """It opens and closes once, however many calls fail or go well."""
    now, changes = [0.0], list[bool]()
    breaker = CircuitBreaker(failures=3, retry_after=1.0, clock=lambda: now[0], changed=changes.append)
    for _ in range(3):
        assert breaker.admits()
        breaker.failed()
    assert breaker.is_open
    now[0] = 0.9
    assert not breaker.admits()
    now[0] = 1.0
    assert [breaker.admits(), breaker.admits()] == [True, False]
    breaker.failed()
    now[0] = 2.0
    assert breaker.admits()
    breaker.succeeded()
    assert not breaker.is_open
    assert [breaker.admits(), breaker.admits()] == [True, True]
    breaker.succeeded()
    assert changes == [True, False]


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = CircuitBreaker(failures=3)
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert not breaker.is_open

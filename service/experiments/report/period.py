"""Which time a report is about."""

from dataclasses import dataclass
from math import ceil, inf

from service.experiments.declarations import DAY_SECONDS, Experiment


@dataclass(frozen=True)
class Period:
    """A phase, as known at `until`. Times are Unix seconds; days count from 1, 24 hours each, from `started` on."""

    phase: int
    started: float
    days: int
    stopped: float | None
    until: float
    attribution: float

    @classmethod
    def of(cls, experiment: Experiment, *, median: float | None, first: float | None, until: float) -> "Period":
        """Of the present phase.

        When most exposures bear times before the phase began, a log is being replayed: its days count from the first
        of them. `median` and `first`: of the times of all exposures, None without any.
        """
        phase = experiment.phases[-1]
        if median is not None and first is not None and median < phase.started:
            started, stopped = first, None
        else:
            started, stopped = phase.started, phase.ended
        return cls(phase.number, started, experiment.days, stopped, until, experiment.attribution_seconds)

    @property
    def ends(self) -> float:
        """As planned."""
        return self.started + self.days * DAY_SECONDS

    @property
    def closes(self) -> float:
        """No exposure from then on counts."""
        return min(self.ends, self.stopped or inf)

    @property
    def ended(self) -> bool:
        """The planned end was reached, and every outcome is there: fixed-horizon statistics may be asked, once."""
        return self.closes >= self.ends and self.until >= self.ends + self.attribution

    @property
    def complete(self) -> int:
        """Days of which every outcome is there."""
        passed = int((self.until - self.attribution - self.started) // DAY_SECONDS)
        open_days = ceil((self.closes - self.started) / DAY_SECONDS)  # one that was cut short is a day
        return open_days if self.until >= self.closes + self.attribution else max(0, min(passed, open_days))

    @property
    def day(self) -> int:
        """The present one, or the last."""
        now = min(self.until, self.closes)
        return max(1, min(self.days, int((now - self.started) // DAY_SECONDS) + 1))

    @property
    def passed(self) -> int:
        """Days that are over."""
        return max(0, min(self.days, int((min(self.until, self.closes) - self.started) // DAY_SECONDS)))

"""How a simulated user reacts to a list that holds the item the user goes for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.replay.chances import Chances


@dataclass(frozen=True)
class ClickModel:
    """Position-based: a click needs the item in the list, a look at its rank, and the will; a conversion a click.

    P(look at rank r) = r^-position_bias (Joachims, Swaminathan, Schnabel, WSDM 2017).  `uplift`: variant -> how much
    more (0.1: 10 %) the lists of that variant are clicked, which plants an effect.
    """

    position_bias: float = 1.0
    click: float = 1.0
    conversion: float = 0.1
    uplift: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError for chances that are none."""
        if self.position_bias < 0:
            raise ValueError(f"position_bias must be 0 or more, found {self.position_bias:g}")
        raised = {f"click with the uplift of {name}": self.chance(1, name) for name in self.uplift}
        for name, chance in {"click": self.click, "conversion": self.conversion, **raised}.items():
            if not 0 <= chance <= 1:
                raise ValueError(f"the chance of a {name} must lie between 0 and 1, found {chance:g}")

    def chance(self, rank: int | None, variant: str | None) -> float:
        """Of a click on an item at that rank (from 1; None: it is not in the list)."""
        if rank is None:
            return 0.0
        return self.click * (1 + self.uplift.get(variant or "", 0.0)) / float(rank**self.position_bias)

    def outcomes(self, rank: int | None, variant: str | None, drawn: Chances) -> list[str]:
        """What happens: nothing, a click, or a click and a conversion; never less at a better rank."""
        if drawn.click >= self.chance(rank, variant):
            return []
        return ["click", "conversion"] if drawn.conversion < self.conversion else ["click"]

"""What metrics can count of a user."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """Of events of a type: how many, or the sum of their values."""

    type: str
    summed: bool


PAGE_VIEWS = "page_views"  # lists shown
FALLBACKS = "fallbacks"  # lists shown that came from no model
SHOWN = (PAGE_VIEWS, FALLBACKS)
OUTCOMES = {
    "clicks": Outcome("click", summed=False),
    "conversions": Outcome("conversion", summed=False),
    "revenue": Outcome("conversion", summed=True),
    "views": Outcome("view", summed=False),
    "seconds": Outcome("view", summed=True),
}
COLUMNS = (*SHOWN, *OUTCOMES)

"""Users, sums and cross products of their totals: all that a comparison needs of the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class TooLittleDataError(ValueError):
    """There is no estimate yet: too few users, or nothing that varies."""


class Days(NamedTuple):
    """First and last day of the experiment that the totals cover, both counted."""

    first: int
    last: int


class Part(NamedTuple):
    """Users that no other part holds: of one variant, and of the user group they had at their FIRST exposure."""

    variant: str
    group: str


@dataclass(frozen=True, eq=False)
class Moments:
    """What remains of a table with one row a USER: each column a user's total over all of `days`.

    columns (C), sums (C), products (C, C): sums of column times column over users, exact for counts below 2^53.

    Moments of different parts of the same days add up. Those of different days never do: who came on two days is one
    user, with one total, whose square is not the sum of the squares. So there is no way to add days; for days 1 to d
    each user's events are summed over days 1 to d first, and those totals over users then.
    """

    days: Days
    parts: frozenset[Part]
    columns: tuple[str, ...]
    users: int
    sums: Floats
    products: Floats

    def __post_init__(self) -> None:
        """Raises ValueError for arrays that do not fit the columns, or users that no part holds."""
        size = len(self.columns)
        if self.sums.shape != (size,) or self.products.shape != (size, size):
            raise ValueError(f"{size} columns, found sums {self.sums.shape} and products {self.products.shape}")
        if len(set(self.columns)) != size or not self.parts or self.days.first > self.days.last:
            raise ValueError(f"wanted columns named once, a part and days in order, found {self}")

    @classmethod
    def of_users(cls, totals: Mapping[str, ArrayLike], *, days: Days, part: Part) -> "Moments":
        """From one total a user in every column (N)."""
        table = np.column_stack([np.asarray(column, dtype=np.float64) for column in totals.values()])  # (N, C)
        return cls(days, frozenset([part]), tuple(totals), len(table), table.sum(axis=0), table.T @ table)

    def __add__(self, other: "Moments") -> "Moments":
        """Both parts together. Raises ValueError where a user could be counted twice."""
        if self.days != other.days:
            raise ValueError(
                f"moments of days {tuple(self.days)} and {tuple(other.days)} do not add up: who came in both is one "
                "user. Sum each user's events over all of the days first"
            )
        if self.parts & other.parts:
            raise ValueError(f"users would be counted twice: {sorted(self.parts & other.parts)} is in both")
        if self.columns != other.columns:
            raise ValueError(f"wanted the same columns, found {self.columns} and {other.columns}")
        parts, users = self.parts | other.parts, self.users + other.users
        sums, products = self.sums + other.sums, self.products + other.products
        return Moments(self.days, parts, self.columns, users, sums, products)

    def place(self, column: str) -> int:
        """Where a column stands. Raises ValueError when it is not there."""
        if column not in self.columns:
            raise ValueError(f"no column {column!r}, found {', '.join(self.columns)}")
        return self.columns.index(column)

    @cached_property
    def means(self) -> Floats:
        """A user's mean (C)."""
        if self.users < 1:
            raise TooLittleDataError(f"a mean needs users, found none in {sorted(self.parts)}")
        return self.sums / self.users

    @cached_property
    def covariances(self) -> Floats:
        """Between the columns of a user (C, C), unbiased."""
        if self.users < 2:
            raise TooLittleDataError(f"a variance needs two users, found {self.users} in {sorted(self.parts)}")
        return (self.products - np.outer(self.sums, self.means)) / (self.users - 1)

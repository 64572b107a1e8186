"""Budget and capacity: what a campaign may use at most, counted in the decimals that people write."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churnml.config import Offer
from churnml.errors import ChurnmlError

Numbers = NDArray[np.int64]
NOTHING = -1  # in place of the number of an offer


@dataclass(frozen=True)
class Limit:
    """One limit: what one customer uses of it with each offer, and how much there is.

    Exact, so that ten offers at 0.1 cost 1 and no more.

    Attributes
    ----------
    name : str
        ``budget``, or the channel.
    uses : tuple of Fraction
        For each offer: its cost, or 1 where it goes by the channel.
    most : Fraction
        How much may be used.
    """

    name: str
    uses: tuple[Fraction, ...]
    most: Fraction

    def used(self, counts: Iterable[int]) -> Fraction:
        """Return what so many customers for each offer use."""
        return sum((use * int(count) for use, count in zip(self.uses, counts, strict=True)), Fraction(0))

    def allows(self, counts: Iterable[int]) -> bool:
        """Tell whether so many customers for each offer are allowed."""
        return self.used(counts) <= self.most

    def less(self, counts: Iterable[int]) -> Limit:
        """Return what is left of the limit after so many customers for each offer."""
        return replace(self, most=self.most - self.used(counts))

    def enlarged(self, control_share: float) -> Limit:
        """Return the limit for treated and control together: 1 / (1 - ``control_share``) times as much."""
        return replace(self, most=self.most / (1 - exact(control_share)))

    def whole(self) -> tuple[list[int], int]:
        """Return the same limit in whole numbers: of what it counts in the largest unit that every use is made of."""
        unit = Fraction(
            math.gcd(*(use.numerator for use in self.uses)) or 1, math.lcm(*(use.denominator for use in self.uses))
        )
        return [int(use / unit) for use in self.uses], math.floor(self.most / unit)


def limits_of(offers: Sequence[Offer], capacity: Mapping[str, int], budget: float | None) -> tuple[Limit, ...]:
    """Return the limits of a campaign.

    Parameters
    ----------
    offers : sequence of Offer
        What can be offered.
    capacity : mapping of int
        Contacts by channel; a channel that is not in it is not limited.
    budget : float or None
        What the offers may cost together, in money; None where it is not limited.

    Returns
    -------
    tuple of Limit
        The budget last, so that it is counted for those only whom the channels can reach.

    Raises
    ------
    ChurnmlError
        If the budget is no amount, or is 0 where every offer costs something.
    """
    limits = [
        Limit(channel, tuple(Fraction(offer.channel == channel) for offer in offers), Fraction(capacity[channel]))
        for channel in dict.fromkeys(offer.channel for offer in offers)
        if channel in capacity
    ]
    if budget is not None:
        if not math.isfinite(budget) or budget < 0:
            raise ChurnmlError(f"the budget {budget} is no amount", "give 0 or more, or leave it out for no limit")
        if budget == 0 and all(offer.cost > 0 for offer in offers):
            raise ChurnmlError(
                "the budget is 0, but every offer costs something",
                "give a budget with --budget or campaign.budget, or leave it out for no limit",
                key="campaign.budget",
                value=budget,
            )
        limits.append(Limit("budget", tuple(exact(offer.cost) for offer in offers), exact(budget)))
    return tuple(limits)


def within(limits: Sequence[Limit], offers: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell who can be treated, customer by customer in the order given, until a limit is reached.

    From the first who would pass a limit, everyone after who would use it is left out as well.

    Parameters
    ----------
    limits : sequence of Limit
        What may be used, one after another.
    offers : int array of shape (n,)
        The number of each customer's offer.

    Returns
    -------
    bool array of shape (n,)
        Whether the customer stays within the limits.
    """
    allowed = np.ones(len(offers), dtype=bool)
    for limit in limits:
        if limit.allows(counts_of(offers[allowed], len(limit.uses))):
            continue
        units, most = limit.whole()
        use = np.array(units, dtype=object)[offers] * allowed
        allowed &= (np.cumsum(use) <= most) | (use == 0)
    return allowed


def counts_of(offers: NDArray[Any], count: int) -> Numbers:
    """Return how many customers have each of so many offers; `NOTHING` is not counted."""
    return np.bincount(offers[offers != NOTHING], minlength=count)


def exact(number: float) -> Fraction:
    """Return the decimal that was written: 0.1 is a tenth, not the binary number next to it."""
    return Fraction(repr(float(number)))


def rounded_up(share: float, count: int) -> int:
    """Return a share of a count, rounded up, without the error of floating-point numbers."""
    return math.ceil(exact(share) * count)

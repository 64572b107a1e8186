"""Contacting some at random: what tells later what an offer does to those whom no rule would choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churnml.campaigns.limits import NOTHING, Limit, rounded_up, within


def explore(
    eligible: NDArray[Any], share: float, offers: int, limits: Sequence[Limit], draws: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw some of the eligible and give each an offer, or none as a control, at random.

    The offers and control are equally likely. Who would pass a limit, in the order drawn, is a control as well.

    Parameters
    ----------
    eligible : int array of shape (n,)
        Row numbers.
    share : float
        Of the eligible, rounded up.
    offers : int
        How many offers there are.
    limits : sequence of Limit
        What may be used.
    draws : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    explored : int array of shape (m,)
        Row numbers.
    offer : int array of shape (m,)
        The number of the offer, or `NOTHING` for a control.
    """
    explored = draws.permutation(eligible)[: rounded_up(share, len(eligible))]
    # In turns from a random start, so that the groups differ by one at most; the order of the customers is random.
    offer = (np.arange(len(explored)) + int(draws.integers(offers + 1))) % (offers + 1)
    offer[offer == offers] = NOTHING
    treated = np.flatnonzero(offer != NOTHING)
    offer[treated[~within(limits, offer[treated])]] = NOTHING
    return explored, offer

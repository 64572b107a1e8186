"""Who of the selected is held back as the control group, and how likely each was to be treated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churnml.campaigns.limits import Limit, rounded_up, within

Flags = NDArray[np.bool_]


def held_back(
    offers: NDArray[Any], strata: NDArray[Any], share: float, limits: Sequence[Limit], draws: np.random.Generator
) -> Flags:
    """Draw the control group among the selected.

    For each offer (which has one channel) a share of its customers, rounded up once, is drawn systematically from a
    random start, over customers sorted by stratum and at random within: each has exactly the same chance, and every
    stratum has its part. Should the rest still pass a limit, more are held back, in random order.

    Parameters
    ----------
    offers : int array of shape (n,)
        The number of each selected customer's offer.
    strata : int array of shape (n,)
        What the control group is to be balanced by.
    share : float
        Of the customers of each offer.
    limits : sequence of Limit
        What the treated may use.
    draws : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    bool array of shape (n,)
        Who is held back.
    """
    control = np.zeros(len(offers), dtype=bool)
    for number in np.unique(offers):
        rows = np.flatnonzero(offers == number)
        count = len(rows)
        ordered = rows[np.lexsort((draws.random(count), strata[rows]))]
        steps = np.arange(count + 1) * rounded_up(share, count) + int(draws.integers(count))
        control[ordered[np.diff(steps // count) > 0]] = True
    treated = draws.permutation(np.flatnonzero(~control))
    control[treated[~within(limits, offers[treated])]] = True
    return control


def treated_share(offers: NDArray[Any], control: Flags) -> NDArray[np.float64]:
    """Return for each customer which share of those with the same offer is treated."""
    if not len(offers):
        return np.zeros(0)
    drawn = np.bincount(offers)
    shares: NDArray[np.float64] = (np.bincount(offers, weights=~control) / np.maximum(drawn, 1))[offers]
    return shares

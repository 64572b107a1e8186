"""Rows cut into periods: what a model of hazards learns from (Singer and Willett, 1993)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PersonPeriods:
    """The periods in which each row was watched.

    Attributes
    ----------
    row : array of shape (m,)
        Which row.
    number : array of shape (m,)
        Which of its periods, from 0 on.
    outcome : array of shape (m,)
        0 where it stayed, else the class of the departure; then the period is its last.
    weight : array of shape (m,)
        How much it counts: the row's weight, times the share of the period that was watched where it was censored in
        it, over the chance of having been drawn.
    """

    row: npt.NDArray[np.int32]
    number: npt.NDArray[np.int16]
    outcome: npt.NDArray[np.int16]
    weight: Array

    @classmethod
    def of(cls, length: Array, outcome: npt.NDArray[np.int16], weight: Array, *, most: int) -> Self:
        """Cut rows into periods.

        A row that is censored within a period was at risk in a part of it only, and counts for that part: left out, it
        would leave those behind who left before they could be censored, and the hazard would be too high.

        Parameters
        ----------
        length : array of shape (n,)
            How long each row was watched, in periods; a departure at 1.0 falls into the second one.
        outcome : array of shape (n,)
            0 where it was censored then, else the class of its departure.
        weight : array of shape (n,)
            How much each row counts.
        most : int
            Periods that are looked ahead; who is still there is censored.

        Returns
        -------
        PersonPeriods
            In the order of rows and periods; without those that count for nothing.
        """
        outcome = np.where(length < most, outcome, 0)
        length = np.minimum(length, most)
        counts = np.where(outcome > 0, np.floor(length) + 1, np.ceil(length)).astype(np.int32)
        row = np.repeat(np.arange(len(length), dtype=np.int32), counts)
        begins = np.cumsum(counts, dtype=np.int64) - counts
        number = (np.arange(len(row)) - begins[row]).astype(np.int16)
        met = np.where(number == counts[row] - 1, outcome[row], 0).astype(np.int16)
        share = np.where(met > 0, 1.0, np.minimum(length[row] - number, 1.0))
        found = cls(row, number, met, weight[row] * share)
        return found.take(np.flatnonzero(found.weight > 0))

    def take(self, places: npt.NDArray[np.intp], weight: Array | None = None) -> Self:
        """Return some of them, with other weights where these are given."""
        weight = self.weight if weight is None else weight
        return type(self)(self.row[places], self.number[places], self.outcome[places], weight[places])

    def drawn(self, most: int, random: np.random.RandomState) -> Self:
        """Draw so many at most, those in which somebody left first: they tell nearly all there is to be told.

        Each that is drawn stands for those that are not, by its weight (case-control sampling: King and Zeng, 2001), so
        that sums over all stay what they are but for the luck of the draw.

        Parameters
        ----------
        most : int
            How many to keep. Departures take half of it at most.
        random : RandomState
            What draws.

        Returns
        -------
        PersonPeriods
            In the same order.
        """
        if len(self.row) <= most:
            return self
        left, stayed = np.flatnonzero(self.outcome > 0), np.flatnonzero(self.outcome == 0)
        room = max(most - len(left), most // 2)
        weight, kept = self.weight.copy(), []
        for among, size in ((left, most - room), (stayed, room)):
            drawn = among if len(among) <= size else random.choice(among, size, replace=False)
            weight[drawn] *= len(among) / max(len(drawn), 1)
            kept.append(drawn)
        return self.take(np.sort(np.concatenate(kept)), weight)

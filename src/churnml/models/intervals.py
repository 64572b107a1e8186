"""Intervals for money: how outcomes spread around predictions on rows not seen, in bins of the prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from churnml.errors import DataError

Array = npt.NDArray[np.float64]

_MOST_BINS = 20
_ROWS = 200  # in a bin at least: a 90 % interval of so many holds 90 % give or take 2 %
_KEPT = 500  # quantiles of a bin


@dataclass(frozen=True)
class Intervals:
    """The distribution of outcomes over their scale in each bin of the prediction.

    Attributes
    ----------
    edges : list of float
        Predictions between which the bins lie, ascending, one fewer than bins.
    quantiles : list of list of float
        Outcomes over their scale in each bin, ascending, equally likely.
    rows : list of float
        How many rows each bin rests on (by Kish's formula where they are weighted).
    """

    edges: list[float]
    quantiles: list[list[float]]
    rows: list[float]

    @classmethod
    def learned(cls, observed: Array, predicted: Array, scale: Array, weight: Array) -> Self:
        """Learn from rows that the model has not seen.

        Conformal prediction within bins (Mondrian; Vovk, Gammerman and Shafer, 2005), by the outcome over its scale:
        a zero stays a zero, and large customers may stray further than small ones.

        Parameters
        ----------
        observed, predicted : array of shape (n,)
            Money.
        scale : array of shape (n,)
            The expected size of what is observed, money, over 0.
        weight : array of shape (n,)
            How much each row counts.

        Returns
        -------
        Intervals
            With as many bins of equal numbers of rows as the rows allow, 20 at most.
        """
        counted = weight > 0
        observed, predicted, scale, weight = (numbers[counted] for numbers in (observed, predicted, scale, weight))
        bins = int(np.clip(len(observed) // _ROWS, 1, _MOST_BINS))
        edges = np.unique(np.quantile(predicted, np.arange(1, bins) / bins))
        place = np.searchsorted(edges, predicted, side="right")
        edges = edges[np.isin(np.arange(len(edges)), place)]  # the first bin is empty where many share the lowest
        place = np.searchsorted(edges, predicted, side="right")
        quantiles, rows = [], []
        for number in range(len(edges) + 1):
            inside = place == number
            quantiles.append(_quantiles(observed[inside] / scale[inside], weight[inside]).tolist())
            rows.append(float(np.sum(weight[inside]) ** 2 / np.sum(weight[inside] ** 2)))
        return cls(edges.tolist(), quantiles, rows)

    def __call__(self, predicted: Array, scale: Array, coverage: float) -> Array:
        """Return the lower and the upper end of each row's interval, shape (n, 2), in money.

        Parameters
        ----------
        predicted, scale : array of shape (n,)
            Money, as in `learned`.
        coverage : float
            The share of outcomes that intervals are to hold, between 0 and 1.

        Returns
        -------
        array of shape (n, 2)
            Each holds the prediction: a mean may lie outside what is likely, as that of a lottery does.

        Raises
        ------
        DataError
            If the coverage is not between 0 and 1.
        """
        if not 0 < coverage < 1:
            raise DataError(f"a coverage of {coverage} is none", "give a share between 0 and 1, such as 0.9")
        ends = np.array(
            [
                _ends(np.asarray(held), coverage * (1 + 1 / rows))
                for held, rows in zip(self.quantiles, self.rows, strict=True)
            ]
        )
        low, high = (ends[np.searchsorted(self.edges, predicted, side="right")] * scale[:, np.newaxis]).T
        return np.column_stack([np.minimum(low, predicted), np.maximum(high, predicted)])

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is kept; reading it back gives the same bits."""
        return {"edges": self.edges, "quantiles": self.quantiles, "rows": self.rows}


def _quantiles(values: Array, weight: Array) -> Array:
    """Return the values at so many levels of equal weight as are kept."""
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weight[order]) / np.sum(weight)
    kept = min(len(values), _KEPT)
    levels = (np.arange(kept) + 0.5) / kept
    return np.asarray(values[order][np.minimum(np.searchsorted(mass, levels), len(values) - 1)])


def _ends(held: Array, coverage: float) -> tuple[float, float]:
    """Return the ends of the interval that leaves out equally much on both sides, as far as ties allow.

    Where many share the lowest value (those who bring nothing), nothing can be left out below it, and all that is left
    out lies above; and the other way round.
    """
    count = len(held)
    wanted = min(int(np.ceil(coverage * count)), count)
    low = held[(count - wanted) // 2]
    high = held[min(int(np.searchsorted(held, low)) + wanted, count) - 1]
    low = held[max(int(np.searchsorted(held, high, side="right")) - wanted, 0)]
    return float(low), float(high)

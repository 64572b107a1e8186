"""How many purchases are to come from customers who come and go unseen: a forecast that knows decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import gammaln, hyp2f1

from churnml.errors import DataError

Array = npt.NDArray[np.float64]

_FEWEST = 50  # customers who came back, to learn from
_MONTH = 30.0  # days: shapes are searched for in a unit of their own size
_FURTHEST = 10.0  # of a logarithm of a shape from 0


@dataclass(frozen=True)
class BetaGeometric:
    """The BG/NBD model of repeat purchases (Fader, Hardie and Lee, 2005).

    While they last, customers buy at a rate of their own, gamma distributed with shape ``r`` and rate ``alpha``; after
    each purchase they leave for good with a chance of their own, beta distributed with ``a`` and ``b``. So a group of
    customers buys less and less, as those who last are not known but their share is.

    Parameters
    ----------
    r, alpha, a, b : float
        ``alpha`` in days.
    """

    r: float
    alpha: float
    a: float
    b: float

    @classmethod
    def fitted(cls, repeats: Array, last: Array, age: Array) -> Self:
        """Fit by maximum likelihood.

        Parameters
        ----------
        repeats : array of shape (n,)
            Purchases after the first; those of one day count once.
        last : array of shape (n,)
            Days from the first purchase to the last.
        age : array of shape (n,)
            Days from the first purchase to the as-of date.

        Returns
        -------
        BetaGeometric
            The likeliest.

        Raises
        ------
        DataError
            If the arrays do not go together, or fewer than 50 customers came back.
        """
        repeats, last, age = _checked(repeats, last, age)
        if np.count_nonzero(repeats) < _FEWEST:
            came = np.count_nonzero(repeats)
            raise DataError(
                f"{came} of {len(repeats)} customers came back, {_FEWEST} are needed",
                "take more customers, or a longer time",
            )
        histories, count = np.unique(np.column_stack([repeats, last, age]), axis=0, return_counts=True)
        x, t_x, t = histories[:, 0], histories[:, 1] / _MONTH, histories[:, 2] / _MONTH

        def loss(logarithms: Array) -> float:
            return -float(np.average(_log_likelihood(np.exp(logarithms), x, t_x, t), weights=count))

        found = minimize(loss, np.zeros(4), method="L-BFGS-B", bounds=[(-_FURTHEST, _FURTHEST)] * 4)
        r, alpha, a, b = (float(number) for number in np.exp(found.x))
        return cls(r, alpha * _MONTH, a, b)

    def expected(self, repeats: Array, last: Array, age: Array, days: float) -> Array:
        """Forecast how many purchases each customer makes in the days to come.

        Parameters
        ----------
        repeats, last, age : array of shape (n,)
            As in `fitted`.
        days : float
            How far to look ahead.

        Returns
        -------
        array of shape (n,)
            Expected purchases.

        Raises
        ------
        DataError
            If the arrays do not go together, or the days are not over 0.
        """
        x, t_x, t = _checked(repeats, last, age)
        if not (np.isfinite(days) and days > 0):
            raise DataError(f"purchases in {days} days cannot be forecast", "give a number of days over 0")
        # equation 10 of the paper divides by a - 1; near it the limit is taken from beside it
        a = self.a if abs(self.a - 1) > 1e-6 else 1 + 1e-6
        spent = (self.alpha + t) / (self.alpha + t + days)
        series = hyp2f1(self.r + x, self.b + x, a + self.b + x - 1, 1 - spent)
        coming = (a + self.b + x - 1) / (a - 1) * (1 - spent ** (self.r + x) * series)
        waiting = ((self.alpha + t) / (self.alpha + t_x)) ** (self.r + x)
        gone = np.where(x > 0, a / (self.b + np.maximum(x, 1) - 1) * waiting, 0.0)
        return np.asarray(coming / (1 + gone))


def _log_likelihood(shapes: Array, x: Array, t_x: Array, t: Array) -> Array:
    r, alpha, a, b = shapes
    buys = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stays = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    still = -(r + x) * np.log(alpha + t)
    gone = np.log(a / (b + np.maximum(x, 1) - 1)) - (r + x) * np.log(alpha + t_x)
    return np.asarray(buys + stays + np.where(x > 0, np.logaddexp(still, gone), still))


def _checked(repeats: Array, last: Array, age: Array) -> tuple[Array, Array, Array]:
    x, t_x, t = (np.asarray(numbers, dtype=np.float64) for numbers in (repeats, last, age))
    fit = x.ndim == 1 and x.shape == t_x.shape == t.shape
    if not (fit and np.isfinite(x + t_x + t).all() and (x >= 0).all() and (t_x >= 0).all() and (t_x <= t).all()):
        raise DataError(
            "purchases, days to the last and age do not go together",
            "give three arrays of one length, finite, at least 0, the last purchase no later than the age",
        )
    return x, t_x, t

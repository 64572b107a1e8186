"""Choosing who gets which offer: the most expected profit that the limits allow.

Solving for hundreds of thousands of customers at once would take minutes. So prices of the limits are looked for first
(their dual problem, a handful of numbers): at the right prices nearly everyone's choice is plain, and HiGHS has only
the doubtful few to settle. The same prices give a bound that no choice can pass, which proves the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array, vstack

from churnml.campaigns.limits import NOTHING, Limit, Numbers, counts_of
from churnml.campaigns.offers import Matrix
from churnml.campaigns.quiet import quiet_stdout

_ROUNDS = 300  # of looking for prices
_DOUBTFUL = (200, 1_000)  # groups that are left to the solver, more only where fewer prove nothing
_MOST_WORK = 10**8  # nodes x variables^2: a limit that, unlike one of time, gives the same result everywhere
_GOOD_ENOUGH = 1e-7  # of the profit
_LARGEST = 1e4  # what one customer uses of a limit, as the solver sees it


def select(profit: Matrix, limits: Sequence[Limit]) -> Numbers:
    """Choose at most one offer for each customer, only where it brings something, within limits.

    Parameters
    ----------
    profit : float array of shape (n, k)
        What each of k offers brings with each of n customers, in money. Of customers who are alike in every number, the
        first are chosen.
    limits : sequence of Limit
        What may be used together.

    Returns
    -------
    int array of shape (n,)
        The number of the offer, or `NOTHING`. The sum of profit is the largest possible to about 1e-7 of it; in rare
        cases (many customers that differ by next to nothing) to about 1e-4.
    """
    worth = np.where(profit > 0, profit, -np.inf)
    some = (worth > 0).any(axis=1)
    chosen = np.where(some, worth.argmax(axis=1), NOTHING).astype(np.int64)
    if all(limit.allows(counts_of(chosen, profit.shape[1])) for limit in limits):
        return chosen
    alike, member, size = np.unique(worth[some], axis=0, return_inverse=True, return_counts=True)
    counts = _Groups.of(alike, size, limits).most_profitable()
    spelled_out = np.column_stack([counts, size - counts.sum(axis=1)])
    numbers = np.append(np.arange(profit.shape[1]), NOTHING)
    by_group = np.repeat(np.tile(numbers, len(alike)), spelled_out.ravel())
    chosen[np.flatnonzero(some)[np.argsort(member.ravel(), kind="stable")]] = by_group
    return chosen


@dataclass(frozen=True)
class _Groups:
    """Customers who are alike, taken together.

    Attributes
    ----------
    profit : float array of shape (g, k)
        As a share of the largest; -inf where the offer brings nothing.
    size : int array of shape (g,)
        How many customers.
    limits : tuple of Limit
        The l limits that may bind.
    uses, most : float arrays of shape (l, k) and (l,)
        The same as numbers, whole ones where the solver can tell them apart.
    """

    profit: Matrix
    size: Numbers
    limits: tuple[Limit, ...]
    uses: Matrix
    most: Matrix

    @classmethod
    def of(cls, profit: Matrix, size: Numbers, limits: Sequence[Limit]) -> _Groups:
        """Leave out what cannot bind, and scale the rest."""
        uses, most, binding = [], [], []
        for limit in limits:
            units, amount = limit.whole()
            scale = max(1.0, max(units) / _LARGEST)
            use = np.array(units, dtype="float64") / scale
            if (np.where(profit > 0, use, 0).max(axis=1) * size).sum() > amount / scale * (1 - 1e-9):
                uses.append(use)
                most.append(amount / scale)
                binding.append(limit)
        return cls(profit / profit.max(), size, tuple(binding), np.array(uses), np.array(most))

    def most_profitable(self) -> Numbers:
        """Return how many of each group get each offer, as an array of shape (g, k)."""
        prices, bound = self._prices()
        reduced = np.column_stack([self.profit - prices @ self.uses, np.zeros(len(self.size))])
        pick = reduced.argmax(axis=1)
        loss = reduced.max(axis=1, keepdims=True) - reduced
        margin = np.partition(loss, 1, axis=1)[:, 1]
        doubtful_first = np.argsort(margin, kind="stable")
        best = self._cut_to_fit(pick, reduced.max(axis=1))
        for count in _DOUBTFUL:
            gap = bound - self._worth(best)
            if gap <= _GOOD_ENOUGH * bound:
                break
            found = self._settled(pick, doubtful_first[:count], bound)
            best = best if found is None or self._worth(found) <= self._worth(best) else found
            if count >= len(margin) or margin[doubtful_first[count]] > bound - self._worth(best):
                break  # whoever is not doubtful would cost more than is left to gain
        return best

    def _prices(self) -> tuple[Matrix, float]:
        """Find what a unit of each limit is worth, and the bound on profit that follows (cutting planes)."""
        prices = np.zeros(len(self.limits))
        dearest = np.array([1 / use[use > 0].min() for use in self.uses])
        best, bound = prices, np.inf
        slopes: list[Matrix] = []
        levels: list[float] = []
        for _ in range(_ROUNDS):
            reduced = self.profit - prices @ self.uses
            pick = reduced.argmax(axis=1)
            gain = reduced[np.arange(len(pick)), pick]
            wanted = gain > 0
            counts = np.bincount(pick[wanted], weights=self.size[wanted], minlength=self.profit.shape[1])
            level = float(self.most @ prices + gain[wanted] @ self.size[wanted])
            if level < bound:
                best, bound = prices, level
            slope = self.most - self.uses @ counts
            slopes.append(np.append(slope, -1))
            levels.append(float(slope @ prices) - level)
            lowest = linprog(
                np.append(np.zeros(len(prices)), 1),
                A_ub=np.array(slopes),
                b_ub=np.array(levels),
                bounds=[*((0, top) for top in dearest), (0, None)],
            )
            if lowest.x is None or bound - lowest.fun <= _GOOD_ENOUGH / 100 * bound:
                break
            prices = np.clip(lowest.x[:-1], 0, dearest)
        return best, bound

    def _cut_to_fit(self, pick: NDArray[np.intp], gain: Matrix) -> Numbers:
        """Give everyone what they would pick at the prices, and take back what gains least where limits are passed."""
        counts = self._picked(pick)
        for limit in self.limits:
            units, most = limit.whole()
            use = np.array([*units, 0], dtype=object)[pick]
            rows = np.flatnonzero(use > 0)
            rows = rows[np.argsort(-gain[rows], kind="stable")]
            had = counts[rows, pick[rows]].astype(object)
            before = np.cumsum(use[rows] * had) - use[rows] * had
            counts[rows, pick[rows]] = np.clip((most - before) // use[rows], 0, had).astype(np.int64)
        return counts

    def _settled(self, pick: NDArray[np.intp], doubtful: NDArray[np.intp], bound: float) -> Numbers | None:
        """Let the solver choose for some groups while the others have what they pick; None where it finds nothing."""
        counts = self._picked(pick)
        counts[doubtful] = 0
        left = self.most - self.uses @ counts.sum(axis=0)
        group, offer = np.nonzero(self.profit[doubtful] > 0)
        if (left < 0).any() or not len(group):
            return None
        size = self.size[doubtful]
        gains = self.profit[doubtful][group, offer]
        one_offer_each = coo_array((np.ones(len(group)), (group, np.arange(len(group)))), (len(doubtful), len(group)))
        rows = vstack([one_offer_each, csr_array(self.uses[:, offer])], format="csc")
        for presolve in (True, False):  # its presolving has given wrong answers: scipy issue 24141
            with quiet_stdout():
                answer = milp(
                    -1_000 * gains / gains.max(),
                    integrality=np.ones(len(group)),
                    bounds=Bounds(0, size[group].astype("float64")),
                    constraints=LinearConstraint(rows, -np.inf, np.append(size, left)),
                    options={
                        "mip_rel_gap": min(1e-3, _GOOD_ENOUGH * bound / float(gains @ size[group])),
                        "node_limit": max(1, _MOST_WORK // len(group) ** 2),
                        "presolve": presolve,
                    },
                )
            if answer.x is not None:
                counts[doubtful[group], offer] = np.round(answer.x).astype(np.int64)
                if self._allowed(counts):
                    return counts
        return None

    def _picked(self, pick: NDArray[np.intp]) -> Numbers:
        counts = np.zeros((len(self.size), self.profit.shape[1] + 1), dtype=np.int64)
        counts[np.arange(len(pick)), pick] = self.size
        return counts[:, :-1]

    def _allowed(self, counts: Numbers) -> bool:
        total = counts.sum(axis=0).tolist()
        return bool((counts.sum(axis=1) <= self.size).all()) and all(limit.allows(total) for limit in self.limits)

    def _worth(self, counts: Numbers) -> float:
        return float((np.where(counts > 0, self.profit, 0) * counts).sum())

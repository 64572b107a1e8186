"""Lifetime value: what customers will bring while they stay, month by month, in today's money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from churnml.errors import DataError

Array = npt.NDArray[np.float64]
When = Literal["start", "middle", "end"]

_PAID = {"start": 0.0, "middle": 0.5, "end": 1.0}  # of a month, from its beginning
_PAID_EN = {"start": "at the start", "middle": "in the middle", "end": "at the end"}
_PAID_ZH = {"start": "月初", "middle": "月中", "end": "月末"}
_ROUNDING = 1e-9


@dataclass(frozen=True)
class LifetimeValue:
    """Lifetime values, with what they rest on.

    Attributes
    ----------
    value : array of shape (n,)
        Money of today.
    by_month : array of shape (n, months)
        What each month adds to it.
    assumptions : dict of str
        What was assumed, one sentence or two, under ``en`` and ``zh``.
    """

    value: Array
    by_month: Array
    assumptions: dict[str, str]


def lifetime_value(
    survival: Array, monthly_margin: Array, *, annual_discount_rate: float, paid: When = "middle"
) -> LifetimeValue:
    """Sum survival x expected margin x discount over months (Gupta, Lehmann and Stuart, 2004).

    Parameters
    ----------
    survival : array of shape (n, months)
        Each customer's chance of still being there at the end of months 1, 2, ...; never rising. The last month is the
        horizon: nothing after it counts.
    monthly_margin : array of shape (n,) or (n, months)
        What a customer who stays brings in a month, money; one number a customer, or one for each month.
    annual_discount_rate : float
        What money loses in worth in a year, 0.1 for 10 %; from 0 to below 1.
    paid : {"start", "middle", "end"}
        When in a month its margin comes in. Who comes in for it: at the start those there as it begins, at the end
        those there as it ends, in the middle the mean of both.

    Returns
    -------
    LifetimeValue
        Values and assumptions.

    Raises
    ------
    DataError
        If shapes do not go together, a number is not finite, a chance is not one or rises, or the rate is out of
        range.
    """
    chances, margin = np.asarray(survival, dtype=np.float64), np.asarray(monthly_margin, dtype=np.float64)
    _refuse_no_survival(chances)
    if margin.shape not in (chances.shape[:1], chances.shape):
        raise DataError(
            f"margins of shape {margin.shape} do not go with survival of shape {chances.shape}",
            "give one margin a customer, or one for each month of each",
        )
    if not np.isfinite(margin).all():
        raise DataError("a margin is null or infinite", "leave those customers out, or fill it")
    if not (0 <= annual_discount_rate < 1):
        raise DataError(
            f"an annual discount rate of {annual_discount_rate} is none",
            "give a share from 0 to below 1, such as 0.1 for 10 %",
        )
    if paid not in _PAID:
        raise DataError(f"margins cannot be paid at {paid!r} of a month", f"take one of: {', '.join(_PAID)}")
    at = _PAID[paid]
    begin = np.column_stack([np.ones(len(chances)), chances[:, :-1]])
    there = (1 - at) * begin + at * chances
    months = np.arange(chances.shape[1]) + at
    discount = (1 + annual_discount_rate) ** (-months / 12)
    by_month = there * (margin if margin.ndim == 2 else margin[:, np.newaxis]) * discount
    flat = margin.ndim == 1
    return LifetimeValue(
        by_month.sum(axis=1), by_month, _assumptions(chances.shape[1], annual_discount_rate, paid, flat)
    )


def _refuse_no_survival(chances: Array) -> None:
    if chances.ndim != 2 or chances.shape[1] == 0:
        raise DataError(
            f"survival of shape {chances.shape} is no table of customers x months",
            "give one row a customer, one column a month",
        )
    wrong = ~((chances >= 0) & (chances <= 1)).all(axis=1)
    if wrong.any():
        raise DataError(
            f"survival of {wrong.sum():,} of {len(chances):,} customers is not between 0 and 1",
            "give chances",
            rows=int(wrong.sum()),
        )
    rising = (np.diff(chances, axis=1) > _ROUNDING).any(axis=1)
    if rising.any():
        raise DataError(
            f"survival of {rising.sum():,} of {len(chances):,} customers rises from one month to a later one",
            "give the chance of staying to the end of each month, earlier months first",
            rows=int(rising.sum()),
        )


def _assumptions(months: int, rate: float, paid: When, flat: bool) -> dict[str, str]:
    each_en = (
        "the same margin in each month that they stay" if flat else "the margin given for each month that they stay"
    )
    each_zh = "在网期间每月利润不变" if flat else "各月利润分别给定"
    return {
        "en": (
            f"Lifetime value over the next {months} months; nothing later counts. Money is discounted by"
            f" {100 * rate:.4g} % a year and comes in {_PAID_EN[paid]} of each month. Customers bring {each_en};"
            " how much does not hang together with how long they stay. Who leaves does not come back."
        ),
        "zh": (
            f"未来 {months} 个月的客户终身价值，之后不计；年折现率 {100 * rate:.4g}%，每月{_PAID_ZH[paid]}计入；"
            f"{each_zh}，且利润高低与在网长短无关；流失后不再返回。"
        ),
    }

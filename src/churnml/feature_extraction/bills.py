"""Features of bills: how much is billed, and how it is paid."""

from __future__ import annotations

from collections.abc import Iterator

from ibis import _

from churnml.feature_extraction.declare import MEAN, Feature, Layout, Measure, day_of, mean

IN_FULL = 1e-6  # no more than this may be missing

_PAYMENT = _.paid_amount.fill_null(_.amount)
_MISSING = _.amount - _.paid_at.isnull().ifelse(0.0, _PAYMENT)
_IN_TIME = (_.paid_at.date() <= _.due_at.date()).fill_null(False)
_OWED = _.amount > IN_FULL  # a bill of zero or less is in full from the start
_LATE = _OWED & ((_.amount - _IN_TIME.ifelse(_PAYMENT, 0.0)) > IN_FULL)


def billed(days: int, money: str = "money") -> Feature:
    """Declare the sum of a window's bills: also what grades, campaigns and baselines mean by spend."""
    return Feature(
        f"bills_amount_sum_{days}d",
        "bills",
        {"value": Measure("sum", _.amount, window=days)},
        empty=0,
        window=days,
        unit=money,
        meaning=f"Sum of the amounts billed in the {days} days before the date.",
        phrase_en=f"billed in the last {days} days",
        phrase_zh=f"最近{days}天的账单金额",
        theme="price",
    )


def features(layout: Layout) -> Iterator[Feature]:
    """Declare the billing features of a layout."""
    money = layout.currency or "money"
    for days in layout.windows:
        yield billed(days, money)
        yield Feature(
            f"bills_amount_mean_{days}d",
            "bills",
            mean(_.amount, days),
            formula=MEAN,
            window=days,
            unit=money,
            meaning=f"Mean amount of the bills of the {days} days before the date; null without a bill.",
            phrase_en=f"average bill of the last {days} days",
            phrase_zh=f"最近{days}天的平均账单金额",
            theme="price",
        )
        yield Feature(
            f"bills_late_count_{days}d",
            "bills",
            {"value": Measure("count", where=_LATE, at="due_at", window=days)},
            empty=0,
            dtype="int64",
            window=days,
            unit="bills",
            meaning=f"Bills due in the {days} days before the date that were not paid in full by the end of that day.",
            phrase_en=f"bills not paid in time in the last {days} days",
            phrase_zh=f"最近{days}天未按时付清的账单数",
            theme="payment",
        )
    yield Feature(
        "bills_unpaid_amount",
        "bills",
        {"value": Measure("sum", (_MISSING > 0).ifelse(_MISSING, 0.0))},
        empty=0,
        unit=money,
        meaning="What is billed and not known to be paid, over all bills before the date.",
        phrase_en="amount unpaid",
        phrase_zh="未付金额",
        theme="payment",
    )
    yield Feature(
        "bills_days_overdue_max",
        "bills",
        {"oldest": Measure("min", day_of(_.due_at), where=_OWED & (_MISSING > IN_FULL), at="due_at")},
        formula=_.as_of_day - _.oldest,
        empty=0,
        dtype="int64",
        unit="days",
        meaning="Whole days since the oldest due day of a bill that is not known to be paid in full; 0 without one.",
        phrase_en="days that the oldest unpaid bill is overdue",
        phrase_zh="最早未付账单的逾期天数",
        theme="payment",
    )

"""Features of bills: how much is billed, and how it is paid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ibis import _

from churnml.feature_extraction.declare import (
    MEAN,
    NOTHING,
    Deferred,
    Feature,
    Layout,
    Measure,
    day_of,
    each_period,
    greatest,
    in_a_row,
    least,
    mean,
    periods,
    share,
)

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
        phrase_en=f"amount billed in the last {days} days",
        phrase_zh=f"最近{days}天的账单金额",
        theme="price",
    )


def features(layout: Layout) -> Iterator[Feature]:
    """Declare the billing features of a layout."""
    money = layout.money
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
            phrase_nothing_en=f"no bill in the last {days} days",
            phrase_nothing_zh=f"最近{days}天无账单",
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
            worse="higher",
        )
    yield Feature(
        "bills_unpaid_amount",
        "bills",
        {"value": Measure("sum", (_MISSING > 0).ifelse(_MISSING, 0.0))},
        empty=0,
        unit=money,
        meaning="What is billed and not known to be paid, of each bill at least 0, over all bills before the date.",
        phrase_en="amount unpaid",
        phrase_zh="未付金额",
        theme="payment",
        worse="higher",
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
        worse="higher",
    )
    yield from _of_shock(money)
    yield from _of_payment()


def _of_shock(money: str) -> Iterator[Feature]:
    """Declare how the last bills compare with the customer's own past, and with the fee."""
    feature = partial(Feature, source="bills", theme="price")
    yield feature(
        "bills_amount_last",
        inputs={"value": Measure("last", _.amount)},
        unit=money,
        meaning="Amount of the last bill before the date (of several at one instant, the lowest).",
        phrase_en="last bill",
        phrase_zh="最近一期账单金额",
    )
    yield feature(
        "bills_last_to_mean_365d",
        inputs={"last": Measure("last", _.amount), **mean(_.amount, 365)},
        formula=share(_.last, MEAN),
        window=365,
        unit="ratio",
        meaning="Amount of the last bill over the mean of the bills of the 365 days before the date; null where that is"
        " not over 1e-6.",
        phrase_en="last bill against the average of the past year",
        phrase_zh="最近一期账单与近一年平均账单之比",
    )
    yield feature(
        "bills_max_to_mean_365d",
        inputs={"highest": Measure("max", _.amount, window=90), **mean(_.amount, 365)},
        formula=(MEAN > NOTHING).ifelse(_.highest / MEAN, None),
        window=365,
        unit="ratio",
        meaning="Highest bill of the last 90 days over the mean of the bills of the 365 days before the date; null"
        " where that is not over 1e-6, or none was billed in the 90 days.",
        phrase_en="highest bill of the last 90 days against the average of the past year",
        phrase_zh="近90天最高账单与近一年平均账单之比",
    )
    yield feature(
        "bills_amount_trend_90d_365d",
        inputs={"recent": Measure("sum", _.amount, window=90), "base": Measure("sum", _.amount, window=365)},
        formula=(_.base > NOTHING).ifelse((_.recent.fill_null(0) / 90) / (_.base / 365), None),
        window=365,
        unit="ratio",
        meaning="Billed a day in the last 90 days over that in the last 365; null unless the sum of the 365 is over"
        " 1e-6.",
        phrase_en="amount billed a day, last 90 days against the past year",
        phrase_zh="近90天与近一年的日均账单金额之比",
    )
    fee = {"fee": Measure("sum", _.monthly_fee, where=_.ended_at.isnull(), source="subscriptions")}
    yield feature(
        "bills_over_fee_mean_90d",
        inputs={**mean(_.amount, 90), **fee},
        formula=_at_least_0(MEAN - _.fee),
        window=90,
        unit=money,
        meaning="How far the mean bill of the 90 days before the date lies over the monthly fee in force, at least 0;"
        " null without a bill or a fee.",
        phrase_en="excess of the average bill over the monthly fee, last 90 days",
        phrase_zh="近90天平均账单超出月租费的金额",
        worse="higher",
    )
    earlier = {name: replace(measure, window=365, until=90) for name, measure in mean(_.amount, 90).items()}
    yield feature(
        "bills_discount_ended_90d_365d",
        inputs={**mean(_.amount, 90), **fee, "total_before": earlier["total"], "n_before": earlier["n"]},
        formula=_at_least_0(_at_least_0(_.fee - _.total_before / _.n_before) - _at_least_0(_.fee - MEAN)),
        window=365,
        unit=money,
        meaning="How far the mean bill of the 275 days up to 90 days before the date lies below the monthly fee in"
        " force, less how far that of the last 90 days does, at least 0: a discount that ended; null without a bill"
        " in either, or a fee.",
        phrase_en="monthly discount that ended in the last 90 days",
        phrase_zh="近90天到期的月租优惠金额",
        worse="higher",
    )
    months = each_period(12)
    yield feature(
        "bills_months_in_a_row",
        inputs=periods(Measure("sum", _.amount), 30, 12),
        formula=in_a_row([month > NOTHING for month in months]),
        dtype="int64",
        window=360,
        unit="periods of 30 days",
        meaning="Periods of 30 days before the date in a row in which more than 0 was billed, 12 at most.",
        phrase_en="months in a row with a bill",
        phrase_zh="连续有账单的月数",
    )
    yield feature(
        "bills_amount_least_of_6_months",
        inputs=periods(Measure("sum", _.amount), 30, 6),
        formula=least(*months[:6]),
        window=180,
        unit=money,
        meaning="Least that was billed in one of the six periods of 30 days before the date (0 without a bill): so much"
        " or more was spent six months in a row.",
        phrase_en="lowest monthly amount billed in the last six months",
        phrase_zh="近六个月的最低月账单金额",
    )
    yield feature(
        "bills_amount_share_of_own_most",
        inputs=periods(Measure("sum", _.amount), 30, 12),
        formula=share(months[0], greatest(*months)),
        window=360,
        unit="share",
        meaning="Billed in the last 30 days over the most that was billed in one of the twelve periods of 30 days"
        " before the date; null where that is not over 1e-6.",
        phrase_en="amount billed in the last month as a share of the highest month of the past year",
        phrase_zh="最近一月账单金额占近一年最高月的比例",
    )


def _of_payment() -> Iterator[Feature]:
    """Declare how long after the due day bills are paid, and whether that changes."""
    feature = partial(Feature, source="bills", theme="payment", unit="days", worse="higher")
    delay = day_of(_.paid_at) - day_of(_.due_at)
    recent, base = (mean(delay.cast("float64"), days, at="due_at") for days in (90, 365))
    for days, inputs in ((90, recent), (365, base)):
        yield feature(
            f"bills_payment_delay_days_mean_{days}d",
            inputs=inputs,
            formula=MEAN,
            window=days,
            meaning=f"Mean of the whole days from the due day to the day of payment, of bills due in the {days} days"
            " before the date that are known to be paid, in full or in part; negative before the due day.",
            phrase_en=f"average days from due day to payment, bills due in the last {days} days",
            phrase_zh=f"近{days}天到期账单的平均付款延迟天数",
            phrase_negative_en=f"bills due in the last {days} days paid {{}} days early on average",
            phrase_negative_zh=f"近{days}天到期的账单平均提前 {{}} 天付款",
        )
    yield feature(
        "bills_payment_delay_trend_90d_365d",
        inputs={
            f"{name}_{which}": measure for which, part in (("a", recent), ("b", base)) for name, measure in part.items()
        },
        formula=_.total_a / _.n_a - _.total_b / _.n_b,
        window=365,
        meaning="Mean payment delay of the last 90 days less that of the last 365; null where the 90 have none.",
        phrase_en="days by which bills are paid later, last 90 days against the past year",
        phrase_zh="近90天付款比近一年平均推迟的天数",
        phrase_negative_en="bills of the last 90 days were paid {} days sooner than those of the past year",
        phrase_negative_zh="近90天付款比近一年平均提前 {} 天",
    )


def _at_least_0(value: Deferred) -> Deferred:
    return (value > 0).ifelse(value, value * 0)

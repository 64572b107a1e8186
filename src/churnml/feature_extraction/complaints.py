"""Features of complaints: how many, how often again, and how well they were handled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ibis import _

from churnml.feature_extraction.declare import (
    MEAN,
    Feature,
    Layout,
    Measure,
    RowContext,
    Worse,
    day_of,
    mean,
    microseconds,
)

ROW_CONTEXT = (
    RowContext("previous_of_category", "previous", by="opened_at", same=("category",)),
    RowContext("billed_before", "previous", by="opened_at", source="bills"),
)

_KINDS = {
    "complaint": ("complaints", "投诉"),
    "fault": ("faults reported", "报障"),
    "enquiry": ("enquiries", "咨询"),
}
_WORSE: dict[str, Worse] = {"complaint": "higher", "fault": "higher"}
_ALL = ("complaints, faults and enquiries", "投诉、报障和咨询")  # rows of every kind
_CASES = ("customer service cases", "客服工单")  # the same, in short

_HOUR = 3_600_000_000
_REPEATED = (microseconds(_.previous_of_category, _.opened_at) <= 30 * 24 * _HOUR).fill_null(False)
_AFTER_BILL = (microseconds(_.billed_before, _.opened_at) <= 14 * 24 * _HOUR).fill_null(False)
_KEPT = (_.resolved_at <= _.promised_at).fill_null(False)
_RESOLVED = _.resolved_at.notnull()
_HANDLING_HOURS = microseconds(_.opened_at, _.resolved_at) / float(_HOUR)


def features(layout: Layout) -> Iterator[Feature]:
    """Declare the complaint features of a layout."""
    for days in layout.windows:
        yield Feature(
            f"complaints_count_{days}d",
            "complaints",
            {"value": Measure("count", window=days)},
            empty=0,
            dtype="int64",
            window=days,
            unit="complaints",
            meaning=f"Complaints opened in the {days} days before the date.",
            phrase_en=f"{_ALL[0]} in the last {days} days",
            phrase_zh=f"最近{days}天的{_ALL[1]}次数",
            theme="service",
            worse="higher",
        )
        yield Feature(
            f"complaints_repeat_count_{days}d",
            "complaints",
            {"value": Measure("count", where=_REPEATED, window=days)},
            empty=0,
            dtype="int64",
            window=days,
            unit="complaints",
            meaning=f"Complaints opened in the {days} days before the date, within 30 x 24 hours after another of the"
            " same category.",
            phrase_en=f"times the same matter was raised again within a month, last {days} days",
            phrase_zh=f"最近{days}天同类问题重复反映（一个月内）的次数",
            theme="service",
            worse="higher",
        )
        yield Feature(
            f"complaints_first_contact_resolution_rate_{days}d",
            "complaints",
            mean(_.first_contact_resolved.cast("float64"), days, where=_RESOLVED),
            formula=MEAN,
            window=days,
            unit="share",
            meaning=f"Share that took one contact, of the complaints opened in the {days} days before the date that are"
            " known to be resolved, and of which that is known; null without one.",
            phrase_en=f"share of {_CASES[0]} of the last {days} days resolved at first contact",
            phrase_zh=f"最近{days}天{_CASES[1]}的首次解决率",
            theme="service",
            worse="lower",
        )
        yield Feature(
            f"complaints_resolution_hours_mean_{days}d",
            "complaints",
            mean((_HANDLING_HOURS > 0).ifelse(_HANDLING_HOURS, 0.0), days, where=_RESOLVED),
            formula=MEAN,
            window=days,
            unit="hours",
            meaning=f"Mean hours from opening to resolving (0 at least), of the complaints opened in the {days} days"
            " before the date that are known to be resolved; null without one.",
            phrase_en=f"average hours to resolve {_CASES[0]} of the last {days} days",
            phrase_zh=f"最近{days}天{_CASES[1]}的平均处理时长（小时）",
            theme="service",
            worse="higher",
        )
        yield Feature(
            f"complaints_satisfaction_mean_{days}d",
            "complaints",
            mean(_.satisfaction, days),
            formula=MEAN,
            window=days,
            unit="score 1-5",
            meaning=f"Mean known satisfaction with the complaints opened in the {days} days before the date; null"
            " without one.",
            phrase_en=f"satisfaction (1 to 5) with {_CASES[0]} of the last {days} days",
            phrase_zh=f"最近{days}天{_CASES[1]}的处理满意度（1至5分）",
            theme="service",
            worse="lower",
        )
    yield Feature(
        "complaints_open_count",
        "complaints",
        {"value": Measure("count", where=~_RESOLVED)},
        empty=0,
        dtype="int64",
        unit="complaints",
        meaning="Complaints opened before the date and not known to be resolved.",
        phrase_en=f"{_CASES[0]} still open",
        phrase_zh=f"未办结的{_CASES[1]}数",
        theme="service",
        worse="higher",
    )
    yield from _of_kinds(layout)
    yield from _of_handling()


def _of_kinds(layout: Layout) -> Iterator[Feature]:
    """Declare what complaints are about, and what came before them."""
    feature = partial(Feature, source="complaints", theme="service")
    for days in layout.windows:
        for kind, (english, chinese) in _KINDS.items():
            yield feature(
                f"complaints_{kind}_count_{days}d",
                inputs={"value": Measure("count", where=_.kind == kind, window=days)},
                empty=0,
                dtype="int64",
                window=days,
                unit="complaints",
                meaning=f"Complaints of the kind {kind} opened in the {days} days before the date.",
                phrase_en=f"{english} in the last {days} days",
                phrase_zh=f"最近{days}天的{chinese}次数",
                worse=_WORSE.get(kind),
            )
        yield feature(
            f"complaints_after_bill_count_{days}d",
            inputs={"value": Measure("count", where=_AFTER_BILL, window=days)},
            empty=0,
            dtype="int64",
            window=days,
            unit="complaints",
            meaning=f"Complaints opened in the {days} days before the date whose customer was billed in the 14 x 24"
            " hours before the opening.",
            phrase_en=f"{_ALL[0]} within two weeks after a bill, last {days} days",
            phrase_zh=f"最近{days}天出账后两周内的{_ALL[1]}次数",
            theme="price",
            worse="higher",
        )
        yield feature(
            f"complaints_categories_count_{days}d",
            inputs={"value": Measure("distinct", _.category, window=days)},
            empty=0,
            dtype="int64",
            window=days,
            unit="categories",
            meaning=f"Different categories (null is none) of the complaints opened in the {days} days before the date.",
            phrase_en=f"different matters raised with customer service in the last {days} days",
            phrase_zh=f"最近{days}天向客服反映的问题类别数",
            worse="higher",
        )
    yield feature(
        "complaints_category_last",
        inputs={"value": Measure("last", _.category, window=365)},
        dtype="string",
        window=365,
        unit="",
        frequent=10,
        meaning="Category of the last complaint of the 365 days before the date (of several at one instant, the first"
        " in alphabetical order); other where it is none of the ten that most customers at risk have as theirs (of"
        " equally frequent ones, the first in alphabetical order).",
        phrase_en="what the last complaint, fault or enquiry was about",
        phrase_zh="最近一次投诉、报障或咨询的类别",
        phrase_nothing_en="no complaint, fault or enquiry in the last year, or none with a category",
        phrase_nothing_zh="近一年无投诉、报障或咨询，或未分类",
    )


def _of_handling() -> Iterator[Feature]:
    """Declare how long complaints wait, and whether promises were kept."""
    feature = partial(Feature, source="complaints", theme="service")
    yield feature(
        "complaints_open_age_days_max",
        inputs={"oldest": Measure("min", day_of(_.opened_at), where=~_RESOLVED)},
        formula=_.as_of_day - _.oldest,
        empty=0,
        dtype="int64",
        unit="days",
        meaning="Whole days since the day of the oldest complaint that is not known to be resolved; 0 without one.",
        phrase_en="days that the oldest open customer service case has waited",
        phrase_zh="最早未办结客服工单的等待天数",
        worse="higher",
    )
    yield feature(
        "complaints_days_since_last",
        inputs={"last": Measure("max", day_of(_.opened_at))},
        formula=_.as_of_day - _.last,
        unit="days",
        meaning="Whole days since the day of the last complaint; null without one.",
        phrase_en="days since the last complaint, fault or enquiry",
        phrase_zh="距最近一次投诉、报障或咨询的天数",
        phrase_nothing_en="never had a complaint, fault or enquiry",
        phrase_nothing_zh="从未投诉、报障或咨询",
    )
    yield feature(
        "complaints_promise_kept_rate_365d",
        inputs=mean(_KEPT.ifelse(1.0, 0.0), 365, at="promised_at"),
        formula=MEAN,
        window=365,
        unit="share",
        meaning="Share of the complaints promised to be resolved in the 365 days before the date that were, in time.",
        phrase_en=f"share of {_CASES[0]} resolved by the time promised, last year",
        phrase_zh=f"近一年按承诺时限办结的{_CASES[1]}占比",
        worse="lower",
    )

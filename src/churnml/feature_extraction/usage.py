"""Features of usage: how much, how often, when, since when, and whether it fades."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ibis import _

from churnml.feature_extraction.declare import (
    NOTHING,
    Feature,
    Layout,
    Measure,
    Theme,
    Turn,
    Worse,
    day_of,
    each_period,
    in_a_row,
    periods,
    share,
)

LOOK_BACK_DAYS = 730

_WORDS = {
    "voice_minutes": ("minutes", "voice minutes", "通话分钟数"),
    "sms_count": ("messages", "text messages", "短信条数"),
    "data_mb": ("MB", "MB of data", "流量（MB）"),
    "roaming_minutes": ("minutes", "roaming minutes", "漫游分钟数"),
    "dropped_calls": ("calls", "dropped calls", "掉话次数"),
}
_THEMES: dict[str, Theme] = {"dropped_calls": "network"}
_WORSE: dict[str, Worse] = {"dropped_calls": "higher"}

_DROPPED = "每百分钟掉话次数"
_TIMED = {"voice_minutes": ("voice minutes", "通话分钟数"), "data_mb": ("data", "流量")}  # whose times tell something
_MONTHS = 6
_WEEKEND = _.used_at.day_of_week.index() >= 5
_NIGHT = (_.used_at.hour() >= 22) | (_.used_at.hour() < 6)
_HAS_TIME = _.used_at != _.used_at.truncate("D")

_TURN_DAYS = 30  # before and after a turn
_TURN_ENOUGH = 7  # days after it


def features(layout: Layout) -> Iterator[Feature]:
    """Declare the usage features of a layout."""
    for column in layout.measures:
        yield from _of_column(column, layout)
    yield from _of_times("rows", Measure("count"), "use", "使用记录")
    yield from _of_days(layout)
    yield from _of_mix(layout)


def _of_column(column: str, layout: Layout) -> Iterator[Feature]:
    unit, english, chinese = _words(column)
    feature = partial(Feature, source="usage", column=column, theme=_THEMES.get(column, "usage"))
    worse = _WORSE.get(column)
    short = _TIMED.get(column, (english, chinese))
    none = ("", "") if worse else (f"no {short[0]} in the last 90 days", f"最近90天{short[1]}为零")
    for days in layout.windows:
        yield feature(
            f"usage_{column}_sum_{days}d",
            inputs={"value": Measure("sum", _[column], window=days)},
            empty=0,
            window=days,
            unit=unit,
            meaning=f"Sum of {column} in the {days} days before the date.",
            phrase_en=f"{english} in the last {days} days",
            phrase_zh=f"最近{days}天的{chinese}",
            worse=worse,
        )
    yield feature(
        f"usage_{column}_trend_30d_90d",
        inputs={"recent": Measure("sum", _[column], window=30), "base": Measure("sum", _[column], window=90)},
        formula=(_.base > NOTHING).ifelse((_.recent.fill_null(0) / 30) / (_.base / 90), None),
        window=90,
        unit="ratio",
        meaning=f"Daily {column} of the last 30 days over that of the last 90; null unless the sum of the 90 is over"
        " 1e-6.",
        phrase_en=f"{english} a day, last 30 days against last 90",
        phrase_zh=f"近30天与近90天的日均{chinese}之比",
        phrase_nothing_en=none[0],
        phrase_nothing_zh=none[1],
        worse=worse,
    )
    months = each_period(3)
    yield feature(
        f"usage_{column}_slope_90d",
        inputs=periods(Measure("sum", _[column]), 30, 3),
        formula=(months[0] - months[2]) / 2,
        window=90,
        unit=f"{unit} per 30 days",
        meaning=f"Least-squares slope of the sums of {column} in the three periods of 30 days before the date.",
        phrase_en=f"monthly increase in {english}, last 90 days",
        phrase_zh=f"近90天{chinese}平均每月的增量",
        phrase_negative_en=f"monthly decrease in {english}, last 90 days: {{}}",
        phrase_negative_zh=f"近90天{chinese}平均每月的减量：{{}}",
        worse=worse,
    )
    mean = (months[0] + months[1] + months[2]) / 3
    spread = (((months[0] - mean) ** 2 + (months[1] - mean) ** 2 + (months[2] - mean) ** 2) / 3).sqrt()
    yield feature(
        f"usage_{column}_volatility_90d",
        inputs=periods(Measure("sum", _[column]), 30, 3),
        formula=share(spread, mean),
        window=90,
        unit="ratio",
        meaning=f"Standard deviation (of the three, not of a sample) over mean of the sums of {column} in the three"
        " periods of 30 days before the date; null where the mean is not over 1e-6.",
        phrase_en=f"variation in {english} from month to month, last 90 days",
        phrase_zh=f"近90天{chinese}的月波动系数",
        phrase_nothing_en=none[0],
        phrase_nothing_zh=none[1],
        worse=worse,
    )
    if column in _TIMED:
        yield from _of_times(column, Measure("sum", _[column]), *_TIMED[column])
    if layout.has("complaints"):
        yield _around(
            column, Turn("complaints", 180), "complaint", ("complaint, fault or enquiry", "投诉、报障或咨询"), feature
        )
    if layout.has("subscriptions"):
        turn = Turn("subscriptions", 180, where=_.rank > 0)
        yield _around(column, turn, "plan_change", ("change of plan or new line", "套餐变更或新增线路"), feature)


def _of_times(column: str, measure: Measure, english: str, chinese: str) -> Iterator[Feature]:
    """Declare which part falls on weekends and into nights."""
    feature = partial(Feature, source="usage", window=90, unit="share", theme="usage")
    whole = replace(measure, window=90)
    yield feature(
        f"usage_{column}_weekend_share_90d",
        inputs={"part": replace(whole, where=_WEEKEND), "whole": whole},
        formula=share(_.part, _.whole),
        meaning=f"Share of {column} of the last 90 days that fell on a Saturday or Sunday; null where the whole is not"
        " over 1e-6.",
        phrase_en=f"share of {english} at weekends, last 90 days",
        phrase_zh=f"近90天{chinese}的周末占比",
    )
    yield feature(
        f"usage_{column}_night_share_90d",
        inputs={
            "part": replace(whole, where=_NIGHT),
            "whole": whole,
            "timed": Measure("count", where=_HAS_TIME, window=90),
        },
        formula=(_.timed.fill_null(0) > 0).ifelse(share(_.part, _.whole), None),
        meaning=f"Share of {column} of the last 90 days from 22:00 to 6:00; null where the whole is not over 1e-6,"
        " or every row is of 0:00 (daily totals).",
        phrase_en=f"share of {english} at night (22:00 to 6:00), last 90 days",
        phrase_zh=f"近90天{chinese}的夜间（22点至6点）占比",
    )


def _around(column: str, turn: Turn, name: str, words: tuple[str, str], feature: partial[Feature]) -> Feature:
    _unit, english, chinese = _words(column)
    since = _.as_of_day - _.turned
    days = (since < _TURN_DAYS).ifelse(since, _TURN_DAYS)
    event = {"complaints": _.opened_at, "subscriptions": _.started_at}[turn.source]
    return feature(
        f"usage_{column}_after_{name}_{turn.window}d",
        inputs={
            "before": Measure("sum", _[column], window=_TURN_DAYS, turn=turn),
            "after": Measure("sum", _[column], window=_TURN_DAYS, turn=turn, after=True),
            "turned": Measure("max", day_of(event), where=turn.where, window=turn.window, source=turn.source),
        },
        formula=((since >= _TURN_ENOUGH) & (_.before > NOTHING)).ifelse(
            (_.after.fill_null(0) / days) / (_.before / _TURN_DAYS), None
        ),
        window=turn.window,
        unit="ratio",
        meaning=f"Daily {column} in the {_TURN_DAYS} days (as far as they lie before the date) from the day of the last"
        f" {name.replace('_', ' ')} of the {turn.window} days before the date, over that of the {_TURN_DAYS} days"
        f" before it; null where the day is less than {_TURN_ENOUGH} days ago, or what was before it is not over"
        " 1e-6.",
        phrase_en=f"{english} a day since the last {words[0]}, against the month before it",
        phrase_zh=f"最近一次{words[1]}后与前一个月的日均{chinese}之比",
        worse=_WORSE.get(column),
    )


def _words(column: str) -> tuple[str, str, str]:
    name = column.replace("_", " ")
    return _WORDS.get(column, (column, name, name))


def _of_days(layout: Layout) -> Iterator[Feature]:
    feature = partial(Feature, source="usage", theme="usage")
    for days in layout.windows:
        yield feature(
            f"usage_active_days_{days}d",
            inputs={"value": Measure("days", day_of(_.used_at), window=days)},
            empty=0,
            dtype="int64",
            window=days,
            unit="days",
            meaning=f"Distinct days with a usage row in the {days} days before the date.",
            phrase_en=f"days with any use in the last {days} days",
            phrase_zh=f"最近{days}天有使用的天数",
            worse="lower",
        )
    yield feature(
        "usage_active_days_trend_30d_90d",
        inputs={
            "recent": Measure("days", day_of(_.used_at), window=30),
            "base": Measure("days", day_of(_.used_at), window=90),
        },
        formula=(_.recent.fill_null(0) / 30.0) / (_.base / 90.0),
        window=90,
        unit="ratio",
        meaning="Share of active days in the last 30 days over that in the last 90; null where there was none.",
        phrase_en="share of days with any use, last 30 days against last 90",
        phrase_zh="近30天有使用天数的占比与近90天之比",
        phrase_nothing_en="no use in the last 90 days",
        phrase_nothing_zh="最近90天无使用",
        worse="lower",
    )
    yield feature(
        "usage_days_since_last",
        inputs={"last": Measure("max", day_of(_.used_at), window=LOOK_BACK_DAYS)},
        formula=_.as_of_day - _.last,
        window=LOOK_BACK_DAYS,
        unit="days",
        meaning=f"Whole days since the day of the last usage row; null where there is none in {LOOK_BACK_DAYS} days.",
        phrase_en="days since the last use",
        phrase_zh="距最近一次使用的天数",
        phrase_nothing_en="no use in the last two years",
        phrase_nothing_zh="近两年无使用",
        worse="higher",
    )
    silent = [count == 0 for count in each_period(_MONTHS)]
    yield feature(
        f"usage_silent_months_{30 * _MONTHS}d",
        inputs=periods(Measure("count"), 30, _MONTHS),
        formula=sum((month.ifelse(1, 0) for month in silent[1:]), silent[0].ifelse(1, 0)),
        dtype="int64",
        window=30 * _MONTHS,
        unit="periods of 30 days",
        meaning=f"Of the {_MONTHS} periods of 30 days before the date, those without a usage row.",
        phrase_en=f"months without any use, of the last {_MONTHS}",
        phrase_zh=f"最近{_MONTHS}个月内无使用的月数",
        worse="higher",
    )
    yield feature(
        "usage_silent_months_in_a_row",
        inputs=periods(Measure("count"), 30, _MONTHS),
        formula=in_a_row(silent),
        dtype="int64",
        window=30 * _MONTHS,
        unit="periods of 30 days",
        meaning=f"Periods of 30 days without a usage row in a row until the date, {_MONTHS} at most.",
        phrase_en="months in a row without any use, until now",
        phrase_zh="至今连续无使用的月数",
        worse="higher",
    )


def _of_mix(layout: Layout) -> Iterator[Feature]:
    """Declare what compares columns that operators usually have."""
    pairs = (
        ("data_mb", 1, "data_per_voice_minute", "MB per minute", "MB of data a voice minute", "每通话分钟的流量（MB）"),
        ("sms_count", 1, "sms_per_voice_minute", "ratio", "text messages a voice minute", "每通话分钟的短信条数"),
        ("roaming_minutes", 1, "roaming_share", "ratio", "roaming minutes a voice minute", "漫游与通话分钟数之比"),
        ("dropped_calls", 100, "dropped_calls_per_100_minutes", "ratio", "dropped calls per 100 minutes", _DROPPED),
    )  # fmt: skip
    for column, times, name, unit, english, chinese in pairs:
        if {column, "voice_minutes"} <= set(layout.measures):
            yield Feature(
                f"usage_{name}_90d",
                "usage",
                {
                    "part": Measure("sum", _[column], window=90),
                    "whole": Measure("sum", _.voice_minutes, window=90),
                },
                formula=share(_.part * times if times != 1 else _.part, _.whole),
                window=90,
                unit=unit,
                meaning=f"{times if times != 1 else 'Sum'} {'x sum ' if times != 1 else ''}of {column} over the sum of"
                " voice_minutes in the 90 days before the date; null where the latter is not over 1e-6.",
                phrase_en=f"{english}, last 90 days",
                phrase_zh=f"近90天{chinese}",
                theme=_THEMES.get(column, "usage"),
                worse=_WORSE.get(column),
            )
    if "roaming_minutes" in layout.measures:
        yield Feature(
            "usage_roaming_days_90d",
            "usage",
            {"value": Measure("days", day_of(_.used_at), where=_.roaming_minutes > NOTHING, window=90)},
            empty=0,
            dtype="int64",
            window=90,
            unit="days",
            meaning="Distinct days with roaming_minutes over 1e-6 in the 90 days before the date.",
            phrase_en="days of roaming in the last 90 days",
            phrase_zh="最近90天的漫游天数",
            theme="usage",
        )

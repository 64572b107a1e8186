"""Features of usage: how much, how often, since when, and whether it fades."""

from __future__ import annotations

from collections.abc import Iterator

from ibis import _

from churnml.feature_extraction.declare import Feature, Layout, Measure, Theme, day_of

LOOK_BACK_DAYS = 730
_NOTHING = 1e-6

_WORDS = {
    "voice_minutes": ("minutes", "voice minutes", "通话分钟数"),
    "sms_count": ("messages", "text messages", "短信条数"),
    "data_mb": ("MB", "megabytes of data", "流量（MB）"),
    "roaming_minutes": ("minutes", "roaming minutes", "漫游分钟数"),
    "dropped_calls": ("calls", "dropped calls", "掉话次数"),
}
_THEMES: dict[str, Theme] = {"dropped_calls": "network"}


def features(layout: Layout) -> Iterator[Feature]:
    """Declare the usage features of a layout."""
    for column in layout.measures:
        unit, english, chinese = _WORDS.get(column, (column, column, column))
        for days in layout.windows:
            yield Feature(
                f"usage_{column}_sum_{days}d",
                "usage",
                {"value": Measure("sum", _[column], window=days)},
                empty=0,
                window=days,
                column=column,
                unit=unit,
                meaning=f"Sum of {column} in the {days} days before the date.",
                phrase_en=f"{english} in the last {days} days",
                phrase_zh=f"最近{days}天的{chinese}",
                theme=_THEMES.get(column, "usage"),
            )
        yield Feature(
            f"usage_{column}_trend_30d_90d",
            "usage",
            {"recent": Measure("sum", _[column], window=30), "base": Measure("sum", _[column], window=90)},
            formula=(_.base > _NOTHING).ifelse((_.recent.fill_null(0) / 30) / (_.base / 90), None),
            window=90,
            column=column,
            unit="ratio",
            meaning=f"Daily {column} of the last 30 days over that of the last 90; null where there was none.",
            phrase_en=f"{english} a day, last month against last quarter",
            phrase_zh=f"{chinese}近30天日均与近90天日均之比",
            theme=_THEMES.get(column, "usage"),
        )
    for days in layout.windows:
        yield Feature(
            f"usage_active_days_{days}d",
            "usage",
            {"value": Measure("days", day_of(_.used_at), window=days)},
            empty=0,
            dtype="int64",
            window=days,
            unit="days",
            meaning=f"Distinct days with a usage row in the {days} days before the date.",
            phrase_en=f"active days in the last {days} days",
            phrase_zh=f"最近{days}天的活跃天数",
            theme="usage",
        )
    yield Feature(
        "usage_days_since_last",
        "usage",
        {"last": Measure("max", day_of(_.used_at), window=LOOK_BACK_DAYS)},
        formula=_.as_of_day - _.last,
        window=LOOK_BACK_DAYS,
        unit="days",
        meaning=f"Whole days since the day of the last usage row; null where there is none in {LOOK_BACK_DAYS} days.",
        phrase_en="days since the last use",
        phrase_zh="距最近一次使用的天数",
        theme="usage",
    )

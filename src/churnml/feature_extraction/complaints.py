"""Features of complaints: how many, how often again, and how well they were handled."""

from __future__ import annotations

from collections.abc import Iterator

from ibis import _

from churnml.feature_extraction.declare import MEAN, Feature, Layout, Measure, RowContext, mean, microseconds

ROW_CONTEXT = (RowContext("previous_of_category", "previous", by="opened_at", same=("category",)),)

_HOUR = 3_600_000_000
_REPEATED = (microseconds(_.previous_of_category, _.opened_at) <= 30 * 24 * _HOUR).fill_null(False)
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
            phrase_en=f"complaints in the last {days} days",
            phrase_zh=f"最近{days}天的投诉次数",
            theme="service",
        )
        yield Feature(
            f"complaints_repeat_count_{days}d",
            "complaints",
            {"value": Measure("count", where=_REPEATED, window=days)},
            empty=0,
            dtype="int64",
            window=days,
            unit="complaints",
            meaning=f"Complaints opened in the {days} days before the date, within 30 days of another of the category.",
            phrase_en=f"complaints about the same thing again in the last {days} days",
            phrase_zh=f"最近{days}天的重复投诉次数",
            theme="service",
        )
        yield Feature(
            f"complaints_first_contact_resolution_rate_{days}d",
            "complaints",
            mean(_.first_contact_resolved.cast("float64"), days, where=_RESOLVED),
            formula=MEAN,
            window=days,
            unit="share",
            meaning=f"Share of the resolved complaints of the {days} days before the date that took one contact.",
            phrase_en=f"share of complaints resolved at first contact in the last {days} days",
            phrase_zh=f"最近{days}天投诉的首次解决率",
            theme="service",
        )
        yield Feature(
            f"complaints_resolution_hours_mean_{days}d",
            "complaints",
            mean((_HANDLING_HOURS > 0).ifelse(_HANDLING_HOURS, 0.0), days, where=_RESOLVED),
            formula=MEAN,
            window=days,
            unit="hours",
            meaning=f"Mean hours from opening to resolving, of complaints opened in the {days} days before the date.",
            phrase_en=f"hours to resolve a complaint in the last {days} days",
            phrase_zh=f"最近{days}天投诉的平均处理时长（小时）",
            theme="service",
        )
        yield Feature(
            f"complaints_satisfaction_mean_{days}d",
            "complaints",
            mean(_.satisfaction, days),
            formula=MEAN,
            window=days,
            unit="score 1-5",
            meaning=f"Mean known satisfaction with the complaints opened in the {days} days before the date.",
            phrase_en=f"satisfaction with complaints handled in the last {days} days",
            phrase_zh=f"最近{days}天投诉处理满意度",
            theme="service",
        )
    yield Feature(
        "complaints_open_count",
        "complaints",
        {"value": Measure("count", where=~_RESOLVED)},
        empty=0,
        dtype="int64",
        unit="complaints",
        meaning="Complaints opened before the date and not known to be resolved.",
        phrase_en="complaints still open",
        phrase_zh="未解决的投诉数",
        theme="service",
    )

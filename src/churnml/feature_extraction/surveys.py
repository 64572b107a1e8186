"""Features of surveys: how satisfied customers say they are."""

from __future__ import annotations

from collections.abc import Iterator

from ibis import _

from churnml.feature_extraction.declare import MEAN, Feature, Layout, Measure, day_of, mean


def features(layout: Layout) -> Iterator[Feature]:
    """Declare the survey features of a layout."""
    yield Feature(
        "surveys_score_last",
        "surveys",
        {"value": Measure("last", _.score)},
        unit="score 1-5",
        meaning="The last score given before the date (of several at one instant, the lowest).",
        phrase_en="last satisfaction score",
        phrase_zh="最近一次满意度评分",
        theme="satisfaction",
    )
    for days in layout.windows:
        yield Feature(
            f"surveys_score_mean_{days}d",
            "surveys",
            mean(_.score, days),
            formula=MEAN,
            window=days,
            unit="score 1-5",
            meaning=f"Mean score given in the {days} days before the date.",
            phrase_en=f"average satisfaction score of the last {days} days",
            phrase_zh=f"最近{days}天的平均满意度评分",
            theme="satisfaction",
        )
    yield Feature(
        "surveys_score_change_365d",
        "surveys",
        {"last": Measure("last", _.score), **mean(_.score, 365)},
        formula=_.last - MEAN,
        window=365,
        unit="score 1-5",
        meaning="The last score less the mean of those of the 365 days before the date; null without one in these.",
        phrase_en="last satisfaction score against the average of a year",
        phrase_zh="最近满意度评分与近一年平均之差",
        theme="satisfaction",
    )
    yield Feature(
        "surveys_score_min_365d",
        "surveys",
        {"value": Measure("min", _.score, window=365)},
        window=365,
        unit="score 1-5",
        meaning="The lowest score given in the 365 days before the date.",
        phrase_en="lowest satisfaction score of a year",
        phrase_zh="近一年最低满意度评分",
        theme="satisfaction",
    )
    yield Feature(
        "surveys_days_since_last",
        "surveys",
        {"last": Measure("max", day_of(_.answered_at))},
        formula=_.as_of_day - _.last,
        unit="days",
        meaning="Whole days since the day of the last answer; null for who never answered.",
        phrase_en="days since the last answer to a survey",
        phrase_zh="距最近一次满意度回复的天数",
        theme="satisfaction",
    )
    yield Feature(
        "surveys_count_365d",
        "surveys",
        {"value": Measure("count", window=365)},
        empty=0,
        dtype="int64",
        window=365,
        unit="answers",
        meaning="Answers in the 365 days before the date; 0 for the silent.",
        phrase_en="answers to surveys in a year",
        phrase_zh="近一年满意度回复次数",
        theme="satisfaction",
    )

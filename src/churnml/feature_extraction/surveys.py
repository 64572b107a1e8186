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
        phrase_nothing_en="no satisfaction survey ever answered",
        phrase_nothing_zh="从未回复满意度调查",
        theme="satisfaction",
        worse="lower",
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
            phrase_nothing_en=f"no satisfaction survey answered in the last {days} days",
            phrase_nothing_zh=f"最近{days}天未回复满意度调查",
            theme="satisfaction",
            worse="lower",
        )
    yield Feature(
        "surveys_score_change_365d",
        "surveys",
        {"last": Measure("last", _.score), **mean(_.score, 365)},
        formula=_.last - MEAN,
        window=365,
        unit="score 1-5",
        meaning="The last score less the mean of those of the 365 days before the date; null without one in these.",
        phrase_en="points by which the last satisfaction score is above the average of the past year",
        phrase_zh="最近一次满意度评分高于近一年平均的分数",
        phrase_negative_en="last satisfaction score is {} points below the average of the past year",
        phrase_negative_zh="最近一次满意度评分比近一年平均低 {} 分",
        phrase_nothing_en="no satisfaction survey answered in the last year",
        phrase_nothing_zh="近一年未回复满意度调查",
        theme="satisfaction",
        worse="lower",
    )
    yield Feature(
        "surveys_score_min_365d",
        "surveys",
        {"value": Measure("min", _.score, window=365)},
        window=365,
        unit="score 1-5",
        meaning="The lowest score given in the 365 days before the date.",
        phrase_en="lowest satisfaction score of the past year",
        phrase_zh="近一年最低满意度评分",
        phrase_nothing_en="no satisfaction survey answered in the last year",
        phrase_nothing_zh="近一年未回复满意度调查",
        theme="satisfaction",
        worse="lower",
    )
    yield Feature(
        "surveys_days_since_last",
        "surveys",
        {"last": Measure("max", day_of(_.answered_at))},
        formula=_.as_of_day - _.last,
        unit="days",
        meaning="Whole days since the day of the last answer; null for who never answered.",
        phrase_en="days since the last answer to a satisfaction survey",
        phrase_zh="距最近一次回复满意度调查的天数",
        phrase_nothing_en="no satisfaction survey ever answered",
        phrase_nothing_zh="从未回复满意度调查",
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
        phrase_en="satisfaction surveys answered in the last year",
        phrase_zh="近一年回复满意度调查的次数",
        theme="satisfaction",
    )

"""Features of surveys: how satisfied customers say they are."""

from __future__ import annotations

from collections.abc import Iterator

from ibis import _

from churnml.feature_extraction.declare import MEAN, Feature, Layout, Measure, mean


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

"""Features of value: what a customer has brought."""

from __future__ import annotations

from collections.abc import Iterator

from ibis import _

from churnml.feature_extraction.declare import Feature, Layout, Measure

_SPANS = {90: ("three months", "三个月"), 180: ("six months", "六个月"), 365: ("year", "一年")}


def features(layout: Layout) -> Iterator[Feature]:
    """Declare the value features of a layout."""
    for days, (english, chinese) in _SPANS.items():
        yield Feature(
            f"value_margin_{days}d",
            "bills",
            {
                "billed": Measure("sum", _.amount, window=days),
                "spent": Measure("sum", _.amount, window=days, source="costs"),
            },
            formula=_.billed.fill_null(0) * layout.margin_rate - _.spent.fill_null(0),
            window=days,
            unit=layout.money,
            meaning=f"Billed in the {days} days before the date x value.margin_rate, less costs incurred in them.",
            phrase_en=f"margin of the last {english}",
            phrase_zh=f"近{chinese}的毛利",
            theme="value",
        )
    yield Feature(
        "value_cost_sum_365d",
        "costs",
        {"value": Measure("sum", _.amount, window=365)},
        empty=0,
        window=365,
        unit=layout.money,
        meaning="Sum of the costs incurred in the 365 days before the date.",
        phrase_en="costs of the last year",
        phrase_zh="近一年成本",
        theme="value",
    )

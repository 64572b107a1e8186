"""Features of surroundings: how the network does, and how many leave, around a customer."""

from __future__ import annotations

from collections.abc import Iterator

from ibis import _

from churnml.feature_extraction.declare import Deferred, Feature, Layout, Measure, Pool, day_of

_LATELY = 90  # days
_MINUTES, _CUSTOMERS = 10_000, 200  # of the whole, that go into each group
_ATTRIBUTES = {"region": "region"}  # of customers
_OF = {"region": "region", "plan": "plan (the last started, in force or not)"}


def features(layout: Layout) -> Iterator[Feature]:
    """Declare the surroundings of a layout: by region and by plan, where there are such."""
    groups: list[tuple[str, Deferred, dict[str, Measure], tuple[str, str]]] = []
    if layout.attributes.get("region") in ("text", "number"):
        code = _.region if layout.attributes["region"] == "text" else _.region.cast("int64")
        groups.append(("region", code, {}, ("in the same region", "同地区")))
    if layout.has("subscriptions"):
        last = {"plan": Measure("last", _.plan, source="subscriptions")}
        groups.append(("plan", _.plan, last, ("on the same plan", "同套餐")))
    for name, by, inputs, words in groups:
        if {"dropped_calls", "voice_minutes"} <= set(layout.measures):
            yield _dropped(name, by, inputs, words)
        yield _left(name, by, inputs, words)


def _dropped(name: str, by: Deferred, inputs: dict[str, Measure], words: tuple[str, str]) -> Feature:
    return Feature(
        f"surroundings_dropped_calls_per_100_minutes_{name}_30d",
        "usage",
        inputs
        | {
            "dropped": Measure("sum", _.dropped_calls, window=30),
            "minutes": Measure("sum", _.voice_minutes, window=30),
        },
        pool=Pool(
            by, numerator=_.dropped * 100, denominator=_.minutes, weight=_MINUTES, attribute=_ATTRIBUTES.get(name)
        ),
        window=30,
        unit="calls per 100 minutes",
        meaning="Dropped calls per 100 voice minutes, in the 30 days before the date, of all customers at risk of the"
        f" {_OF[name]}, shrunk towards that of all by {_MINUTES:,} minutes.",
        phrase_en=f"dropped calls per 100 minutes of customers {words[0]}, last 30 days",
        phrase_zh=f"{words[1]}客户近30天每百分钟掉话次数",
        worse="higher",
        theme="network",
    )


def _left(name: str, by: Deferred, inputs: dict[str, Measure], words: tuple[str, str]) -> Feature:
    there = day_of(_.signed_up_at) < _.as_of_day - _LATELY
    return Feature(
        f"surroundings_churn_rate_{name}_{_LATELY}d",
        "customers",
        inputs,
        pool=Pool(
            by,
            numerator=(there & _.churned_at.notnull()).ifelse(1.0, 0.0),
            denominator=there.ifelse(1.0, 0.0),
            weight=_CUSTOMERS,
            everyone="lately",
            attribute=_ATTRIBUTES.get(name),
        ),
        window=_LATELY,
        unit="share",
        meaning=f"Share of those who were customers {_LATELY} days before the date, of the {_OF[name]}, who are known"
        f" to have left before the date, shrunk towards that of all by {_CUSTOMERS} customers.",
        phrase_en=f"share of customers {words[0]} who left in the last {_LATELY} days",
        phrase_zh=f"{words[1]}客户近{_LATELY}天流失率",
        worse="higher",
        theme="profile",
    )

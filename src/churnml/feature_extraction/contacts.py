"""Features of contacts: how often a customer was approached, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ibis import _

from churnml.feature_extraction.declare import Feature, Layout, Measure, day_of

_REACHED = _.contacted_at.notnull()


def features(layout: Layout) -> Iterator[Feature]:
    """Declare the contact features of a layout."""
    feature = partial(Feature, source="contacts", theme="contact")
    for days in layout.windows:
        yield feature(
            f"contacts_count_{days}d",
            inputs={"value": Measure("count", where=_REACHED, at="contacted_at", window=days)},
            empty=0,
            dtype="int64",
            window=days,
            unit="contacts",
            meaning=f"Campaign contacts made in the {days} days before the date.",
            phrase_en=f"times contacted by campaigns in the last {days} days",
            phrase_zh=f"最近{days}天被营销联系的次数",
        )
    yield feature(
        "contacts_days_since_last",
        inputs={"last": Measure("max", day_of(_.contacted_at), at="contacted_at")},
        formula=_.as_of_day - _.last,
        unit="days",
        meaning="Whole days since the day of the last campaign contact; null without one.",
        phrase_en="days since the last campaign contact",
        phrase_zh="距最近一次营销联系的天数",
        phrase_nothing_en="never contacted by a campaign",
        phrase_nothing_zh="从未被营销联系",
    )
    yield feature(
        "contacts_accepted_count_365d",
        inputs={"value": Measure("count", at="accepted_at", window=365)},
        empty=0,
        dtype="int64",
        window=365,
        unit="offers",
        meaning="Offers accepted in the 365 days before the date.",
        phrase_en="offers accepted in the last year",
        phrase_zh="近一年接受的优惠次数",
    )

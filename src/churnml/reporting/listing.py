"""The first customers of the list, as words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churnml.columns import CUSTOMER_ID
from churnml.evaluation.plots import percent
from churnml.reporting.numbers import as_list, call_list, headline
from churnml.reporting.report import Report
from churnml.reporting.words import Words, shown

LISTED = 10


def told_of_list(report: Report, words: Words) -> dict[str, str]:
    """Return the ``title`` of the list, the ``order`` it is in, and why others were left ``out`` of it."""
    title, key = "report_list", "report_list_note"
    if report.campaign is None:
        with_value = headline(report).value_at_risk is not None
        title, key = "report_list_no_campaign", f"report_list_note_no_{'campaign' if with_value else 'value'}"
    count = len(call_list(report))
    order = words.say(key, shown=min(count, LISTED), treated=count, **words.span(report.window))
    out = ""
    if report.campaign is not None:
        arms = report.campaign.assignments
        others = arms.loc[arms["arm"].isin(["not_selected", "excluded"]), "reason"]
        if others.notna().any():
            out = words.say("report_left_out", reasons=words.counted("left_out", others))
    return {"title": words.say(title), "order": order if count else words.say("report_list_empty"), "out": out}


def listed(report: Report, words: Words) -> list[dict[str, Any]]:
    """Return the first rows of the list as words."""
    rows = call_list(report).head(LISTED)
    offers = {offer.id: words.offer(offer) for offer in (report.campaign.offers if report.campaign else ())}
    most = {name: rows[name].abs().max() for name in ("value_at_risk", "expected_profit") if name in rows}
    text = "text_zh" if words.lang == "zh" else "text_en"
    return [
        {
            "rank": str(at),
            "customer": shown(row[CUSTOMER_ID]),
            "key": bool(row["key"]),
            "tier": "" if pd.isna(row["value_tier"]) else words.name("tier", row["value_tier"]),
            "segment": "" if pd.isna(row["segment"]) else words.name("segment", row["segment"]),
            "risk": percent(row["churn_probability"]),
            "band": "" if pd.isna(row["risk_band"]) else words.name("band", row["risk_band"]),
            "value_at_risk": words.money(row["value_at_risk"], most["value_at_risk"]),
            "offer": shown(row.get("offer_id", "–")),
            "offer_is": offers.get(str(row.get("offer_id")), ""),
            "expected_profit": words.money(row.get("expected_profit"), most.get("expected_profit")),
            "reasons": [shown(reason[text]) for reason in as_list(row["reasons"])],
        }
        for at, (_, row) in enumerate(rows.iterrows(), start=1)
    ]

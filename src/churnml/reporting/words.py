"""A report's numbers as words of one language."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from churnml.config import Offer
from churnml.evaluation.plots import money, percent
from churnml.reporting.numbers import Headline, headline
from churnml.reporting.report import Report
from churnml.wording import Language, say

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True)
class Words:
    """How things are called and numbers are written, in a language and a currency.

    Attributes
    ----------
    lang : {"en", "zh"}
        Language.
    currency : str
        Unit of money, or nothing.
    """

    lang: Language
    currency: str

    def say(self, key: str, **facts: Any) -> str:
        """Return a sentence."""
        return say(key, self.lang, **facts)

    def money(self, amount: float | None, scale: float | None = None) -> str:
        """Return an amount with its unit, or a dash where there is none."""
        return "–" if pd.isna(amount) else money(float(amount or 0), self.currency, self.lang, scale)

    def date(self, day: dt.date) -> str:
        """Return a date as people write it."""
        return (
            f"{day.year}年{day.month}月{day.day}日"
            if self.lang == "zh"
            else f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
        )

    def span(self, days: tuple[dt.date, dt.date]) -> dict[str, str]:
        """Return the ``start`` and ``end`` of a span, for a sentence; a year that both share is said once."""
        first, last = days
        start, end = self.date(first), self.date(last)
        if first.year == last.year:
            year = str(first.year)
            start, end = (
                (start, end.removeprefix(f"{year}年")) if self.lang == "zh" else (start.removesuffix(f" {year}"), end)
            )
        return {"start": start, "end": end}

    def dates(self, days: Sequence[dt.date]) -> str:
        """Return some dates: each, where they are few."""
        days = sorted(days)
        if len(days) <= 2:
            return ("、" if self.lang == "zh" else " and ").join(map(self.date, days)) or "–"
        first, last = self.date(days[0]), self.date(days[-1])
        return self.say("report_trust_dates_many", count=len(days), first=first, last=last)

    def name(self, kind: str, given: Any) -> str:
        """Return what a tier, segment, risk band, channel, model or baseline is called, or else its own name."""
        try:
            return self.say(f"report_{kind}_{given}")
        except KeyError:
            return shown(given)

    def offer(self, offer: Offer) -> str:
        """Return what an offer is: channel, discount, cost."""
        parts = [self.name("channel", offer.channel)]
        if offer.discount:
            # a tenth off is "10% off" in English, and nine tenths of the price in Chinese
            price = percent(offer.discount) if self.lang == "en" else f"{10 * (1 - offer.discount):.3g}"
            parts.append(self.say("report_discount", price=price, days=offer.discount_days))
        return " · ".join([*parts, self.say("report_offer_cost", cost=self.money(offer.cost))])

    def counted(self, kind: str, given: pd.Series[Any]) -> str:
        """Return what is in a column, the most frequent first, each with how often."""
        counts = given.value_counts()
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
        return ("、" if self.lang == "zh" else ", ").join(
            f"{self.name(kind, word)} ({count:,})" for word, count in ordered
        ) or "–"

    def about(self, count: float) -> str:
        """Return an expected number of customers."""
        return f"{count:,.0f}" if count >= 10 or not count else f"{count:.1f}"


def shown(given: Any) -> str:
    """Return a text that somebody else chose with every sign replaced that would steer a terminal or a page."""
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else "�" for sign in str(given))


def head(report: Report, words: Words) -> str:
    """Return what matters most, in one line."""
    found = headline(report)
    if not found.scored:
        return words.say("report_head_none")
    span = words.span(report.window)
    return words.say("report_head", leavers=words.about(found.leavers), scored=found.scored, **span)


def lead(report: Report, words: Words) -> list[str]:
    """Return what there is to gain, whom to contact at what cost, and why some are left alone."""
    found = headline(report)
    told = []
    if found.value_at_risk is not None:
        facts = {"days": report.value_horizon_days, "as_of": words.date(report.as_of)}
        told.append(words.say("report_money", money=words.money(found.value_at_risk), **facts))
    told += _proposed(report, found, words)
    if found.population > found.scored:
        reasons = report.scores.loc[report.scores["status"] != "scored", "status_reason"]
        facts = {"count": len(reasons), "population": found.population}
        told.append(words.say("report_not_scored", **facts, reasons=words.counted("not_scored", reasons)))
    return told


def _proposed(report: Report, found: Headline, words: Words) -> list[str]:
    if report.campaign is None:
        return [words.say("report_no_value" if found.value_at_risk is None and found.scored else "report_no_campaign")]
    if not found.treated:
        return [words.say("report_no_treated")]
    told = [
        words.say(
            "report_contact",
            treated=found.treated,
            key_accounts=found.key,
            cost=words.money(found.cost),
            saved=words.about(found.saved),
            profit=words.money(found.expected_profit),
        )
    ]
    return told + ([words.say("report_control", control=found.control)] if found.control else [])


def cautions(report: Report, words: Words) -> list[str]:
    """Return what to mind before acting: models that are not in use or not well tested, effects that are assumed."""
    told = []
    for name, model in report.models.items():
        called, version = words.name("model", name), shown(model.version)
        if not model.promoted and not model.verdict.passed:
            told.append(words.say(f"report_not_promoted_{name}", version=version))
        elif not model.promoted:
            told.append(words.say("report_waiting", model=called, version=version))
        if not model.out_of_time:
            told.append(words.say("report_not_out_of_time", model=called))
    found = headline(report)
    return told + ([words.say("report_assumed")] if found.treated and found.assumed else [])

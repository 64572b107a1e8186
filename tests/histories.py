"""Hypothesis strategies that make whole awkward operators: tables, settings and as-of dates.

Hypothesis draws the shape (who and which tables are there, how many rows, which kinds of awkwardness,
settings, dates) and one seed; the rows come from ``random.Random`` seeded by (seed, customer, table), so that
examples are cheap, and taking away a customer or a table while shrinking leaves the rest as it was.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import oracle
import pandas as pd
from hypothesis import strategies as st
from oracle import TABLES, Row, Settings, Tables

NOW = datetime(2025, 1, 1)
LOW, HIGH = datetime(2021, 1, 1), datetime(2024, 12, 31)
DAY, US = timedelta(days=1), timedelta(microseconds=1)

PROJECT_ZONES = ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "America/Havana", "UTC"]
OTHER_ZONES: list[tzinfo] = [
    UTC,
    timezone(timedelta(hours=8)),
    timezone(timedelta(hours=-3, minutes=-30)),
    timezone(timedelta(hours=5, minutes=45)),
    ZoneInfo("Europe/London"),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/New_York"),
    ZoneInfo("Australia/Lord_Howe"),
]
# the days of 2023 on which clocks change in one of these zones
CHANGES = [date(2023, 3, 12), date(2023, 3, 26), date(2023, 4, 2), date(2023, 10, 1), date(2023, 10, 29)]
CHANGES.append(date(2023, 11, 5))

STRANGE = ["Data MB Up", "流量 (MB)", "5G 分钟 %", "select", "a.b", "O'Neill"]
CATEGORIES = ["network", "billing", "网络", None]
PLANS = ["A", "B", "a", "é", "套餐", "Z 10"]
REGIONS = {"north": 1, "南": 2, "east": 3}  # with the codes that a table may have in their place
MEASURES = ("voice_minutes", "sms_count", "data_mb", "roaming_minutes", "dropped_calls")
OPTIONAL = {
    "customers": ("churned_at", "churn_type", "churn_reason", "segment", "account_manager"),
    "subscriptions": ("ended_at", "monthly_fee", "contract_ends_at"),
    "usage": (),
    "bills": ("due_at", "paid_at", "paid_amount"),
    "complaints": (
        "kind",
        "promised_at",
        "category",
        "channel",
        "resolved_at",
        "first_contact_resolved",
        "satisfaction",
        "rated_at",
    ),
    "surveys": (),
    "costs": ("kind",),
    "contacts": ("propensity", "offer_id", "contacted_at", "accepted_at", "cost"),
}
KEYED = {
    "bills": "bill_id",
    "complaints": "complaint_id",
}  # the others but customers: row_id, where it is there


# --------------------------------------------------------------------------------------------------- drawing


@st.composite
def settings_and_dates(draw: st.DrawFn, modes: tuple[str, ...] = ("terminated", "inactive")):
    """Settings of section 10 and one to three as-of dates."""
    mode = draw(st.sampled_from(modes))
    near_change = st.builds(lambda day, n: day + timedelta(days=n), st.sampled_from(CHANGES), st.integers(-1, 2))
    any_day = st.dates(date(2023, 1, 1), date(2023, 12, 31))
    dates = draw(st.lists(st.one_of(any_day, near_change), min_size=1, max_size=3, unique=True))
    windows = draw(st.sampled_from([(7, 30, 90, 180), (7, 30, 90, 180), (1, 45, 400), (30,), (730, 3), (90, 7, 365)]))
    some_types = st.sampled_from([None, None, ("voluntary",), ("voluntary", "port_out"), ("involuntary",)])
    settings = Settings(
        timezone=draw(st.sampled_from(PROJECT_ZONES)),
        windows=windows,
        mode=mode,
        types=draw(some_types) if mode == "terminated" else None,
        lead_days=draw(st.sampled_from([0, 14, 1, 30])),
        horizon_days=draw(st.sampled_from([60, 30, 7, 1, 90])),
        active_days=draw(st.sampled_from([90, 30, 7, 45])),
        activity=draw(st.sampled_from(["usage", "usage", "bills", "complaints"])) if mode == "inactive" else "usage",
        settle_days=draw(st.sampled_from([0, 0, 0, 5, 30])),
        value_horizon_days=draw(st.sampled_from([365, 30, 90])),
        margin_rate=draw(st.sampled_from([1.0, 0.4, 0.0])),
        now=NOW,
    )
    if draw(st.booleans()):  # where the outcome window of a date just ends, or just does not, or anywhere
        ends = dates[0] + timedelta(days=settings.lead_days + settings.horizon_days + settings.settle_days)
        until = draw(st.sampled_from([ends, ends - timedelta(days=1), date(2024, 6, 1), date(2024, 12, 1)]))
        settings = replace(settings, observed_until=until)
    return settings, sorted(dates)


@st.composite
def operators(draw: st.DrawFn, modes: tuple[str, ...] = ("terminated", "inactive")):
    """``(tables, settings, as_of dates)``, every row of which is good."""
    settings, dates = draw(settings_and_dates(modes))
    flags = {
        name: draw(st.booleans())
        for name in ("zones", "late", "texts", "kinds", "missing_columns", "row_ids", "extra", "nulls")
    }
    flags["crowd"] = draw(st.integers(0, 4)) == 0
    there = dict.fromkeys(TABLES, True)
    for name in TABLES:
        if name != "customers" and name != (settings.activity if settings.mode == "inactive" else ""):
            there[name] = draw(st.integers(0, 7)) != 0
    caps = {name: draw(st.sampled_from([1, 3, 6, 12])) for name in TABLES if there[name]}
    keep = draw(st.lists(st.booleans(), min_size=24, max_size=24))
    if flags["crowd"]:  # enough customers with enough complaints for more than ten categories
        keep = [True] * 24
        caps |= {"complaints": 6} if there["complaints"] else {}
    seed = draw(st.integers(0, 2**32 - 1))
    chosen = [0, *(i + 1 for i, kept in enumerate(keep) if kept)]
    maker = Maker(seed, settings, dates, flags)
    tables = maker.tables(chosen, caps)
    tables = good_only(tables, settings)
    columns = {column for name in ("customers", "usage") for row in tables.get(name, []) for column in row}
    personal = tuple(name for name in ("name", "phone", "imei") if name in columns)
    settings = replace(settings, personal=personal)
    settings = configured(tables, settings)
    beyond = draw(st.sampled_from([None, None, None, 0, 1]))
    accepted, _ = oracle.read(tables, settings)
    last = max((row["billed_at"].date() for row in oracle.newest(accepted, "bills")), default=dates[0])
    if beyond is not None and last > dates[0]:  # the value of a date ends just where bills do, or a day after
        days = (last - dates[draw(st.integers(0, len(dates) - 1))]).days + 1 + beyond
        settings = replace(settings, value_horizon_days=max(days, 1))
    return tables, settings, dates


def good_only(tables: Tables, settings: Settings) -> Tables:
    """The same operator without its bad rows."""
    while True:
        _, quarantined = oracle.read(tables, settings)
        if not any(quarantined.values()):
            return tables
        bad = {id(row) for rows in quarantined.values() for row, _ in rows}
        tables = {name: [row for row in rows if id(row) not in bad] for name, rows in tables.items()}


def configured(tables: Tables, settings: Settings) -> Settings:
    """With an `observed_until` where its default needs a table that has no accepted row."""
    accepted, _ = oracle.read(tables, settings)
    if settings.mode == "inactive":
        needed = [settings.activity]
    else:
        needed = [name for name in ("usage", "bills") if name in tables] or ["usage"]
    if settings.observed_until is None and not all(accepted.get(name) for name in needed):
        return replace(settings, observed_until=date(2024, 6, 1))
    return settings


# ---------------------------------------------------------------------------------------------------- making


class Maker:
    """Makes the rows of one operator; times are wall-clock (with a fold) until `represent`."""

    def __init__(self, seed: int, settings: Settings, dates: list[date], flags: dict[str, bool]) -> None:
        self.seed, self.settings, self.dates, self.flags = seed, settings, dates, flags
        self.zone = ZoneInfo(settings.timezone)
        s = settings
        days = {0, 1, s.lead_days, s.lead_days + s.horizon_days, s.value_horizon_days, -s.active_days}
        days |= {-7, -30, -60, -90, -180, -360, -365, -730, -731, -1} | {-w for w in s.windows}
        starts = [oracle.midnight(day) for day in dates]
        self.edges = [start + n * DAY for start in starts for n in sorted(days)]
        self.past = [edge for edge in self.edges if edge <= max(starts)]
        hours = [oracle.midnight(day) + n * timedelta(minutes=10) for day in CHANGES for n in range(-6, 24)]
        # wall-clock times that come twice here, and come again 20 minutes later by the clock on the wall
        self.twice = [at for at in hours if self._close(at.date()) and self.repeats(at)]
        self.changes = [
            oracle.midnight(day + timedelta(days=n)) for day in CHANGES for n in (0, 1) if self._close(day)
        ] or [oracle.midnight(day) for day in CHANGES]

    def _close(self, day: date) -> bool:
        return any(-200 < (day - start).days < 100 for start in self.dates)

    # ---- times

    def time(self, rng: random.Random, prior: Sequence[datetime] = ()) -> datetime:
        """An instant where definitions change hands, or just any."""
        while True:
            r = rng.random()
            if prior and r < 0.15:
                at = rng.choice(prior)
            elif prior and r < 0.22:
                at = oracle.midnight(rng.choice(prior).date()) + rng.randrange(86400) * timedelta(seconds=1)
            elif prior and r < 0.27:
                at = rng.choice(prior) + rng.choice([-30, 30, 1, -7]) * DAY
            elif r < 0.50:
                jitter = [0 * US, 0 * US, US, -US, 12 * 3600 * 10**6 * US, -3600 * 10**6 * US]
                edges = self.past if rng.random() < 0.7 else self.edges
                at = rng.choice(edges) + rng.choice(jitter)
            elif self.twice and r < 0.55:
                at = rng.choice(self.twice)
            elif r < 0.60:
                at = rng.choice(self.changes) + rng.randrange(0, 240, 10) * timedelta(minutes=1)
                at = at.replace(fold=rng.randrange(2))
            elif r < 0.90:
                start = oracle.midnight(rng.choice(self.dates))
                at = start + timedelta(seconds=rng.randrange(-200 * 86400, 120 * 86400))
                at = at.replace(microsecond=rng.choice([0, 0, 1, 500000, 999999]))
            else:
                at = LOW + timedelta(microseconds=rng.randrange(int((HIGH - LOW) / US)))
            if LOW <= at < HIGH:
                return at

    def near(self, rng: random.Random, table: str, at: datetime, hints: list[datetime]) -> datetime:
        """A time that a definition ties to what happened to the customer in another table, or to the hour."""
        jitter = rng.choice([0 * US, 0 * US, US, -US])
        if table == "usage" and hints and rng.random() < 0.6:  # around a complaint or a change of plan
            day = oracle.midnight(rng.choice(hints).date())
            near = day + rng.choice([-30 * DAY, 0 * DAY, 30 * DAY, rng.randrange(-30, 30) * DAY]) + jitter
        elif table == "usage" and rng.random() < 0.3:  # where nights and days meet
            near = oracle.midnight(at.date()) + rng.choice([22, 6, 6, 0]) * timedelta(hours=1) + jitter
        elif table == "complaints" and hints and rng.random() < 0.4:  # after a bill
            near = rng.choice(hints) + rng.choice([14, 14, 0, rng.randrange(14)]) * DAY + jitter
        else:
            return at
        return near if LOW <= near < HIGH else at

    def steady(self, rng: random.Random, number: int) -> datetime:
        """A time in the period of 30 days so many periods before a date."""
        ago = timedelta(seconds=rng.randrange(1, 30 * 86400 + 1)) + number * 30 * DAY
        return max(oracle.midnight(self.dates[-1]) - ago, LOW)

    def after(self, rng: random.Random, earlier: datetime, *hints: datetime) -> datetime:
        """A time not before `earlier`: at once, soon, at an edge or hint, or in the hour that repeats."""
        r = rng.random()
        if self.repeats(earlier) and r < 0.6:
            at = (earlier - timedelta(minutes=20)).replace(fold=1)
        elif r < 0.15:
            at = earlier
        elif r < 0.2:
            at = earlier + US
        elif r < 0.45:
            at = earlier + timedelta(minutes=rng.randrange(1, 60 * 24 * 20))
        elif r < 0.65 and hints:
            at = rng.choice(hints)
        else:
            later = [edge for edge in self.edges if edge >= earlier] or [earlier + 40 * DAY]
            at = rng.choice(later) + rng.choice([0 * US, 0 * US, US, -US])
        return min(at, HIGH)

    def repeats(self, at: datetime) -> bool:
        """Whether 20 minutes earlier, in the second pass, comes after this time."""
        one = at.replace(tzinfo=self.zone).astimezone(UTC)
        two = (at - timedelta(minutes=20)).replace(fold=1, tzinfo=self.zone).astimezone(UTC)
        return two >= one

    def known(self, rng: random.Random, event: datetime) -> datetime | None:
        r = rng.random()
        if r < 0.45:
            return None
        if r < 0.55:
            at = event - rng.randrange(1, 40) * DAY
        elif r < 0.60:
            at = event
        elif r < 0.85:
            at = event + rng.randrange(1, 60 * 24) * timedelta(hours=1)
        else:
            at = rng.choice(self.edges) + rng.choice([0 * US, 0 * US, US, -US])
        return min(max(at, LOW), HIGH)

    # ---- values

    def cents(self, rng: random.Random) -> int:
        """An amount in hundredths."""
        r = rng.random()
        if r < 0.10:
            return 0
        if r < 0.22:
            return -rng.randrange(1, 20000)
        if r < 0.27:
            return rng.choice([-10_000_000, 10_000_000, 9_999_999, 1])
        return rng.randrange(1, 30000)

    def maybe(self, rng: random.Random, value: Any, share: float = 0.25) -> Any:
        return None if rng.random() < share else value

    # ---- rows of one customer

    def spells(self, rng: random.Random, who: str) -> list[Row]:
        n = rng.choice([1, 1, 1, 1, 2, 2, 3])
        first = min(oracle.midnight(self.dates[0]), HIGH)
        r = rng.random()
        points: set[datetime] = set()
        early = rng.random() < 0.85  # the last spell begins before the last date
        while len(points) < 2 * n:
            at = self.time(rng).replace(fold=0)
            if early and len(points) < 2 * n - 1 and at >= oracle.midnight(self.dates[-1]):
                continue
            points.add(at)
        ordered = sorted(points)
        if r < 0.7:  # most are customers before the first date
            ordered[0] = min(ordered[0], first - rng.randrange(1, 700) * DAY)
            ordered[0] = max(ordered[0], LOW)
        out: list[Row] = []
        for i in range(n):
            start, end = ordered[2 * i], ordered[2 * i + 1]
            if out and rng.random() < 0.25:
                start = out[-1]["churned_at"]  # back at the very instant of leaving
            last = i == n - 1
            stays = last and rng.random() < 0.55
            if last and not stays and rng.random() < 0.7:  # leaves about the outcome window of a date
                lead, horizon = self.settings.lead_days, self.settings.horizon_days
                days = [0, lead, lead + horizon, lead + rng.randrange(horizon), lead + rng.randrange(horizon)]
                days = [-90, -rng.randrange(1, 90)] if rng.random() < 0.15 else days  # of late
                leaves = oracle.midnight(rng.choice(self.dates)) + rng.choice(days) * DAY
                leaves += rng.choice([0, 0, 1, -1, 3600 * 10**6]) * US
                end = leaves if leaves > start else end
            if n == 1 and not stays and rng.random() < 0.1:
                end = self.after(rng, start)
            kinds = ["voluntary", "involuntary", "port_out", None]
            out.append(
                {
                    "customer_id": who,
                    "signed_up_at": start,
                    "churned_at": None if stays else end,
                    "churn_type": None if stays else rng.choice(kinds),
                    "churn_reason": None if stays else rng.choice(["price", "网络", None]),
                    "segment": rng.choice(["mass", "business", "key", None]),
                    "account_manager": self.maybe(rng, "m1"),
                    "region": self.maybe(rng, rng.choice(list(REGIONS)), 0.2),
                    "age": self.maybe(rng, rng.randrange(18, 90)),
                    "Credit Score": self.maybe(rng, rng.randrange(-100, 90000) / 100),
                    "vip": self.maybe(rng, rng.random() < 0.5),
                    "name": self.maybe(rng, "name of " + who),
                    "phone": self.maybe(rng, rng.randrange(10**10)),
                    "known_at": None,
                }
            )
        if self.flags["late"]:
            versions = []
            for spell in out:
                spell["known_at"] = self.known(rng, spell["signed_up_at"])
                if spell["churned_at"] is not None and rng.random() < 0.7:
                    # the departure comes as a correction, often late
                    versions.append({**spell, "churned_at": None, "churn_type": None, "churn_reason": None})
                    spell["known_at"] = self.after(rng, spell["churned_at"])
                if rng.random() < 0.3:
                    versions.append(
                        {
                            **spell,
                            "segment": rng.choice(["mass", "business", "key", None]),
                            "region": self.maybe(rng, rng.choice(list(REGIONS)), 0.2),
                            "vip": None,
                            "known_at": self.after(rng, spell["known_at"] or spell["signed_up_at"]),
                        }
                    )
            out += versions
        return out

    def row(self, rng: random.Random, table: str, who: str, prior: list[datetime], hints: list[datetime]) -> Row:
        s = self.settings
        at = self.near(rng, table, self.time(rng, prior), hints)
        if table == "complaints" and prior and rng.random() < 0.3:  # about the edge of a repeat
            near = rng.choice(prior) + rng.choice([-30, 30, 30, 10]) * DAY + rng.choice([0, 0, 1, -1]) * US
            at = near if LOW <= near < HIGH else at
        if s.mode == "inactive" and table == s.activity and rng.random() < 0.5:
            span = rng.choice([-s.active_days, s.lead_days + s.horizon_days]) * 86400
            at = oracle.midnight(rng.choice(self.dates)) + timedelta(seconds=int(span * rng.random()))
        if table == "subscriptions":
            return {
                "customer_id": who,
                "plan": rng.choice(PLANS),
                "started_at": at,
                "ended_at": self.maybe(rng, self.after(rng, at), 0.5),
                "monthly_fee": self.maybe(rng, rng.choice([self.cents(rng), 1000, 2000, 3000])),
                "contract_ends_at": self.maybe(rng, self.contract_end(rng, at)),
            }
        if table == "usage":
            empty = rng.random() < 0.1
            return {
                "customer_id": who,
                "used_at": at,
                "voice_minutes": None if empty else self.maybe(rng, rng.randrange(0, 60000), 0.2),
                "sms_count": None if empty else self.maybe(rng, rng.randrange(0, 9) * 100, 0.2),
                "data_mb": None
                if empty
                else self.maybe(rng, rng.choice([0, 1, 100, -100, rng.randrange(-20000, 100000)]), 0.2),
                # now and then less than what counts as over 0
                "roaming_minutes": self.maybe(rng, rng.choice([0, 0, 0.00005, rng.randrange(0, 6000)]), 0.2),
                "dropped_calls": self.maybe(rng, rng.randrange(0, 5) * 100, 0.2),
                "extra": None if empty else self.maybe(rng, rng.randrange(0, 5000), 0.3),
                "roaming": self.maybe(rng, rng.random() < 0.5),
                "cell": self.maybe(rng, rng.choice(["c1", "小区 2"])),
                "imei": self.maybe(rng, rng.randrange(10**9)),
            }
        if table == "bills":
            amount = self.cents(rng)
            due = rng.choice([None, at + 14 * DAY, at + 30 * DAY, at, self.time(rng), self.time(rng)])
            end = oracle.midnight((due or at).date()) + DAY
            hints = [h for h in (end, end - US, end + US, due or end, end + 3 * DAY) if h >= at] or [at]
            paid_amounts = [None, None, amount, amount - 1, amount // 2, amount + 100, 0, -500]
            return {
                "customer_id": who,
                "billed_at": at,
                "due_at": due,
                "amount": amount,
                "paid_at": self.maybe(rng, self.after(rng, at, *hints), 0.3),
                "paid_amount": rng.choice(paid_amounts),
            }
        if table == "complaints":
            resolved = self.maybe(rng, self.after(rng, at), 0.3)
            rated = rng.choice([None, None, at, self.after(rng, resolved or at), self.time(rng)])
            promised = rng.choice([at + DAY, self.after(rng, at), resolved or at])
            return {
                "customer_id": who,
                "opened_at": at,
                "kind": rng.choice(["complaint", "fault", "enquiry", "Fault", "praise", None]),
                "promised_at": self.maybe(rng, min(promised + rng.choice([0, 0, 1, -1]) * US, HIGH)),
                "category": rng.choice([f"of {who}"] * 4 + CATEGORIES if self.flags["crowd"] else CATEGORIES),
                "channel": rng.choice(["phone", None]),
                "resolved_at": resolved,
                "first_contact_resolved": self.maybe(rng, rng.random() < 0.5),
                "satisfaction": self.maybe(rng, rng.randrange(1, 6) * 100),
                "rated_at": rated,
            }
        if table == "surveys":
            return {"customer_id": who, "answered_at": at, "score": rng.randrange(1, 6) * 100}
        if table == "costs":
            kind = rng.choice(["service", "line", None])
            return {"customer_id": who, "incurred_at": at, "amount": self.cents(rng), "kind": kind}
        return {
            "customer_id": who,
            "assigned_at": at,
            "campaign_id": rng.choice(["c1", "c2"]),
            "arm": rng.choice(["treated", "control"]),
            "propensity": self.maybe(rng, rng.randrange(1, 100)),
            "offer_id": self.maybe(rng, "call"),
            "contacted_at": self.maybe(rng, self.after(rng, at)),
            "accepted_at": self.maybe(rng, self.after(rng, at)),
            "cost": self.maybe(rng, self.cents(rng)),
        }

    def contract_end(self, rng: random.Random, started: datetime) -> datetime:
        soon = oracle.midnight(rng.choice(self.dates)) + rng.choice([-1, 0, 59, 60, 30]) * DAY
        soon += rng.choice([0, -1]) * US
        return rng.choice([self.time(rng), started + 365 * DAY, started + 730 * DAY, started - DAY, soon, soon])

    def rows(self, table: str, who: str, i: int, cap: int, everyone: list[str]) -> list[Row]:
        rng = random.Random(f"{self.seed}/{i}/{table}")
        if table == "customers":
            return self.spells(rng, who)
        event = TABLES[table].event
        key = KEYED.get(table, "row_id")
        has_key = table in KEYED or self.flags["row_ids"]
        hints = self.hints(table, who, i, everyone)
        way = random.Random(f"{self.seed}/{i}/{table}/way").random()
        prior: list[datetime] = []
        out: list[Row] = []
        for n in range(min(rng.randint(0, 12), cap)):
            row = self.row(rng, table, who, prior, hints)
            if table in ("usage", "bills") and way < 0.25:
                if table == "bills":  # one in each period of 30 days; its later times stay after it
                    row[event] = min(self.steady(rng, n), row[event])
                else:  # daily totals
                    row[event] = oracle.midnight(row[event].date())
            prior.append(row[event])
            row["known_at"] = self.known(rng, row[event]) if self.flags["late"] else None
            if has_key:
                row[key] = f"{table[0]}-{i}-{n}"
                if key == "row_id" and rng.random() < 0.15:
                    row[key] = None
            out.append(row)
            if self.flags["late"] and has_key and row[key] is not None:
                seen = {row["known_at"] or row[event]}
                while rng.random() < 0.25:  # a correction: some columns change, the event time and customer too
                    fresh = self.row(rng, table, who, prior, hints)
                    changed = rng.sample(sorted(fresh), rng.randrange(1, 4))
                    new = {**rng.choice(out[-len(seen) :]), **{c: fresh[c] for c in changed}}
                    if rng.random() < 0.15:
                        new["customer_id"] = rng.choice(everyone)
                    new["known_at"] = self.after(rng, max(seen))
                    if new["known_at"] in seen:
                        new["known_at"] += US
                    if new["known_at"].replace(fold=0) in seen:
                        break
                    seen.add(new["known_at"].replace(fold=0))
                    out.append(new)
        return out

    def hints(self, table: str, who: str, i: int, everyone: list[str]) -> list[datetime]:
        """When what this table's definitions look at first happened to the customer in another table."""
        others = {"usage": ("complaints", "subscriptions"), "complaints": ("bills",)}.get(table, ())
        rows = [(TABLES[other].event, row) for other in others for row in self.rows(other, who, i, 3, everyone)]
        return [row[event] for event, row in rows]

    # ---- tables

    def tables(self, chosen: list[int], caps: dict[str, int]) -> Tables:
        everyone = [f"u{i:02d}" for i in chosen]
        out: Tables = {}
        for table in caps:
            raw = [
                row
                for i, who in zip(chosen, everyone, strict=True)
                for row in self.rows(table, who, i, caps[table], everyone)
            ]
            out[table] = self.represent(table, raw)
        return out

    def represent(self, table: str, rows: list[Row]) -> list[Row]:
        """Turns wall-clock times and hundredths into what a column of an operator's own table would hold."""
        rng = random.Random(f"{self.seed}/columns/{table}")
        spec = TABLES[table]
        drop: set[str] = set()
        if not self.flags["late"] or rng.random() < 0.1:
            drop.add("known_at")
        if self.flags["missing_columns"]:
            drop |= {column for column in OPTIONAL[table] if rng.random() < 0.25}
        if table == "usage":
            drop |= {c for c in MEASURES if rng.random() < 0.3}
            if not self.flags["extra"]:
                drop |= {"extra", "roaming", "cell", "imei"}
        if table == "customers" and not self.flags["extra"]:
            drop |= {"age", "Credit Score", "vip", "name", "phone"}
        if table == "customers" and rng.random() < 0.3:
            drop.add("region")
        strange = rng.choice(STRANGE)
        columns = [column for column in (rows[0] if rows else ()) if column not in drop]
        if self.flags["row_ids"] and rows and "row_id" in rows[0] and rng.random() < 0.2:
            columns.remove("row_id")
            rows = [row for row in rows if row["row_id"] is None or row["known_at"] is None]
        how: dict[str, Any] = {}
        shared = rng.choice(OTHER_ZONES)  # one zone for most columns of a table
        money = rng.choice(["float", "int", "decimal", "text"] if self.flags["kinds"] else ["float"])
        for column in columns:
            if column in spec.times:
                how[column] = "naive"
                if self.flags["zones"]:
                    how[column] = rng.choice(["naive", shared, shared, rng.choice(OTHER_ZONES)])
                if self.flags["texts"] and rng.random() < 0.25:
                    how[column] = rng.choice(["text", "text with offset"])
                if column in ("due_at", "contract_ends_at") and rng.random() < 0.2:
                    how[column] = "date"
            elif column in spec.numbers:
                how[column] = rng.choice([money, money, "float"])
                if column == "propensity":
                    how[column] = "float"
            elif column in (*MEASURES, "extra"):
                kinds = ["float", "int", "decimal"] if self.flags["kinds"] else ["float"]
                how[column] = {"sms_count": "int", "roaming_minutes": "float"}.get(column) or rng.choice(kinds)
        codes = self.flags["kinds"] and rng.random() < 0.3
        lost = {c for c in columns if self.flags["nulls"] and c not in spec.required and rng.random() < 0.03}
        out = []
        for row in rows:
            new: Row = {}
            for column in columns:
                value = None if column in lost and column != "known_at" else row[column]
                name = strange if column == "extra" else column
                if value is None:
                    new[name] = rng.choice([None, ""]) if str(how.get(column)).startswith("text") else None
                elif column in spec.times:
                    new[name] = self.show_time(rng, value, how[column])
                elif column in how:
                    new[name] = show_number(value, how[column])
                elif column == "region" and codes:
                    new[name] = REGIONS[value]
                else:
                    new[name] = value
            out.append(new)
        return out

    def show_time(self, rng: random.Random, wall: datetime, how: Any) -> Any:
        if how == "date":
            return wall.date()
        if how == "naive":
            return wall.replace(fold=0)
        aware = wall.replace(tzinfo=self.zone).astimezone(UTC)
        if isinstance(how, tzinfo):
            return aware.astimezone(how)
        zone = timezone(timedelta(hours=rng.choice([0, 8, -5]), minutes=rng.choice([0, 30])))
        moment = wall.replace(fold=0) if how == "text" else aware.astimezone(zone)
        text = moment.isoformat(sep=rng.choice(["T", " "]))
        if moment.microsecond and rng.random() < 0.5:  # what lies below a microsecond is cut
            at = text.index(".") + 7
            text = text[:at] + "999" + text[at:]
        if how == "text" and moment == oracle.midnight(moment.date()) and rng.random() < 0.5:
            text = text[:10]
        return text


def show_number(cents: int, how: str) -> Any:
    if how == "int":
        return cents // 100
    if how == "decimal":
        return Decimal(cents).scaleb(-2)
    if how == "text":
        return str(Decimal(cents).scaleb(-2))
    return cents / 100


# -------------------------------------------------------------------------------------------------- bad rows

BAD_KINDS = [
    "null",
    "unreadable time",
    "unreadable number",
    "infinite",
    "nan",
    "infinite measure",
    "unknown customer",
    "wrong order",
    "out of range",
    "future",
    "overlap",
    "duplicate",
    "duplicate known_at",
    "conflict",
    "conflict of three",
    "conflict of nulls",
    "identical and differing",
]


@st.composite
def bad_operators(draw: st.DrawFn, modes: tuple[str, ...] = ("terminated", "inactive")):
    """``(tables, settings, as_of dates)`` with bad rows of every kind among the good ones."""
    tables, settings, dates = draw(operators(modes))
    kinds = draw(st.lists(st.sampled_from(BAD_KINDS), min_size=1, max_size=16))
    rng = random.Random(draw(st.integers(0, 2**32 - 1)))
    tables = {name: [dict(row) for row in rows] for name, rows in tables.items()}
    for kind in kinds:
        spoil(tables, settings, kind, rng)
    for rows in tables.values():
        rng.shuffle(rows)
    return tables, configured(tables, settings), dates


def spoil(tables: Tables, settings: Settings, kind: str, rng: random.Random) -> None:
    """Adds bad rows of one kind, in place, where there is a row to start from."""
    names = [name for name in tables if tables[name]]
    if not names:
        return
    table = rng.choice(names)
    key = KEYED.get(table, "row_id")

    def pick(among: str) -> Row:
        row = dict(rng.choice(tables[among]))
        own = KEYED.get(among, "row_id")
        if row.get(own) is not None:  # a key of its own, so that nothing else goes bad with it
            row[own] = f"x{rng.randrange(10**9)}"
        if among == "customers":
            row["customer_id"] = f"x{rng.randrange(10**9)}"
        return row

    if kind == "null":
        row = pick(table)
        required = TABLES[table].required
        row[rng.choice(required)] = None
        tables[table].append(row)
    elif kind in ("unreadable time", "unreadable number", "infinite", "nan"):
        time = kind == "unreadable time"
        spots = [
            (name, column)
            for name in names
            for column in (TABLES[name].times if time else TABLES[name].numbers)
            if any(row.get(column) not in (None, "") for row in tables[name])
        ]
        if not spots:
            return
        table, column = rng.choice(spots)
        row = pick(table)
        text = any(isinstance(old[column], str) for old in tables[table])
        if kind in ("infinite", "nan") and not text:
            for old in tables[table]:
                if old[column] is not None:
                    old[column] = float(old[column])
            numbers = [float("inf"), float("-inf")] if kind == "infinite" else [float("nan")]
            row[column] = rng.choice(numbers)
        else:
            for old in tables[table]:
                if old[column] is not None:
                    value = old[column]
                    old[column] = value.isoformat() if isinstance(value, date) else str(value)
            words = {
                "unreadable time": ["yesterday", "2023-13-45", "31/12/2023", "2023-02-29", "?"],
                "unreadable number": ["abc", "12,5", "n/a", "1.2.3", "--"],
                "infinite": ["inf", "-Infinity"],
                "nan": ["nan", "NaN"],
            }
            row[column] = rng.choice(words[kind])
        tables[table].append(row)
    elif kind == "infinite measure":
        rows = tables.get("usage", [])
        measures = [
            column
            for column in (rows[0] if rows else ())
            if any(isinstance(row[column], float) for row in rows) and column not in settings.personal
        ]
        if measures:
            row = pick("usage")
            row[rng.choice(measures)] = float("inf")
            rows.append(row)
    elif kind == "unknown customer":
        others = [name for name in names if name != "customers"]
        if others:
            table = rng.choice(others)
            tables[table].append({**pick(table), "customer_id": f"nobody {rng.randrange(9)}"})
    elif kind == "wrong order":
        spots = [
            (name, later, earlier)
            for name in names
            for later, earlier in TABLES[name].order
            if any(row.get(later) not in (None, "") for row in tables[name])
        ]
        if spots:
            table, later, earlier = rng.choice(spots)
            row = pick(table)
            at = wall_of(row[earlier], settings)
            if at is not None:
                wrong = at - rng.choice([US, DAY, timedelta(hours=3)])
                row[later] = like(tables[table], later, wrong, settings)
                tables[table].append(row)
    elif kind == "out of range":
        spots = [
            (name, column)
            for name, column in (("complaints", "satisfaction"), ("surveys", "score"))
            if any(row.get(column) not in (None, "") for row in tables.get(name, []))
        ]
        if spots:
            table, column = rng.choice(spots)
            row = pick(table)
            sample = next(old[column] for old in tables[table] if old[column] not in (None, ""))
            value = rng.choice([0, 6, -1, 100])
            row[column] = type(sample)(value)
            tables[table].append(row)
    elif kind == "future":
        row = pick(table)
        event = TABLES[table].event
        for later, _ in TABLES[table].order:
            if later in row:
                row[later] = None
        row[event] = like(tables[table], event, NOW + rng.choice([0 * US, US, US, DAY, 400 * DAY]), settings)
        tables[table].append(row)
    elif kind == "overlap":
        overlap(tables, settings, rng)
    else:
        names = [
            name
            for name in names
            if name == "customers" or any(row.get(KEYED.get(name, "row_id")) for row in tables[name])
        ]
        table = rng.choice(names)
        key = KEYED.get(table, "row_id")
        rows = [row for row in tables[table] if table == "customers" or row.get(key)]
        versions(tables, table, rng.choice(rows), kind, rng)


def versions(tables: Tables, table: str, row: Row, kind: str, rng: random.Random) -> None:
    """Rows that share a key and a known_at with this one."""
    columns = {
        "customers": "segment",
        "subscriptions": "plan",
        "bills": "due_at",
        "complaints": "category",
    }
    column = columns.get(table, "known_at")

    def differing() -> Row:
        new = dict(row)
        if column == "known_at" or column not in row:
            spare = [c for c in row if c not in TABLES[table].columns and isinstance(row[c], int | float)]
            spare = [c for c in spare if not isinstance(row[c], bool)]
            if table in ("costs",) and isinstance(row["amount"], int | float):
                spare.append("amount")
            if spare:
                new[spare[0]] += 7
            return new
        if column == "due_at":
            new[column] = None
        elif column == "plan":
            new[column] = f"other {rng.randrange(10**6)}"
        else:
            new[column] = f"other {rng.randrange(10**6)}"
        return new

    if kind == "duplicate":
        tables[table] += [dict(row) for _ in range(rng.choice([1, 1, 2]))]
    elif kind == "duplicate known_at":
        new = dict(row)
        event = TABLES[table].event
        times = [old["known_at"] for old in tables[table] if old.get("known_at") not in (None, "")]
        if row.get("known_at", row) in (None, "") and times and type(times[0]) is type(row[event]):
            aware = getattr(row[event], "tzinfo", None)
            if (aware is None) == (getattr(times[0], "tzinfo", None) is None):
                new["known_at"] = row[event]  # a null known_at is the event time
        tables[table].append(new)
    elif kind == "conflict":
        tables[table].append(differing())
    elif kind == "conflict of nulls":  # no known_at, and not one event time either
        event = TABLES[table].event
        at = row[event] if table != "customers" else None
        if isinstance(at, datetime) and row.get("known_at") in (None, "") and at.year < 2024:
            later = {column: None for column, _ in TABLES[table].order if column in row}
            tables[table] += [{**row, **later, event: at + DAY}]
    elif kind == "conflict of three":
        tables[table] += [differing(), differing()]
    else:
        tables[table] += [dict(row), differing()]


def overlap(tables: Tables, settings: Settings, rng: random.Random) -> None:
    """A second spell inside a spell of a customer (one without spells of no length: opinions differ)."""
    accepted, _ = oracle.read(tables, settings)
    spells = oracle.newest(accepted, "customers")
    empty = {s["customer_id"] for s in spells if s["churned_at"] and s["churned_at"] <= s["signed_up_at"]}
    spells = [s for s in spells if s["customer_id"] not in empty]
    if not spells:
        return
    spell = rng.choice(spells)
    start = spell["signed_up_at"]
    end = spell["churned_at"] or min(start + 100 * DAY, HIGH)
    inside = rng.choice([start + US, start + (end - start) / 2, end - US])
    if not start < inside < end:
        return
    rows = tables["customers"]
    row = dict(next(row for row in rows if row["customer_id"] == spell["customer_id"]))
    for column in ("churned_at", "churn_type", "churn_reason", "known_at"):
        if column in row:
            row[column] = None
    row["signed_up_at"] = like(rows, "signed_up_at", inside, settings)
    if "churned_at" in row and rng.random() < 0.5:
        row["churned_at"] = like(rows, "churned_at", min(inside + 10 * DAY, HIGH), settings)
    rows.append(row)


def wall_of(value: Any, settings: Settings) -> datetime | None:
    try:
        at = oracle.read_time(value, "")
    except oracle.Bad:
        return None
    return None if at is None else oracle.to_wall_clock(at, settings)


def like(rows: list[Row], column: str, wall: datetime, settings: Settings) -> Any:
    """A wall-clock time in the form that the column has."""
    values = [row[column] for row in rows if row.get(column) not in (None, "")]
    sample = values[0] if values else wall
    if isinstance(sample, str):
        zoned = len(sample) > 19 and (sample[-6] in "+-" or sample.endswith("Z"))
        aware = wall.replace(tzinfo=ZoneInfo(settings.timezone)).astimezone(UTC)
        return aware.isoformat() if zoned else wall.isoformat()
    if isinstance(sample, datetime):
        if sample.tzinfo is None:
            return wall
        return wall.replace(tzinfo=ZoneInfo(settings.timezone)).astimezone(UTC).astimezone(sample.tzinfo)
    return wall.date()


# ---------------------------------------------------------------------------------------------------- frames


def to_frames(tables: Tables) -> dict[str, pd.DataFrame]:
    """DataFrames with sensible dtypes; NaN and null are one in float columns.

    A column that no row has is absent. A column of nothing but nulls has the dtype that the contract gives
    it, an unknown one float64. A table without rows has its required columns.
    """
    out = {}
    for table, rows in tables.items():
        columns = list({column: None for row in rows for column in row}) or list(TABLES[table].required)
        out[table] = pd.DataFrame({c: to_series(table, c, [row.get(c) for row in rows]) for c in columns})
    return out


def to_series(table: str, column: str, values: list[Any]) -> pd.Series:
    spec = TABLES[table]
    there = [value for value in values if value is not None]
    if any(isinstance(value, str) for value in there):
        return pd.Series([None if v is None else str(v) for v in values], dtype="str")
    if any(isinstance(value, date) for value in there) or (not there and column in spec.times):
        zones = [value.tzinfo for value in there if isinstance(value, datetime) and value.tzinfo]
        if not zones:
            return pd.Series([v if v is None else naive(v) for v in values], dtype="datetime64[us]")
        moments = [None if v is None else v.astimezone(UTC) for v in values]
        return pd.Series(moments, dtype="datetime64[us, UTC]").dt.tz_convert(zones[0])
    if there and all(isinstance(value, bool) for value in there):
        return pd.Series(values, dtype="bool" if len(there) == len(values) else "boolean")
    if there and all(isinstance(value, Decimal) for value in there):
        return pd.Series(values, dtype="object")
    if there and all(isinstance(value, int) for value in there):
        return pd.Series(values, dtype="int64" if len(there) == len(values) else "Int64")
    if there or column in spec.numbers:
        return pd.Series([None if v is None else float(v) for v in values], dtype="float64")
    if column in spec.booleans:
        return pd.Series(values, dtype="boolean")
    if column in spec.texts:
        return pd.Series(values, dtype="str")
    return pd.Series(values, dtype="float64")


def naive(value: date) -> datetime:
    return value.replace(fold=0) if isinstance(value, datetime) else oracle.midnight(value)

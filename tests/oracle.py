"""A slow, obvious oracle for sections 1 to 4 of the contract: plain Python, row by row, nothing clever.

It is written from the text of the contract, and of the catalogue (`meaning`) where the contract leaves a feature to
it, and shares no line with the package. Rows are dicts under the contract's column names. ``read`` turns raw tables
into accepted and quarantined rows; everything else takes what ``read`` accepted. After reading, times are naive
wall-clock times of the project's timezone.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Tables = dict[str, list[Row]]

DAY = timedelta(days=1)
CENT_OF_A_CENT = 1e-6  # "no more than 1e-6 is missing", "over 1e-6"


@dataclass
class Settings:
    """What the configuration says, as far as sections 1 to 4 need it."""

    timezone: str = "Asia/Shanghai"
    windows: tuple[int, ...] = (7, 30, 90, 180)
    mode: str = "terminated"
    types: tuple[str, ...] | None = None
    lead_days: int = 14
    horizon_days: int = 60
    active_days: int = 90
    activity: str = "usage"
    observed_until: date | datetime | None = None
    settle_days: int = 0
    value_horizon_days: int = 365
    margin_rate: float = 1.0
    personal: tuple[str, ...] = ()
    now: datetime = datetime(2025, 1, 1)
    # A pandas float column cannot tell NaN from null, so NaN is null; False: NaN is not finite, so bad
    nan_is_null: bool = True


@dataclass(frozen=True)
class Table:
    """The columns of section 2 that need reading."""

    event: str
    required: tuple[str, ...]
    times: tuple[str, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    booleans: tuple[str, ...]
    key: tuple[str, ...]
    order: tuple[tuple[str, str], ...]  # (later, earlier)

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.texts, *self.times, *self.numbers, *self.booleans)


TABLES = {
    "customers": Table(
        event="signed_up_at",
        required=("customer_id", "signed_up_at"),
        times=("signed_up_at", "churned_at", "known_at"),
        numbers=(),
        texts=("customer_id", "churn_type", "churn_reason", "segment", "account_manager"),
        booleans=(),
        key=("customer_id", "signed_up_at"),
        order=(("churned_at", "signed_up_at"),),
    ),
    "subscriptions": Table(
        event="started_at",
        required=("customer_id", "plan", "started_at"),
        times=("started_at", "ended_at", "contract_ends_at", "known_at"),
        numbers=("monthly_fee",),
        texts=("customer_id", "plan", "row_id"),
        booleans=(),
        key=("row_id",),
        order=(("ended_at", "started_at"),),
    ),
    "usage": Table(
        event="used_at",
        required=("customer_id", "used_at"),
        times=("used_at", "known_at"),
        numbers=(),
        texts=("customer_id", "row_id"),
        booleans=(),
        key=("row_id",),
        order=(),
    ),
    "bills": Table(
        event="billed_at",
        required=("bill_id", "customer_id", "billed_at", "amount"),
        times=("billed_at", "due_at", "paid_at", "known_at"),
        numbers=("amount", "paid_amount"),
        texts=("bill_id", "customer_id"),
        booleans=(),
        key=("bill_id",),
        order=(("paid_at", "billed_at"),),
    ),
    "complaints": Table(
        event="opened_at",
        required=("complaint_id", "customer_id", "opened_at"),
        times=("opened_at", "promised_at", "resolved_at", "rated_at", "known_at"),
        numbers=("satisfaction",),
        texts=("complaint_id", "customer_id", "kind", "category", "channel"),
        booleans=("first_contact_resolved",),
        key=("complaint_id",),
        order=(("resolved_at", "opened_at"),),
    ),
    "surveys": Table(
        event="answered_at",
        required=("customer_id", "answered_at", "score"),
        times=("answered_at", "known_at"),
        numbers=("score",),
        texts=("customer_id", "row_id"),
        booleans=(),
        key=("row_id",),
        order=(),
    ),
    "costs": Table(
        event="incurred_at",
        required=("customer_id", "incurred_at", "amount"),
        times=("incurred_at", "known_at"),
        numbers=("amount",),
        texts=("customer_id", "kind", "row_id"),
        booleans=(),
        key=("row_id",),
        order=(),
    ),
    "contacts": Table(
        event="assigned_at",
        required=("customer_id", "assigned_at", "campaign_id", "arm"),
        times=("assigned_at", "contacted_at", "accepted_at", "known_at"),
        numbers=("propensity", "cost"),
        texts=("customer_id", "campaign_id", "arm", "offer_id", "row_id"),
        booleans=(),
        key=("row_id",),
        order=(),
    ),
}

# "Some columns tell what happened later than their row": column -> the time that it becomes known with.
# `satisfaction` has a rule of its own, see `known`.
LATER = {
    "customers": {
        "churned_at": "churned_at",
        "churn_type": "churned_at",
        "churn_reason": "churned_at",
    },
    "subscriptions": {"ended_at": "ended_at"},
    "bills": {"paid_at": "paid_at", "paid_amount": "paid_at"},
    "complaints": {
        "resolved_at": "resolved_at",
        "first_contact_resolved": "resolved_at",
        "rated_at": "rated_at",
    },
    "contacts": {"contacted_at": "contacted_at", "cost": "contacted_at", "accepted_at": "accepted_at"},
}


class Accepted(dict[str, list[Row]]):
    """The accepted rows by table, with the kind of each column as it came in (``number`` or ``other``)."""

    def __init__(self, rows: Tables, kinds: dict[str, dict[str, str]]) -> None:
        super().__init__(rows)
        self.kinds = kinds


class Bad(Exception):  # noqa: N818
    """A row is bad for a reason of its own."""


def midnight(day: date | datetime) -> datetime:
    """The as-of date T: "the start of that day (00:00) in the project's timezone"."""
    return day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)


def days_between(earlier: datetime, later: datetime) -> int:
    """Whole days from the day of the earlier time to the day of the later."""
    return (later.date() - earlier.date()).days


def is_null(value: Any, settings: Settings) -> bool:
    if isinstance(value, float) and math.isnan(value):
        return settings.nan_is_null
    return value is None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


# --------------------------------------------------------------------------------------------------- reading


def read_time(value: Any, column: str) -> datetime | None:
    """A time; "a time ... that cannot be read" is bad. Text is ISO 8601; blank text is null."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            return datetime.fromisoformat(value.strip())  # cuts what lies below a microsecond
        except ValueError:
            raise Bad(f"{column}: unreadable") from None
    raise Bad(f"{column}: unreadable")


def to_wall_clock(moment: datetime, settings: Settings) -> datetime:
    """Contract: "wall-clock time of the project's timezone", and "naive times are in it already"."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).astimezone(ZoneInfo(settings.timezone))
    return moment.replace(tzinfo=None, fold=0)


def read_number(value: Any, column: str) -> float | None:
    """Contract: "a time or number that cannot be read, or is not finite" is bad. Blank text is null."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
            raise Bad(f"{column}: not finite")
        if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text, flags=re.ASCII):
            raise Bad(f"{column}: unreadable")
        value = float(text)
    if not is_number(value):
        raise Bad(f"{column}: unreadable")
    value = float(value)
    if not math.isfinite(value):
        raise Bad(f"{column}: not finite")
    return value


def read_boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return None if value is None else bool(value)


def read_row(
    raw: Row, table: str, columns: list[str], kinds: dict[str, str], settings: Settings, known_customers: set
) -> Row:
    """One row, or Bad with the first reason of its own."""
    spec = TABLES[table]
    row: Row = {}
    moments: dict[str, datetime] = {}  # as they came, for the order checks
    for column in columns:
        value = raw.get(column)
        if is_null(value, settings):
            row[column] = None
        elif column in spec.times:
            moment = read_time(value, column)
            if moment is None:
                row[column] = None
            else:
                moments[column] = moment
                row[column] = to_wall_clock(moment, settings)
        elif column in spec.numbers or (table == "usage" and kinds.get(column) == "number"):
            row[column] = read_number(value, column)
        elif column in spec.booleans:
            row[column] = read_boolean(value)
        else:
            if isinstance(value, float | Decimal) and not math.isfinite(value):
                raise Bad(f"{column}: not finite")
            row[column] = value
    # "a null in a required column"
    for column in spec.required:
        if row[column] is None:
            raise Bad(f"{column}: null")
    # "paid_at before billed_at, resolved_at before opened_at, ended_at before started_at, churned_at before
    # signed_up_at"; "order checks of aware times compare instants"
    for later, earlier in spec.order:
        if row[later] is None:
            continue
        one, two = moments[later], moments[earlier]
        if one.tzinfo is not None and two.tzinfo is not None:
            wrong = one.astimezone(UTC) < two.astimezone(UTC)
        else:
            wrong = row[later] < row[earlier]
        if wrong:
            raise Bad(f"{later}: before {earlier}")
    # "a `satisfaction` or `score` outside 1-5"
    for column in ("satisfaction", "score"):
        if column in spec.numbers and row[column] is not None and not 1 <= row[column] <= 5:
            raise Bad(f"{column}: outside 1-5")
    # "a required time later than now"
    if row[spec.event] > to_wall_clock(settings.now, settings):
        raise Bad(f"{spec.event}: later than now")
    # "a customer with no accepted row in `customers`"
    if table != "customers" and row["customer_id"] not in known_customers:
        raise Bad("customer_id: unknown")
    return row


def key_of(row: Row, table: str) -> tuple | None:
    # "Keys are customer_id + signed_up_at, bill_id, complaint_id, and an optional row_id"
    key = tuple(row[column] for column in TABLES[table].key)
    return None if None in key else key


def known_at_of(row: Row, table: str) -> datetime:
    """Contract: "a null known_at is the event time"."""
    return row[TABLES[table].event] if row["known_at"] is None else row["known_at"]


def judge_versions(rows: list[Row], table: str) -> list[str | None]:
    """Gives each row a reason, or None where it is good.

    "rows that share a key and a known_at (or have none): of identical rows all but one, of differing rows
    all". Identical is meant after reading, with a null known_at taken as the event time.
    """
    reasons: list[str | None] = [None] * len(rows)
    by_key = defaultdict(list)
    for i, row in enumerate(rows):
        if key_of(row, table) is not None:
            by_key[key_of(row, table)].append(i)
    for members in by_key.values():
        # classes of identical rows
        classes: list[list[int]] = []
        for i in members:
            for group in classes:
                first = rows[group[0]]
                if {**first, "known_at": known_at_of(first, table)} == {
                    **rows[i],
                    "known_at": known_at_of(rows[i], table),
                }:
                    group.append(i)
                    break
            else:
                classes.append([i])
        for group in classes:
            for other in classes:
                if other is group:
                    continue
                same = known_at_of(rows[group[0]], table) == known_at_of(rows[other[0]], table)
                none = any(rows[i]["known_at"] is None for i in group) and any(
                    rows[i]["known_at"] is None for i in other
                )
                if same or none:
                    for i in group:
                        reasons[i] = "conflicting versions"
            for i in group[1:]:
                reasons[i] = reasons[i] or "duplicate"
    return reasons


def judge_spells(rows: list[Row]) -> list[str | None]:
    """Gives each row a reason, or None where it is good: "overlapping spells".

    Spells are half-open and judged by their newest version; bad are all versions of all spells involved.
    """
    forever = datetime(9999, 12, 31)
    spells = newest_of(rows, "customers")
    bad = set()
    for one in spells:
        for two in spells:
            if one is two or one["customer_id"] != two["customer_id"]:
                continue
            start = max(one["signed_up_at"], two["signed_up_at"])
            end = min(one["churned_at"] or forever, two["churned_at"] or forever)
            if start < end:
                bad.add(key_of(one, "customers"))
                bad.add(key_of(two, "customers"))
    return ["overlapping spells" if key_of(row, "customers") in bad else None for row in rows]


def read(tables: Tables, settings: Settings) -> tuple[Accepted, dict[str, list[tuple[Row, str]]]]:
    """Section 2: "Rows in = rows accepted + rows in quarantine, for every table".

    The quarantined rows are the very dicts that came in.
    """
    accepted: Tables = {}
    quarantined: dict[str, list[tuple[Row, str]]] = {}
    kinds: dict[str, dict[str, str]] = {}
    for table in sorted(tables, key=lambda name: name != "customers"):  # customers first
        raws = tables[table]
        kinds[table] = {}
        for column in {column: None for raw in raws for column in raw}:
            values = [raw.get(column) for raw in raws]
            values = [value for value in values if not is_null(value, settings)]
            # a column of nothing but nulls counts as a number column (histories.to_frames makes it float64)
            kinds[table][column] = "number" if all(is_number(value) for value in values) else "other"
        columns = list(dict.fromkeys([*TABLES[table].columns, *kinds[table]]))
        known_customers = {row["customer_id"] for row in accepted.get("customers", [])}

        good: list[tuple[Row, Row]] = []  # (raw, read)
        bad: list[tuple[Row, str]] = []
        for raw in raws:
            try:
                good.append((raw, read_row(raw, table, columns, kinds[table], settings, known_customers)))
            except Bad as reason:
                bad.append((raw, str(reason)))

        judges = [lambda rows, name=table: judge_versions(rows, name)]
        if table == "customers":
            judges.append(judge_spells)
        for judge in judges:
            reasons = judge([row for _, row in good])
            bad += [(raw, reason) for (raw, _), reason in zip(good, reasons, strict=True) if reason]
            good = [pair for pair, reason in zip(good, reasons, strict=True) if not reason]

        accepted[table] = [row for _, row in good]
        quarantined[table] = bad
    return Accepted(accepted, kinds), quarantined


# ---------------------------------------------------------------------------------------- what is known when


def newest_of(rows: list[Row], table: str) -> list[Row]:
    # "A row with the same key and a later known_at is a correction"; a row without a key is its own version
    out: list[Row] = []
    by_key: dict[tuple, Row] = {}
    for row in rows:
        key = key_of(row, table)
        if key is None:
            out.append(row)
        elif key not in by_key or known_at_of(row, table) > known_at_of(by_key[key], table):
            by_key[key] = row
    return out + list(by_key.values())


def newest(accepted: Accepted, table: str) -> list[Row]:
    """Contract: "the newest version of everything"."""
    return newest_of(accepted.get(table, []), table)


def known(accepted: Accepted, table: str, T: date) -> list[Row]:
    """What is known at T.

    "every row whose event time is before T and ... whose known_at is before T too"; "rows not known at T are
    taken away first, then the latest version of each key counts"; then the columns that tell what happened
    later than their row "are null unless their own time is before T".
    """
    start = midnight(T)
    event = TABLES[table].event
    rows = [
        row
        for row in accepted.get(table, [])
        if row[event] < start and (row["known_at"] is None or row["known_at"] < start)
    ]
    out = []
    for row in newest_of(rows, table):
        seen = dict(row)
        for column, time in LATER.get(table, {}).items():
            if row[time] is None or not row[time] < start:
                seen[column] = None
        if table == "complaints":
            # "satisfaction with rated_at, or with resolved_at where rated_at is null"
            time = row["resolved_at"] if row["rated_at"] is None else row["rated_at"]
            if time is None or not time < start:
                seen["satisfaction"] = None
        out.append(seen)
    return out


def within(rows: list[Row], column: str, start: datetime, end: datetime) -> list[Row]:
    """Rows whose time lies in [start, end)."""
    return [row for row in rows if row[column] is not None and start <= row[column] < end]


def of_customer(rows: list[Row]) -> dict[str, list[Row]]:
    out: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        out[row["customer_id"]].append(row)
    return out


# ---------------------------------------------------------------------------------------- population, labels


def population(accepted: Accepted, T: date, settings: Settings) -> dict[str, Row]:
    """The spell, as known at T, of everyone at risk at T."""
    start = midnight(T)
    active: set[str] = set()
    if settings.mode == "inactive":
        # "at least one row of label.activity in [T - label.active_days, T) ... activity known at T decides"
        rows = known(accepted, settings.activity, T)
        event = TABLES[settings.activity].event
        since = start - settings.active_days * DAY
        active = {row["customer_id"] for row in within(rows, event, since, start)}
    out: dict[str, Row] = {}
    for spell in known(accepted, "customers", T):  # "signed_up_at < T"
        who = spell["customer_id"]
        if settings.mode == "terminated" and spell["churned_at"] is not None:
            continue  # "not (churned_at < T)"; what is not before T is null as known at T
        if settings.mode == "inactive" and who not in active:
            continue  # "churned_at plays no part"
        if who not in out or spell["signed_up_at"] > out[who]["signed_up_at"]:
            out[who] = spell
    return out


def observed_until(accepted: Accepted, settings: Settings) -> datetime:
    """Until when outcomes are seen, after `settle_days` is taken off."""

    def latest(table: str) -> datetime | None:
        return max((row[TABLES[table].event] for row in newest(accepted, table)), default=None)

    if settings.observed_until is not None:
        until = midnight(settings.observed_until)
    elif settings.mode == "inactive":
        # "00:00 of the day after the latest label.activity time"
        last = latest(settings.activity)
        if last is None:
            raise ValueError("observed_until must be configured")
        until = midnight(last.date()) + DAY
    else:
        # "after the earlier of the latest used_at and the latest billed_at (... of those tables that are
        # there; with neither it must be configured)"
        lasts = [last for last in (latest("usage"), latest("bills")) if last is not None]
        if not lasts:
            raise ValueError("observed_until must be configured")
        until = midnight(min(lasts).date()) + DAY
    return until - settings.settle_days * DAY


def labels(accepted: Accepted, T: date, settings: Settings) -> dict[str, dict[str, Any]]:
    """`churned` and `value` of everyone at risk at T."""
    start = midnight(T)
    opens = start + settings.lead_days * DAY
    ends = opens + settings.horizon_days * DAY
    unseen = ends > observed_until(accepted, settings)

    final = {key_of(row, "customers"): row for row in newest(accepted, "customers")}
    event = TABLES[settings.activity].event
    activity = of_customer(newest(accepted, settings.activity))

    bills, costs = newest(accepted, "bills"), newest(accepted, "costs")
    value_ends = start + settings.value_horizon_days * DAY
    last_bill = max((row["billed_at"] for row in bills), default=None)
    # "Null where it ends after the day after the latest billed_at"; "without bills value is null"
    no_value = last_bill is None or value_ends > midnight(last_bill.date()) + DAY
    bills_of, costs_of = of_customer(bills), of_customer(costs)

    out = {}
    for who, spell in population(accepted, T, settings).items():
        churned: int | None
        if unseen:
            churned = None  # "A label is null, never 0, where the outcome window ends after observed_until"
        elif settings.mode == "inactive":
            # "1 where there is none in the outcome window, else 0"; "all activity decides the label"
            churned = 0 if within(activity[who], event, opens, ends) else 1
        else:
            row = final[key_of(spell, "customers")]
            left, kind = row["churned_at"], row["churn_type"]
            if left is None or left >= ends:
                churned = 0  # "still there at its end"
            elif left < opens:
                churned = None  # "had left before T without its being known, left inside the lead"
            elif settings.types is None or kind in settings.types:
                churned = 1
            else:
                churned = None  # "left in the outcome window for a type that is not asked for"
        if no_value:
            value = None
        else:
            # "sum of bills.amount billed in [T, T + value.horizon_days) x value.margin_rate - sum of
            # costs.amount incurred in it; 0 for a customer with no rows there"
            billed = math.fsum(r["amount"] for r in within(bills_of[who], "billed_at", start, value_ends))
            spent = math.fsum(r["amount"] for r in within(costs_of[who], "incurred_at", start, value_ends))
            value = billed * settings.margin_rate - spent
        out[who] = {"churned": churned, "value": value}
    return out


# -------------------------------------------------------------------------------------------------- features


def total(rows: list[Row], column: str) -> float:
    """Contract: "nulls are left out of sums and means"; nothing is 0."""
    return math.fsum(row[column] for row in rows if row[column] is not None)


def mean(rows: list[Row], column: str) -> float | None:
    values = [row[column] for row in rows if row[column] is not None]
    return math.fsum(values) / len(values) if values else None


def missing_of(bill: Row, by: datetime | None = None) -> float:
    """What is missing of a bill, as known (or of what was paid before `by`); 0 or less: nothing.

    "A paid_at with a null or absent paid_amount pays in full; a paid_amount without paid_at pays nothing."
    """
    paid_at = bill["paid_at"]
    if paid_at is None or (by is not None and not paid_at < by):
        return bill["amount"]
    if bill["paid_amount"] is None:
        return 0.0
    return bill["amount"] - bill["paid_amount"]


def in_full(bill: Row, by: datetime | None = None) -> bool:
    """Contract: "no more than 1e-6 is missing, so a bill of zero or less is in full from the start"."""
    return bill["amount"] <= CENT_OF_A_CENT or missing_of(bill, by) <= CENT_OF_A_CENT


def measures(accepted: Accepted, settings: Settings) -> list[str]:
    """Contract: "each integer, float or decimal column of usage that is no key, time or personal column"."""
    spec = TABLES["usage"]
    return [
        column
        for column, kind in accepted.kinds.get("usage", {}).items()
        if kind == "number" and column not in spec.columns and column not in settings.personal
    ]


def attributes(accepted: Accepted, settings: Settings) -> list[str]:
    """Contract: "segment and every column that is not named in this row and not personal"."""
    named = TABLES["customers"].columns
    further = [column for column in accepted.kinds["customers"] if column not in (*named, "row_id")]
    return [column for column in ("segment", *further) if column not in settings.personal]


def periods(rows: list[Row], column: str, T: datetime, count: int) -> list[list[Row]]:
    """The rows of each of the periods of 30 days before the date, the latest first."""
    return [within(rows, column, T - 30 * (k + 1) * DAY, T - 30 * k * DAY) for k in range(count)]


def in_a_row(answers: list[bool]) -> int:
    """How many hold one after another, beginning with the first."""
    count = 0
    for answer in answers:
        if not answer:
            break
        count += 1
    return count


def over(part: float | None, whole: float | None) -> float | None:
    """A part over a whole: null where either is, or the whole is not over 0 (1e-6)."""
    if part is None or whole is None or not whole > CENT_OF_A_CENT:
        return None
    return part / whole


def last_of(rows: list[Row], time: str, column: str) -> Any:
    """What the last row says; of several at one instant, the lowest (the first in alphabetical order)."""
    last = max((row[time] for row in rows), default=None)
    return min((row[column] for row in rows if row[time] == last and row[column] is not None), default=None)


def in_force(subscriptions: list[Row]) -> list[Row]:
    """Contract: "`started_at` < T and not (`ended_at` < T)"; what is not before T is null as known at T."""
    return [row for row in subscriptions if row["ended_at"] is None]


def fee_of(subscriptions: list[Row]) -> float | None:
    """Contract: "sum of fees (nulls left out; null if all are) of the subscriptions in force at T"."""
    fees = [row["monthly_fee"] for row in in_force(subscriptions) if row["monthly_fee"] is not None]
    return math.fsum(fees) if fees else None


def plan_changes(subscriptions: list[Row]) -> list[Row]:
    """Contract: "the customer's first ever (exactly one row, even in a tie) does not count"."""
    return sorted(subscriptions, key=lambda row: row["started_at"])[1:]


def usage_features(
    rows: list[Row], columns: list[str], turns: dict[str, list[datetime]], T: datetime, settings: Settings
) -> Row:
    """From the customer's usage, and when what it may turn on happened: complaints, changes of plan."""
    out: Row = {}
    for w in settings.windows:
        seen = within(rows, "used_at", T - w * DAY, T)
        out[f"usage_active_days_{w}d"] = len({row["used_at"].date() for row in seen})
        for c in columns:
            out[f"usage_{c}_sum_{w}d"] = total(seen, c)
    last = max((row["used_at"] for row in rows), default=None)
    ago = None if last is None else days_between(last, T)
    out["usage_days_since_last"] = None if ago is None or ago > 730 else ago  # "null, also beyond 730 days"

    last30, last90 = (within(rows, "used_at", T - days * DAY, T) for days in (30, 90))
    sums90 = {c: total(last90, c) for c in columns}
    for c in columns:
        # "null unless the 90d sum is over 1e-6"
        sum30, sum90 = total(last30, c), sums90[c]
        out[f"usage_{c}_trend_30d_90d"] = (sum30 / 30) / (sum90 / 90) if sum90 > CENT_OF_A_CENT else None
        sums = [total(seen, c) for seen in reversed(periods(rows, "used_at", T, 3))]  # the oldest first
        out[f"usage_{c}_slope_90d"] = slope(sums)
        middle = math.fsum(sums) / 3
        variance = math.fsum((value - middle) ** 2 for value in sums) / 3
        out[f"usage_{c}_volatility_90d"] = over(math.sqrt(variance), middle)
        for name, moments in turns.items():
            out[f"usage_{c}_after_{name}_180d"] = around(rows, c, moments, T)

    # "from 22:00 to 6:00"; "Saturday or Sunday"
    night = [row for row in last90 if row["used_at"].hour >= 22 or row["used_at"].hour < 6]
    weekend = [row for row in last90 if row["used_at"].isoweekday() in (6, 7)]
    # "null ... where every row is of 0:00 (daily totals)"
    daily = all(row["used_at"] == midnight(row["used_at"].date()) for row in last90)
    out["usage_rows_weekend_share_90d"] = over(len(weekend), len(last90))
    out["usage_rows_night_share_90d"] = None if daily else over(len(night), len(last90))
    for c in ("voice_minutes", "data_mb"):
        if c in columns:
            out[f"usage_{c}_weekend_share_90d"] = over(total(weekend, c), sums90[c])
            out[f"usage_{c}_night_share_90d"] = None if daily else over(total(night, c), sums90[c])

    days30, days90 = (len({row["used_at"].date() for row in seen}) for seen in (last30, last90))
    out["usage_active_days_trend_30d_90d"] = (days30 / 30) / (days90 / 90) if days90 else None
    silent = [not seen for seen in periods(rows, "used_at", T, 6)]
    out["usage_silent_months_180d"] = silent.count(True)
    out["usage_silent_months_in_a_row"] = in_a_row(silent)

    for c, times, name in (
        ("data_mb", 1, "data_per_voice_minute"),
        ("sms_count", 1, "sms_per_voice_minute"),
        ("roaming_minutes", 1, "roaming_share"),
        ("dropped_calls", 100, "dropped_calls_per_100_minutes"),
    ):
        if c in columns and "voice_minutes" in columns:
            out[f"usage_{name}_90d"] = over(times * sums90[c], sums90["voice_minutes"])
    if "roaming_minutes" in columns:
        abroad = [row for row in last90 if (row["roaming_minutes"] or 0) > CENT_OF_A_CENT]
        out["usage_roaming_days_90d"] = len({row["used_at"].date() for row in abroad})
    return out


def slope(values: list[float]) -> float:
    """The least-squares slope of values that follow one another."""
    x = range(len(values))
    x_mean, y_mean = math.fsum(x) / len(x), math.fsum(values) / len(values)
    steps = math.fsum((i - x_mean) ** 2 for i in x)
    return math.fsum((i - x_mean) * (y - y_mean) for i, y in zip(x, values, strict=True)) / steps


def around(rows: list[Row], column: str, moments: list[datetime], T: datetime) -> float | None:
    """Daily usage in the 30 days from the day of the last of these moments, over that in the 30 days before it."""
    there = [moment for moment in moments if T - 180 * DAY <= moment < T]
    if not there:
        return None
    day = midnight(max(there).date())
    since = days_between(day, T)
    if since < 7:
        return None
    before = total(within(rows, "used_at", day - 30 * DAY, day), column)
    after = total(within(rows, "used_at", day, min(day + 30 * DAY, T)), column)
    return (after / min(since, 30)) / (before / 30) if before > CENT_OF_A_CENT else None


def bills_features(rows: list[Row], subscriptions: list[Row], T: datetime, settings: Settings) -> Row:
    out: Row = {}
    for w in settings.windows:
        seen = within(rows, "billed_at", T - w * DAY, T)
        out[f"bills_amount_sum_{w}d"] = total(seen, "amount")
        out[f"bills_amount_mean_{w}d"] = mean(seen, "amount")
        # "bills with due_at in W not paid in full by the end of the day of due_at"
        late = 0
        for bill in within(rows, "due_at", T - w * DAY, T):
            if not in_full(bill, by=midnight(bill["due_at"].date()) + DAY):
                late += 1
        out[f"bills_late_count_{w}d"] = late
    # "amount less what is known at T to be paid, each at least 0"
    out["bills_unpaid_amount"] = math.fsum(max(0.0, missing_of(bill)) for bill in rows)
    # "whole days from the day of the oldest due_at before T of a bill not known at T to be paid in full"
    due = [bill["due_at"] for bill in rows if bill["due_at"] is not None and bill["due_at"] < T and not in_full(bill)]
    out["bills_days_overdue_max"] = days_between(min(due), T) if due else 0

    last90, last365 = (within(rows, "billed_at", T - days * DAY, T) for days in (90, 365))
    usual = mean(last365, "amount")
    out["bills_amount_last"] = last_of(rows, "billed_at", "amount")
    out["bills_last_to_mean_365d"] = over(out["bills_amount_last"], usual)
    out["bills_max_to_mean_365d"] = over(max((bill["amount"] for bill in last90), default=None), usual)
    billed365 = total(last365, "amount")
    daily = total(last90, "amount") / 90
    out["bills_amount_trend_90d_365d"] = daily / (billed365 / 365) if billed365 > CENT_OF_A_CENT else None
    # "How far the mean bill ... lies over the monthly fee in force, at least 0; null without a bill or a fee"
    recent, fee = mean(last90, "amount"), fee_of(subscriptions)
    out["bills_over_fee_mean_90d"] = None if recent is None or fee is None else max(0.0, recent - fee)
    # "How far the mean bill of the 275 days up to 90 days before the date lies below the monthly fee in force, less how
    # far that of the last 90 days does, at least 0; null without a bill in either, or a fee"
    before = mean(within(rows, "billed_at", T - 365 * DAY, T - 90 * DAY), "amount")
    if before is None or recent is None or fee is None:
        out["bills_discount_ended_90d_365d"] = None
    else:
        out["bills_discount_ended_90d_365d"] = max(0.0, max(0.0, fee - before) - max(0.0, fee - recent))
    months = [total(seen, "amount") for seen in periods(rows, "billed_at", T, 12)]
    out["bills_months_in_a_row"] = in_a_row([month > CENT_OF_A_CENT for month in months])
    out["bills_amount_least_of_6_months"] = min(months[:6])
    out["bills_amount_share_of_own_most"] = over(months[0], max(months))

    # "whole days from the due day to the day of payment, of bills due in ... that are known to be paid"
    delays: dict[int, float | None] = {}
    for days in (90, 365):
        paid = [bill for bill in within(rows, "due_at", T - days * DAY, T) if bill["paid_at"] is not None]
        waits = [days_between(bill["due_at"], bill["paid_at"]) for bill in paid]
        delays[days] = math.fsum(waits) / len(waits) if waits else None
        out[f"bills_payment_delay_days_mean_{days}d"] = delays[days]
    # "null without a paid bill in either"
    known = delays[90] is not None and delays[365] is not None
    out["bills_payment_delay_trend_90d_365d"] = delays[90] - delays[365] if known else None
    return out


def complaints_features(rows: list[Row], bills: list[Row], T: datetime, settings: Settings) -> Row:
    """All but `complaints_category_last`, which depends on everyone: see `frequent_or_other`."""
    out: Row = {}
    for w in settings.windows:
        seen = within(rows, "opened_at", T - w * DAY, T)
        out[f"complaints_count_{w}d"] = len(seen)
        # "opened another of the same (not null) category in [opened_at - 30 x 24 h, opened_at)"
        repeats = 0
        for row in seen:
            before = within(rows, "opened_at", row["opened_at"] - timedelta(hours=30 * 24), row["opened_at"])
            if row["category"] is not None and any(r["category"] == row["category"] for r in before):
                repeats += 1
        out[f"complaints_repeat_count_{w}d"] = repeats
        resolved = [row for row in seen if row["resolved_at"] is not None]
        # "the share with first_contact_resolved (nulls left out)"
        out[f"complaints_first_contact_resolution_rate_{w}d"] = mean(resolved, "first_contact_resolved")
        # "mean hours from opened to resolved"; "a negative hour count is 0"
        hours = [max(0.0, (row["resolved_at"] - row["opened_at"]) / timedelta(hours=1)) for row in resolved]
        out[f"complaints_resolution_hours_mean_{w}d"] = math.fsum(hours) / len(hours) if hours else None
        # "mean known satisfaction of those opened in W"
        out[f"complaints_satisfaction_mean_{w}d"] = mean(seen, "satisfaction")
        for kind in ("complaint", "fault", "enquiry"):
            out[f"complaints_{kind}_count_{w}d"] = len([row for row in seen if row["kind"] == kind])
        # "billed in [opening - 14 x 24 hours, opening)"
        after_bill = 0
        for row in seen:
            if within(bills, "billed_at", row["opened_at"] - timedelta(hours=14 * 24), row["opened_at"]):
                after_bill += 1
        out[f"complaints_after_bill_count_{w}d"] = after_bill
        out[f"complaints_categories_count_{w}d"] = len({row["category"] for row in seen} - {None})
    # "opened before T and not known at T to be resolved"
    waiting = [row["opened_at"] for row in rows if row["resolved_at"] is None]
    out["complaints_open_count"] = len(waiting)
    out["complaints_open_age_days_max"] = days_between(min(waiting), T) if waiting else 0
    last = max((row["opened_at"] for row in rows), default=None)
    out["complaints_days_since_last"] = None if last is None else days_between(last, T)
    promised = within(rows, "promised_at", T - 365 * DAY, T)
    kept = [row for row in promised if row["resolved_at"] is not None and row["resolved_at"] <= row["promised_at"]]
    out["complaints_promise_kept_rate_365d"] = over(len(kept), len(promised))
    return out


def surveys_features(rows: list[Row], T: datetime, settings: Settings) -> Row:
    out: Row = {}
    # "last score before T (of several at one instant, the lowest)"
    out["surveys_score_last"] = last_of(rows, "answered_at", "score")
    for w in settings.windows:
        out[f"surveys_score_mean_{w}d"] = mean(within(rows, "answered_at", T - w * DAY, T), "score")
    last365 = within(rows, "answered_at", T - 365 * DAY, T)
    usual = mean(last365, "score")
    out["surveys_score_change_365d"] = None if usual is None else out["surveys_score_last"] - usual
    out["surveys_score_min_365d"] = min((row["score"] for row in last365), default=None)
    last = max((row["answered_at"] for row in rows), default=None)
    out["surveys_days_since_last"] = None if last is None else days_between(last, T)
    out["surveys_count_365d"] = len(last365)
    return out


def account_features(rows: list[Row], spell: Row, names: list[str], T: datetime, settings: Settings) -> Row:
    """From the customer's subscriptions and the spell that holds T."""
    out: Row = {}
    # "whole days from the day of signed_up_at to T"
    out["account_tenure_days"] = days_between(spell["signed_up_at"], T)
    for name in names:
        out[f"account_{name}"] = spell[name]
    force = in_force(rows)
    # "the latest started; of several, the first in alphabetical order"
    out["account_plan"] = last_of(force, "started_at", "plan")
    out["account_monthly_fee"] = fee_of(rows)
    # "whole days from T to the day of the latest contract_ends_at in force; negative once past"
    ends = max((row["contract_ends_at"] for row in force if row["contract_ends_at"] is not None), default=None)
    left = None if ends is None else days_between(T, ends)
    out["account_days_to_contract_end"] = left
    # "the date or one of the 59 days after it"; "lies before the day of the date"
    out["account_contract_ends_within_60d"] = 1 if left is not None and 0 <= left <= 59 else 0
    out["account_contract_past"] = 1 if left is not None and left < 0 else 0
    out["account_lines"] = len(force)
    changes = plan_changes(rows)
    for w in settings.windows:
        out[f"account_plan_changes_{w}d"] = len(within(changes, "started_at", T - w * DAY, T))
        # "at a lower fee than the lowest of those started last before"
        cheaper = 0
        for row in within(rows, "started_at", T - w * DAY, T):
            earlier = [other for other in rows if other["started_at"] < row["started_at"]]
            lowest = last_of(earlier, "started_at", "monthly_fee")
            if lowest is not None and row["monthly_fee"] is not None and row["monthly_fee"] < lowest:
                cheaper += 1
        out[f"account_downgrades_{w}d"] = cheaper
    return out


def value_features(bills: list[Row], costs: list[Row], T: datetime, settings: Settings) -> Row:
    out: Row = {}
    for days in (90, 180, 365):
        billed = total(within(bills, "billed_at", T - days * DAY, T), "amount")
        spent = total(within(costs, "incurred_at", T - days * DAY, T), "amount")
        out[f"value_margin_{days}d"] = billed * settings.margin_rate - spent
    out["value_cost_sum_365d"] = total(within(costs, "incurred_at", T - 365 * DAY, T), "amount")
    return out


def contacts_features(rows: list[Row], T: datetime, settings: Settings) -> Row:
    """What lies before T is known of a contact: `contacted_at` and `accepted_at` that do not are null."""
    out: Row = {}
    for w in settings.windows:
        out[f"contacts_count_{w}d"] = len(within(rows, "contacted_at", T - w * DAY, T))
    last = max((row["contacted_at"] for row in rows if row["contacted_at"] is not None), default=None)
    out["contacts_days_since_last"] = None if last is None else days_between(last, T)
    out["contacts_accepted_count_365d"] = len(within(rows, "accepted_at", T - 365 * DAY, T))
    return out


# ----------------------------------------------------------------------------- features that depend on everyone


def frequent_or_other(categories: dict[str, str | None]) -> dict[str, str | None]:
    """Each customer's category, or `other` where it is none of the ten that most customers have.

    Of equally frequent ones, the first in alphabetical order; null stays null.
    """
    counts = Counter(category for category in categories.values() if category is not None)
    frequent = sorted(counts, key=lambda category: (-counts[category], category))[:10]
    return {
        who: category if category is None or category in frequent else "other" for who, category in categories.items()
    }


def lately(accepted: Accepted, T: datetime) -> dict[str, Row]:
    """As known at T, the latest started spell of everyone who had not left before the 90 days before T."""
    out: dict[str, Row] = {}
    for spell in known(accepted, "customers", T):
        who = spell["customer_id"]
        if spell["churned_at"] is not None and spell["churned_at"] < T - 90 * DAY:
            continue
        if who not in out or spell["signed_up_at"] > out[who]["signed_up_at"]:
            out[who] = spell
    return out


def shrunk(members: list[tuple[Any, float, float]], weight: float, group: Any) -> float | None:
    """The rate of a group, of (group, numerator, denominator) of everyone, shrunk towards that of all.

    "(sum of numerators + weight x rate of all) / (sum of denominators + weight)"; who is of no group, or of one
    without members, has the rate of all; null where the sum of all denominators is not over 0.
    """
    all_rate = over(math.fsum(part for _, part, _ in members), math.fsum(whole for _, _, whole in members))
    own = [(part, whole) for name, part, whole in members if name == group]
    if all_rate is None or group is None or not own:
        return all_rate
    return (math.fsum(part for part, _ in own) + weight * all_rate) / (math.fsum(whole for _, whole in own) + weight)


def surroundings_features(
    accepted: Accepted,
    at_risk: dict[str, Row],
    seen: dict[str, dict[str, list[Row]]],
    columns: list[str],
    names: list[str],
    T: datetime,
) -> dict[str, Row]:
    """By region where `customers` has one, and by plan where there are subscriptions."""
    groups: dict[str, Callable[[str, Row], Any]] = {}
    if "region" in names:
        groups["region"] = lambda who, spell: spell["region"]
    if "subscriptions" in accepted:
        # the last started plan, whether in force or not
        groups["plan"] = lambda who, spell: last_of(seen["subscriptions"][who], "started_at", "plan")
    out: dict[str, Row] = {who: {} for who in at_risk}
    for name, group_of in groups.items():
        use = []
        if "dropped_calls" in columns and "voice_minutes" in columns:
            for who, spell in at_risk.items():
                rows = within(seen["usage"][who], "used_at", T - 30 * DAY, T)
                use.append((group_of(who, spell), 100 * total(rows, "dropped_calls"), total(rows, "voice_minutes")))
            for who, spell in at_risk.items():
                rate = shrunk(use, 10_000, group_of(who, spell))
                out[who][f"surroundings_dropped_calls_per_100_minutes_{name}_30d"] = rate
        there = []
        for who, spell in lately(accepted, T).items():
            # "customers ... 90 days before the date", of whom left "who are known to have left by the date"
            before = days_between(spell["signed_up_at"], T) > 90
            left = before and spell["churned_at"] is not None
            there.append((group_of(who, spell), int(left), int(before)))
        for who, spell in at_risk.items():
            out[who][f"surroundings_churn_rate_{name}_90d"] = shrunk(there, 200, group_of(who, spell))
    return out


def features(accepted: Accepted, T: date, settings: Settings) -> dict[str, Row]:
    """Every feature of section 4, and of the catalogue, for everyone at risk at T."""
    start = midnight(T)
    tables = ("usage", "bills", "complaints", "surveys", "subscriptions", "costs", "contacts")
    seen = {table: of_customer(known(accepted, table, T)) for table in tables}
    columns, names = measures(accepted, settings), attributes(accepted, settings)
    at_risk = population(accepted, T, settings)
    last_year = {who: within(seen["complaints"][who], "opened_at", start - 365 * DAY, start) for who in at_risk}
    categories = frequent_or_other({who: last_of(rows, "opened_at", "category") for who, rows in last_year.items()})
    surroundings = surroundings_features(accepted, at_risk, seen, columns, names, start)
    out = {}
    for who, spell in at_risk.items():
        usage, bills, complaints, surveys, subscriptions, costs, contacts = (seen[table][who] for table in tables)
        turns = {}
        if "complaints" in accepted:
            turns["complaint"] = [row["opened_at"] for row in complaints]
        if "subscriptions" in accepted:
            turns["plan_change"] = [row["started_at"] for row in plan_changes(subscriptions)]
        out[who] = {
            **usage_features(usage, columns, turns, start, settings),
            **bills_features(bills, subscriptions, start, settings),
            **complaints_features(complaints, bills, start, settings),
            "complaints_category_last": categories[who],
            **surveys_features(surveys, start, settings),
            **account_features(subscriptions, spell, names, start, settings),
            **value_features(bills, costs, start, settings),
            **contacts_features(contacts, start, settings),
            **surroundings[who],
        }
    return out

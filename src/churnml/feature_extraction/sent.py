"""One customer's histories as they are sent in a request: read, judged, and cut to what was known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from churnml.asof import start_of
from churnml.columns import CUSTOMER_ID, KNOWN_AT
from churnml.errors import ChurnmlError
from churnml.feature_extraction.online import Array, Rows, microseconds_of
from churnml.tables.schema import SCHEMAS, Kind, Schema

MOST_ROWS = 100_000  # of a table
_LARGEST = 1e15
_TEXTS = {str, type(None)}


class UnscorableError(ChurnmlError):
    """Say why a customer whose rows can be read has no risk that could be scored."""


SentRows = Sequence[Mapping[str, Any]] | pd.DataFrame


def read_customer(
    customer: Mapping[str, Any], kinds: Mapping[str, Kind], as_of: dt.date, timezone: str
) -> dict[str, Any]:
    """Read the row of a customer.

    Parameters
    ----------
    customer : mapping
        Columns of ``customers``; others are ignored.
    kinds : mapping of str
        The columns that declarations may use, with what they hold.
    as_of : datetime.date
        T.
    timezone : str
        IANA name of the zone that naive times are in.

    Returns
    -------
    dict
        As `Online.at` takes it.

    Raises
    ------
    ChurnmlError
        If a value cannot be read, or the customer had not signed up before T or had left.
    """
    rows = _columns(SCHEMAS["customers"], [customer], kinds, timezone)
    instant = microseconds_of(start_of(as_of))
    signed_up, left = rows["signed_up_at"][0], rows["churned_at"][0]
    told = "had not signed up" if not signed_up < instant else "had left" if left < instant else None
    if told is None and rows[KNOWN_AT][0] >= instant:
        told = "was not known yet"
    if told is not None:
        raise UnscorableError(
            f"the customer {told} at {as_of}", "ask for a date at which there is a risk", date=str(as_of)
        )
    later = {column.name for column in SCHEMAS["customers"].columns if column.known_with}
    for name in later | {"churned_at"}:
        rows[name] = np.full(1, np.nan) if rows[name].dtype == np.float64 else np.full(1, None)
    return {name: _plain(column[0]) for name, column in rows.items()}


def read_rows(
    table: str, sent: SentRows, kinds: Mapping[str, Kind], as_of: dt.date, timezone: str, customer: str | None = None
) -> Rows:
    """Read the rows of a table as they were known at T.

    Parameters
    ----------
    table : str
        Our name.
    sent : sequence of mapping or DataFrame
        Rows in any order, under our names of columns; others are ignored. Rows of T or later, or known then, are left
        out. Identical rows count once where the table has a key.
    kinds : mapping of str
        The columns that declarations may use, with what they hold.
    as_of : datetime.date
        T.
    timezone : str
        IANA name of the zone that naive times are in.
    customer : str, optional
        Whose rows they are.

    Returns
    -------
    mapping of array
        As `Online.at` takes it.

    Raises
    ------
    ChurnmlError
        If there are too many rows, one is another customer's, a value cannot be read or is missing, or rows contradict
        each other.
    """
    schema = SCHEMAS[table]
    if not isinstance(sent, pd.DataFrame) and not (
        isinstance(sent, Sequence) and not isinstance(sent, str) and all(isinstance(row, Mapping) for row in sent)
    ):
        raise ChurnmlError(f"{table} is no list of rows", "send one", table=table)
    if len(sent) > MOST_ROWS:
        raise ChurnmlError(f"{table}: {len(sent):,} rows are too many", f"send {MOST_ROWS:,} at most", rows=len(sent))
    read_first = {name: kinds[name] for name in (CUSTOMER_ID, schema.event, KNOWN_AT)}
    rows = _columns(schema, sent, read_first, timezone)
    if customer is not None and set(rows[CUSTOMER_ID].tolist()) - {customer, None}:
        raise ChurnmlError(f"{table}: a row is another customer's", "send the rows of one customer", table=table)
    instant = microseconds_of(start_of(as_of))
    event = rows[schema.event]
    known = np.where(np.isnan(rows[KNOWN_AT]), event, rows[KNOWN_AT])
    chosen = np.flatnonzero((event < instant) & (known < instant)).tolist()
    rows = _columns(schema, sent, kinds, timezone, chosen)
    _judge(schema, rows, lambda: _columns(schema, sent, kinds, "UTC", chosen))
    rows = _latest(schema, _once(schema, rows))
    later = {column.name: column.known_with for column in schema.columns if column.known_with}
    return rows | {name: _seen(rows, name, times, instant) for name, times in later.items()}


def no_rows(kinds: Mapping[str, Kind]) -> Rows:
    """Return a table without rows."""
    return {name: np.empty(0, dtype=object if kind == "text" else np.float64) for name, kind in kinds.items()}


def _plain(value: Any) -> Any:
    if value is None or value != value:
        return None
    return value if isinstance(value, str) else float(value)


def _kept(rows: Rows, chosen: Array) -> dict[str, Array]:
    return {name: column[chosen] for name, column in rows.items()}


def _seen(rows: Rows, name: str, times: Sequence[str], instant: float) -> Array:
    """Return a column that tells what happened later than its row: null unless its time is before T."""
    when = rows[times[0]]
    for other in times[1:]:
        when = np.where(np.isnan(when), rows[other], when)
    nothing: Any = None if rows[name].dtype == object else np.nan
    return np.where(when < instant, rows[name], nothing)


def _columns(
    schema: Schema, sent: SentRows, kinds: Mapping[str, Kind], timezone: str, chosen: list[int] | None = None
) -> dict[str, Array]:
    """Read columns of rows, or of some of them: what is not known at T may hold anything."""
    places = list(range(len(sent))) if chosen is None else chosen
    rows: Any = sent.iloc[places] if isinstance(sent, pd.DataFrame) else [sent[place] for place in places]
    read: dict[str, Array] = {}
    known = {column.name: column for column in schema.columns}
    for name, kind in kinds.items():
        if not isinstance(rows, pd.DataFrame):
            values = [row.get(name) for row in rows]
        elif name in rows:
            values = rows[name].astype(object).where(rows[name].notna(), None).tolist()
        else:
            values = [None] * len(rows)
        column = known.get(name)
        try:
            read[name] = _read(values, kind, timezone)
        except (ValueError, TypeError, OverflowError):
            raise ChurnmlError(
                f"{schema.name}: {name} holds something that is no {kind}",
                "mend it",
                table=schema.name,
                row=_place(places, _first_unreadable(values, kind, timezone)),
                column=name,
            ) from None
        if column is not None and column.required and name != CUSTOMER_ID:
            nothing = _nulls(read[name])
            if nothing.any():
                raise ChurnmlError(
                    f"{schema.name}: {name} is missing",
                    "send it",
                    table=schema.name,
                    row=places[int(nothing.argmax())],
                    column=name,
                )
    return read


def _place(places: Sequence[int], number: int | None) -> int | None:
    return None if number is None else places[number]


def _first_unreadable(values: list[Any], kind: Kind, timezone: str) -> int | None:
    for place, value in enumerate(values):
        try:
            _read([value], kind, timezone)
        except (ValueError, TypeError, OverflowError):
            return place
    return None


def _nulls(column: Array) -> Array:
    return np.isnan(column) if column.dtype == np.float64 else np.array([value is None for value in column], dtype=bool)


def _read(values: list[Any], kind: Kind, timezone: str) -> Array:
    if kind == "text":
        if set(map(type, values)) & {list, dict, tuple}:
            raise TypeError
        texts = np.empty(len(values), dtype=object)
        texts[:] = values if set(map(type, values)) <= _TEXTS else [None if one is None else str(one) for one in values]
        return texts
    if values.count(None) == len(values):
        return np.full(len(values), np.nan)
    if kind == "time":
        return _times(values, timezone)
    types = set(map(type, values)) - {type(None)}
    if kind == "boolean":
        if types - {bool, np.bool_}:
            raise TypeError
    elif types & {bool, str}:
        raise TypeError
    numbers = np.array(values, dtype=np.float64)
    if numbers.ndim != 1 or (np.abs(numbers) > _LARGEST).any():
        raise ValueError
    if not np.isfinite(numbers).all() and np.count_nonzero(~np.isfinite(numbers)) > values.count(None):
        raise ValueError
    return numbers


def _times(values: list[Any], timezone: str) -> Array:
    if set(map(type, values)) == {str}:
        moments = list(map(dt.datetime.fromisoformat, values))
        if not any(moment.tzinfo for moment in moments):
            return np.array(list(map(microseconds_of, moments)), dtype=np.float64)
    zone = ZoneInfo(timezone)
    return np.array([np.nan if value is None else _time(value, zone) for value in values], dtype=np.float64)


def _time(value: Any, zone: ZoneInfo) -> float:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    elif isinstance(value, pd.Timestamp):
        value = value.to_pydatetime(warn=False)
    if not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if value.tzinfo is not None:
        value = value.astimezone(zone).replace(tzinfo=None)
    return microseconds_of(value)


def _judge(schema: Schema, rows: Rows, instants: Callable[[], Rows]) -> None:
    """Raise where a row contradicts itself: by the clock on the wall, and, where a summer ended, by instants."""
    for later, earlier in schema.not_before:
        wrong = rows[later] < rows[earlier]
        if wrong.any() and (wrong & (instants()[later] < instants()[earlier])).any():
            raise UnscorableError(
                f"{schema.name}: {later} lies before {earlier}", "mend the row", table=schema.name, column=later
            )
    if schema.rating:
        rating = rows[schema.rating]
        if ((rating < 1) | (rating > 5)).any():
            raise UnscorableError(
                f"{schema.name}: {schema.rating} lies outside 1-5", "mend it", table=schema.name, column=schema.rating
            )


def _keys(schema: Schema, rows: Rows) -> list[tuple[Any, ...]] | None:
    names = [name for name in schema.key if name != CUSTOMER_ID]
    if any(name not in rows for name in names):
        return None
    return list(zip(*(rows[name].tolist() for name in names), strict=True))


def _are_apart(keys: list[tuple[Any, ...]]) -> bool:
    """Tell whether no two rows share a key; a null is no key."""
    there = [key for key in keys if None not in key]
    return len(set(there)) == len(there)


def _is_null(value: Any) -> bool:
    return value is None or value != value


def _once(schema: Schema, rows: dict[str, Array]) -> dict[str, Array]:
    """Drop what is sent twice; raise where rows that share key and ``known_at`` differ."""
    keys = _keys(schema, rows)
    if keys is None or _are_apart(keys):
        return rows
    known = rows[KNOWN_AT].tolist()
    whole = list(zip(*(column.tolist() for column in rows.values()), strict=True))
    seen: dict[Any, tuple[Any, ...]] = {}
    chosen = np.ones(len(keys), dtype=bool)
    for place, key in enumerate(keys):
        if any(map(_is_null, key)):
            continue
        version = (key, None if _is_null(known[place]) else known[place])
        row = tuple(None if _is_null(value) else value for value in whole[place])
        if version not in seen:
            seen[version] = row
        elif seen[version] == row:
            chosen[place] = False
        else:
            raise UnscorableError(
                f"{schema.name}: rows that share {', '.join(schema.key)} differ", "versions of a row need known_at",
                table=schema.name,
            )  # fmt: skip
    return rows if chosen.all() else _kept(rows, chosen)


def _latest(schema: Schema, rows: dict[str, Array]) -> dict[str, Array]:
    """Keep the latest version of each key."""
    keys = _keys(schema, rows)
    if keys is None or _are_apart(keys):
        return rows
    event = rows[schema.event]
    known = np.where(np.isnan(rows[KNOWN_AT]), event, rows[KNOWN_AT])
    latest: dict[Any, int] = {}
    for place in np.lexsort((event, known)).tolist():
        latest[place if any(map(_is_null, keys[place])) else keys[place]] = place
    chosen = np.zeros(len(keys), dtype=bool)
    chosen[list(latest.values())] = True
    return _kept(rows, chosen)

"""Time as churnml understands it: an as-of date is the start of its day, and every window is half-open."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from churnml.errors import ChurnmlError

DAY = dt.timedelta(days=1)

_FIRST_YEAR, _LAST_YEAR = 1900, 2200
_STEP = re.compile(r"([1-9]\d*)(d|w|mo)")


def parse_as_of(value: str | dt.date) -> dt.date:
    """Read an as-of date.

    Parameters
    ----------
    value : str or datetime.date
        An ISO 8601 date, a date, or a datetime at 00:00.

    Returns
    -------
    datetime.date
        The day whose start is the as-of instant.

    Raises
    ------
    ChurnmlError
        If the text is no date, the year is none that histories are of, or the time is not 00:00.
    """
    try:
        moment = value if isinstance(value, dt.date) else dt.datetime.fromisoformat(str(value))
    except ValueError:
        raise ChurnmlError(f"{value!r} is no date", "write as-of dates like 2024-03-01", value=str(value)) from None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ChurnmlError(f"the as-of date {value} is out of reach", f"choose one from {_FIRST_YEAR} to {_LAST_YEAR}")
    if not isinstance(moment, dt.datetime):
        return moment
    if moment.time() != dt.time(0) or moment.tzinfo is not None:
        raise ChurnmlError(
            f"the as-of date {value} has a time of day",
            "an as-of date is the start of its day: leave the time out",
        )
    return moment.date()


def parse_instant(value: str | dt.date, zone: str) -> dt.datetime:
    """Read an instant.

    Parameters
    ----------
    value : str, datetime.date or datetime.datetime
        An ISO 8601 date (the start of that day) or time.
    zone : str
        The zone that it is in, where it names none itself.

    Returns
    -------
    datetime.datetime
        In UTC.

    Raises
    ------
    ChurnmlError
        If the text is no date or time, or the year is none that histories are of.
    """
    try:
        moment = value if isinstance(value, dt.date) else dt.datetime.fromisoformat(value)
    except ValueError:
        raise ChurnmlError(
            f"{value!r} is no date or time", "write it like 2024-03-01 or 2024-03-01T12:00", value=value
        ) from None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ChurnmlError(f"the time {value} is out of reach", f"choose one from {_FIRST_YEAR} to {_LAST_YEAR}")
    known = moment if isinstance(moment, dt.datetime) else start_of(moment)
    return (known if known.tzinfo else known.replace(tzinfo=ZoneInfo(zone))).astimezone(dt.UTC)


def start_of(day: dt.date) -> dt.datetime:
    """Return 00:00 of a day, as naive wall-clock time of the project's zone."""
    return dt.datetime.combine(day, dt.time.min)


@dataclass(frozen=True)
class Span:
    """A half-open stretch of wall-clock time, ``[start, end)``."""

    start: dt.datetime
    end: dt.datetime

    @classmethod
    def outcome(cls, as_of: dt.date, lead_days: int, horizon_days: int) -> Span:
        """Return the outcome window ``[T + lead, T + lead + horizon)`` of an as-of date."""
        start = start_of(as_of) + lead_days * DAY
        return cls(start, start + horizon_days * DAY)

    @classmethod
    def before(cls, as_of: dt.date, days: int) -> Span:
        """Return the window ``[T - days, T)`` of an as-of date."""
        end = start_of(as_of)
        return cls(end - days * DAY, end)


def dates_between(first: dt.date, last: dt.date, every: str) -> list[dt.date]:
    """List the as-of dates from first to last, both included.

    Parameters
    ----------
    first, last : datetime.date
        The ends of the list; ``last`` is in it only where a step lands on it.
    every : str
        The step: ``7d``, ``2w`` or ``1mo``. A month keeps the day of ``first``, cut to the month's length.

    Returns
    -------
    list of datetime.date
        Empty where ``last`` lies before ``first``.

    Raises
    ------
    ValueError
        If the step cannot be read.
    """
    found = _STEP.fullmatch(every)
    if not found:
        raise ValueError(f"{every!r} is no step: write it like 7d, 2w or 1mo")
    count, unit = int(found[1]), found[2]
    dates: list[dt.date] = []
    step = 0
    while True:
        day = (
            _later_month(first, step * count)
            if unit == "mo"
            else first + step * count * (7 if unit == "w" else 1) * DAY
        )
        if day > last:
            return dates
        dates.append(day)
        step += 1


def _later_month(day: dt.date, months: int) -> dt.date:
    years, month = divmod(day.month - 1 + months, 12)
    first = dt.date(day.year + years, month + 1, 1)
    following = (first + 31 * DAY).replace(day=1)
    return first + min(day.day - 1, (following - first).days - 1) * DAY

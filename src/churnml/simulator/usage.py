"""The table ``usage``: one row for each day on which a customer did something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, days_of_month, month_start, times
from churnml.simulator.draws import Draws
from churnml.simulator.path import Path
from churnml.simulator.rows import ids
from churnml.simulator.traits import People

_BLOCK = 16_384
_NEW_YEAR = {
    2023: ("01-21", 7),
    2024: ("02-10", 8),
    2025: ("01-28", 8),
    2026: ("02-15", 9),
    2027: ("02-05", 8),
    2028: ("01-25", 8),
}
_MEASURES = ("voice_minutes", "sms_count", "data_mb", "roaming_minutes", "dropped_calls")


@dataclass(frozen=True)
class _Days:
    """Hold the month's factors by day."""

    active: Array
    voice: Array
    data: Array
    sms: Array
    roaming: Array


def usage_month(people: People, draws: Draws, path: Path, month: int, *, known: tuple[float, float]) -> pa.Table:
    """Make the rows of one month's usage that become known in a span of days.

    A row is one day of one customer, at 00:00 of that day: minutes of calls, texts, MB, minutes abroad, calls
    cut off. About 2 % arrive up to six days late.
    """
    here = path.share(month_start(month), month_start(month + 1)) > 0
    numbers = np.flatnonzero(here)
    slot = np.cumsum(here) - 1
    days = _days(month)
    blocks = [_block(people, draws, path, month, days, known, b) for b in range(-(-people.count // _BLOCK))]
    taken = {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}
    names = ids("C", numbers)
    person = pa.array(slot[taken["person"]].astype(np.int32))
    dates = days_of_month(month).astype("datetime64[us]")
    columns = {
        "customer_id": pa.DictionaryArray.from_arrays(person, names),
        "used_at": pa.array(dates[taken["day"]]),
        **{name: pa.array(taken[name]) for name in _MEASURES},
        "known_at": times(taken["known"]),
    }
    return pa.table(columns)


def _block(
    people: People, draws: Draws, path: Path, month: int, days: _Days, known: tuple[float, float], block: int
) -> dict[str, Array]:
    who = slice(block * _BLOCK, min((block + 1) * _BLOCK, people.count))
    shape = (who.stop - who.start, len(days.active))
    fade = path.moods[month].fade[who].astype(np.float32)
    trouble = np.exp(0.75 * np.clip(path.moods[month].network[who], -2, 3)).astype(np.float32)
    active = draws.stream("active_day", month, block).random(shape, dtype=np.float32)
    rows, cols = np.nonzero(active < np.outer(people.active[who] * fade**0.45, days.active))
    at = (month_start(month) + cols).astype(float)
    late, late_days = _late(draws, month, block, shape, rows, cols)
    seen = np.where(late, at + late_days, at)
    left, signed = path.left[:, who][:, rows], path.signed_up[:, who][:, rows]
    keep = np.any((at + 1 > signed) & (at < left), axis=0) & (seen >= known[0]) & (seen < known[1])
    rows, cols, late, seen = rows[keep], cols[keep], late[keep], seen[keep]

    def noise(subject: str) -> Array:
        drawn: Array = draws.stream(subject, month, block).standard_exponential(shape, dtype=np.float32)
        taken: Array = drawn[rows, cols]
        return taken

    spread = draws.stream("voice_noise", month, block).random(shape, dtype=np.float32)[rows, cols]
    voice = (people.voice[who] * fade)[rows] * days.voice[cols] * noise("voice_day")
    data = (people.data[who] * fade)[rows] * days.data[cols] * (0.25 + 0.75 * noise("data_day"))
    sms = (people.sms[who] * fade)[rows] * days.sms[cols] * noise("sms_day")
    abroad = people.travels[who][rows] & (spread < 0.02 * days.roaming[cols])
    cut = 0.012 * np.sqrt(voice) * trouble[rows] * noise("cut_day") * 2.2
    return {
        "person": rows + who.start,
        "day": cols,
        "voice_minutes": np.round(voice, 1).astype(np.float64),
        "sms_count": np.floor(sms + 0.4).astype(np.int32),
        "data_mb": np.round(data, 0).astype(np.float64),
        "roaming_minutes": np.round(np.where(abroad, 300 * (0.02 * days.roaming[cols] - spread), 0), 1).astype(
            np.float64
        ),
        "dropped_calls": np.floor(cut + spread).astype(np.int32),
        "known": np.where(late, seen, np.nan),
    }


def _late(
    draws: Draws, month: int, block: int, shape: tuple[int, int], rows: Array, cols: Array
) -> tuple[Array, Array]:
    u = draws.stream("late_usage", month, block).random(shape, dtype=np.float32)[rows, cols]
    return u < c.LATE_USAGE, 1.0 + 5.0 * u / c.LATE_USAGE


def _days(month: int) -> _Days:
    dates = days_of_month(month)
    weekend = (dates.astype(int) + 3) % 7 >= 5
    holiday = np.zeros(len(dates), dtype=bool)
    for year in {int(str(day)[:4]) for day in dates}:
        spans = [_NEW_YEAR.get(year, ("02-01", 7)), ("05-01", 5), ("10-01", 7)]
        for start, length in spans:
            first = np.datetime64(f"{year}-{start}")
            holiday |= (dates >= first) & (dates < first + length)
    season = np.sin(2 * np.pi * (dates.astype(int) % 365 - 100) / 365)
    as32 = np.float32
    return _Days(
        active=(1.0 - 0.06 * weekend - 0.04 * holiday + 0.02 * season).astype(as32),
        voice=(1.0 - 0.18 * weekend + 0.25 * holiday - 0.04 * season).astype(as32),
        data=(1.0 + 0.15 * weekend + 0.25 * holiday + 0.08 * season).astype(as32),
        sms=(1.0 - 0.25 * weekend + 0.6 * holiday).astype(as32),
        roaming=(1.0 + 2.5 * holiday + 0.5 * np.maximum(season, 0)).astype(as32),
    )

"""The table ``usage``: one row for each day on which a customer did something."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from churnml.simulator import settings as c
from churnml.simulator.clock import FIRST_DAY, Array, Period, month_start, times
from churnml.simulator.rows import ids
from churnml.simulator.world import World

_BLOCK = 16_384  # customers drawn at once
_NEW_YEAR = (("01-21", 7), ("02-10", 8), ("01-28", 8), ("02-15", 9), ("02-05", 8), ("01-25", 8))  # 2023 to 2028


def usage_month(world: World, period: Period, month: int) -> pa.Table:
    """Make the rows of one month's usage that become known in a period.

    A row is one day of one customer, at 00:00 of that day: minutes of calls, texts, MB, minutes abroad, calls cut off.
    About 2 % arrive up to six days late.
    """
    here = world.share(month_start(month), month_start(month + 1)) > 0
    position, names = (np.cumsum(here) - 1).astype(np.int32), ids("C", np.flatnonzero(here))
    dates = FIRST_DAY + np.arange(month_start(month), month_start(month + 1))
    factors = _factors(dates)
    blocks = []
    for block in range(-(-world.people.count // _BLOCK)):
        person, day, columns = _block(world, period, month, factors, block)
        customer = pa.DictionaryArray.from_arrays(position[person], names)
        used = dates[day].astype("datetime64[us]")
        blocks.append(pa.table({"customer_id": customer, "used_at": used, **columns}))
    return pa.concat_tables(blocks)


def _block(
    world: World, period: Period, month: int, factors: dict[str, Array], block: int
) -> tuple[Array, Array, dict[str, Array]]:
    """Give person, day and measures of the rows of a block of customers."""
    people, draws, mood = world.people, world.draws, world.months[month].mood
    who = slice(block * _BLOCK, min((block + 1) * _BLOCK, people.count))
    shape = (who.stop - who.start, len(factors["active"]))
    fade = mood.fade[who].astype(np.float32)
    trouble = np.exp(0.75 * np.clip(mood.network[who], -2, 3)).astype(np.float32)
    active = draws.stream("active_day", month, block).random(shape, dtype=np.float32)
    rows, cols = np.nonzero(active < np.outer(people.active[who] * fade**0.45, factors["active"]))
    at = (month_start(month) + cols).astype(float)
    u = draws.stream("late_usage", month, block).random(shape, dtype=np.float32)[rows, cols]
    seen = np.where(u < c.LATE_USAGE, at + (1.0 + 5.0 * u / c.LATE_USAGE), at)
    left, signed = world.left[:, who][:, rows], world.signed_up[:, who][:, rows]
    keep = np.any((at + 1 > signed) & (at < left), axis=0) & period.holds(seen)
    rows, cols, known = rows[keep], cols[keep], np.where(seen > at, seen, np.nan)[keep]

    def noise(subject: str) -> Array:
        stream = draws.stream(subject, month, block)
        return np.asarray(stream.standard_exponential(shape, dtype=np.float32)[rows, cols])

    def measure(name: str) -> Array:
        return np.asarray((getattr(people, name)[who] * fade)[rows] * factors[name][cols])

    spread = draws.stream("voice_noise", month, block).random(shape, dtype=np.float32)[rows, cols]
    voice = measure("voice") * noise("voice_day")
    data = measure("data") * (0.25 + 0.75 * noise("data_day"))
    sms = measure("sms") * noise("sms_day")
    roams = 0.02 * factors["roaming"][cols]
    roaming = np.where(people.travels[who][rows] & (spread < roams), 300 * (roams - spread), 0)
    cut = 0.012 * np.sqrt(voice) * trouble[rows] * noise("cut_day") * 2.2
    columns = {
        "voice_minutes": np.round(voice, 1).astype(np.float64),
        "sms_count": np.floor(sms + 0.4).astype(np.int32),
        "data_mb": np.round(data, 0).astype(np.float64),
        "roaming_minutes": np.round(roaming, 1).astype(np.float64),
        "dropped_calls": np.floor(cut + spread).astype(np.int32),
        "known_at": times(known),
    }
    return rows + who.start, cols, columns


def _factors(dates: Array) -> dict[str, Array]:
    """Give a month's factors by day."""
    weekend = (dates.astype(int) + 3) % 7 >= 5
    year = int(str(dates[0])[:4])
    new_year = dict(enumerate(_NEW_YEAR, start=2023)).get(year, ("02-01", 7))
    holiday = np.zeros(len(dates), dtype=bool)
    for start, length in (new_year, ("05-01", 5), ("10-01", 7)):
        first = np.datetime64(f"{year}-{start}")
        holiday |= (dates >= first) & (dates < first + length)
    season = np.sin(2 * np.pi * (dates.astype(int) % 365 - 100) / 365)
    factors = {
        "active": 1.0 - 0.06 * weekend - 0.04 * holiday + 0.02 * season,
        "voice": 1.0 - 0.18 * weekend + 0.25 * holiday - 0.04 * season,
        "data": 1.0 + 0.15 * weekend + 0.25 * holiday + 0.08 * season,
        "sms": 1.0 - 0.25 * weekend + 0.6 * holiday,
        "roaming": 1.0 + 2.5 * holiday + 0.5 * np.maximum(season, 0),
    }
    return {name: values.astype(np.float32) for name, values in factors.items()}

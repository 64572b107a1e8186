"""The tables ``complaints`` and ``surveys``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from churnml.simulator.clock import Array, Period, month_name, month_start, times
from churnml.simulator.draws import Draws, pick
from churnml.simulator.latent import Mood
from churnml.simulator.rows import ids, versions, words
from churnml.simulator.world import World

_KINDS = ("complaint", "fault", "enquiry")
_PROMISED_HOURS = (48.0, 24.0, 72.0)
_CATEGORIES = ("billing", "network", "service", "product", "other")
_CHANNELS = ("hotline", "app", "store", "social")
_CHANNEL_SHARES = (0.58, 0.22, 0.16, 0.04)
_MOST = 3  # first complaints of a person in a month; each may be repeated once


def complaint_month(world: World, period: Period, month: int) -> pa.Table:
    """Make what becomes known in a period of one month's complaints and their repetitions."""
    draws, mood = world.draws, world.months[month].mood
    rate = 0.07 * np.exp(np.clip(0.60 * mood.unhappy + 0.25 * mood.away, -3, 3))
    u = draws.uniform("complaints", month)
    term = np.exp(-rate)  # of the Poisson distribution
    below = term
    parts = []
    for k in range(_MOST):
        parts += _complaints(draws, mood, month, k, np.flatnonzero(u > below))
        term = term * rate / (k + 1)
        below = below + term
    rows = pd.concat(parts).sort_values(["person", "number"])
    found = {name: rows[name].to_numpy() for name in rows}
    there = world.there(found["opened"], found["person"])
    born = np.where(there, found["opened"], np.inf)
    take, known = versions(period, born, found["resolved"], found["rated"])
    found = {name: values[take] for name, values in found.items()}
    person, opened, kind = found["person"], found["opened"], found["kind"]
    resolved, rated = period.seen(found["resolved"]), period.seen(found["rated"])
    prefix = f"K{month_name(month).replace('-', '')}"
    return pa.table(
        {
            "complaint_id": ids(prefix, person * 10 + found["number"], digits=9),
            "customer_id": ids("C", person),
            "opened_at": times(opened),
            "kind": words(_KINDS, kind),
            "category": words(_CATEGORIES, found["category"]),
            "channel": words(_CHANNELS, found["channel"]),
            "promised_at": times(opened + np.array(_PROMISED_HOURS)[kind] / 24),
            "resolved_at": times(resolved),
            "first_contact_resolved": pa.array(found["at_once"], mask=~np.isfinite(resolved)),
            "satisfaction": pa.array(found["score"], mask=~np.isfinite(rated)),
            "rated_at": times(rated),
            "known_at": times(known),
        }
    )


def _complaints(draws: Draws, mood: Mood, month: int, k: int, who: Array) -> list[pd.DataFrame]:
    """Make the ``k``-th complaints of a month, and the repetitions some of them lead to."""
    begin, end = month_start(month), month_start(month + 1)
    opened = begin + draws.uniform("complaint_day", month, k) * (end - begin)
    flat = np.zeros(len(opened))
    pulls = np.exp(np.stack([0.5 + mood.price, 0.3 + mood.network, mood.service, flat, flat - 0.3]))
    category = pick(pulls, draws.uniform("complaint_category", month, k))
    chance = 1 / (1 + np.exp(1.7 - 0.6 * np.clip(mood.service, -2, 4)))
    again = who[draws.uniform("complaint_repeat", month, k)[who] < chance[who]]
    reopened = opened + (1 + 24 * draws.uniform("complaint_gap", month, k))
    return [
        _handled(draws, mood, month, k, who, opened[who], category[who]),
        _handled(draws, mood, month, k + _MOST, again, reopened[again], category[again]),
    ]


def _handled(
    draws: Draws, mood: Mood, month: int, number: int, who: Array, opened: Array, category: Array
) -> pd.DataFrame:
    def uniform(subject: str) -> Array:
        return np.asarray(draws.uniform(f"complaint_{subject}", month, number)[who])

    def normal(subject: str) -> Array:
        return np.asarray(draws.normal(f"complaint_{subject}", month, number)[who])

    u = uniform("kind")
    kind = np.where((category == 1) & (u < 0.7), 1, np.where(u < 0.5, 0, 2))
    slow = 2.3 + 1.2 * normal("hours") + 0.2 * np.clip(mood.service[who], -2, 3)
    hours = np.minimum(np.exp(slow), 720.0)
    resolved = np.where(uniform("resolved") < 0.03, np.inf, opened + hours / 24)
    rated = np.where(uniform("rates") < 0.4, resolved + 0.05 + 2.5 * uniform("rating_day"), np.inf)
    felt = 4.0 - 0.55 * mood.unhappy[who] - 0.3 * (slow - 2.3) + 0.8 * normal("felt")
    rows = {
        "person": who,
        "number": number,
        "opened": opened,
        "kind": kind,
        "category": category,
        "channel": draws.choice(_CHANNEL_SHARES, "complaint_channel", month, number)[who],
        "resolved": resolved,
        "at_once": (hours < 10) & (uniform("at_once") < 0.8),
        "rated": rated,
        "score": np.clip(np.round(felt), 1, 5).astype(np.int32),
    }
    return pd.DataFrame(rows)


def survey_month(world: World, month: int) -> pa.Table:
    """Make the survey answers of one month: about one customer in fifteen is asked and answers."""
    draws, mood = world.draws, world.months[month].mood
    begin, end = month_start(month), month_start(month + 1)
    at = begin + draws.uniform("survey_day", month) * (end - begin)
    who = np.flatnonzero((draws.uniform("survey", month) < 0.07) & world.there(at))
    felt = 3.7 - 0.6 * mood.unhappy - 0.25 * mood.away + 0.8 * draws.normal("survey_felt", month)
    score = np.clip(np.round(felt[who]), 1, 5).astype(np.int32)
    return pa.table({"customer_id": ids("C", who), "answered_at": times(at[who]), "score": score})

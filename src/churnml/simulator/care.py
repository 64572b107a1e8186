"""The tables ``complaints`` and ``surveys``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from churnml.simulator.clock import Array, month_name, month_start, times
from churnml.simulator.draws import Draws, choose, count, pick
from churnml.simulator.latent import Mood
from churnml.simulator.path import Path
from churnml.simulator.rows import ids, not_yet, versions, words

_KINDS = ("complaint", "fault", "enquiry")
_PROMISED_HOURS = (48.0, 24.0, 72.0)
_CATEGORIES = ("billing", "network", "service", "product", "other")
_CHANNELS = ("hotline", "app", "store", "social")
_CHANNEL_SHARES = (0.58, 0.22, 0.16, 0.04)
_MOST = 3  # first complaints of a person in a month; each may be repeated once


def complaint_month(draws: Draws, path: Path, month: int, begin: float, end: float) -> pa.Table:
    """Make what becomes known in ``[begin, end)`` of one month's complaints and their repetitions."""
    mood = path.moods[month]
    rate = 0.07 * np.exp(np.clip(0.60 * mood.unhappy + 0.25 * mood.away, -3, 3))
    counts = count(rate, draws.uniform("complaints", month), most=_MOST)
    parts = [part for k in range(_MOST) for part in _complaints(draws, path, month, k, np.flatnonzero(counts > k))]
    rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    person, opened, resolved, rated = (rows[key] for key in ("person", "opened", "resolved", "rated"))
    there = np.any((path.signed_up[:, person] <= opened) & (opened < path.left[:, person]), axis=0)
    take, known = versions(np.where(there, opened, np.inf), [resolved, rated], begin, end)
    order = np.lexsort((rows["number"][take], person[take]))
    take, known = take[order], known[order]
    rows = {key: values[take] for key, values in rows.items()}
    resolved, rated = not_yet(rows["resolved"], end), not_yet(rows["rated"], end)
    return pa.table(
        {
            "complaint_id": ids(
                f"K{month_name(month).replace('-', '')}", rows["person"] * 10 + rows["number"], digits=9
            ),
            "customer_id": ids("C", rows["person"]),
            "opened_at": times(rows["opened"]),
            "kind": words(_KINDS, rows["kind"]),
            "category": words(_CATEGORIES, rows["category"]),
            "channel": words(_CHANNELS, rows["channel"]),
            "promised_at": times(rows["opened"] + np.array(_PROMISED_HOURS)[rows["kind"]] / 24),
            "resolved_at": times(resolved),
            "first_contact_resolved": pa.array(rows["at_once"], mask=~np.isfinite(resolved)),
            "satisfaction": pa.array(rows["score"], mask=~np.isfinite(rated)),
            "rated_at": times(rated),
            "known_at": times(known),
        }
    )


def _complaints(draws: Draws, path: Path, month: int, k: int, who: Array) -> list[dict[str, Array]]:
    """Make the ``k``-th complaints of a month, and the repetitions some of them lead to."""
    mood = path.moods[month]
    begin, end = month_start(month), month_start(month + 1)
    opened = begin + draws.uniform("complaint_day", month, k)[who] * (end - begin)
    category = _category(mood, draws.uniform("complaint_category", month, k))[who]
    first = _handled(draws, mood, month, k, who, opened, category)
    u = draws.uniform("complaint_repeat", month, k)[who]
    chance = 1 / (1 + np.exp(1.7 - 0.6 * np.clip(mood.service[who], -2, 4)))
    repeats = u < chance
    gap = 1 + 24 * draws.uniform("complaint_gap", month, k)[who]
    again = _handled(draws, mood, month, k + _MOST, who[repeats], (opened + gap)[repeats], category[repeats])
    return [first, again]


def _category(mood: Mood, uniform: Array) -> Array:
    flat = np.zeros(mood.price.shape)
    pulls = np.exp(np.stack([0.5 + mood.price, 0.3 + mood.network, mood.service, flat, flat - 0.3]))
    return pick(pulls, uniform)


def _handled(
    draws: Draws, mood: Mood, month: int, number: int, who: Array, opened: Array, category: Array
) -> dict[str, Array]:
    def uniform(subject: str) -> Array:
        return draws.uniform(f"complaint_{subject}", month, number)[who]

    u = uniform("kind")
    kind = np.where((category == 1) & (u < 0.7), 1, np.where(u < 0.5, 0, 2)).astype(np.int8)
    slow = 2.3 + 1.2 * draws.normal("complaint_hours", month, number)[who] + 0.2 * np.clip(mood.service[who], -2, 3)
    hours = np.minimum(np.exp(slow), 720.0)
    at_once = (hours < 10) & (uniform("at_once") < 0.8)
    resolved = np.where(uniform("resolved") < 0.03, np.inf, opened + hours / 24)
    felt = (
        4.0 - 0.55 * mood.unhappy[who] - 0.3 * (slow - 2.3) + 0.8 * draws.normal("complaint_felt", month, number)[who]
    )
    return {
        "person": who,
        "number": np.full(len(who), number),
        "opened": opened,
        "kind": kind,
        "category": category,
        "channel": choose(_CHANNEL_SHARES, uniform("channel")),
        "resolved": resolved,
        "at_once": at_once,
        "rated": np.where(uniform("rates") < 0.4, resolved + 0.05 + 2.5 * uniform("rating_day"), np.inf),
        "score": np.clip(np.round(felt), 1, 5).astype(np.int32),
    }


def survey_month(draws: Draws, path: Path, month: int) -> pa.Table:
    """Make the survey answers of one month: about one customer in fifteen is asked and answers."""
    mood = path.moods[month]
    begin, end = month_start(month), month_start(month + 1)
    at = begin + draws.uniform("survey_day", month) * (end - begin)
    who = np.flatnonzero((draws.uniform("survey", month) < 0.07) & path.there(at))
    felt = 3.7 - 0.6 * mood.unhappy - 0.25 * mood.away + 0.8 * draws.normal("survey_felt", month)
    return pa.table(
        {
            "customer_id": ids("C", who),
            "answered_at": times(at[who]),
            "score": pa.array(np.clip(np.round(felt[who]), 1, 5).astype(np.int32)),
        }
    )

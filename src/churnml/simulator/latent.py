"""How each person feels, month by month, and how much that makes them leave, there or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, month_start
from churnml.simulator.draws import Draws, pick
from churnml.simulator.traits import People

REASONS = ("price", "network", "service", "moved_away", "rival_offer", "not_paying")


@dataclass(frozen=True)
class Mood:
    """Hold one month's state of everyone; higher is worse, about 0 on average, spread about 1.

    ``price``, ``network`` and ``service`` are what they are unhappy with, ``unhappy`` all of it together, ``away`` how
    far they have drifted off, ``distress`` how short of money they are.
    """

    price: Array
    network: Array
    service: Array
    distress: Array
    unhappy: Array
    away: Array

    @property
    def fade(self) -> Array:
        """Give the share of their usual usage that is left, 1 where they are as usual."""
        return np.exp(-0.42 * np.clip(self.away, -1.5, 4.0))


def moods(people: People, draws: Draws, months: int) -> Iterator[Mood]:
    """Yield each month's mood; it depends on the seed and the months before only."""
    keep = c.PERSISTENCE
    drifts = {name: draws.normal(f"{name}_start") for name in ("price", "network", "distress")}
    shock = np.zeros(people.count)
    away = 0.5 * draws.normal("away_start") + 0.4 * (people.price + people.network + people.service)
    for month in range(months):
        for name, drift in drifts.items():
            drifts[name] = keep * drift + np.sqrt(1 - keep**2) * draws.normal(f"{name}_drift", month)
        shocked = draws.uniform("shock", month) < c.SHOCK_CHANCE
        size = c.SHOCK_MEAN * draws.exponential("shock_size", month)
        shock = c.SHOCK_DECAY * shock + np.where(shocked, size, 0.0)
        market = c.SEASON * np.sin(2 * np.pi * (month - 7) / 12)  # rivals' offers come back every year
        price = 0.65 * people.price + 0.6 * drifts["price"] + market
        network = 0.65 * people.network + 0.55 * drifts["network"]
        service = 0.45 * people.service + shock - 0.2
        distress = 0.75 * people.distress + 0.6 * drifts["distress"]
        unhappy = 0.55 * price + 0.50 * network + 0.60 * service
        noise = c.AWAY_NOISE * draws.normal("away_noise", month)
        follows = c.AWAY_GAIN * (1 - c.AWAY_PERSISTENCE) / 0.45
        away = c.AWAY_PERSISTENCE * away + follows * unhappy + noise
        yield Mood(price, network, service, distress, unhappy, away)


def daily_hazard(people: People, mood: Mood, month: int, signed_up: Array, contract_end: Array) -> Array:
    """Give the rate of leaving a day by cause (causes x people), without any contact's effect.

    ``signed_up`` and ``contract_end`` are in days since the start; a contract that is not there ends at nan.
    """
    begin, end = month_start(month), month_start(month + 1)
    tenure = _tenure(begin - signed_up)
    circumstances = (
        _contract(contract_end - begin, end - begin)
        + tenure
        + np.array(c.SEGMENT_HAZARD)[people.segment]
        + np.array(c.ACQUISITION_HAZARD)[people.acquisition]
        + np.array(c.AGE_HAZARD)[people.age]
        + c.DOG_HAZARD * people.dog
    )
    voluntary = 0.80 * mood.unhappy + 0.80 * mood.away + circumstances
    port_out = 0.55 * mood.price + 0.40 * mood.network + 0.85 * mood.away + 1.1 * circumstances
    involuntary = 1.05 * mood.distress + 0.15 * mood.away + tenure
    logs = np.stack([voluntary, port_out, involuntary]) + np.array(c.BASE_HAZARD)[:, None]
    return np.asarray(np.minimum(np.exp(logs), 1.5) / (end - begin))


def _contract(left: Array, length: int) -> Array:
    ending = (left < length) & (left >= -31)
    level = np.where(left >= length, c.IN_CONTRACT, np.where(ending, c.ENDING_CONTRACT, c.NO_CONTRACT))
    return np.where(np.isnan(left), c.NO_CONTRACT, level)


def _tenure(days: Array) -> Array:
    new = c.NEW_CUSTOMER * ((days > 30) & (days <= 240))
    return np.asarray(new + c.LONG_TENURE * np.clip(days / (6 * 365), 0, 1))


def deeper_cause(mood: Mood, who: Array, cause: Array, uniform: Array) -> Array:
    """Choose what lies behind the departures of ``who``: positions in ``REASONS``."""
    felt = [mood.price, mood.network, mood.service, mood.distress]
    price, network, service, distress = (values[who] for values in felt)
    flat = np.zeros(len(who))
    pulls = np.exp(np.stack([price, network, service, flat - 0.4, flat - 0.2, distress]))
    allowed = np.array(((1, 1, 1, 1, 0.5, 0), (1.6, 1, 0.4, 0, 1.5, 0), (0, 0, 0, 0.02, 0, 1)))
    return pick(allowed[cause].T * pulls, uniform)

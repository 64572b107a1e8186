"""How each person feels, month by month, and how much that makes them leave, there or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, month_start
from churnml.simulator.draws import Draws, pick
from churnml.simulator.traits import People


@dataclass(frozen=True)
class Mood:
    """Hold one month's state of everyone; higher is worse, about 0 on average, spread about 1.

    ``price``, ``network`` and ``service`` are what they are unhappy with, ``unhappy`` all of it together,
    ``away`` how far they have drifted off, ``distress`` how short of money they are.
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


class Moods:
    """Step from month to month; a month's mood depends on the seed and the months before only."""

    def __init__(self, people: People, draws: Draws) -> None:
        self._people = people
        self._draws = draws
        self._drift = {name: draws.normal(f"{name}_start") for name in ("price", "network", "distress")}
        self._shock = np.zeros(people.count)
        self._away = 0.5 * draws.normal("away_start") + 0.4 * (people.price + people.network + people.service)
        self._month = 0

    def step(self) -> Mood:
        """Move to the next month."""
        month, people, draws = self._month, self._people, self._draws
        keep = c.PERSISTENCE
        for name, drift in self._drift.items():
            self._drift[name] = keep * drift + np.sqrt(1 - keep**2) * draws.normal(f"{name}_drift", month)
        shocked = draws.uniform("shock", month) < c.SHOCK_CHANCE
        size = c.SHOCK_MEAN * draws.exponential("shock_size", month)
        self._shock = c.SHOCK_DECAY * self._shock + np.where(shocked, size, 0.0)
        market = 0.35 * np.sin(2 * np.pi * (month - 7) / 12)  # rivals' offers come back every year
        price = 0.65 * people.price + 0.6 * self._drift["price"] + market
        network = 0.65 * people.network + 0.55 * self._drift["network"]
        service = 0.45 * people.service + self._shock - 0.2
        unhappy = 0.55 * price + 0.50 * network + 0.60 * service
        noise = c.AWAY_NOISE * draws.normal("away_noise", month)
        self._away = c.AWAY_PERSISTENCE * self._away + c.AWAY_GAIN * (1 - c.AWAY_PERSISTENCE) / 0.45 * unhappy + noise
        self._month += 1
        return Mood(
            price=price,
            network=network,
            service=service,
            distress=0.75 * people.distress + 0.6 * self._drift["distress"],
            unhappy=unhappy,
            away=self._away,
        )


def daily_hazard(people: People, mood: Mood, month: int, signed_up: Array, contract_end: Array) -> Array:
    """Give the rate of leaving a day by cause (causes x people), without any contact's effect.

    ``signed_up`` and ``contract_end`` are in days since the start; a contract that is not there ends at nan.
    """
    begin, end = month_start(month), month_start(month + 1)
    circumstances = (
        _contract(contract_end, begin, end)
        + _tenure(begin - signed_up)
        + np.array(c.SEGMENT_HAZARD)[people.segment]
        + np.array(c.ACQUISITION_HAZARD)[people.acquisition]
        + np.array(c.AGE_HAZARD)[people.age]
        + c.DOG_HAZARD * people.dog
    )
    logs = np.stack(
        [
            0.80 * mood.unhappy + 0.80 * mood.away + circumstances,
            0.55 * mood.price + 0.40 * mood.network + 0.85 * mood.away + 1.1 * circumstances,
            1.05 * mood.distress + 0.15 * mood.away + _tenure(begin - signed_up),
        ]
    )
    monthly: Array = np.minimum(np.exp(logs + np.array(c.BASE_HAZARD)[:, None]), 1.5)
    return monthly / (end - begin)


def deeper_cause(mood: Mood, cause: Array, uniform: Array) -> Array:
    """Choose what lies behind each departure: a position in ``REASONS``."""
    flat = np.zeros(mood.price.shape)
    pulls = np.exp(np.stack([mood.price, mood.network, mood.service, flat - 0.4, flat - 0.2, mood.distress]))
    allowed = np.array(((1, 1, 1, 1, 0.5, 0), (1.6, 1, 0.4, 0, 1.5, 0), (0, 0, 0, 0.02, 0, 1)))
    return pick(allowed[cause].T * pulls, uniform)


REASONS = ("price", "network", "service", "moved_away", "rival_offer", "not_paying")
REASON_TEXTS = (
    "too expensive",
    "poor coverage or slow data",
    "unhappy with the service",
    "moved away",
    "better offer elsewhere",
    "did not pay",
    "no reason given",
)


def _contract(contract_end: Array, begin: int, end: int) -> Array:
    left = contract_end - begin
    ending = (left < end - begin) & (left >= -31)
    level = np.where(left >= end - begin, c.IN_CONTRACT, np.where(ending, c.ENDING_CONTRACT, c.NO_CONTRACT))
    result: Array = np.where(np.isnan(contract_end), c.NO_CONTRACT, level)
    return result


def _tenure(days: Array) -> Array:
    new = c.NEW_CUSTOMER * ((days > 30) & (days <= 240))
    result: Array = new + c.LONG_TENURE * np.clip(days / (6 * 365), 0, 1)
    return result

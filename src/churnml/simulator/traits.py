"""Who the customers are: what stays with a person for good."""

from __future__ import annotations

import numpy as np

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, month_start
from churnml.simulator.draws import Draws


def people_by(customers: int, month: int) -> int:
    """Count who has signed up by the end of a month, whether or not they have left."""
    return customers + int(c.JOINING * customers * (month + 1))


class People:
    """Draw the traits of everyone who signs up within the months, one number for each person.

    Positions are in the lists of ``settings``. ``signed_up`` is in days since the start, ``spend`` in CNY a month,
    ``active`` the share of days with usage; ``voice``, ``data`` and ``sms`` are minutes, MB and texts on such a day.
    ``price``, ``network``, ``service`` and ``distress`` are leanings of spread 1, higher is worse. ``attentive`` and
    ``bargain`` say how much attention, or a discount of 10 %, lowers the logarithm of the hazard; ``dog`` marks those
    whose hazard a contact raises. Only ``segments``, ``payments`` and ``managers`` (months x people) change, on the
    first of a month.
    """

    def __init__(self, draws: Draws, customers: int, months: int) -> None:
        self.count = people_by(customers, months - 1)
        self.signed_up = _sign_ups(draws, customers, months)
        self.segment = draws.choice(c.SEGMENT_SHARES, "segment")
        self.region = draws.choice(c.REGION_SHARES, "region")
        self.age = draws.choice(c.AGE_SHARES, "age")
        self.acquisition = draws.choice(c.ACQUISITION_SHARES, "acquisition")
        self.payment = draws.choice(c.PAYMENT_SHARES, "payment")
        self.city = draws.choice(c.CITY_SHARES, "city")
        self.manager = (draws.uniform("manager") * c.MANAGERS).astype(np.int8)
        spread = np.array(c.SPEND_SPREAD)[self.segment] * draws.normal("spend")
        self.spend = np.array(c.SPEND_MEDIAN)[self.segment] * np.exp(spread)
        dearest = np.searchsorted(c.FEES, c.FEE_SHARE * self.spend, side="right") - 1
        self.plan = np.maximum(dearest, 0).astype(np.int8)
        self.contract_months = np.array((0, 12, 24))[draws.choice((0.30, 0.35, 0.35), "contract")]
        self.cycle_day = np.array(c.CYCLE_DAYS)[(draws.uniform("cycle") * len(c.CYCLE_DAYS)).astype(int)]
        size = np.minimum(self.spend / 60, 40) ** 0.3
        self.active = 0.97 / (1 + np.exp(-(1.35 + 0.9 * draws.normal("active"))))
        self.voice = 11 * size * np.exp(0.6 * draws.normal("voice"))
        self.data = 420 * size * np.exp(0.9 * draws.normal("data"))
        self.sms = 1.2 * np.exp(0.8 * draws.normal("sms"))
        self.travels = draws.uniform("travels") < 0.12
        self.price = draws.normal("price")
        self.network = draws.normal("network") + np.array(c.REGION_TROUBLE)[self.region]
        self.service = draws.normal("service")
        self.distress = draws.normal("distress") + 0.4 * (self.payment == 2) - 0.3 * (self.payment == 0)
        # those who pay by themselves for what they hardly use, and would rather not be reminded
        leaning = 1.0 * (self.signed_up < -700) + 1.4 * (self.active < 0.7) + 0.9 * (self.payment == 0)
        self.dog = draws.uniform("dog") < np.minimum(c.DOG_SHARE * np.exp(leaning - 1.6), 0.9)
        attentive = _persuaded(draws, "attentive", c.ATTENTIVE_SHARE, self.service, c.ATTENTIVE_PULL)
        bargain = _persuaded(draws, "bargain", c.BARGAIN_SHARE, self.price, c.BARGAIN_PULL)
        self.attentive, self.bargain = attentive * ~self.dog, bargain * ~self.dog
        u = np.stack([np.ones(self.count), *(draws.uniform("attributes", m) for m in range(1, months))])
        self.segments = np.minimum(self.segment + np.cumsum(u < 0.001, axis=0, dtype=np.int8), 2)
        self.payments = (self.payment + np.cumsum((u > 0.2) & (u < 0.204), axis=0, dtype=np.int8)) % 3
        self.managers = (self.manager + np.cumsum((u > 0.5) & (u < 0.51), axis=0, dtype=np.int8)) % c.MANAGERS


def _sign_ups(draws: Draws, customers: int, months: int) -> Array:
    before = -np.minimum(1 + 900 * draws.exponential("tenure"), 4_300.0)
    numbers = np.arange(len(before))
    joined = np.searchsorted([people_by(customers, m) for m in range(months)], numbers, side="right")
    starts = np.array([month_start(m) for m in range(months + 1)])
    within = starts[joined] + draws.uniform("sign_up") * (starts[joined + 1] - starts[joined])
    return np.asarray(np.where(numbers < customers, before, within))


def _persuaded(draws: Draws, subject: str, share: float, leaning: Array, pull: float) -> Array:
    chance = share * np.clip(1 + 0.6 * leaning, 0.1, 2.4)
    strength = pull * (0.5 + draws.uniform(f"{subject}_strength"))
    return np.where(draws.uniform(subject) < chance, strength, 0.0)

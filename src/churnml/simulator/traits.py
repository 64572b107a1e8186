"""Who the customers are: what stays with a person for good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, month_start
from churnml.simulator.draws import Draws


@dataclass(frozen=True)
class People:
    """Hold the fixed traits, one number for each person; lists are positions in ``settings``.

    ``signed_up`` is in days since the start, ``spend`` in CNY a month, ``active`` the share of days with
    usage; ``voice``, ``data`` and ``sms`` are minutes, MB and texts on such a day. ``price``,
    ``network``, ``service`` and ``distress`` are leanings of spread 1, higher is worse. ``attentive`` and
    ``bargain`` say how much attention, or a discount of 10 %, lowers the logarithm of the hazard; ``dog``
    marks those whose hazard a contact raises.
    """

    count: int
    signed_up: Array
    segment: Array
    region: Array
    age: Array
    acquisition: Array
    payment: Array
    city: Array
    manager: Array
    spend: Array
    plan: Array
    contract_months: Array
    cycle_day: Array
    active: Array
    voice: Array
    data: Array
    sms: Array
    travels: Array
    price: Array
    network: Array
    service: Array
    distress: Array
    dog: Array
    attentive: Array
    bargain: Array


def people_by(customers: int, month: int) -> int:
    """Count who has signed up by the end of a month, whether or not they have left."""
    return customers + int(c.JOINING * customers * (month + 1))


def make_people(draws: Draws, customers: int, months: int) -> People:
    """Draw the traits of everyone who signs up before the end of the last month."""
    total = people_by(customers, months - 1)
    signed_up = _sign_ups(draws, customers, months)
    segment = draws.choice(c.SEGMENT_SHARES, "segment")
    spend = np.array(c.SPEND_MEDIAN)[segment] * np.exp(np.array(c.SPEND_SPREAD)[segment] * draws.normal("spend"))
    size = np.minimum(spend / 60, 40) ** 0.3
    price, service = draws.normal("price"), draws.normal("service")
    active = 0.97 / (1 + np.exp(-(1.35 + 0.9 * draws.normal("active"))))
    payment = draws.choice(c.PAYMENT_SHARES, "payment")
    dog = _sleeping_dogs(draws, signed_up, active, payment)
    return People(
        count=total,
        signed_up=signed_up,
        segment=segment,
        region=draws.choice(c.REGION_SHARES, "region"),
        age=draws.choice(c.AGE_SHARES, "age"),
        acquisition=draws.choice(c.ACQUISITION_SHARES, "acquisition"),
        payment=payment,
        city=draws.choice(c.CITY_SHARES, "city"),
        manager=(draws.uniform("manager") * c.MANAGERS).astype(np.int8),
        spend=spend,
        plan=np.maximum(np.searchsorted(c.FEES, c.FEE_SHARE * spend, side="right") - 1, 0).astype(np.int8),
        contract_months=np.array((0, 12, 24))[draws.choice((0.30, 0.35, 0.35), "contract")],
        cycle_day=np.array(c.CYCLE_DAYS)[(draws.uniform("cycle") * len(c.CYCLE_DAYS)).astype(int)],
        active=active,
        voice=11 * size * np.exp(0.6 * draws.normal("voice")),
        data=420 * size * np.exp(0.9 * draws.normal("data")),
        sms=1.2 * np.exp(0.8 * draws.normal("sms")),
        travels=draws.uniform("travels") < 0.12,
        price=price,
        network=draws.normal("network") + np.array(c.REGION_TROUBLE)[draws.choice(c.REGION_SHARES, "region")],
        service=service,
        distress=draws.normal("distress") + 0.4 * (payment == 2) - 0.3 * (payment == 0),
        dog=dog,
        attentive=_persuaded(draws, "attentive", c.ATTENTIVE_SHARE, service, c.ATTENTIVE_PULL) * ~dog,
        bargain=_persuaded(draws, "bargain", c.BARGAIN_SHARE, price, c.BARGAIN_PULL) * ~dog,
    )


def _sign_ups(draws: Draws, customers: int, months: int) -> Array:
    before = -np.minimum(1 + 900 * draws.exponential("tenure"), 4_300.0)
    sizes = [people_by(customers, m) for m in range(months)]
    joined = np.searchsorted(sizes, np.arange(len(before)), side="right")
    starts = np.array([month_start(m) for m in range(months + 1)])
    within = starts[joined] + draws.uniform("sign_up") * (starts[joined + 1] - starts[joined])
    result: Array = np.where(np.arange(len(before)) < customers, before, within)
    return result


def _sleeping_dogs(draws: Draws, signed_up: Array, active: Array, payment: Array) -> Array:
    """Mark those who pay by themselves for what they hardly use, and would rather not be reminded."""
    leaning = 1.0 * (signed_up < -700) + 1.4 * (active < 0.7) + 0.9 * (payment == 0)
    chance = c.DOG_SHARE * np.exp(leaning - 1.6)
    result: Array = draws.uniform("dog") < np.minimum(chance, 0.9)
    return result


def _persuaded(draws: Draws, subject: str, share: float, leaning: Array, pull: float) -> Array:
    chance = share * np.clip(1 + 0.6 * leaning, 0.1, 2.4)
    strength = pull * (0.5 + draws.uniform(f"{subject}_strength"))
    return np.where(draws.uniform(subject) < chance, strength, 0.0)

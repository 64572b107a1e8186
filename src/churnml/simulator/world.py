"""Who is there and when they leave: everyone's way through the months, from the seed and the contacts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, month_start
from churnml.simulator.draws import Draws
from churnml.simulator.latent import Mood, daily_hazard, deeper_cause, moods
from churnml.simulator.offers import respond
from churnml.simulator.traits import People

Planner = Callable[[Draws, int, Array, Mood], pd.DataFrame]
SPELLS = 2  # a person comes back at most once
SPAN = len(c.EFFECT_MONTHS)  # months over which a contact has its effect


@dataclass(frozen=True)
class Month:
    """Hold a month's state of everyone, as it was before anyone left in it.

    ``hazard`` is the rate of leaving a day without contacts (causes x people), ``effect`` what this month's contacts
    add to its logarithm at first, ``used`` the hazard used up before the month.
    """

    mood: Mood
    hazard: Array
    effect: Array
    contacts: pd.DataFrame
    used: Array
    spell: Array
    plan: Array


class World:
    """Follow everyone through the first months.

    Times are in days since the start, infinite where it did not happen. ``signed_up``, ``left``, ``told`` (when the
    departure is known), ``cause``, ``reason`` and ``threshold`` are spells x people. ``months`` holds the states,
    ``contacts`` whom the operator contacted, ``subscriptions`` each choice of a plan and contract, whether or not the
    person is there then.
    """

    def __init__(self, people: People, draws: Draws, months: int, plan_contacts: Planner) -> None:
        n = people.count
        self.people, self.draws = people, draws
        self.signed_up = np.stack([people.signed_up, np.full(n, np.inf)])
        self.left, self.told = np.full((2, SPELLS, n), np.inf)
        self.cause, self.reason = np.full((2, SPELLS, n), -1, dtype=np.int8)
        self.threshold = np.stack([draws.exponential("threshold", spell) for spell in range(SPELLS)])
        self.months: list[Month] = []
        self._spell, self._used, self._plan = np.zeros(n, dtype=np.int8), np.zeros(n), people.plan
        self._contract_end = _first_contracts(people, draws)
        self._chosen: list[pd.DataFrame] = []
        self._subscribe(np.arange(n), people.signed_up)
        for month, mood in enumerate(moods(people, draws, months)):
            self._live(month, mood, plan_contacts)
        self.contacts = pd.concat([state.contacts for state in self.months], ignore_index=True)
        self.subscriptions = pd.concat(self._chosen, ignore_index=True)

    def there(self, at: Array | float, who: Array | slice = slice(None)) -> Array:
        """Tell who is a customer at a time; ``at`` may hold a time for each of ``who``."""
        return np.asarray(np.any((self.signed_up[:, who] <= at) & (at < self.left[:, who]), axis=0))

    def share(self, begin: Array | float, end: Array | float) -> Array:
        """Give the share of ``[begin, end)`` in which each person is a customer."""
        both = np.minimum(self.left, end) - np.maximum(self.signed_up, begin)
        return np.asarray(np.clip(both, 0, None).sum(axis=0) / (np.asarray(end) - begin))

    def carried(self, month: int, later: int = 0) -> Array:
        """Give what contacts made before a month add to the logarithm of the hazard, so many months later."""
        total = np.zeros(self.people.count)
        for ago in range(1, min(SPAN - later, month + 1)):
            total = total + c.EFFECT_MONTHS[later + ago] * self.months[month - ago].effect
        return total

    def effect(self, month: int) -> Array:
        """Give what all contacts add to the logarithm of a month's hazard."""
        return np.asarray(self.carried(month) + c.EFFECT_MONTHS[0] * self.months[month].effect)

    def _live(self, month: int, mood: Mood, plan_contacts: Planner) -> None:
        people, everyone = self.people, np.arange(self.people.count)
        there = self.there(month_start(month))
        contacts = respond(plan_contacts(self.draws, month, there, mood), month, people, self.draws, there)
        person = contacts["person"].to_numpy()
        self._return(month)
        signed_up = self.signed_up[self._spell, everyone]
        hazard = daily_hazard(people, mood, month, signed_up, self._contract_end)
        effect = np.bincount(person, weights=contacts["effect"], minlength=people.count)
        self.months.append(Month(mood, hazard, effect, contacts, self._used, self._spell, self._plan))
        self._leave(month, mood)
        for name in ("contacted", "accepted"):  # not what could no longer happen as the customer had left
            before = contacts[name] < self.left[self._spell[person], person]
            contacts[name] = contacts[name].where(before, np.inf)
        self._change_plans(month, mood)

    def _return(self, month: int) -> None:
        low, high = c.RETURN_AFTER_DAYS
        at = self.left[0] + low + (high - low) * self.draws.uniform("return_after")
        back = (self._spell == 0) & np.isfinite(self.left[0]) & (self.cause[0] != 2)
        back &= (at >= month_start(month)) & (at < month_start(month + 1))
        back &= self.draws.uniform("return") < c.RETURN_CHANCE
        self.signed_up[1] = np.where(back, at, self.signed_up[1])
        self._spell = np.where(back, 1, self._spell).astype(np.int8)
        self._used = np.where(back, 0.0, self._used)
        self._contract_end = np.where(back, np.floor(at) + 365.5, self._contract_end)
        self._subscribe(np.flatnonzero(back), at[back])

    def _leave(self, month: int, mood: Mood) -> None:
        at = (self._spell, np.arange(self.people.count))
        hazard = with_contacts(self.months[month].hazard, self.effect(month))
        begin = np.where(np.isinf(self.left[at]), np.maximum(month_start(month), self.signed_up[at]), np.inf)
        uniform = luck(self.draws, "cause", self._spell)
        when, rest, cause = crossing(begin, month_start(month + 1), self.threshold[at] - self._used, hazard, uniform)
        self._used = self.threshold[at] - rest
        who = np.flatnonzero(np.isfinite(when))
        gone = (self._spell[who], who)
        self.left[gone], self.cause[gone] = when[who], cause[who]
        notice = luck(self.draws, "notice", self._spell)[who]
        self.told[gone] = when[who] + _notice_delay(cause[who], notice)
        uniform = luck(self.draws, "reason", self._spell)[who]
        self.reason[gone] = deeper_cause(mood, who, cause[who], uniform)

    def _change_plans(self, month: int, mood: Mood) -> None:
        """Renew contracts at their end, win some back later, change some plans: from the next month on."""
        begin, end = month_start(month), month_start(month + 1)
        u, v = self.draws.uniform("plan", month), self.draws.uniform("plan_day", month)
        length = np.where(self.draws.uniform("plan_length", month) < 0.5, 365, 730)
        ending = (self._contract_end >= begin) & (self._contract_end < end)
        renews = ending & (u < 0.55 - 0.10 * np.clip(mood.unhappy, -2, 3))
        signs = ~(self._contract_end >= begin) & (u < 0.025)
        moves = ~ending & ~signs & (u > 0.985)
        at = np.where(renews, self._contract_end, begin + v * (end - begin))
        up = self.draws.normal("plan_up", month) > 0.5 * mood.price
        step = np.where(moves | (renews & (v < 0.25)), np.where(up, 1, -1), 0)
        self._plan = np.clip(self._plan + step, 0, len(c.FEES) - 1).astype(np.int8)
        self._contract_end = np.where(renews | signs, np.floor(at) + 0.5 + length, self._contract_end)
        who = np.flatnonzero(renews | signs | moves)
        self._subscribe(who, at[who])

    def _subscribe(self, who: Array, at: Array) -> None:
        chosen = {"person": who, "at": at, "plan": self._plan[who], "contract_end": self._contract_end[who]}
        self._chosen.append(pd.DataFrame(chosen))


def with_contacts(hazard: Array, effect: Array) -> Array:
    """Apply the contacts' effect; it does not touch involuntary departures."""
    return np.asarray(hazard * np.stack([np.exp(effect), np.exp(effect), np.ones_like(effect)]))


def crossing(begin: Array, end: float, need: Array, hazard: Array, uniform: Array) -> tuple[Array, Array, Array]:
    """Let hazard (causes x people) be used up at a constant rate over a span of days.

    Returns the time at which the need is met, infinite where it is not within the span; what of the need is left; and
    the cause for which one leaves then.
    """
    total = hazard.sum(axis=0)
    span = np.maximum(end - begin, 0.0)
    met = (span > 0) & (total * span >= need)
    when = np.where(met, begin + need / np.maximum(total, 1e-300), np.inf)
    cause = (uniform > np.cumsum(hazard, axis=0) / total).sum(axis=0)
    return when, need - total * span, cause.astype(np.int8)


def luck(draws: Draws, subject: str, spell: Array) -> Array:
    """Give each person the uniform number of the spell they are in."""
    return np.choose(spell, [draws.uniform(subject, s) for s in range(SPELLS)])


def _first_contracts(people: People, draws: Draws) -> Array:
    """Let base customers be somewhere inside their contract, or past it."""
    length = people.contract_months * 30.5
    inside = (draws.uniform("contract_phase") * 1.35 - 0.15) * length
    ends = np.where(people.signed_up < 0, inside, people.signed_up + length)
    return np.where(length > 0, np.floor(ends) + 0.5, np.nan)


def _notice_delay(cause: Array, uniform: Array) -> Array:
    """Give the days until a departure is known: mostly under six, for some port-outs up to twelve."""
    slow = (cause == 1) & (uniform > 0.85)
    return np.where(slow, 6 + 40 * (uniform - 0.85), 0.02 + 5.9 * uniform**2)

"""Who is there and when they leave: everyone's path through the months, from the seed and the contacts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, month_start
from churnml.simulator.contacts import respond
from churnml.simulator.draws import Draws
from churnml.simulator.latent import Mood, Moods, daily_hazard, deeper_cause
from churnml.simulator.traits import People

Planner = Callable[[int, Array, Mood], pd.DataFrame]
SPELLS = 2  # a person comes back at most once


@dataclass
class Path:
    """Hold what happened: times in days since the start, infinite where it did not.

    ``signed_up``, ``left``, ``told`` (when the departure is known), ``cause``, ``reason`` and ``threshold``
    are spells x people. Lists by month are ``moods``, ``hazard`` (a day, causes x people, without contacts),
    ``effect`` (of this and earlier months' contacts, on the logarithm of the hazard), ``effect_before`` (of
    earlier months' only), ``used`` (hazard used up before the month), ``spell``, ``plan``, ``segment``,
    ``payment``, ``manager`` and ``contacts``. ``subscriptions`` lists arrays of events.
    """

    signed_up: Array
    left: Array
    told: Array
    cause: Array
    reason: Array
    threshold: Array
    moods: list[Mood] = field(default_factory=list)
    hazard: list[Array] = field(default_factory=list)
    effect: list[Array] = field(default_factory=list)
    effect_before: list[Array] = field(default_factory=list)
    used: list[Array] = field(default_factory=list)
    spell: list[Array] = field(default_factory=list)
    plan: list[Array] = field(default_factory=list)
    segment: list[Array] = field(default_factory=list)
    payment: list[Array] = field(default_factory=list)
    manager: list[Array] = field(default_factory=list)
    subscriptions: list[dict[str, Array]] = field(default_factory=list)
    contacts: list[pd.DataFrame] = field(default_factory=list)

    def there(self, at: Array | float) -> Array:
        """Tell who is a customer at a time."""
        result: Array = np.any((self.signed_up <= at) & (at < self.left), axis=0)
        return result

    def share(self, begin: Array | float, end: Array | float) -> Array:
        """Give the share of ``[begin, end)`` in which each person is a customer."""
        both = np.minimum(self.left, end) - np.maximum(self.signed_up, begin)
        result: Array = np.clip(both, 0, None).sum(axis=0) / (np.asarray(end) - begin)
        return result


def crossing(begin: Array, end: float, need: Array, hazard: Array) -> tuple[Array, Array]:
    """Let hazard be used up at a constant rate over a span of days.

    Returns
    -------
    when, need : arrays
        The time at which the need is met, infinite where it is not within the span; what of the need is left.
    """
    span = np.maximum(end - begin, 0.0)
    met = (span > 0) & (hazard * span >= need)
    when = np.where(met, begin + need / np.maximum(hazard, 1e-300), np.inf)
    return when, need - hazard * span


def live(people: People, draws: Draws, months: int, plan_contacts: Planner) -> Path:
    """Follow everyone through the first months."""
    return _Walk(people, draws).walk(months, plan_contacts)


def with_contacts(hazard: Array, effect: Array) -> Array:
    """Apply the contacts' effect; it does not touch involuntary departures."""
    result: Array = hazard * np.stack([np.exp(effect), np.exp(effect), np.ones_like(effect)])
    return result


class _Walk:
    def __init__(self, people: People, draws: Draws) -> None:
        n = people.count
        nowhere = np.full((SPELLS, n), np.inf)
        first = np.stack([people.signed_up, np.full(n, np.inf)])
        threshold = np.stack([draws.exponential("threshold", spell) for spell in range(SPELLS)])
        unknown = np.full((SPELLS, n), -1, dtype=np.int8)
        self.path = Path(first, nowhere, nowhere.copy(), unknown, unknown.copy(), threshold)
        self.people, self.draws = people, draws
        self.moods = Moods(people, draws)
        self.spell = np.zeros(n, dtype=np.int8)
        self.used = np.zeros(n)
        self.plan = people.plan.copy()
        self.segment, self.payment, self.manager = (
            people.segment.copy(),
            people.payment.copy(),
            people.manager.copy(),
        )
        self.contract_end = self._first_contracts()
        self.effects: dict[int, Array] = {}
        self._subscribe(np.arange(n), people.signed_up)

    def walk(self, months: int, plan_contacts: Planner) -> Path:
        for month in range(months):
            begin = month_start(month)
            mood = self.moods.step()
            if month > 0:
                self._change_attributes(month)
            there = self.path.there(begin)
            answers = respond(plan_contacts(month, there, mood), month, self.people, self.draws, there)
            self._return(month)
            self._keep(month, mood, answers)
            self._leave(month, mood)
            self._answer(answers)
            self._change_plans(month, mood)
        return self.path

    def _first_contracts(self) -> Array:
        """Let base customers be somewhere inside their contract, or past it."""
        length = self.people.contract_months * 30.5
        base = self.people.signed_up < 0
        ends = np.where(
            base,
            (self.draws.uniform("contract_phase") * 1.35 - 0.15) * length,
            self.people.signed_up + length,
        )
        return np.where(length > 0, np.floor(ends) + 0.5, np.nan)

    def _subscribe(self, who: Array, at: Array) -> None:
        self.path.subscriptions.append(
            {
                "person": who,
                "at": at,
                "plan": self.plan[who].copy(),
                "contract_end": self.contract_end[who].copy(),
            }
        )

    def _change_attributes(self, month: int) -> None:
        """Change segment, payment method and manager on the first of the month, for whoever is there."""
        u = self.draws.uniform("attributes", month)
        self.segment = np.where((u < 0.001) & (self.segment < 2), self.segment + 1, self.segment).astype(np.int8)
        self.payment = np.where((u > 0.2) & (u < 0.204), (self.payment + 1) % 3, self.payment).astype(np.int8)
        self.manager = np.where((u > 0.5) & (u < 0.51), (self.manager + 1) % c.MANAGERS, self.manager).astype(np.int8)

    def _return(self, month: int) -> None:
        begin, end = month_start(month), month_start(month + 1)
        path = self.path
        gone = (self.spell == 0) & np.isfinite(path.left[0]) & (path.cause[0] != 2)
        low, high = c.RETURN_AFTER_DAYS
        at = path.left[0] + low + (high - low) * self.draws.uniform("return_after")
        back = gone & (self.draws.uniform("return") < c.RETURN_CHANCE) & (at >= begin) & (at < end)
        who = np.flatnonzero(back)
        path.signed_up[1, who] = at[who]
        self.spell[who] = 1
        self.used[who] = 0.0
        self.contract_end[who] = np.floor(at[who]) + 365.5
        self._subscribe(who, at[who])

    def _keep(self, month: int, mood: Mood, answers: pd.DataFrame) -> None:
        """Write the month's state down, before anyone leaves."""
        n = self.people.count
        new = np.bincount(answers["person"].to_numpy(), weights=answers["effect"].to_numpy(), minlength=n)
        self.effects[month] = new
        before = np.zeros(n)
        for later, strength in enumerate(c.EFFECT_MONTHS[1:], start=1):
            if month - later in self.effects:
                before = before + strength * self.effects[month - later]
        signed_up = np.take_along_axis(self.path.signed_up, self.spell[None].astype(np.int64), axis=0)[0]
        path = self.path
        path.moods.append(mood)
        path.hazard.append(daily_hazard(self.people, mood, month, signed_up, self.contract_end))
        path.effect_before.append(before)
        path.effect.append(before + c.EFFECT_MONTHS[0] * new)
        path.used.append(self.used.copy())
        for name in ("spell", "plan", "segment", "payment", "manager"):
            getattr(path, name).append(getattr(self, name).copy())

    def _leave(self, month: int, mood: Mood) -> None:
        path, spell, everyone = self.path, self.spell, np.arange(self.people.count)
        hazards = with_contacts(path.hazard[month], path.effect[month])
        total = hazards.sum(axis=0)
        begin = np.maximum(month_start(month), path.signed_up[spell, everyone])
        begin = np.where(np.isinf(path.left[spell, everyone]), begin, np.inf)
        need = path.threshold[spell, everyone] - self.used
        when, rest = crossing(begin, month_start(month + 1), need, total)
        self.used = path.threshold[spell, everyone] - rest
        who = np.flatnonzero(np.isfinite(when))
        shares = np.cumsum(hazards[:, who], axis=0) / total[who]
        which = spell[who]
        cause = (by_spell(self.draws, "cause", which, who) > shares).sum(axis=0).astype(np.int8)
        at = (which, who)
        path.left[at], path.cause[at] = when[who], cause
        path.told[at] = when[who] + notice_delay(cause, by_spell(self.draws, "notice", which, who))
        chosen = Mood(*(getattr(mood, name)[who] for name in Mood.__dataclass_fields__))
        path.reason[at] = deeper_cause(chosen, cause, by_spell(self.draws, "reason", which, who))

    def _answer(self, answers: pd.DataFrame) -> None:
        """Take back what could no longer happen because the customer had left."""
        person = answers["person"].to_numpy()
        left = self.path.left[self.path.spell[-1][person], person]
        for name in ("contacted", "accepted"):
            at = answers[name].to_numpy()
            answers[name] = np.where(at < left, at, np.inf)
        self.path.contacts.append(answers)

    def _change_plans(self, month: int, mood: Mood) -> None:
        """Renew contracts at their end, win some back later, change some plans: from the next month on."""
        begin, end = month_start(month), month_start(month + 1)
        u, v = self.draws.uniform("plan", month), self.draws.uniform("plan_day", month)
        length = np.where(self.draws.uniform("plan_length", month) < 0.5, 365, 730)
        ending = (self.contract_end >= begin) & (self.contract_end < end)
        renews = ending & (u < 0.55 - 0.10 * np.clip(mood.unhappy, -2, 3))
        past = ~(self.contract_end >= begin)
        signs = past & (u < 0.025)
        moves = ~ending & ~signs & (u > 0.985)
        at = np.where(renews, self.contract_end, begin + v * (end - begin))
        up = self.draws.normal("plan_up", month) > 0.5 * mood.price
        step = np.where(moves | (renews & (v < 0.25)), np.where(up, 1, -1), 0)
        self.plan = np.clip(self.plan + step, 0, len(c.FEES) - 1).astype(np.int8)
        self.contract_end = np.where(renews | signs, np.floor(at) + 0.5 + length, self.contract_end)
        who = np.flatnonzero(renews | signs | moves)
        self._subscribe(who, at[who])


def by_spell(draws: Draws, subject: str, spell: Array, who: Array) -> Array:
    """Give each person the uniform number of the spell they are in."""
    return np.stack([draws.uniform(subject, s) for s in range(SPELLS)])[spell, who]


def notice_delay(cause: Array, uniform: Array) -> Array:
    """Give the days until a departure is known: mostly under six, for some port-outs up to twelve."""
    usual = 0.02 + 5.9 * uniform**2
    slow = (cause == 1) & (uniform > 0.85)
    return np.where(slow, 6 + 40 * (uniform - 0.85), usual)

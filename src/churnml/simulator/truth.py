"""The truth that no real operator knows: traits, moods, chances, and what each offer would have led to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from churnml.config import Offer
from churnml.simulator import settings as c
from churnml.simulator.billing import service_cost, usual_amount
from churnml.simulator.clock import Array, Period, month_start, times
from churnml.simulator.latent import REASONS
from churnml.simulator.offers import log_effect, reach
from churnml.simulator.rows import ids, words
from churnml.simulator.world import SPAN, World, crossing, luck, with_contacts

_TRAITS = ("spend", "active", "price", "network", "service", "distress", "attentive", "bargain")


def trait_rows(world: World, period: Period, offers: Mapping[str, Offer]) -> pa.Table:
    """Make the fixed traits of whoever signs up in a period, with what a contact would do to them."""
    people = world.people
    who = np.flatnonzero(period.holds(people.signed_up))
    effects = {
        f"log_effect_{offer.id}": log_effect(people, offer.channel, offer.discount)[who] for offer in offers.values()
    }
    traits = {name: getattr(people, name)[who] for name in _TRAITS}
    return pa.table({"customer_id": ids("C", who), **traits, "sleeping_dog": people.dog[who], **effects})


def departure_rows(world: World, period: Period) -> pa.Table:
    """Make the departures in a period with their deeper cause."""
    at = np.nonzero(period.holds(world.left))
    return pa.table(
        {
            "customer_id": ids("C", at[1]),
            "signed_up_at": times(world.signed_up[at]),
            "churned_at": times(world.left[at]),
            "known_at": times(world.told[at]),
            "churn_type": words(c.CAUSES, world.cause[at]),
            "deeper_cause": words(REASONS, world.reason[at]),
        }
    )


def month_rows(world: World, month: int, offers: Mapping[str, Offer]) -> pa.Table:
    """Make one month's truth about everyone who is a customer in it, or left in the three months before it.

    The docs explain each column. Where an offer leads to is given for those there when the month begins.
    """
    begin, end = month_start(month), month_start(month + 1)
    recent = (world.signed_up < end) & (world.left >= month_start(month - SPAN - 1))
    who = np.flatnonzero(recent.any(axis=0))
    there = world.there(begin)[who]
    state = world.months[month]
    actual = with_contacts(state.hazard, world.effect(month))[:, who]
    margin = c.MARGIN_RATE * usual_amount(world, month) - service_cost(world, month)
    value = margin - np.array(c.LINE_COST)[world.people.segment]
    columns = {
        "customer_id": ids("C", who),
        "month": times(np.full(len(who), begin)),
        "spell": state.spell[who],
        "there": there,
        **{name: _small(mood[who]) for name, mood in vars(state.mood).items()},
        **{f"hazard_{cause}": actual[k] for k, cause in enumerate(c.CAUSES)},
        "contact_effect": _small(world.effect(month)[who]),
        "contact_effect_before": _small(world.carried(month)[who]),
        "expected_value": _small(value[who]),
    }
    for offer in (None, *offers.values()):
        columns.update(_outcomes(world, month, offer, who, there))
    return pa.table(columns)


def _outcomes(world: World, month: int, offer: Offer | None, who: Array, there: Array) -> dict[str, pa.Array]:
    """Find what an offer at the start of the month leads to: chances, and the potential departure itself."""
    nothing = np.zeros(world.people.count)
    whole = log_effect(world.people, offer.channel, offer.discount) if offer else nothing
    chance = reach(offer.channel) if offer else 0.0
    with_it = _chances(_hazards(world, month, whole, who), month)
    without = _chances(_hazards(world, month, nothing, who), month)
    mixed = {key: chance * with_it[key] + (1 - chance) * without[key] for key in without}
    reached = world.draws.uniform("reach", month) < chance
    when, cause = _departure(world, month, np.where(reached, whole, 0.0), who, there)
    word = f"with_{offer.id}" if offer else "without"
    return {
        **{f"leaves_{name}_{word}": _small(mixed[name], ~there) for name in c.CAUSES},
        f"leaves_span_{word}": _small(mixed["span"], ~there),
        f"churned_{word}": _small(mixed["label"] / (mixed["label"] + mixed["stays"]), ~there),
        f"leaves_at_{word}": times(when),
        f"leaves_type_{word}": words(c.CAUSES, cause, none=~np.isfinite(when)),
    }


def _hazards(world: World, month: int, whole: Array, who: Array) -> list[Array]:
    """Give the hazards of a contact's span if it is made as the month begins, and no other one later."""
    return [
        with_contacts(
            world.months[month + later].hazard[:, who],
            (world.carried(month, later) + strength * whole)[who],
        )
        for later, strength in enumerate(c.EFFECT_MONTHS)
    ]


def _chances(hazards: list[Array], month: int) -> dict[str, Array]:
    """Integrate the hazards: leaving this month by cause, leaving in the span, the label's outcome window."""
    opens = month_start(month) + c.LABEL_LEAD
    closes = opens + c.LABEL_HORIZON
    survival = stays = np.ones(hazards[0].shape[1])
    label = np.zeros_like(survival)
    found: dict[str, Array] = {}
    for later, hazard in enumerate(hazards):
        total = hazard.sum(axis=0)
        start, end = month_start(month + later), month_start(month + later + 1)
        low, high = max(start, opens), min(end, closes)
        if high > low:
            at = survival * np.exp(-total * (low - start))
            leaves = at * -np.expm1(-total * (high - low))
            label = label + leaves * hazard[:2].sum(axis=0) / total
            stays = at - leaves
        if later == 0:
            gone = -np.expm1(-total * (end - start))
            found = {name: gone * hazard[k] / total for k, name in enumerate(c.CAUSES)}
        survival = survival * np.exp(-total * (end - start))
    return {**found, "span": 1 - survival, "label": label, "stays": stays}


def _departure(world: World, month: int, whole: Array, who: Array, there: Array) -> tuple[Array, Array]:
    """Follow each person's own threshold through the span: the departure that would have been."""
    state = world.months[month]
    need = world.threshold[state.spell[who], who] - state.used[who]
    uniform = luck(world.draws, "cause", state.spell)[who]
    when, cause = np.full(len(who), np.inf), np.zeros(len(who), dtype=np.int8)
    for later, hazard in enumerate(_hazards(world, month, whole, who)):
        begin = np.where(there & np.isinf(when), float(month_start(month + later)), np.inf)
        at, rest, why = crossing(begin, month_start(month + later + 1), need, hazard, uniform)
        cause = np.where(np.isfinite(at), why, cause)
        when = np.minimum(when, at)
        need = np.where(np.isfinite(begin), rest, need)
    return when, cause


def _small(values: Array, none: Array | None = None) -> pa.Array:
    return pa.array(values.astype(np.float32), mask=none)

"""The truth that no real operator knows: traits, moods, chances, and what each offer would have led to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from churnml.simulator import settings as c
from churnml.simulator.billing import service_cost, usual_amount
from churnml.simulator.clock import Array, month_start, times
from churnml.simulator.draws import Draws
from churnml.simulator.latent import REASONS
from churnml.simulator.offers import Offer, log_effect, reach
from churnml.simulator.path import SPELLS, Path, crossing, with_contacts
from churnml.simulator.rows import ids, words
from churnml.simulator.traits import People

SPAN = len(c.EFFECT_MONTHS)  # months over which a contact has its effect


def trait_rows(people: People, offers: Mapping[str, Offer], begin: float, end: float) -> pa.Table:
    """Make the fixed traits of whoever signs up in ``[begin, end)``, with what a contact would do to them."""
    who = np.flatnonzero((people.signed_up >= begin) & (people.signed_up < end))
    plain = ("spend", "active", "price", "network", "service", "distress", "dog", "attentive", "bargain")
    columns = {"customer_id": ids("C", who), **{name: pa.array(getattr(people, name)[who]) for name in plain}}
    columns["sleeping_dog"] = columns.pop("dog")
    for offer in offers.values():
        columns[f"log_effect_{offer.id}"] = pa.array(log_effect(people, offer.channel, offer.discount)[who])
    return pa.table(columns)


def departure_rows(path: Path, begin: float, end: float) -> pa.Table:
    """Make the departures in ``[begin, end)`` with their deeper cause."""
    spell, person = np.nonzero((path.left >= begin) & (path.left < end))
    at = (spell, person)
    return pa.table(
        {
            "customer_id": ids("C", person),
            "signed_up_at": times(path.signed_up[at]),
            "churned_at": times(path.left[at]),
            "known_at": times(path.told[at]),
            "churn_type": words(c.CAUSES, path.cause[at]),
            "deeper_cause": words(REASONS, path.reason[at]),
        }
    )


def month_rows(people: People, draws: Draws, path: Path, month: int, offers: Mapping[str, Offer]) -> pa.Table:
    """Make one month's truth about everyone who is a customer in it, or left in the three months before it.

    The docs explain each column. Where an offer leads to is given for those there when the month begins.
    """
    begin, end = month_start(month), month_start(month + 1)
    recent = np.any((path.signed_up < end) & (path.left >= month_start(month - SPAN - 1)), axis=0)
    who = np.flatnonzero(recent)
    there = path.there(begin)[who]
    mood = path.moods[month]
    actual = with_contacts(path.hazard[month], path.effect[month])[:, who]
    usual = usual_amount(people, path, month)
    value = (
        c.MARGIN_RATE * usual
        - service_cost(people, path, month)
        - c.LINE_COST * np.array((1.0, 2.5, 10.0))[people.segment]
    )
    columns = {
        "customer_id": ids("C", who),
        "month": times(np.full(len(who), float(begin))),
        "spell": pa.array(path.spell[month][who]),
        "there": pa.array(there),
        **{
            name: _small(getattr(mood, name)[who])
            for name in ("price", "network", "service", "distress", "unhappy", "away")
        },
        **{f"hazard_{cause}": pa.array(actual[k]) for k, cause in enumerate(c.CAUSES)},
        "contact_effect": _small(path.effect[month][who]),
        "contact_effect_before": _small(path.effect_before[month][who]),
        "expected_value": _small(value[who]),
    }
    for offer in (None, *offers.values()):
        columns.update(_outcomes(people, draws, path, month, offer, who, there))
    return pa.table(columns)


def _outcomes(
    people: People, draws: Draws, path: Path, month: int, offer: Offer | None, who: Array, there: Array
) -> dict[str, pa.Array]:
    """Find what an offer at the start of the month leads to: chances, and the potential departure itself."""
    whole = log_effect(people, offer.channel, offer.discount) if offer else np.zeros(people.count)
    chance = reach(offer.channel) if offer else 0.0
    nowhere = np.zeros(people.count)
    with_it = _chances(_hazards(path, month, whole, who), month)
    without = _chances(_hazards(path, month, nowhere, who), month)
    mixed = {key: chance * with_it[key] + (1 - chance) * without[key] for key in without}
    reached = draws.uniform("reach", month) < chance
    when, cause = _departure(path, draws, month, np.where(reached, whole, 0.0), who, there)
    word = f"with_{offer.id}" if offer else "without"
    return {
        **{f"leaves_{name}_{word}": _small(mixed[name], ~there) for name in c.CAUSES},
        f"leaves_span_{word}": _small(mixed["span"], ~there),
        f"churned_{word}": _small(mixed["label"] / (mixed["label"] + mixed["stays"]), ~there),
        f"leaves_at_{word}": times(when),
        f"leaves_type_{word}": words(c.CAUSES, cause, none=~np.isfinite(when)),
    }


def _hazards(path: Path, month: int, whole: Array, who: Array) -> list[Array]:
    """Give the hazards of a contact's span if it is made as the month begins, and no other one later."""
    result = []
    for later, strength in enumerate(c.EFFECT_MONTHS):
        carried = _carried(path, month, later)
        result.append(with_contacts(path.hazard[month + later][:, who], (carried + strength * whole)[who]))
    return result


def _carried(path: Path, month: int, later: int) -> Array:
    """Give what earlier months' contacts still do in a month of the span."""
    total = np.zeros(path.effect_before[month].shape)
    for ago in range(1, SPAN - later):
        if month - ago >= 0:
            new = (path.effect[month - ago] - path.effect_before[month - ago]) / c.EFFECT_MONTHS[0]
            total = total + c.EFFECT_MONTHS[later + ago] * new
    return total


def _chances(hazards: list[Array], month: int) -> dict[str, Array]:
    """Integrate the hazards: leaving this month by cause, leaving in the span, the label's outcome window."""
    begin = month_start(month)
    opens = begin + c.LABEL_LEAD
    closes = opens + c.LABEL_HORIZON
    survival = np.ones(hazards[0].shape[1])
    label = np.zeros_like(survival)
    stays = survival
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


def _departure(path: Path, draws: Draws, month: int, whole: Array, who: Array, there: Array) -> tuple[Array, Array]:
    """Follow each person's own threshold through the span: the departure that would have been."""
    spell = path.spell[month][who]
    need = path.threshold[spell, who] - path.used[month][who]
    uniform = np.stack([draws.uniform("cause", s) for s in range(SPELLS)])[spell, who]
    when, cause = np.full(len(who), np.inf), np.zeros(len(who), dtype=np.int8)
    for later, hazard in enumerate(_hazards(path, month, whole, who)):
        total = hazard.sum(axis=0)
        begin = np.where(there & np.isinf(when), float(month_start(month + later)), np.inf)
        at, rest = crossing(begin, month_start(month + later + 1), need, total)
        shares = np.cumsum(hazard, axis=0) / total
        cause = np.where(np.isfinite(at), (uniform > shares).sum(axis=0), cause).astype(np.int8)
        when = np.minimum(when, at)
        need = np.where(np.isfinite(begin), rest, need)
    return when, cause


def _small(values: Array, none: Array | None = None) -> pa.Array:
    return pa.array(values.astype(np.float32), mask=none)

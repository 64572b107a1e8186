"""The tables ``bills`` and ``costs``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, Period, month_name, month_start, times
from churnml.simulator.rows import ids, money, versions, words
from churnml.simulator.traits import People
from churnml.simulator.world import World


def bill_month(world: World, period: Period, month: int) -> pa.Table:
    """Make what becomes known in a period of the bills of one month.

    A bill covers the time since the one before; whoever left since then gets a last one. It is due after 15-20 days,
    and paid sooner, later, in part or never.
    """
    draws = world.draws
    billed = bill_time(world.people, month)
    share = world.share(bill_time(world.people, month - 1), billed)
    due = np.floor(billed) + 15 + np.arange(len(billed)) % 6
    noise = np.exp(0.12 * draws.normal("bill_noise", month) - 0.0072)
    amount = usual_amount(world, month) * share * noise * (1 - _discounts(world, billed))
    u = draws.uniform("bill_correction", month)
    corrected = u < c.CORRECTED_BILLS
    right = amount * np.where(corrected, 0.75 + 0.5 * draws.uniform("bill_right", month), 1.0)
    again = np.where(corrected, billed + 2 + 8 * u / c.CORRECTED_BILLS, np.inf)
    paid, paid_share = _payment(world, month, billed, due)
    paid = np.where(corrected, np.maximum(paid, again + 0.2), paid)

    there = share > 0
    first, known_first = versions(period, np.where(there, billed, np.inf), np.where(corrected, np.inf, paid))
    second, known_second = versions(period, np.where(there, again, np.inf), paid)
    known_second = np.where(np.isnan(known_second), again[second], known_second)
    who, known = np.concatenate([first, second]), np.concatenate([known_first, known_second])
    amounts = np.concatenate([amount[first], right[second]])
    order = np.lexsort((np.nan_to_num(known, nan=-np.inf), who))
    who, known, amounts = who[order], known[order], amounts[order]
    shown = period.seen(paid[who])
    return pa.table(
        {
            "bill_id": ids(f"B{month_name(month).replace('-', '')}", who),
            "customer_id": ids("C", who),
            "billed_at": times(billed[who]),
            "due_at": times(due[who]),
            "amount": money(amounts),
            "paid_at": times(shown),
            "paid_amount": money(np.round(right[who], 2) * paid_share[who], none=~np.isfinite(shown)),
            "known_at": times(known),
        }
    )


def bill_time(people: People, month: int) -> Array:
    """Give the time of each person's bill in a month, in days."""
    begin, end = month_start(month), month_start(month + 1)
    return np.asarray(begin + np.minimum(people.cycle_day, end - begin) - 1 + 0.1)


def usual_amount(world: World, month: int) -> Array:
    """Give what each person spends in a month, without noise and discounts: the fee, and what usage adds."""
    fees, people, state = np.array(c.FEES, dtype=float), world.people, world.months[month]
    extra = np.maximum(people.spend - fees[people.plan], 0.05 * people.spend)
    return np.asarray(fees[state.plan] + extra * state.mood.fade)


def service_cost(world: World, month: int) -> Array:
    """Give what each person's usage of a month costs the operator."""
    return c.SERVICE_COST_SHARE * usual_amount(world, month) * world.months[month].mood.fade ** 0.5


def _discounts(world: World, billed: Array) -> Array:
    """Give each person's highest discount in force at the time of the bill."""
    rows = world.contacts
    at = billed[rows["person"]]
    rows = rows[(rows["accepted"] <= at) & (at < rows["accepted"] + rows["discount_days"])]
    found = np.zeros(billed.shape)
    np.maximum.at(found, rows["person"], rows["discount"])
    return found


def _payment(world: World, month: int, billed: Array, due: Array) -> tuple[Array, Array]:
    """Give when each person pays, infinite if never, and what share: worse where money is short."""
    draws, mood, method = world.draws, world.months[month].mood, world.people.payments[month]
    habit = np.array((-0.9, 0.0, 0.6))[method]
    trouble = 1 / (1 + np.exp(2.75 - 1.05 * mood.distress - 0.22 * np.clip(mood.away, -2, 4) - habit))
    u, v = draws.uniform("payment", month), draws.uniform("payment_day", month)
    on_time = billed + np.where(method == 0, 1 + 3 * v, 1 + (due - billed - 1) * v)
    late = due + 1.2 + np.minimum(12 * draws.exponential("payment_late", month), 60)
    paid = np.where(u < trouble, late, on_time)
    share = np.where((u >= 0.16 * trouble) & (u < 0.26 * trouble), np.round(0.3 + 0.5 * v, 2), 1.0)
    return np.where(u < 0.16 * trouble, np.inf, paid), share


def cost_month(world: World, month: int) -> pa.Table:
    """Make the costs of one month: the service used, the line, and equipment with some new contracts."""
    people = world.people
    at = bill_time(people, month) + 0.4
    who = np.flatnonzero(world.there(at))
    line = np.array(c.LINE_COST)[people.segment]
    new = _equipment(world, month)
    equipment = c.EQUIPMENT_COST * np.minimum(people.spend[new["person"]] / 60, 8) ** 0.5
    kind = np.repeat(np.arange(3), [len(who), len(who), len(new)])
    return pa.table(
        {
            "customer_id": ids("C", np.concatenate([who, who, new["person"]])),
            "incurred_at": times(np.concatenate([at[who], at[who], new["at"]])),
            "amount": money(np.concatenate([service_cost(world, month)[who], line[who], equipment])),
            "kind": words(("service", "line", "equipment"), kind),
        }
    )


def _equipment(world: World, month: int) -> pd.DataFrame:
    """Choose the new contracts of a month that come with equipment."""
    rows = world.subscriptions
    new = rows["at"].between(month_start(month), month_start(month + 1), inclusive="left")
    rows = rows[new & (rows["contract_end"] - rows["at"] > 300)]
    person, at = rows["person"].to_numpy(), rows["at"].to_numpy()
    lucky = world.draws.uniform("equipment", month)[person] < 0.3
    return pd.DataFrame(rows[lucky & world.there(at, person)])

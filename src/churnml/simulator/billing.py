"""The tables ``bills`` and ``costs``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, month_name, month_start, times
from churnml.simulator.draws import Draws
from churnml.simulator.path import Path
from churnml.simulator.rows import ids, money, not_yet, versions, words
from churnml.simulator.traits import People

_KINDS = ("service", "line", "equipment")


def bill_month(people: People, draws: Draws, path: Path, month: int, begin: float, end: float) -> pa.Table:
    """Make what becomes known in ``[begin, end)`` of the bills of one month.

    A bill covers the time since the one before; whoever left since then gets a last one. It is due after
    15-20 days, and paid sooner, later, in part or never.
    """
    billed = bill_time(people, month)
    share = path.share(bill_time(people, month - 1), billed)
    who = np.flatnonzero(share > 0)
    amount = (usual_amount(people, path, month) * share * _noise(draws, month) * (1 - _discounts(path, billed)))[who]
    due = np.floor(billed[who]) + 15 + who % 6
    paid, paid_share = _payment(draws, path, month, billed, np.floor(billed) + 15 + np.arange(people.count) % 6)
    u = draws.uniform("bill_correction", month)[who]
    corrected = u < c.CORRECTED_BILLS
    again = np.where(corrected, billed[who] + 2 + 8 * u / c.CORRECTED_BILLS, np.inf)
    right = np.where(corrected, amount * (0.75 + 0.5 * draws.uniform("bill_right", month)[who]), amount)
    paid = np.where(corrected, np.maximum(paid[who], again + 0.2), paid[who])

    first, known_first = versions(billed[who], [np.where(corrected, np.inf, paid)], begin, end)
    second, _ = versions(again, [paid], begin, end)
    known_second = np.where((again[second] >= begin) & (again[second] < end), again[second], paid[second])
    take = np.concatenate([first, second])
    known = np.concatenate([known_first, known_second])
    amounts = np.concatenate([amount[first], right[second]])
    order = np.lexsort((np.nan_to_num(known, nan=-np.inf), take))
    take, known, amounts = take[order], known[order], amounts[order]
    shown = not_yet(paid[take], end)
    return pa.table(
        {
            "bill_id": ids(f"B{month_name(month).replace('-', '')}", who[take]),
            "customer_id": ids("C", who[take]),
            "billed_at": times(billed[who][take]),
            "due_at": times(due[take]),
            "amount": money(amounts),
            "paid_at": times(shown),
            "paid_amount": money(np.round(right[take], 2) * paid_share[who][take], none=~np.isfinite(shown)),
            "known_at": times(known),
        }
    )


def bill_time(people: People, month: int) -> Array:
    """Give the time of each person's bill in a month, in days."""
    begin = month_start(month)
    length = month_start(month + 1) - begin
    return begin + np.minimum(people.cycle_day, length) - 1 + 0.1


def usual_amount(people: People, path: Path, month: int) -> Array:
    """Give what each person spends in a month, without noise and discounts: the fee, and what usage adds."""
    usual_fee = np.array(c.FEES, dtype=float)[people.plan]
    extra = np.maximum(people.spend - usual_fee, 0.05 * people.spend)
    result: Array = np.array(c.FEES, dtype=float)[path.plan[month]] + extra * path.moods[month].fade
    return result


def service_cost(people: People, path: Path, month: int) -> Array:
    """Give what each person's usage of a month costs the operator."""
    return c.SERVICE_COST_SHARE * usual_amount(people, path, month) * path.moods[month].fade ** 0.5


def _noise(draws: Draws, month: int) -> Array:
    return np.exp(0.12 * draws.normal("bill_noise", month) - 0.0072)


def _discounts(path: Path, billed: Array) -> Array:
    """Give each person's highest discount in force at the time of the bill."""
    found = np.zeros(billed.shape)
    accepted = [rows[np.isfinite(rows["accepted"]) & (rows["discount"] > 0)] for rows in path.contacts]
    rows = pd.concat(accepted)
    if len(rows):
        person, since = rows["person"].to_numpy(), rows["accepted"].to_numpy()
        at = billed[person]
        holds = (since <= at) & (at < since + rows["discount_days"].to_numpy())
        np.maximum.at(found, person[holds], np.minimum(rows["discount"].to_numpy()[holds], 1.0))
    return found


def _payment(draws: Draws, path: Path, month: int, billed: Array, due: Array) -> tuple[Array, Array]:
    """Give when each person pays, infinite if never, and what share: worse where money is short."""
    mood, method = path.moods[month], path.payment[month]
    habit = np.array((-0.9, 0.0, 0.6))[method]
    trouble = 1 / (1 + np.exp(2.75 - 1.05 * mood.distress - 0.22 * np.clip(mood.away, -2, 4) - habit))
    u, v = draws.uniform("payment", month), draws.uniform("payment_day", month)
    on_time = billed + np.where(method == 0, 1 + 3 * v, 1 + (due - billed - 1) * v)
    late = due + 1.2 + np.minimum(12 * draws.exponential("payment_late", month), 60)
    paid = np.where(u < trouble, late, on_time)
    share = np.where((u >= 0.16 * trouble) & (u < 0.26 * trouble), np.round(0.3 + 0.5 * v, 2), 1.0)
    return np.where(u < 0.16 * trouble, np.inf, paid), share


def cost_month(people: People, draws: Draws, path: Path, month: int) -> pa.Table:
    """Make the costs of one month: the service used, the line, and equipment with some new contracts."""
    begin, end = month_start(month), month_start(month + 1)
    at = bill_time(people, month) + 0.4
    who = np.flatnonzero(path.there(at))
    line = c.LINE_COST * np.array((1.0, 2.5, 10.0))[people.segment]
    given = _equipment(draws, path, month, begin, end)
    person = np.concatenate([who, who, given["person"]])
    when = np.concatenate([at[who], at[who], given["at"]])
    equipment = c.EQUIPMENT_COST * np.minimum(people.spend[given["person"]] / 60, 8) ** 0.5
    amount = np.concatenate([service_cost(people, path, month)[who], line[who], equipment])
    kind = np.repeat(np.arange(3), [len(who), len(who), len(given["person"])])
    return pa.table(
        {
            "customer_id": ids("C", person),
            "incurred_at": times(when),
            "amount": money(amount),
            "kind": words(_KINDS, kind),
        }
    )


def _equipment(draws: Draws, path: Path, month: int, begin: int, end: int) -> dict[str, Array]:
    events = [{key: event[key] for key in ("person", "at", "contract_end")} for event in path.subscriptions]
    rows = {key: np.concatenate([event[key] for event in events]) for key in events[0]}
    fresh = (rows["contract_end"] - rows["at"] > 300) & (rows["at"] >= begin) & (rows["at"] < end)
    lucky = draws.uniform("equipment", month)[rows["person"]] < 0.3
    person, at = rows["person"], rows["at"]
    there = np.any((path.signed_up[:, person] <= at) & (at < path.left[:, person]), axis=0)
    return {key: rows[key][fresh & lucky & there] for key in ("person", "at")}

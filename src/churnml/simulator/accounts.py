"""The tables ``customers`` and ``subscriptions``, with their versions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, month_start, times
from churnml.simulator.draws import Draws
from churnml.simulator.latent import REASON_TEXTS
from churnml.simulator.path import SPELLS, Path
from churnml.simulator.rows import ids, words
from churnml.simulator.traits import People

_SURNAMES = (
    "Wang",
    "Li",
    "Zhang",
    "Liu",
    "Chen",
    "Yang",
    "Zhao",
    "Huang",
    "Zhou",
    "Wu",
    "Xu",
    "Sun",
    "Hu",
    "Zhu",
    "Gao",
)
_GIVEN = (
    "Wei",
    "Fang",
    "Min",
    "Jing",
    "Lei",
    "Qiang",
    "Yan",
    "Jie",
    "Tao",
    "Ming",
    "Ping",
    "Hua",
    "Ting",
    "Bo",
    "Xin",
)


def customer_rows(people: People, draws: Draws, path: Path, begin: float, end: float) -> pa.Table:
    """Make the versions of ``customers`` known from ``[begin, end)`` on: sign-up, changes, departure."""
    parts = [
        _sign_ups(path, begin, end),
        _changes(path, begin, end),
        _departures(path, begin, end),
    ]
    person, spell, month, known = (np.concatenate([part[k] for part in parts]) for k in range(4))
    gone = np.concatenate(
        [np.zeros(len(part[0]), dtype=bool) for part in parts[:2]] + [np.ones(len(parts[2][0]), dtype=bool)]
    )
    order = np.lexsort((np.nan_to_num(known, nan=-np.inf), spell, person))
    person, spell, month, known, gone = person[order], spell[order], month[order], known[order], gone[order]
    segment, payment, manager = (np.stack(list_)[month, person] for list_ in (path.segment, path.payment, path.manager))
    cause = np.where(gone, path.cause[spell, person], 0)
    told = _told_reason(draws, path, spell, person)
    return pa.table(
        {
            "customer_id": ids("C", person),
            "signed_up_at": times(path.signed_up[spell, person]),
            "churned_at": times(np.where(gone, path.left[spell, person], np.inf)),
            "churn_type": words(c.CAUSES, cause, none=~gone),
            "churn_reason": words(REASON_TEXTS, np.where(gone, told, 0), none=~gone),
            "segment": words(c.SEGMENTS, segment),
            "account_manager": words([f"AM{k + 1:02d}" for k in range(c.MANAGERS)], manager, none=segment != 2),
            "region": words(c.REGIONS, people.region[person]),
            "city_tier": words(c.CITY_TIERS, people.city[person]),
            "age_band": words(c.AGE_BANDS, people.age[person]),
            "acquisition_channel": words(c.ACQUISITION, people.acquisition[person]),
            "payment_method": words(c.PAYMENT_METHODS, payment),
            "name": words(
                [f"{a} {b}" for a in _SURNAMES for b in _GIVEN],
                person * 7_919 % (len(_SURNAMES) * len(_GIVEN)),
            ),
            "phone": ids("100", person),  # no Chinese mobile number begins with 100
            "known_at": times(known),
        }
    )


def _sign_ups(path: Path, begin: float, end: float) -> tuple[Array, ...]:
    spell, person = np.nonzero((path.signed_up >= begin) & (path.signed_up < end))
    month = month_index(path.signed_up[spell, person], len(path.segment))
    return person, spell, month, np.full(len(person), np.nan)


def _changes(path: Path, begin: float, end: float) -> tuple[Array, ...]:
    found = [(np.empty(0, dtype=np.int64),) * 3 + (np.empty(0),)]
    for month in range(1, len(path.segment)):
        at = month_start(month)
        if not begin <= at < end:
            continue
        key = path.segment[month] == 2
        changed = (path.segment[month] != path.segment[month - 1]) | (path.payment[month] != path.payment[month - 1])
        changed |= key & (path.manager[month] != path.manager[month - 1])
        spell, person = np.nonzero((path.signed_up < at) & (at < path.left) & changed)
        found.append((person, spell, np.full(len(person), month), np.full(len(person), float(at))))
    return tuple(np.concatenate([part[k] for part in found]) for k in range(4))


def _departures(path: Path, begin: float, end: float) -> tuple[Array, ...]:
    spell, person = np.nonzero((path.told >= begin) & (path.told < end))
    month = month_index(path.left[spell, person], len(path.segment))
    return person, spell, month, path.told[spell, person]


def _told_reason(draws: Draws, path: Path, spell: Array, person: Array) -> Array:
    """Let four in five give the true reason, some none, some the handy one: too expensive."""
    u = draws.uniform("told_reason")[person]
    return np.where(u < 0.80, path.reason[spell, person], np.where(u < 0.92, len(REASON_TEXTS) - 1, 0))


def month_index(days: Array, months: int) -> Array:
    """Find the month of each time; what is before the start is in month 0."""
    starts = [month_start(month) for month in range(1, months)]
    return np.searchsorted(starts, days, side="right")


def subscription_rows(path: Path, begin: float, end: float) -> pa.Table:
    """Make the versions of ``subscriptions`` that become known in ``[begin, end)``: opened, and closed."""
    rows = _subscriptions(path)
    opened = np.flatnonzero((rows["at"] >= begin) & (rows["at"] < end))
    closed = np.flatnonzero((rows["told"] >= begin) & (rows["told"] < end))
    take = np.concatenate([opened, closed])
    known = np.concatenate([np.full(len(opened), np.nan), rows["told"][closed]])
    order = np.lexsort((np.nan_to_num(known, nan=-np.inf), take))
    take, known = take[order], known[order]
    number = ids("", rows["number"][take], digits=3)
    return pa.table(
        {
            "row_id": pc.binary_join_element_wise(ids("S", rows["person"][take]), number, "-"),
            "customer_id": ids("C", rows["person"][take]),
            "plan": words([f"plan_{fee}" for fee in c.FEES], rows["plan"][take]),
            "started_at": times(rows["at"][take]),
            "ended_at": times(np.where(np.isnan(known), np.inf, rows["ended"][take])),
            "monthly_fee": pa.array(np.array(c.FEES, dtype=float)[rows["plan"][take]]),
            "contract_ends_at": times(np.floor(rows["contract_end"][take])),
            "known_at": times(known),
        }
    )


def _subscriptions(path: Path) -> dict[str, Array]:
    """Put the latent changes of plan together with the spells: those while the person is there."""
    events = {key: np.concatenate([event[key] for event in path.subscriptions]) for key in path.subscriptions[0]}
    person = events["person"]
    inside = [
        (path.signed_up[s, events["person"]] <= events["at"]) & (events["at"] < path.left[s, events["person"]])
        for s in range(SPELLS)
    ]
    spell = np.where(inside[1], 1, 0)
    order = np.lexsort((events["at"], events["person"]))
    order = order[np.any(inside, axis=0)[order]]
    rows = {key: values[order] for key, values in events.items()}
    spell, person = spell[order], rows["person"]
    starts = np.flatnonzero(np.r_[True, person[1:] != person[:-1]])
    sizes = np.diff(np.r_[starts, len(person)])
    rows["number"] = np.arange(len(person)) - np.repeat(starts, sizes)
    followed = np.r_[(person[1:] == person[:-1]) & (spell[1:] == spell[:-1]), False]
    following = np.r_[rows["at"][1:], np.inf]
    rows["ended"] = np.where(followed, following, path.left[spell, person])
    rows["told"] = np.where(followed, following, path.told[spell, person])
    return rows

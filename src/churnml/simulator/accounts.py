"""The tables ``customers`` and ``subscriptions``, with their versions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, Period, month_start, times
from churnml.simulator.rows import ids, words
from churnml.simulator.world import World

_SURNAMES = "Wang Li Zhang Liu Chen Yang Zhao Huang Zhou Wu Xu Sun Hu Zhu Gao".split()  # noqa: SIM905
_GIVEN_NAMES = "Wei Fang Min Jing Lei Qiang Yan Jie Tao Ming Ping Hua Ting Bo Xin".split()  # noqa: SIM905
_NAMES = [f"{surname} {given}" for surname in _SURNAMES for given in _GIVEN_NAMES]
_MANAGERS = [f"AM{k + 1:02d}" for k in range(c.MANAGERS)]
_REASON_TEXTS = (  # in the order of latent.REASONS
    "too expensive",
    "poor coverage or slow data",
    "unhappy with the service",
    "moved away",
    "better offer elsewhere",
    "did not pay",
    "no reason given",
)


def customer_rows(world: World, period: Period) -> pa.Table:
    """Make the versions of ``customers`` known from a period on: sign-up, changes, departure."""
    came, went = np.nonzero(period.holds(world.signed_up)), np.nonzero(period.holds(world.told))
    parts = [
        _versions(world, came, world.signed_up[came], np.nan),
        *_changes(world, period),
        _versions(world, went, world.left[went], world.told[went], gone=True),
    ]
    rows = pd.concat(parts).sort_values(["person", "spell", "known"], na_position="first")
    person, spell, month, known, gone = (rows[name].to_numpy() for name in rows)
    people, segment = world.people, world.people.segments[month, person]
    return pa.table(
        {
            "customer_id": ids("C", person),
            "signed_up_at": times(world.signed_up[spell, person]),
            "churned_at": times(np.where(gone, world.left[spell, person], np.inf)),
            "churn_type": words(c.CAUSES, world.cause[spell, person], none=~gone),
            "churn_reason": words(_REASON_TEXTS, _told_reason(world, spell, person), none=~gone),
            "segment": words(c.SEGMENTS, segment),
            "account_manager": words(_MANAGERS, people.managers[month, person], none=segment != 2),
            "region": words(c.REGIONS, people.region[person]),
            "city_tier": words(c.CITY_TIERS, people.city[person]),
            "age_band": words(c.AGE_BANDS, people.age[person]),
            "acquisition_channel": words(c.ACQUISITION, people.acquisition[person]),
            "payment_method": words(c.PAYMENT_METHODS, people.payments[month, person]),
            "name": words(_NAMES, person * 7_919 % len(_NAMES)),
            "phone": ids("100", person),  # no Chinese mobile number begins with 100
            "known_at": times(known),
        }
    )


def _versions(
    world: World, at: tuple[Array, ...], when: Array, known: Array | float, *, gone: bool = False
) -> pd.DataFrame:
    """List versions by spell and person; the attributes are those of the month of ``when``."""
    starts = [month_start(month) for month in range(1, len(world.months))]
    month = np.searchsorted(starts, when, side="right")  # what is before the start is in month 0
    return pd.DataFrame({"person": at[1], "spell": at[0], "month": month, "known": known, "gone": gone})


def _changes(world: World, period: Period) -> list[pd.DataFrame]:
    people, found = world.people, []
    for month in range(max(period.first, 1), period.last + 1):
        begin = float(month_start(month))
        segment, payment, manager = (
            values[month] != values[month - 1] for values in (people.segments, people.payments, people.managers)
        )
        changed = segment | payment | (manager & (people.segments[month] == 2))
        at = np.nonzero((world.signed_up < begin) & (begin < world.left) & changed)
        found.append(_versions(world, at, np.full(len(at[0]), begin), begin))
    return found


def _told_reason(world: World, spell: Array, person: Array) -> Array:
    """Let four in five give the true reason, some none, some the handy one: too expensive."""
    u = world.draws.uniform("told_reason")[person]
    true, none = world.reason[spell, person], len(_REASON_TEXTS) - 1
    return np.where(u < 0.80, true, np.where(u < 0.92, none, 0))


def subscription_rows(world: World, period: Period) -> pa.Table:
    """Make the versions of ``subscriptions`` that become known in a period: opened, and closed."""
    rows = _subscriptions(world)
    opened = rows[period.holds(rows["at"].to_numpy())].assign(ended=np.inf)
    closed = rows[period.holds(rows["told"].to_numpy())].assign(known=lambda row: row["told"])
    rows = pd.concat([opened, closed]).sort_values(["person", "number", "known"], na_position="first")
    columns = {name: rows[name].to_numpy() for name in rows}
    number = ids("", columns["number"], digits=3)
    return pa.table(
        {
            "row_id": pc.binary_join_element_wise(ids("S", columns["person"]), number, "-"),
            "customer_id": ids("C", columns["person"]),
            "plan": words([f"plan_{fee}" for fee in c.FEES], columns["plan"]),
            "started_at": times(columns["at"]),
            "ended_at": times(columns["ended"]),
            "monthly_fee": np.array(c.FEES, dtype=float)[columns["plan"]],
            "contract_ends_at": times(np.floor(columns["contract_end"])),
            "known_at": times(columns["known"]),
        }
    )


def _subscriptions(world: World) -> pd.DataFrame:
    """Put the choices of a plan together with the spells: those while the person is there."""
    rows = world.subscriptions.sort_values(["person", "at"])
    person, at = rows["person"].to_numpy(), rows["at"].to_numpy()
    again = (world.signed_up[1, person] <= at).astype(int)
    rows = rows.assign(spell=again, known=np.nan)[world.there(at, person)]
    following = rows.groupby(["person", "spell"])["at"].shift(-1)
    spell = (rows["spell"].to_numpy(), rows["person"].to_numpy())
    return rows.assign(
        number=rows.groupby("person").cumcount(),
        ended=following.where(following.notna(), world.left[spell]),
        told=following.where(following.notna(), world.told[spell]),
    )

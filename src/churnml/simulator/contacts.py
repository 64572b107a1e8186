"""Whom the operator contacted: its own past campaigns, and those that are handed in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from churnml.errors import ChurnmlError
from churnml.simulator.clock import Array, month_name, month_start, times
from churnml.simulator.draws import Draws
from churnml.simulator.latent import Mood
from churnml.simulator.offers import Offer, acceptance, log_effect, reach
from churnml.simulator.rows import ids, texts
from churnml.simulator.traits import People

PLAN = [
    "month",
    "person",
    "campaign_id",
    "arm",
    "propensity",
    "offer_id",
    "channel",
    "discount",
    "discount_days",
    "cost",
]
ARMS = ("treated", "control")
_NEEDED = ["campaign_id", "customer_id", "arm", "offer_id", "propensity"]


def no_contacts() -> pd.DataFrame:
    """Make a plan without rows."""
    return _plan(0, np.empty(0, dtype=np.int64), "", np.empty(0, dtype=object), np.empty(0), [])


def own_campaign(month: int, draws: Draws, there: Array, mood: Mood, offers: list[Offer]) -> pd.DataFrame:
    """Draw up the operator's own campaign of a month: every third one, by turns randomised and by a rule."""
    if month % 3 != 2 or not offers:
        return no_contacts()
    number = month // 3
    if number % 2 == 0:
        return _randomised(month, number, draws, there, offers)
    # what a retention desk would see as risk, with much noise; the offer that was in fashion
    risk = 0.6 * mood.away + 0.4 * mood.service + 0.3 * mood.distress + 1.0 * draws.normal("desk", month)
    risk = np.where(there, risk, -np.inf)
    chosen = np.flatnonzero(risk >= np.quantile(risk[there], 0.94)) if there.any() else np.empty(0, dtype=np.int64)
    offer = offers[(number // 2) % len(offers)]
    name = f"desk_{month_name(month)}"
    return _plan(
        month,
        chosen,
        name,
        np.full(len(chosen), "treated", dtype=object),
        np.full(len(chosen), np.nan),
        offer,
    )


def _randomised(month: int, number: int, draws: Draws, there: Array, offers: list[Offer]) -> pd.DataFrame:
    share, propensity = ((0.20, 0.7), (0.15, 0.5), (0.12, 0.8))[number // 2 % 3]
    people = np.flatnonzero(there & (draws.uniform("campaign", month) < share))
    arm = np.where(draws.uniform("arm", month)[people] < propensity, "treated", "control").astype(object)
    which = (draws.uniform("offer", month)[people] * len(offers)).astype(int)
    name = f"trial_{month_name(month)}"
    chances = np.full(len(people), propensity)
    return _plan(month, people, name, arm, chances, [offers[k] for k in which])


def _plan(
    month: int, people: Array, campaign: str, arm: Array, propensity: Array, offers: Offer | list[Offer]
) -> pd.DataFrame:
    listed = [offers] * len(people) if isinstance(offers, Offer) else offers
    return pd.DataFrame(
        {
            "month": np.full(len(people), month, dtype=np.int64),
            "person": people.astype(np.int64),
            "campaign_id": pd.Series([campaign] * len(people), dtype=object),
            "arm": pd.Series(arm, dtype=object),
            "propensity": propensity.astype(float),
            "offer_id": pd.Series([offer.id for offer in listed], dtype=object),
            "channel": pd.Series([offer.channel for offer in listed], dtype=object),
            "discount": np.array([offer.discount for offer in listed], dtype=float),
            "discount_days": np.array([offer.discount_days for offer in listed], dtype=float),
            "cost": np.array([offer.cost for offer in listed], dtype=float),
        }
    )


def past_contacts(tables: Path) -> pd.DataFrame:
    """Read what was planned from the ``contacts`` tables of the periods that are there.

    Raises
    ------
    ChurnmlError
        If one of them cannot be read.
    """
    columns = ["assigned_at", "customer_id", *PLAN[2:-1], "planned_cost"]
    frames = []
    for file in (period / "contacts.parquet" for period in sorted(tables.glob("[0-9]*"))):
        try:
            frames.append(pq.read_table(file, columns=columns).to_pandas())
        except (OSError, pa.ArrowException) as error:
            raise ChurnmlError(
                f"{file} cannot be read as it was written", "put it back, or simulate anew", file=str(file)
            ) from error
    rows = pd.concat(frames, ignore_index=True)
    rows["person"] = rows["customer_id"].str[1:].astype("int64") if len(rows) else np.empty(0, dtype=np.int64)
    months = rows["assigned_at"].to_numpy().astype("datetime64[M]").astype(np.int64)
    rows["month"] = months - np.datetime64(month_name(0), "M").astype(np.int64)
    plan: pd.DataFrame = rows.rename(columns={"planned_cost": "cost"})[PLAN]
    return plan


def assigned_contacts(
    file: Path, month: int, count: int, offers: dict[str, Offer], configuration: Path
) -> pd.DataFrame:
    """Read assignments; ``treated`` and ``control`` become the plan of a month, other arms nothing.

    Raises
    ------
    ChurnmlError
        If the file or a column is missing, or a row has an unknown customer or offer, or is there twice.
    """
    rows = _read(file)
    rows = rows[rows["arm"].isin(ARMS)].reset_index(drop=True)
    name = str(file)
    index = pd.to_numeric(rows["customer_id"].astype(str).str.extract(r"^C(\d{8})$")[0])
    _refuse(
        rows["customer_id"],
        index.isna() | (index >= count),
        "customers that the simulation does not have",
        name,
    )
    twice = rows.duplicated(["campaign_id", "customer_id"])
    _refuse(rows["customer_id"], twice, "customers more than once in one campaign", name)
    missing = rows["offer_id"].isna() & (rows["arm"] == "treated")
    _refuse(rows["customer_id"], missing, "treated customers without an offer_id", name)
    unknown = sorted(set(rows["offer_id"].dropna().astype(str)) - set(offers))
    if unknown:
        raise ChurnmlError(
            f"{name}: {configuration} does not have the offer {', '.join(map(repr, unknown[:5]))}",
            f"add it to campaign.offers, or use one of {', '.join(sorted(offers)) or 'none'}",
            file=name,
            column="offer_id",
            offers=unknown,
        )
    nothing = Offer(id="", channel="")
    listed = [nothing if pd.isna(offer) else offers[str(offer)] for offer in rows["offer_id"]]
    people = index.to_numpy(dtype=np.int64)
    plan = _plan(
        month,
        people,
        "",
        rows["arm"].to_numpy(dtype=object),
        rows["propensity"].to_numpy(dtype=float),
        listed,
    )
    plan["campaign_id"] = rows["campaign_id"].astype(str).astype(object)
    return plan.sort_values(["campaign_id", "person"], ignore_index=True)


def _read(file: Path) -> pd.DataFrame:
    if not file.is_file():
        raise ChurnmlError(f"{file} does not exist", "name the file that campaign assignments wrote", file=str(file))
    try:
        found = set(pq.read_schema(file).names)
        missing = [column for column in _NEEDED if column not in found]
        if missing:
            raise ChurnmlError(
                f"{file} has no column {', '.join(missing)}",
                "name the file that campaign assignments wrote",
                file=str(file),
                column=missing,
            )
        rows: pd.DataFrame = pq.read_table(file, columns=_NEEDED).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise ChurnmlError(
            f"{file} is not a Parquet file that can be read", "write it again", file=str(file)
        ) from error
    return rows


def _refuse(customers: pd.Series, wrong: pd.Series, what: str, file: str) -> None:
    if wrong.any():
        examples = ", ".join(customers[wrong].astype(str).head(3))
        raise ChurnmlError(
            f"{file} has {what} ({int(wrong.sum())} rows, such as {examples})",
            "correct these rows",
            file=file,
            rows=int(wrong.sum()),
        )


def respond(plan: pd.DataFrame, month: int, people: People, draws: Draws, there: Array) -> pd.DataFrame:
    """Find out what a month's contacts lead to: ``effect`` (0: not reached), and times in days.

    The answer is each person's own: it depends on the seed, the month, the channel and the discount only. The
    effect counts from the start of the month, and the contact is made on that day.
    """
    plan = plan.reset_index(drop=True)
    person = plan["person"].to_numpy()
    effect, reached, takes = (
        np.zeros(len(plan)),
        np.zeros(len(plan), dtype=bool),
        np.zeros(len(plan), dtype=bool),
    )
    lucky, willing = draws.uniform("reach", month), draws.uniform("accept", month)
    channels, discounts = plan["channel"].to_numpy(dtype=object), plan["discount"].to_numpy(dtype=float)
    treated = (plan["arm"] == "treated").to_numpy()
    for channel, discount in sorted(set(zip(channels[treated], discounts[treated], strict=True))):
        rows = np.flatnonzero(treated & (channels == channel) & (discounts == discount))
        who = person[rows]
        whole = log_effect(people, channel, discount)
        effect[rows] = whole[who]
        reached[rows] = lucky[who] < reach(channel)
        takes[rows] = willing[who] < acceptance(people, whole, discount)[who]
    reached &= there[person]
    contacted = month_start(month) + (9 + 12 * draws.uniform("contact_hour", month)[person]) / 24
    delay = np.minimum(4 * draws.exponential("answer_days", month)[person], 18)
    return plan.assign(
        effect=np.where(reached, effect, 0.0),
        contacted=np.where(reached, contacted, np.inf),
        accepted=np.where(reached & takes, contacted + 0.01 + delay, np.inf),
    )


def contact_rows(answers: pd.DataFrame, first: int, last: int) -> pa.Table:
    """Make the ``contacts`` table of the months ``first`` to ``last``."""
    rows = answers[(answers["month"] >= first) & (answers["month"] <= last)]
    starts = np.array([month_start(month) for month in rows["month"]], dtype=float)
    contacted = rows["contacted"].to_numpy()
    return pa.table(
        {
            "customer_id": ids("C", rows["person"].to_numpy()),
            "assigned_at": times(starts),
            "campaign_id": texts(rows["campaign_id"]),
            "arm": texts(rows["arm"]),
            "propensity": pa.array(rows["propensity"].to_numpy(), mask=rows["propensity"].isna().to_numpy()),
            "offer_id": texts(rows["offer_id"]),
            "channel": texts(rows["channel"]),
            "discount": pa.array(rows["discount"].to_numpy()),
            "discount_days": pa.array(rows["discount_days"].to_numpy()),
            "contacted_at": times(contacted),
            "accepted_at": times(rows["accepted"].to_numpy()),
            "cost": pa.array(rows["cost"].to_numpy(), mask=~np.isfinite(contacted)),
            "planned_cost": pa.array(rows["cost"].to_numpy()),
        }
    )


def all_answers(by_month: list[pd.DataFrame]) -> pd.DataFrame:
    """Put the months' answers together."""
    filled = [rows for rows in by_month if len(rows)]
    return pd.concat(filled, ignore_index=True) if filled else by_month[0]

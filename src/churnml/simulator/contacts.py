"""Whom the operator contacts: its own campaigns, those of the past again, and the one that is handed in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from churnml.config import Offer
from churnml.errors import ChurnmlError
from churnml.simulator.clock import FIRST_MONTH, Array, Period, month_name, times
from churnml.simulator.draws import Draws
from churnml.simulator.latent import Mood
from churnml.simulator.rows import ids
from churnml.simulator.world import World

_TERMS = {"channel": "str", "discount": "float64", "discount_days": "float64", "cost": "float64"}
_CHOSEN = {"campaign_id": "str", "arm": "str", "propensity": "float64", "offer_id": "str"}
_PLAN = {"month": "int64", "person": "int64", **_CHOSEN, **_TERMS}
_TEXTS = ("campaign_id", "customer_id", "arm", "offer_id")
_ASSIGNMENTS = pa.schema({**dict.fromkeys(_TEXTS, pa.string()), "propensity": pa.float64()})


def own_campaign(
    months: int, offers: Mapping[str, Offer], draws: Draws, month: int, there: Array, mood: Mood
) -> pd.DataFrame:
    """Draw up the operator's own campaign of a month: every third one, by turns randomised and by a rule."""
    number, rest = divmod(month, 3)
    if month >= months or rest != 2 or not offers or not there.any():
        return _as_plan(pd.DataFrame(columns=list(_PLAN)))
    names = np.array(list(offers), dtype=object)
    if number % 2 == 0:
        share, propensity = ((0.20, 0.7), (0.15, 0.5), (0.12, 0.8))[number // 2 % 3]
        who = np.flatnonzero(there & (draws.uniform("campaign", month) < share))
        arm = np.where(draws.uniform("arm", month)[who] < propensity, "treated", "control")
        offer = names[(draws.uniform("offer", month)[who] * len(names)).astype(int)]
        rows = pd.DataFrame({"person": who, "arm": arm, "propensity": propensity, "offer_id": offer})
    else:  # what a retention desk would see as risk, with much noise; the offer that was in fashion
        risk = 0.6 * mood.away + 0.4 * mood.service + 0.3 * mood.distress + 1.0 * draws.normal("desk", month)
        who = np.flatnonzero(there & (risk >= np.quantile(risk[there], 0.94)))
        offer = names[number // 2 % len(names)]
        rows = pd.DataFrame({"person": who, "arm": "treated", "propensity": np.nan, "offer_id": offer})
    kind = "desk" if number % 2 else "trial"
    return _with_terms(rows.assign(campaign_id=f"{kind}_{month_name(month)}"), month, offers)


def _with_terms(rows: pd.DataFrame, month: int, offers: Mapping[str, Offer]) -> pd.DataFrame:
    """Add the month and what the offers are; a control may have none."""
    terms = pd.DataFrame([offer.model_dump() for offer in offers.values()], columns=["id", *_TERMS])
    plan = rows.assign(month=month).merge(terms, how="left", left_on="offer_id", right_on="id")
    return _as_plan(plan.fillna({"discount": 0.0, "discount_days": 0.0, "cost": 0.0}))


def _as_plan(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(rows[list(_PLAN)]).astype(_PLAN)


def past_contacts(tables: Path) -> pd.DataFrame:
    """Read what was planned from the ``contacts`` tables of the periods that are there.

    Raises
    ------
    ChurnmlError
        If one of them cannot be read.
    """
    columns = ["assigned_at", "customer_id", *_CHOSEN, "channel", "discount", "discount_days", "planned_cost"]
    frames = []
    for file in (period / "contacts.parquet" for period in sorted(tables.glob("[0-9]*"))):
        try:
            frames.append(pq.read_table(file, columns=columns).to_pandas())
        except (OSError, pa.ArrowException) as error:
            raise ChurnmlError(
                f"{file} cannot be read as it was written", "put it back, or simulate anew", file=str(file)
            ) from error
    rows = pd.concat(frames, ignore_index=True).rename(columns={"planned_cost": "cost"})
    months = rows["assigned_at"].to_numpy().astype("datetime64[M]") - FIRST_MONTH
    return _as_plan(rows.assign(month=months.astype(int), person=rows["customer_id"].str[1:]))


def assigned_contacts(
    file: Path, month: int, count: int, offers: Mapping[str, Offer], configuration: Path
) -> pd.DataFrame:
    """Read assignments; ``treated`` and ``control`` become the plan of a month, other arms nothing.

    Raises
    ------
    ChurnmlError
        If the file or a column is missing, or a row has an unknown customer or offer, or is there twice.
    """
    rows = _read(file)
    rows = rows[rows["arm"].isin(["treated", "control"])]
    number = pd.to_numeric(rows["customer_id"].str.extract(r"^C(\d{8})$")[0])
    for what, wrong in {
        "customers that the simulation does not have": number.isna() | (number >= count),
        "customers more than once in one campaign": rows.duplicated(["campaign_id", "customer_id"]),
        "treated customers without an offer_id": rows["offer_id"].isna() & (rows["arm"] == "treated"),
    }.items():
        if wrong.any():
            examples = ", ".join(rows["customer_id"][wrong].head(3))
            raise ChurnmlError(
                f"{file} has {what} ({wrong.sum()} rows, such as {examples})",
                "correct these rows",
                file=str(file),
                rows=int(wrong.sum()),
            )
    unknown = sorted(set(rows["offer_id"].dropna()) - set(offers))
    if unknown:
        raise ChurnmlError(
            f"{file}: {configuration} does not have the offer {', '.join(map(repr, unknown[:5]))}",
            f"add it to campaign.offers, or use one of {', '.join(sorted(offers)) or 'none'}",
            file=str(file),
            column="offer_id",
            offers=unknown,
        )
    plan = _with_terms(rows.assign(person=number), month, offers)
    return plan.sort_values(["campaign_id", "person"], ignore_index=True)


def _read(file: Path) -> pd.DataFrame:
    remedy = "name the file that campaign assignments wrote"
    if not file.is_file():
        raise ChurnmlError(f"{file} does not exist", remedy, file=str(file))
    try:
        table = pq.read_table(file)
        missing = [name for name in _ASSIGNMENTS.names if name not in table.column_names]
        if missing:
            raise ChurnmlError(f"{file} has no column {', '.join(missing)}", remedy, file=str(file), column=missing)
        return pd.DataFrame(table.select(_ASSIGNMENTS.names).cast(_ASSIGNMENTS).to_pandas())
    except pa.ArrowInvalid as error:
        if file.read_bytes()[:4] == b"PAR1":
            raise ChurnmlError(
                f"{file}: a column of {', '.join(_ASSIGNMENTS.names)} has a wrong type ({error})",
                remedy,
                file=str(file),
            ) from error
        raise ChurnmlError(f"{file} is not a Parquet file", remedy, file=str(file)) from error
    except (pa.ArrowException, OSError) as error:
        raise ChurnmlError(
            f"{file} is not a Parquet file that can be read", "write it again", file=str(file)
        ) from error


def contact_rows(world: World, period: Period) -> pa.Table:
    """Make the ``contacts`` table of a period."""
    rows = world.contacts[world.contacts["month"].between(period.first, period.last)]
    starts = (FIRST_MONTH + rows["month"].to_numpy()).astype("datetime64[us]")
    return pa.table(
        {
            "customer_id": ids("C", rows["person"].to_numpy()),
            "assigned_at": starts,
            "campaign_id": pa.array(rows["campaign_id"], type=pa.string()),
            "arm": pa.array(rows["arm"], type=pa.string()),
            "propensity": rows["propensity"],
            "offer_id": pa.array(rows["offer_id"], type=pa.string()),
            "channel": pa.array(rows["channel"], type=pa.string()),
            "discount": rows["discount"],
            "discount_days": rows["discount_days"],
            "contacted_at": times(rows["contacted"].to_numpy()),
            "accepted_at": times(rows["accepted"].to_numpy()),
            "cost": rows["cost"].where(np.isfinite(rows["contacted"])),
            "planned_cost": rows["cost"],
        }
    )

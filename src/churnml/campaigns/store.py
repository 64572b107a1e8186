"""What is kept of a campaign: rows of the database, that appear all at once."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from churnml.campaigns import schema as s
from churnml.columns import AS_OF, CUSTOMER_ID
from churnml.config import Config, Offer
from churnml.errors import ChurnmlError
from churnml.scoring.score import SCHEMA as SCORES
from churnml.state.bulk import append
from churnml.state.database import reading, writing
from churnml.state.tables import ASSIGNMENTS, CAMPAIGNS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BATCH = 20_000  # assignments that are rows of Python at once


class NoCampaignError(ChurnmlError):
    """Say that there is no campaign of a name."""


class CampaignRecord(BaseModel):
    """How a campaign was opened.

    Attributes
    ----------
    id : str
        Its name.
    as_of : datetime.date
        T.
    seed : int
        Where chance began.
    budget : float or None
        In money; None where it was not limited.
    capacity : dict of int
        Contacts by channel.
    offers : tuple of Offer
        What was offered, on the terms of that day.
    control_share, explore_share : float
        As configured.
    cool_down_days : int
        As configured.
    churn_model_version, value_model_version : str or None
        What the scores are by.
    config_hash : str
        The hash of the configuration.
    opened_at : datetime.datetime
        With its zone.
    summary : dict
        As `campaigns.assignments.summary_of` counts.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    as_of: dt.date
    seed: int
    budget: float | None
    capacity: dict[str, int]
    offers: tuple[Offer, ...]
    control_share: float
    explore_share: float
    cool_down_days: int
    churn_model_version: str | None
    value_model_version: str | None
    config_hash: str
    opened_at: dt.datetime
    summary: dict[str, int | float]


def require_new_name(config: Config, name: str) -> None:
    """Raise a ChurnmlError if a campaign cannot have a name: it is no name, or was used before."""
    if not _NAME.fullmatch(name):
        raise ChurnmlError(
            f"{name!r} cannot be the name of a campaign",
            "use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first",
            value=name,
        )
    with reading(config) as connection:
        used = connection.scalar(select(CAMPAIGNS.c.id).where(CAMPAIGNS.c.folded == name.lower()))
    if used is not None:
        raise _taken(used)


def keep(
    config: Config,
    record: CampaignRecord,
    assignments: pd.DataFrame,
    scores: pd.DataFrame,
    key_accounts: Collection[str] = (),
) -> None:
    """Keep a campaign.

    Parameters
    ----------
    config : Config
        Where.
    record : CampaignRecord
        How it was opened.
    assignments : DataFrame
        Everyone in the population.
    scores : DataFrame
        The scores that it was opened with (contract, section 5); those of treated and control are kept, so that lists
        show them whatever is scored later.
    key_accounts : collection of str
        The customers who come first in its list.

    Raises
    ------
    ChurnmlError
        If the name is taken, or the database refuses.
    """
    require_new_name(config, record.id)
    row = {"id": record.id, "folded": record.id.lower(), AS_OF: record.as_of, "record": record.model_dump_json()}
    drawn = assignments.loc[assignments[s.ARM].isin(s.DRAWN), CUSTOMER_ID]
    kept = scores[scores[CUSTOMER_ID].isin(drawn)].set_index(CUSTOMER_ID, drop=False).assign(**{AS_OF: record.as_of})
    listed = assignments.assign(position=np.arange(len(assignments)), **_places(assignments, key_accounts))
    with writing(config) as connection:
        try:
            connection.execute(insert(CAMPAIGNS), [row])
        except IntegrityError:
            raise _taken(record.id) from None
        append(connection, ASSIGNMENTS, _rows(listed, kept))


def campaigns(config: Config) -> list[CampaignRecord]:
    """Return how each campaign that is kept was opened, in the order of their as-of dates and names."""
    with reading(config) as connection:
        rows = connection.execute(select(CAMPAIGNS.c.id, CAMPAIGNS.c.record)).all()
    return sorted((_record(name, text) for name, text in rows), key=lambda record: (record.as_of, record.id))


def campaign(config: Config, name: str) -> CampaignRecord:
    """Return how a campaign was opened.

    Raises
    ------
    ChurnmlError
        If there is none of that name (`NoCampaignError`), or its record is broken.
    """
    with reading(config) as connection:
        require_campaign(connection, name)
        text = connection.scalar(select(CAMPAIGNS.c.record).where(CAMPAIGNS.c.id == name))
    return _record(name, str(text))


def assignments_of(config: Config, name: str, *, arms: Sequence[str] = s.ARMS) -> pd.DataFrame:
    """Return the assignments of a campaign, in their order.

    Parameters
    ----------
    config : Config
        Where they are kept.
    name : str
        The campaign.
    arms : sequence of str
        Which arms; all by default.

    Returns
    -------
    DataFrame
        The columns of an assignment.

    Raises
    ------
    ChurnmlError
        If there is no such campaign (`NoCampaignError`), or the database refuses.
    """
    wanted = select(*(ASSIGNMENTS.c[column] for column in s.SCHEMA.names)).where(ASSIGNMENTS.c.arm.in_(arms))
    with reading(config) as connection:
        require_campaign(connection, name)
        batches = [
            pa.record_batch([pa.array(values) for values in zip(*rows, strict=True)], schema=s.SCHEMA)
            for rows in _found(connection, wanted, name)
        ]
    frame: pd.DataFrame = pa.Table.from_batches(batches, s.SCHEMA).to_pandas()
    return frame


def scores_of(config: Config, name: str) -> pd.DataFrame:
    """Return the scores that treated and control of a campaign had when it was opened.

    Those who were forgotten since have none.

    Raises
    ------
    ChurnmlError
        If there is no such campaign (`NoCampaignError`), or the database refuses.
    """
    as_of = campaign(config, name).as_of
    wanted = select(ASSIGNMENTS.c[CUSTOMER_ID], ASSIGNMENTS.c.score).where(ASSIGNMENTS.c.score.is_not(None))
    with reading(config) as connection:
        tables = [
            pa.Table.from_pylist(
                [{CUSTOMER_ID: customer, AS_OF: as_of, **json.loads(score)} for customer, score in rows], SCORES
            )
            for rows in _found(connection, wanted, name)
        ]
    frame: pd.DataFrame = pa.concat_tables([SCORES.empty_table(), *tables]).to_pandas(maps_as_pydicts="strict")
    return frame


def require_campaign(connection: Connection, name: str) -> None:
    """Raise a NoCampaignError, which tells those there are, if there is no campaign of a name."""
    names = sorted(connection.scalars(select(CAMPAIGNS.c.id)))
    if name not in names:
        there = f"there are {', '.join(names)}" if names else "open one with churnml campaign open"
        raise NoCampaignError(f"there is no campaign {name!r}", there, value=name, campaigns=names)


def _places(assignments: pd.DataFrame, key_accounts: Collection[str]) -> dict[str, Any]:
    """Return who is a key account, and the place of each of the treated in the order of the list; null for others."""
    is_key = assignments[CUSTOMER_ID].isin(list(key_accounts))
    treated = assignments[assignments[s.ARM] == s.TREATED].assign(is_key=is_key)
    order = treated.sort_values(["is_key", s.EXPECTED_PROFIT, CUSTOMER_ID], ascending=[False, False, True]).index
    rank = pd.Series(None, index=assignments.index, dtype="Int64")
    rank[order] = np.arange(1, len(order) + 1)
    return {"rank": rank, "key_account": is_key}


def _rows(listed: pd.DataFrame, kept: pd.DataFrame) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of rows of the database."""
    schema = s.SCHEMA
    for name, kind in {"position": pa.int32(), "rank": pa.int32(), "key_account": pa.bool_()}.items():
        schema = schema.append(pa.field(name, kind))
    for start in range(0, len(listed), _BATCH):
        rows = pa.Table.from_pandas(listed.iloc[start : start + _BATCH], schema, preserve_index=False).to_pylist()
        scores = _scores(kept, [row[CUSTOMER_ID] for row in rows if row[s.ARM] in s.DRAWN])
        yield [row | {"score": scores.get(row[CUSTOMER_ID])} for row in rows]


def _scores(kept: pd.DataFrame, customers: list[str]) -> dict[str, str]:
    """Return scores as JSON, by customer."""
    table = pa.Table.from_pandas(kept.loc[customers], SCORES, preserve_index=False)
    rows = table.drop_columns([CUSTOMER_ID, AS_OF]).to_pylist(maps_as_pydicts="strict")
    return {
        customer: json.dumps(row, ensure_ascii=False, allow_nan=False)
        for customer, row in zip(customers, rows, strict=True)
    }


def _found(connection: Connection, wanted: Any, name: str) -> Iterator[Sequence[Any]]:
    ordered = wanted.where(ASSIGNMENTS.c.campaign_id == name).order_by(ASSIGNMENTS.c.position)
    return iter(connection.execution_options(yield_per=_BATCH).execute(ordered).partitions())


def _record(name: str, text: str) -> CampaignRecord:
    try:
        return CampaignRecord.model_validate_json(text)
    except ValidationError as error:
        raise ChurnmlError(
            f"campaign {name} cannot be read as it was written", "put the database back from a copy", value=name
        ) from error


def _taken(name: str) -> ChurnmlError:
    return ChurnmlError(f"there is a campaign {name} already", "choose another name", value=name)

"""What happened to one customer, as it was known at a date."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from churnml.asof import DAY, start_of
from churnml.columns import CHURN_REASON, CHURN_TYPE, CHURNED_AT, CUSTOMER_ID, KNOWN_AT
from churnml.tables.histories import Histories
from churnml.tables.schema import SCHEMAS

_ROWS = 12
_USAGE_DAYS = 183
_LATER = {CHURNED_AT, CHURN_TYPE, CHURN_REASON}


def timeline(histories: Histories, customer: str, as_of: dt.date) -> dict[str, list[dict[str, Any]]]:
    """List the latest rows of every table, newest first.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    customer : str
        The ``customer_id``.
    as_of : datetime.date
        T; what was not known before it is left out.

    Returns
    -------
    dict of list of dict
        Up to 12 rows of each table that has any; usage summed by month; personal columns left out.
    """
    found = {}
    for table in histories.reports:
        rows = _rows(histories, table, customer, as_of)
        if not rows.empty:
            found[table] = [_plain(row) for row in rows.head(_ROWS).to_dict(orient="records")]
    return found


def _rows(histories: Histories, table: str, customer: str, as_of: dt.date) -> pd.DataFrame:
    event = SCHEMAS[table].event
    rows = histories.known(table, start_of(as_of))
    rows = rows.filter(rows[CUSTOMER_ID] == customer)
    if table == "usage":
        rows = rows.filter(rows[event] >= start_of(as_of) - _USAGE_DAYS * DAY)
    frame: pd.DataFrame = rows.to_pyarrow().to_pandas()
    hidden = {CUSTOMER_ID, KNOWN_AT, *histories.config.personal}
    hidden |= _LATER if table == "customers" else set()
    if table == "usage":
        month = frame[event].dt.to_period("M").astype("str").rename("month")
        numbers = [name for name in frame.select_dtypes("number") if name not in hidden]
        return frame.groupby(month)[numbers].sum().sort_index(ascending=False).reset_index()
    frame = frame.sort_values(event, ascending=False, kind="stable")
    return frame[[name for name in frame if name not in hidden]]


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Return a row as JSON knows it, without what is null."""
    return {
        str(name): value.isoformat() if isinstance(value, dt.datetime | dt.date) else value
        for name, value in row.items()
        if not pd.isna(value)
    }

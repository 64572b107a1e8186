"""What happened to customers, as it was known at a date."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import ibis
import ibis.expr.types as ir

from churnml.asof import DAY, start_of
from churnml.columns import CHURN_REASON, CHURN_TYPE, CHURNED_AT, CUSTOMER_ID, KNOWN_AT
from churnml.tables.histories import Histories
from churnml.tables.schema import SCHEMAS
from churnml.tables.sources import quoted

_ROWS = 12
_USAGE_DAYS = 183
_LATER = {CHURNED_AT, CHURN_TYPE, CHURN_REASON}
_DIGITS = 6  # of sums: their last bits depend on the order of adding
_PLACE = "__place"
_SECONDS = "%Y-%m-%dT%H:%M:%S"


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
    for table, sql in timelines(histories, as_of, lambda rows: rows.filter(rows[CUSTOMER_ID] == customer)).items():
        row = histories.con.con.execute(sql).fetchone()
        if row is not None:
            found[table] = json.loads(row[1])
    return found


def timelines(histories: Histories, as_of: dt.date, chosen: Callable[[ir.Table], ir.Table]) -> dict[str, str]:
    """Return SQL of the latest rows of many customers, by table.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    as_of : datetime.date
        T.
    chosen : callable
        Keeps the rows of the customers that are asked for.

    Returns
    -------
    dict of str
        Each a SELECT of ``customer_id`` and a JSON list of rows as `timeline` has them, in the order of customers.
    """
    return {table: _listed(histories, _latest(histories, table, as_of, chosen)) for table in histories.reports}


def _latest(histories: Histories, table: str, as_of: dt.date, chosen: Callable[[ir.Table], ir.Table]) -> ir.Table:
    event = SCHEMAS[table].event
    rows = chosen(histories.known(table, start_of(as_of)))
    hidden = {CUSTOMER_ID, KNOWN_AT, *histories.config.personal}
    if table == "usage":
        rows = rows.filter(rows[event] >= start_of(as_of) - _USAGE_DAYS * DAY)
        numbers = [name for name, kind in rows.schema().items() if kind.is_numeric() and name not in hidden]
        sums = {name: rows[name].sum().fill_null(0).round(_DIGITS) for name in numbers}
        rows = rows.group_by(CUSTOMER_ID, month=rows[event].strftime("%Y-%m")).agg(**sums)
        order = [rows["month"].desc()]
    else:
        hidden |= _LATER if table == "customers" else set()
        others = [name for name in rows.columns if name not in {*hidden, event}]
        order = [rows[event].desc(), *(rows[name] for name in others)]  # which of several at one instant comes first
    place = ibis.row_number().over(group_by=rows[CUSTOMER_ID], order_by=order)
    rows = rows.mutate(place.name(_PLACE))
    return rows.filter(rows[_PLACE] < _ROWS).select(
        CUSTOMER_ID, _PLACE, *(name for name in rows.columns if name not in {*hidden, _PLACE})
    )


def _listed(histories: Histories, rows: ir.Table) -> str:
    """Return SQL that writes rows as JSON, without what is null."""
    values = []
    for name, kind in rows.schema().items():
        column = quoted(name)
        if kind.is_timestamp():
            whole, exact = (f"strftime({column}, '{_SECONDS}{more}')" for more in ("", ".%f"))
            column = f"if(microsecond({column}) % 1000000 = 0, {whole}, {exact})"
        if name not in (CUSTOMER_ID, _PLACE):
            values.append(f"{quoted(name)} := {column}")
    row = f"json_merge_patch('{{}}', to_json(struct_pack({', '.join(values)})))::VARCHAR"
    return f"""
        SELECT {quoted(CUSTOMER_ID)}, '[' || string_agg({row}, ',' ORDER BY {_PLACE}) || ']' AS listed
        FROM ({histories.con.compile(rows)}) GROUP BY ALL ORDER BY {quoted(CUSTOMER_ID)}"""

"""Who is at risk as of a date (contract, section 3)."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir

from churnml.asof import DAY, Span, start_of
from churnml.columns import CHURNED_AT, CUSTOMER_ID, SIGNED_UP_AT
from churnml.tables.histories import Histories
from churnml.tables.schema import SCHEMAS


def at_risk(histories: Histories, as_of: dt.date) -> ir.Table:
    """Return the customers at risk at an as-of date, judged by what was known then.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    as_of : datetime.date
        T.

    Returns
    -------
    ibis Table
        The columns of ``customers`` as known at T, one row for each customer: the spell that holds T (the latest
        started one where, as known, several do).
    """
    label = histories.config.label
    spells = histories.known("customers", start_of(as_of))
    if label.mode == "terminated":
        spells = spells.filter(spells[CHURNED_AT].isnull())
    else:
        window = Span.before(as_of, label.active_days)
        activity = histories.known(label.activity, window.end)
        active = activity.filter(activity[SCHEMAS[label.activity].event] >= window.start)
        spells = spells.semi_join(active, CUSTOMER_ID)
    return _latest(spells)


def customers_lately(histories: Histories, as_of: dt.date, days: int = 90) -> ir.Table:
    """Return who was a customer at some time of the days before an as-of date, as known then: the latest spell."""
    spells = histories.known("customers", start_of(as_of))
    left_before = (spells[CHURNED_AT] < start_of(as_of) - days * DAY).fill_null(False)
    return _latest(spells.filter(~left_before))


def newest_spells(histories: Histories) -> ir.Table:
    """Return the latest spell of every customer ever, by the newest versions: what lists and pages show of them."""
    return _latest(histories.newest("customers"))


def _latest(spells: ir.Table) -> ir.Table:
    """Keep the latest started spell of each customer."""
    latest = ibis.row_number().over(group_by=spells[CUSTOMER_ID], order_by=spells[SIGNED_UP_AT].desc())
    numbered = spells.mutate(__older=latest)
    return numbered.filter(numbered["__older"] == 0).drop("__older")

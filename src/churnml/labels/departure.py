"""When customers left and why, and until when the others were watched (contract, section 3)."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir

from churnml.asof import DAY, start_of
from churnml.columns import CAUSE, CHURN_TYPE, CHURNED_AT, CUSTOMER_ID, DEPARTED, DURATION_DAYS, SIGNED_UP_AT
from churnml.errors import ChurnmlError
from churnml.labels.outcome import observed_until
from churnml.tables.histories import Histories

UNKNOWN = "unknown"


def departures(histories: Histories, population: ir.Table, as_of: dt.date) -> ir.Table:
    """Tell how long each customer was watched from an as-of date on, and how that ended.

    Departures of every type count, whether or not ``label.types`` asks for them: they compete.

    Parameters
    ----------
    histories : Histories
        The operator's tables, of which the newest versions count.
    population : ibis Table
        The customers at risk, with ``signed_up_at`` of the spell that holds T.
    as_of : datetime.date
        T.

    Returns
    -------
    ibis Table
        ``customer_id``; ``duration_days`` (float64), from T to the departure or to the instant up to which outcomes are
        known, whichever is earlier, null where the customer had left before T without its being known, or where nothing
        after T is known; ``departed`` (bool), false where censored; ``cause`` (text), the ``churn_type``, ``unknown``
        where it is null, and null where censored.

    Raises
    ------
    ChurnmlError
        If customers do not terminate but fall silent (``label.mode: inactive``): that has neither day nor cause.
    """
    if histories.config.label.mode != "terminated":
        raise ChurnmlError(
            "customers who fall silent have no day of leaving and no cause",
            "set label.mode to terminated",
            key="label.mode",
        )
    start, until = start_of(as_of), observed_until(histories)
    spells = histories.newest("customers").select(CUSTOMER_ID, SIGNED_UP_AT, __left=CHURNED_AT, __type=CHURN_TYPE)
    joined = population.select(CUSTOMER_ID, SIGNED_UP_AT).left_join(spells, [CUSTOMER_ID, SIGNED_UP_AT])
    left = joined["__left"]
    departed = (left < until).fill_null(False)
    watched = ibis.cases((departed & (left >= start), left), else_=ibis.literal(until))
    days = watched.delta(ibis.literal(start), unit="microsecond") / (DAY / dt.timedelta(microseconds=1))
    told = (left.isnull() | (left >= start)) & ibis.literal(until > start)
    return joined.select(
        CUSTOMER_ID,
        told.ifelse(days, None).cast("float64").name(DURATION_DAYS),
        (told & departed).name(DEPARTED),
        (told & departed).ifelse(joined["__type"].fill_null(UNKNOWN), None).cast("string").name(CAUSE),
    )

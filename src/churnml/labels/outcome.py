"""What became of customers: did they leave, and what did they bring (contract, section 3)."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

from churnml.asof import DAY, Span, start_of
from churnml.columns import CHURN_TYPE, CHURNED, CHURNED_AT, CUSTOMER_ID, SIGNED_UP_AT, VALUE
from churnml.errors import ChurnmlError
from churnml.tables.histories import Histories
from churnml.tables.schema import SCHEMAS


def observed_until(histories: Histories) -> dt.datetime:
    """Return the instant up to which outcomes are known.

    Parameters
    ----------
    histories : Histories
        The operator's tables.

    Returns
    -------
    datetime.datetime
        Naive wall-clock time: ``label.observed_until``, or 00:00 of the day after the latest activity (mode
        ``inactive``), or after the earlier of the latest usage and the latest bill (mode ``terminated``); less
        ``label.settle_days``.

    Raises
    ------
    ChurnmlError
        If it is not configured and no table tells it.
    """
    label = histories.config.label
    until = label.observed_until
    if until is None:
        tables = _telling(histories)
        latest = [moment for table in tables if (moment := histories.last_event(table)) is not None]
        if not latest:
            raise ChurnmlError(
                f"nothing tells until when outcomes are known: there are no rows in {' or '.join(tables)}",
                "set label.observed_until",
                key="label.observed_until",
            )
        until = _next_day(min(latest))
    elif until.tzinfo is not None:
        until = until.astimezone(ZoneInfo(histories.config.timezone)).replace(tzinfo=None)
    return until - label.settle_days * DAY


def is_observed(histories: Histories) -> bool:
    """Tell whether there is anything that tells until when outcomes are known."""
    configured = histories.config.label.observed_until is not None
    return configured or any(histories.last_event(table) is not None for table in _telling(histories))


def _telling(histories: Histories) -> list[str]:
    label = histories.config.label
    return [label.activity] if label.mode == "inactive" else ["usage", "bills"]


def known_from(histories: Histories, as_of: dt.date) -> dt.date:
    """Return the day from which the outcome of a date is known, if the histories reach to it."""
    label = histories.config.label
    return as_of + (label.lead_days + label.horizon_days + label.settle_days) * DAY


def value_known_until(histories: Histories) -> dt.datetime | None:
    """Return the instant up to which values are known: the end of the day of the latest bill; None without bills."""
    last_bill = histories.last_event("bills")
    return None if last_bill is None else _next_day(last_bill)


def outcome_window(histories: Histories, as_of: dt.date) -> Span:
    """Return the outcome window of an as-of date."""
    label = histories.config.label
    return Span.outcome(as_of, label.lead_days, label.horizon_days)


def churned(histories: Histories, population: ir.Table, as_of: dt.date) -> ir.Table:
    """Label each customer: 1 left in the outcome window, 0 stayed, null not to be told.

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
        ``customer_id`` and ``churned`` (int64, nullable).
    """
    window = outcome_window(histories, as_of)
    if window.end > observed_until(histories):
        return population.select(CUSTOMER_ID, ibis.null("int64").name(CHURNED))
    label = histories.config.label
    if label.mode == "inactive":
        activity = histories.newest(label.activity)
        at = activity[SCHEMAS[label.activity].event]
        active = (
            activity.filter(at >= window.start, at < window.end).select(CUSTOMER_ID).distinct().mutate(__active=True)
        )
        joined = population.left_join(active, CUSTOMER_ID)
        return joined.select(CUSTOMER_ID, joined["__active"].isnull().cast("int64").name(CHURNED))
    spells = histories.newest("customers").select(CUSTOMER_ID, SIGNED_UP_AT, __left=CHURNED_AT, __type=CHURN_TYPE)
    joined = population.left_join(spells, [CUSTOMER_ID, SIGNED_UP_AT])
    left = joined["__left"]
    asked_for = ibis.literal(True) if label.types is None else joined["__type"].isin(label.types).fill_null(False)
    value = ibis.cases((left.isnull() | (left >= window.end), 0), ((left >= window.start) & asked_for, 1), else_=None)
    return joined.select(CUSTOMER_ID, value.cast("int64").name(CHURNED))


def value(histories: Histories, population: ir.Table, as_of: dt.date) -> ir.Table:
    """Return what each customer brings after an as-of date.

    Parameters
    ----------
    histories : Histories
        The operator's tables, of which the newest versions count.
    population : ibis Table
        The customers at risk.
    as_of : datetime.date
        T.

    Returns
    -------
    ibis Table
        ``customer_id`` and ``value`` (float64, money): amounts billed in ``[T, T + value.horizon_days)`` times
        ``value.margin_rate`` less costs; null where bills do not reach to the end of that.
    """
    span = Span.outcome(as_of, 0, histories.config.value.horizon_days)
    until = value_known_until(histories)
    if until is None or span.end > until:
        return population.select(CUSTOMER_ID, ibis.null("float64").name(VALUE))
    billed = _summed(histories, "bills", span, "__billed")
    spent = _summed(histories, "costs", span, "__spent")
    joined = population.select(CUSTOMER_ID).left_join(billed, CUSTOMER_ID).drop(f"{CUSTOMER_ID}_right")
    joined = joined.left_join(spent, CUSTOMER_ID)
    margin = joined["__billed"].fill_null(0.0) * histories.config.value.margin_rate
    return joined.select(CUSTOMER_ID, (margin - joined["__spent"].fill_null(0.0)).name(VALUE))


def _summed(histories: Histories, table: str, span: Span, name: str) -> ir.Table:
    rows = histories.newest(table)
    at = rows[SCHEMAS[table].event]
    inside = rows.filter(at >= span.start, at < span.end)
    return inside.group_by(CUSTOMER_ID).agg(inside["amount"].sum().name(name))


def _next_day(moment: dt.datetime) -> dt.datetime:
    return start_of(moment.date()) + DAY

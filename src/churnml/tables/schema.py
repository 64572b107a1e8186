"""The tables of the contract (section 2): columns, kinds, keys, and which column becomes known when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from churnml.columns import CHURN_REASON, CHURN_TYPE, CHURNED_AT, CUSTOMER_ID, KNOWN_AT, SIGNED_UP_AT

Kind = Literal["text", "time", "number", "boolean"]
Dtype = Literal["int64", "float64", "string", "boolean", "timestamp"]

# The type that a column of each kind has once it is read.
DTYPES: dict[Kind, Dtype] = {"text": "string", "time": "timestamp", "number": "float64", "boolean": "boolean"}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Our name.
    kind : {"text", "time", "number", "boolean"}
        What it holds.
    required : bool
        Whether a null makes the row a bad one.
    known_with : tuple of str
        The time columns that tell when this one becomes known, the first that is not null counting; empty where it is
        known with its row.
    attribute: bool
        Whether it describes the customer, as further columns do.
    """

    name: str
    kind: Kind
    required: bool = False
    known_with: tuple[str, ...] = ()
    attribute: bool = False


@dataclass(frozen=True)
class Schema:
    """One table.

    Attributes
    ----------
    name : str
        Our name.
    event : str
        The required time at which a row happens.
    key : tuple of str
        What makes two rows versions of one; the columns may be absent from the user's table.
    columns : tuple of Column
        Every column that the contract names, ``known_at`` included.
    not_before : tuple of (str, str)
        Pairs (later, earlier): a later that lies before its earlier makes the row a bad one.
    rating : str or None
        The column whose value must lie in 1-5.
    """

    name: str
    event: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    not_before: tuple[tuple[str, str], ...] = ()
    rating: str | None = None

    @property
    def large(self) -> bool:
        """Whether the rows are too many to be kept whole: they stay where they are and are read with a look-back."""
        return self.name == "usage"

    def column(self, name: str) -> Column | None:
        """Return a column by name, or None where the contract does not name it."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def names(self) -> frozenset[str]:
        """The names of all columns that the contract names."""
        return frozenset(column.name for column in self.columns)


def _schema(
    name: str,
    event: str,
    *columns: Column,
    key: tuple[str, ...] = ("row_id",),
    not_before: tuple[tuple[str, str], ...] = (),
    rating: str | None = None,
) -> Schema:
    row_id = (Column("row_id", "text"),) if key == ("row_id",) else ()
    shared = (Column(CUSTOMER_ID, "text", required=True), *row_id, Column(KNOWN_AT, "time"))
    return Schema(name, event, key, (*shared, *columns), not_before, rating)


def _required(name: str, kind: Kind) -> Column:
    return Column(name, kind, required=True)


def _later(name: str, kind: Kind, *known_with: str) -> Column:
    """Return a column that tells what happened later than its row: a time is known with itself."""
    return Column(name, kind, known_with=known_with or (name,))


SCHEMAS: dict[str, Schema] = {
    schema.name: schema
    for schema in (
        _schema(
            "customers",
            SIGNED_UP_AT,
            _required(SIGNED_UP_AT, "time"),
            _later(CHURNED_AT, "time"),
            _later(CHURN_TYPE, "text", CHURNED_AT),
            _later(CHURN_REASON, "text", CHURNED_AT),
            Column("segment", "text", attribute=True),
            Column("account_manager", "text"),
            key=(CUSTOMER_ID, SIGNED_UP_AT),
            not_before=((CHURNED_AT, SIGNED_UP_AT),),
        ),
        _schema(
            "subscriptions",
            "started_at",
            _required("plan", "text"),
            _required("started_at", "time"),
            _later("ended_at", "time"),
            Column("monthly_fee", "number"),
            Column("contract_ends_at", "time"),
            not_before=(("ended_at", "started_at"),),
        ),
        _schema("usage", "used_at", _required("used_at", "time")),
        _schema(
            "bills",
            "billed_at",
            _required("bill_id", "text"),
            _required("billed_at", "time"),
            Column("due_at", "time"),
            _required("amount", "number"),
            _later("paid_at", "time"),
            _later("paid_amount", "number", "paid_at"),
            key=("bill_id",),
            not_before=(("paid_at", "billed_at"),),
        ),
        _schema(
            "complaints",
            "opened_at",
            _required("complaint_id", "text"),
            _required("opened_at", "time"),
            Column("kind", "text"),
            Column("promised_at", "time"),
            Column("category", "text"),
            Column("channel", "text"),
            _later("resolved_at", "time"),
            _later("first_contact_resolved", "boolean", "resolved_at"),
            _later("satisfaction", "number", "rated_at", "resolved_at"),
            _later("rated_at", "time"),
            key=("complaint_id",),
            not_before=(("resolved_at", "opened_at"),),
            rating="satisfaction",
        ),
        _schema(
            "surveys",
            "answered_at",
            _required("answered_at", "time"),
            _required("score", "number"),
            rating="score",
        ),
        _schema(
            "costs",
            "incurred_at",
            _required("incurred_at", "time"),
            _required("amount", "number"),
            Column("kind", "text"),
        ),
        _schema(
            "contacts",
            "assigned_at",
            _required("assigned_at", "time"),
            _required("campaign_id", "text"),
            _required("arm", "text"),
            Column("propensity", "number"),
            Column("offer_id", "text"),
            _later("contacted_at", "time"),
            _later("accepted_at", "time"),
            _later("cost", "number", "contacted_at"),
        ),
    )
}

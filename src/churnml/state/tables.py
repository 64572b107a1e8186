"""The tables of the database; `migrations` makes them, and a test compares the two."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    column,
)

from churnml.columns import AS_OF, CHURN_PROBABILITY, CUSTOMER_ID


class Utc(TypeDecorator[dt.datetime]):
    """An instant: aware where it is used, stored as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002
        """Turn it into UTC."""
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002
        """Give it its zone; SQLite keeps none."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


METADATA = MetaData()

CAMPAIGNS = Table(
    "campaigns",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("folded", Text, nullable=False, unique=True),  # a name is used once, whatever its case
    Column(AS_OF, Date, nullable=False),
    Column("record", Text, nullable=False),
)

# Of treated and control the score is kept, of the treated also their place in the list; who is forgotten loses both.
ASSIGNMENTS = Table(
    "assignments",
    METADATA,
    Column("campaign_id", Text, ForeignKey("campaigns.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("assignment_id", Text, nullable=False),
    Column(CUSTOMER_ID, Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("offer_id", Text),
    Column("channel", Text),
    Column("expected_profit", Float),
    Column(CHURN_PROBABILITY, Float),
    Column("uplift", Float),
    Column("uplift_source", Text),
    Column("propensity", Float),
    Column("reason", Text),
    Column("rank", Integer),
    Column("key_account", Boolean),
    Column("score", Text),
)
Index(
    "assignments_rank",
    ASSIGNMENTS.c.campaign_id,
    ASSIGNMENTS.c.rank,
    unique=True,
    sqlite_where=column("rank").is_not(None),
    postgresql_where=column("rank").is_not(None),
)

KEYS = Table(
    "keys",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("manager", Text),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("revoked_at", Utc),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("columns", Text, nullable=False),
    sqlite_with_rowid=False,
)

AUDIT_CUSTOMERS = Table(
    "audit_customers",
    METADATA,
    Column("audit_id", Text, ForeignKey("audit.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column(CUSTOMER_ID, Text, nullable=False, index=True),
    sqlite_with_rowid=False,
)

FORGOTTEN = Table(
    "forgotten",
    METADATA,
    Column("token", Text, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("who", Text, nullable=False),
)

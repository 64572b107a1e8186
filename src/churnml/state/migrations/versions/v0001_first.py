"""Campaigns, keys, and an audit that can only grow."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)
RANKED = sa.text("rank IS NOT NULL")
APPEND_ONLY = {"audit": ("id",), "audit_customers": ("audit_id", "position"), "forgotten": ("token",)}
REFUSED = "the audit can only grow"
# What `forget` does, and nothing else: a customer becomes a token of somebody forgotten.
FORGETS = (
    "NEW.audit_id = OLD.audit_id AND NEW.position = OLD.position "
    "AND EXISTS (SELECT 1 FROM forgotten WHERE token = NEW.customer_id)"
)


def upgrade() -> None:
    """Make the tables and what protects them."""
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("folded", sa.Text, nullable=False, unique=True),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_table(
        "assignments",
        sa.Column("campaign_id", sa.Text, sa.ForeignKey("campaigns.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("assignment_id", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("offer_id", sa.Text),
        sa.Column("channel", sa.Text),
        sa.Column("expected_profit", sa.Float),
        sa.Column("churn_probability", sa.Float),
        sa.Column("uplift", sa.Float),
        sa.Column("uplift_source", sa.Text),
        sa.Column("propensity", sa.Float),
        sa.Column("reason", sa.Text),
        sa.Column("rank", sa.Integer),
        sa.Column("key_account", sa.Boolean),
        sa.Column("score", sa.Text),
    )
    op.create_index(
        "assignments_rank",
        "assignments",
        ["campaign_id", "rank"],
        unique=True,
        sqlite_where=RANKED,
        postgresql_where=RANKED,
    )
    op.create_table(
        "keys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("manager", sa.Text),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME),
        sa.Column("revoked_at", TIME),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("columns", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_customers",
        sa.Column("audit_id", sa.Text, sa.ForeignKey("audit.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_audit_customers_customer_id", "audit_customers", ["customer_id"])
    op.create_table(
        "forgotten",
        sa.Column("token", sa.Text, primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
    )
    protect = _on_sqlite if op.get_bind().dialect.name == "sqlite" else _on_postgresql
    for statement in protect():
        op.execute(sa.text(statement))


def _on_sqlite() -> list[str]:
    refused = f"BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
    statements = []
    for table in APPEND_ONLY:
        unless = f"WHEN NOT ({FORGETS}) " if table == "audit_customers" else ""
        statements += [
            f"CREATE TRIGGER {table}_keeps BEFORE DELETE ON {table} {refused}",
            f"CREATE TRIGGER {table}_stays BEFORE UPDATE ON {table} {unless}{refused}",
            # INSERT OR REPLACE deletes without asking the trigger of DELETE
            f"CREATE TRIGGER {table}_once BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} "
            f"WHERE {' AND '.join(f'{name} = NEW.{name}' for name in APPEND_ONLY[table])}) {refused}",
        ]
    return statements


def _on_postgresql() -> list[str]:
    statements = [
        "CREATE FUNCTION churnml_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSED}' USING ERRCODE = 'insufficient_privilege'; END $$",
        "CREATE FUNCTION churnml_only_forget() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {FORGETS} THEN RETURN NEW; END IF; "
        f"RAISE EXCEPTION '{REFUSED}' USING ERRCODE = 'insufficient_privilege'; END $$",
    ]
    for table in APPEND_ONLY:
        asked = "churnml_only_forget" if table == "audit_customers" else "churnml_refuse"
        statements += [
            f"CREATE TRIGGER {table}_keeps BEFORE DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION churnml_refuse()",
            f"CREATE TRIGGER {table}_stays BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {asked}()",
        ]
    return statements

"""Forgetting a customer: in what must stay, the person becomes a random token."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
import uuid

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import DBAPIError

from churnml.columns import CUSTOMER_ID
from churnml.config import Config
from churnml.state.database import database, writing
from churnml.state.tables import ASSIGNMENTS, AUDIT_CUSTOMERS, FORGOTTEN
from churnml.state.who import user


def forget_in_state(config: Config, customer: str, *, who: str | None = None, elsewhere: bool = False) -> str | None:
    """Replace a customer by a random token in audit and campaigns, where counts stay as they are.

    What could lead back goes with it: scores and reasons, the place in lists, and the assignments' numbers, which are
    made of the customer's.

    Parameters
    ----------
    config : Config
        Where the state is kept.
    customer : str
        Whom to forget.
    who : str, optional
        Who has it done; by default who runs churnml.
    elsewhere : bool
        Whether something of the customer was found and removed elsewhere, so that this is to be recorded even if
        nothing is found here.

    Returns
    -------
    str or None
        The token, under which it is recorded that, when and by whom somebody was forgotten; None where nothing of the
        customer was found.

    Raises
    ------
    StateError
        If the database cannot be reached, or refuses.
    """
    token = f"forgotten_{secrets.token_hex(16)}"
    with writing(config) as connection:
        if not (elsewhere or _is_known(connection, customer)):
            return None
        connection.execute(insert(FORGOTTEN), [{"token": token, "at": dt.datetime.now(dt.UTC), "who": who or user()}])
        read = AUDIT_CUSTOMERS.c[CUSTOMER_ID] == customer
        connection.execute(update(AUDIT_CUSTOMERS).where(read).values({CUSTOMER_ID: token}))
        _forget_assignments(connection, customer, token)
    _clear_journal(config)
    return token


def _is_known(connection: Connection, customer: str) -> bool:
    tables = (AUDIT_CUSTOMERS, ASSIGNMENTS)
    found = (connection.execute(select(1).where(table.c[CUSTOMER_ID] == customer).limit(1)) for table in tables)
    return any(rows.first() is not None for rows in found)


def _forget_assignments(connection: Connection, customer: str, token: str) -> None:
    places = (ASSIGNMENTS.c.campaign_id, ASSIGNMENTS.c.position)
    for campaign, position in connection.execute(select(*places).where(ASSIGNMENTS.c[CUSTOMER_ID] == customer)).all():
        gone = {CUSTOMER_ID: token, "assignment_id": str(uuid.uuid4()), "rank": None, "score": None}
        at = (ASSIGNMENTS.c.campaign_id == campaign) & (ASSIGNMENTS.c.position == position)
        connection.execute(update(ASSIGNMENTS).where(at).values(gone))


def _clear_journal(config: Config) -> None:
    """Take what was overwritten out of SQLite's journal as well; while others read, its next turn does it."""
    engine = database(config)
    if engine.dialect.name == "sqlite":
        with contextlib.suppress(DBAPIError), engine.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]

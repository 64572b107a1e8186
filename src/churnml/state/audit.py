"""The audit: who has read what of whom. It can only grow."""

from __future__ import annotations

import csv
import datetime as dt
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from churnml.asof import parse_instant
from churnml.columns import CUSTOMER_ID
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.files import atomic_file, require_writable
from churnml.formulas import defused
from churnml.state.database import reading, understood, writing
from churnml.state.tables import AUDIT, AUDIT_CUSTOMERS

ENDINGS = (".csv", ".parquet")
_COLUMNS = ("at", "request_id", "who", "role", "route", CUSTOMER_ID, "columns")
_BATCH = 20_000
_BETWEEN = " "  # names of columns hold none in the tables of section 2; a user's own may


@dataclass(frozen=True)
class AuditRow:
    """One read of customers' data.

    Attributes
    ----------
    at : datetime.datetime
        When, with its zone.
    request_id : str
        Of which request.
    who : str
        The name of the key.
    role : str
        Its role.
    route : str
        The template of the address.
    customers : tuple of str
        Whose data.
    columns : tuple of str
        Which columns.
    """

    at: dt.datetime
    request_id: str
    who: str
    role: str
    route: str
    customers: tuple[str, ...]
    columns: tuple[str, ...]


def write_audit(where: Connection | Engine, rows: Sequence[AuditRow]) -> None:
    """Write what was read, all of it or nothing.

    Parameters
    ----------
    where : Connection or Engine
        The database (see `state.database.database`); a connection's own transaction is used, an engine begins one.
    rows : sequence of AuditRow
        In any order.

    Raises
    ------
    ChurnmlError
        If the database cannot be reached, or refuses.
    """
    if not rows:
        return
    if isinstance(where, Engine):
        with writing(where) as connection:
            _insert(connection, rows)
    else:
        with understood(where.engine):
            _insert(where, rows)


def export_audit(
    config: Config,
    out: str | os.PathLike[str],
    *,
    since: str | dt.date | None = None,
    until: str | dt.date | None = None,
) -> dict[str, Any]:
    """Write the audit to a file: a row for each customer of each read, in the order of time.

    Parameters
    ----------
    config : Config
        Where it is kept.
    out : path
        A ``.csv`` or ``.parquet`` file. In CSV, texts that a spreadsheet would take for a formula begin with an
        apostrophe.
    since, until : date, datetime or text, optional
        From when on, and before when: the start of a day, or a time, in the project's zone where it names none.

    Returns
    -------
    dict
        ``rows`` and ``out``. The file has ``at`` (UTC), ``request_id``, ``who``, ``role``, ``route``, ``customer_id``
        (null where nobody was there to be read, a token where the customer was forgotten), ``columns`` (with spaces
        between them).

    Raises
    ------
    ChurnmlError
        If the ending tells no format, a time is none, the file cannot be written, or the database not read.
    """
    target = Path(out)
    if target.suffix.lower() not in ENDINGS:
        raise ChurnmlError(f"{target} has no ending of an audit", f"use one of {', '.join(ENDINGS)}", file=str(target))
    require_writable(target)
    write = _write_csv if target.suffix.lower() == ".csv" else _write_parquet
    span = [None if bound is None else parse_instant(bound, config.timezone) for bound in (since, until)]
    with reading(config) as connection, atomic_file(target) as part:
        rows = write(_batches(connection, *span), part)
    return {"rows": rows, "out": str(out)}


def _insert(connection: Connection, rows: Sequence[AuditRow]) -> None:
    reads, customers = [], []
    for row in rows:
        number = f"{time.time_ns():016x}{secrets.token_hex(8)}"  # in the order of time, made without asking anybody
        told = {name: _storable(getattr(row, name)) for name in ("request_id", "who", "role", "route")}
        reads.append({"id": number, "at": row.at, **told, "columns": _storable(_BETWEEN.join(row.columns))})
        customers += [
            {"audit_id": number, "position": place, CUSTOMER_ID: _storable(customer)}
            for place, customer in enumerate(row.customers)
        ]
    connection.execute(insert(AUDIT), reads)
    if customers:
        connection.execute(insert(AUDIT_CUSTOMERS), customers)


def _storable(text: str) -> str:
    """Return a text that every database takes, whatever a client has sent: no lone surrogate, no NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _batches(
    connection: Connection, since: dt.datetime | None, until: dt.datetime | None
) -> Iterator[Sequence[tuple[Any, ...]]]:
    wanted = (
        select(*((AUDIT_CUSTOMERS if name == CUSTOMER_ID else AUDIT).c[name] for name in _COLUMNS))
        .outerjoin_from(AUDIT, AUDIT_CUSTOMERS)
        .order_by(AUDIT.c.at, AUDIT.c.id, AUDIT_CUSTOMERS.c.position)
    )
    if since is not None:
        wanted = wanted.where(AUDIT.c.at >= since)
    if until is not None:
        wanted = wanted.where(AUDIT.c.at < until)
    found = connection.execution_options(yield_per=_BATCH).execute(wanted)
    for batch in found.partitions():
        yield [tuple(row) for row in batch]


def _write_csv(batches: Iterator[Sequence[tuple[Any, ...]]], part: Path) -> int:
    count = 0
    with part.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for batch in batches:
            writer.writerows([row[0].isoformat(), *(defused(text or "") for text in row[1:])] for row in batch)
            count += len(batch)
    return count


def _write_parquet(batches: Iterator[Sequence[tuple[Any, ...]]], part: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    instant = pa.timestamp("us", tz="UTC")
    schema = pa.schema([(name, instant if name == "at" else pa.string()) for name in _COLUMNS])
    count = 0
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for batch in batches:
            columns = zip(*batch, strict=True)
            writer.write_batch(pa.record_batch([pa.array(values) for values in columns], schema=schema))
            count += len(batch)
    return count

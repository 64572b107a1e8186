"""Reading a PostgreSQL table: one read-only statement, streamed as text in batches, and typed by DuckDB."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv

from churnml.addresses import postgres_settings
from churnml.config import Source
from churnml.errors import ChurnmlError
from churnml.tables.sources import quoted

_BATCH = 8_000_000  # bytes of text
_SECRETS = ("password", "sslpassword")

# PostgreSQL's types by name, as DuckDB's. Text of any kind and enums are VARCHAR; what is not here cannot be used.
_NUMERIC = "NUMERIC"
_TYPES = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "oid": "BIGINT",
    "float4": "DOUBLE",
    "float8": "DOUBLE",
    "numeric": _NUMERIC,
    "money": _NUMERIC,
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "uuid": "UUID",
}
_TEXT_CATEGORIES = "SE"
_UNUSABLE = "BLOB"
_TIMES = {"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}

_NAME_IT = "name one that is there (upper and lower case matter), with its schema where it has another: billing.bill"
_REMEDIES = {"42P01": _NAME_IT, "3F000": _NAME_IT, "42501": "ask whoever keeps the database for SELECT on it"}


def read_postgres(con: duckdb.DuckDBPyConnection, table: str, source: Source, *, rows: bool = True) -> str:
    """Copy a table of a PostgreSQL database into DuckDB.

    Times keep their zone or have none; whole ``numeric`` values stay exact, others become floating point; times that no
    calendar here has become infinite, as other sources have them. Columns of types that cannot be used (``json``,
    arrays, ...) are not fetched.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        Where the copy is made; what does not fit into memory is written to its temporary folder.
    table : str
        Our name of the table.
    source : Source
        A source with ``url`` and ``table``.
    rows : bool
        False where columns and types are enough.

    Returns
    -------
    str
        What can stand after FROM.

    Raises
    ------
    ChurnmlError
        If the address is none, the server cannot be reached or refuses, or the table is not there or cannot be read.
        Passwords are never shown.
    """
    if source.table is None:
        raise ChurnmlError(f"tables.{table}: url is a database", "name its table with table:", table=table)
    settings = postgres_settings(str(source.url))
    if settings is None:
        raise ChurnmlError(
            f"table {table}: its url is no address of a PostgreSQL database",
            "write postgresql://user:${PASSWORD}@host:5432/database",
            table=table,
        )
    theirs = ".".join(quoted(part) for part in source.table.split("."))
    copy = quoted("source_" + table)
    try:
        with psycopg.connect(**settings) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # types and rows of one moment
            types = _types(connection, theirs)
            if not types:
                raise ChurnmlError(f"table {table}: {source.table} has no columns", "name another", table=table)
            declared = ", ".join(f"{quoted(name)} {_kept_as(kind)}" for name, kind in types.items())
            con.execute(f"CREATE TEMP TABLE {copy} ({declared})")
            wanted = ", ".join(_asked(name, kind) for name, kind in types.items())
            statement = f"COPY (SELECT {wanted} FROM {theirs}{'' if rows else ' LIMIT 0'}) TO STDOUT (FORMAT csv)"
            with connection.cursor() as cursor, cursor.copy(statement.encode()) as stream:
                for batch in _batches(stream):
                    _insert(con, copy, list(types.values()), batch)
    except (psycopg.Error, pa.ArrowInvalid, UnicodeError) as error:
        raise _refused(table, source.table, error, settings) from None
    return _with_numbers(con, copy, types)


def _types(connection: psycopg.Connection[Any], theirs: str) -> dict[str, str]:
    """Return DuckDB's type of each column, and make the server write values in one way only."""
    for name, value in {"TimeZone": "UTC", "DateStyle": "ISO, YMD", "extra_float_digits": "3"}.items():
        connection.execute("SELECT set_config(%s, %s, true)", [name, value])
    described = connection.execute(f"SELECT * FROM {theirs} LIMIT 0".encode()).description or []
    known = connection.execute(
        "SELECT oid, typname, typcategory FROM pg_catalog.pg_type WHERE oid = ANY(%s)",
        [[column.type_code for column in described]],
    )
    names = {
        oid: _TYPES.get(name, "VARCHAR" if category in _TEXT_CATEGORIES else _UNUSABLE) for oid, name, category in known
    }
    return {column.name: names.get(column.type_code, _UNUSABLE) for column in described}


def _kept_as(kind: str) -> str:
    return "VARCHAR" if kind == _NUMERIC else kind


def _asked(name: str, kind: str) -> str:
    """Return PostgreSQL's SQL of a column as text."""
    column = quoted(name)
    if kind == _UNUSABLE:
        return "NULL"
    if kind == _NUMERIC:
        return f"{column}::numeric::text"
    if kind in _TIMES:  # PostgreSQL counts years from 4714 BC to 294276
        early, late = f"{column} < '0001-01-01'", f"{column} > '9999-12-31 23:59:59.999999'"
        return f"CASE WHEN {early} THEN '-infinity' WHEN {late} THEN 'infinity' ELSE {column}::text END"
    return f"{column}::text"


def _batches(stream: psycopg.Copy) -> Iterator[bytes]:
    """Gather rows (the server sends each as a message of its own) to batches."""
    batch = bytearray()
    for row in stream:
        batch += row
        if len(batch) >= _BATCH:
            yield bytes(batch)
            batch.clear()
    if batch:
        yield bytes(batch)


def _insert(con: duckdb.DuckDBPyConnection, copy: str, kinds: list[str], batch: bytes) -> None:
    names = [f"c{at}" for at in range(len(kinds))]
    cells = pa_csv.read_csv(
        pa.BufferReader(batch),
        pa_csv.ReadOptions(column_names=names, block_size=len(batch) + 1),
        pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    values = ", ".join(f"CAST({name} AS {_kept_as(kind)})" for name, kind in zip(names, kinds, strict=True))
    con.register("cells", cells)
    try:
        con.execute(f"INSERT INTO {copy} SELECT {values} FROM cells")
    finally:
        con.unregister("cells")


def _with_numbers(con: duckdb.DuckDBPyConnection, copy: str, types: dict[str, str]) -> str:
    """Return the copy with numeric columns as numbers: whole ones, which may be identifiers, lose no digit."""
    numeric = [name for name, kind in types.items() if kind == _NUMERIC]
    if not numeric:
        return copy
    whole = ", ".join(f"bool_and(regexp_full_match({quoted(name)}, '-?[0-9]{{1,37}}'))" for name in numeric)
    found = con.execute(f"SELECT {whole} FROM {copy}").fetchone() or ()
    cast = {name: "HUGEINT" if is_whole else "DOUBLE" for name, is_whole in zip(numeric, found, strict=True)}
    replaced = ", ".join(f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in cast.items())
    return f"(SELECT * REPLACE ({replaced}) FROM {copy})"


def _refused(table: str, theirs: str, error: Exception, settings: dict[str, Any]) -> ChurnmlError:
    """Return what the database says, without passwords and without the data of any row."""
    told = (error.diag.message_primary if isinstance(error, psycopg.Error) else None) or str(error)
    state = (error.sqlstate if isinstance(error, psycopg.Error) else "22000") or ""
    if state.startswith("22"):  # a value that a view could not convert, or no UTF-8
        told = re.sub(r"(['\"]).*\1", "a value", told)
    for secret in filter(None, map(settings.get, _SECRETS)):
        told = told.replace(str(secret), "***")
    return ChurnmlError(
        f"table {table}: {theirs} cannot be read from the PostgreSQL database ({told.strip()})",
        _REMEDIES.get(state, "mend its url (server, database, user, password), or ask whoever keeps the database"),
        table=table,
    )

"""Reading values: user's columns and types become ours, times become wall-clock time, once."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

import duckdb

from churnml.config import Source
from churnml.errors import ChurnmlError
from churnml.tables.schema import Kind, Schema
from churnml.tables.sources import quoted, text_literal

# A time of day, then an offset: a bare date such as 2024-01-05 must not match. DuckDB wants seconds and no blank before
# the offset, ISO 8601 does not.
_OFFSET = r"(\d:\d{2}(:\d{2}(\.\d+)?)?)\s*([Zz]|[+-]\d{2}(:?\d{2})?)$"
_NAIVE = r"^\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?$"
_OFFSET_WITHOUT_SECONDS = r"([T ]\d{1,2}:\d{2})([Zz]|[+-]\S*)$"

_DATE = r"^\s*\d{4}-\d{2}-\d{2}"

# The row as it came, beside its typed values.
RAW = "__raw__"

# The column that tells why a row is bad; in a row as it came, why it is bad before it was read. A name with two
# underscores is no user's.
REASON = "__reason__"

# What pandas writes into a Parquet file for the index of a frame.
_PANDAS_INDEX = r"__index_level_\d+__"

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_HUGE = {"HUGEINT", "UHUGEINT"}
_FLOATS = {"FLOAT", "DOUBLE"}
_AWARE = "TIMESTAMP WITH TIME ZONE"
_TIMES = {"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", _AWARE}

# The share of a text column's values that must be numbers for the column to be one.
_MEASURE_SHARE = 0.5
_ATTRIBUTE_SHARE = 1.0


@dataclass(frozen=True)
class Reading:
    """How one column is read.

    Attributes
    ----------
    name : str
        Our name.
    kind : str
        What it holds: text, time, number or boolean.
    value : str
        SQL of the value.
    unreadable : str or None
        SQL that is true where there is something that cannot be read; None where that cannot be.
    instant : str or None
        SQL of the instant of an aware time, null where the time is naive; None where all are.
    extra : bool
        True for a column that the contract does not name.
    """

    name: str
    kind: Kind
    value: str
    unreadable: str | None = None
    instant: str | None = None
    extra: bool = False


def renamed(
    con: duckdb.DuckDBPyConnection, schema: Schema, source: Source, relation: str
) -> tuple[str, dict[str, str]]:
    """Give the columns of a relation our names.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        Where the relation lives.
    schema : Schema
        The table.
    source : Source
        Its configuration, with the map from our names to the user's.
    relation : str
        What can stand after FROM.

    Returns
    -------
    query : str
        A SELECT of the same rows.
    types : dict of str
        DuckDB's type of each column, by our name.

    Raises
    ------
    ChurnmlError
        If a mapped or required column is not there.
    """
    described = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    theirs = {row[0]: row[1] for row in described}
    mapped = mapped_names(schema, source, list(theirs))
    chosen = ", ".join(f"{quoted(given)} AS {quoted(ours)}" for ours, given in mapped.items())
    return f"SELECT {chosen} FROM {relation}", {ours: theirs[given] for ours, given in mapped.items()}


def mapped_names(schema: Schema, source: Source, theirs: list[str]) -> dict[str, str]:
    """Return the user's name of each column, by our name.

    Parameters
    ----------
    schema : Schema
        The table.
    source : Source
        Its configuration, with the map from our names to the user's.
    theirs : list of str
        The columns that the source has.

    Returns
    -------
    dict of str
        Every column, but for the index of a pandas frame.

    Raises
    ------
    ChurnmlError
        If a mapped or required column is not there.
    """
    theirs = [name for name in theirs if not re.fullmatch(_PANDAS_INDEX, name)]
    for ours, given in source.columns.items():
        if given not in theirs:
            raise _no_column(schema.name, given, theirs, f"mend tables.{schema.name}.columns.{ours}")
    taken = set(source.columns.values())
    mapped = {**{name: name for name in theirs if name not in taken}, **source.columns}
    unknown = [ours for ours in source.columns if ours not in schema.names]
    for name in mapped:
        if name.lower() in schema.names and name not in schema.names:
            raise ChurnmlError(
                f"table {schema.name}: the column {name} differs from ours only in case",
                f"map it: tables.{schema.name}.columns: {{{name.lower()}: {name}}}",
                table=schema.name,
                column=name,
            )
    for column in schema.columns:
        if column.required and column.name not in mapped:
            meant = difflib.get_close_matches(column.name, unknown, n=1)
            if meant:
                raise ChurnmlError(
                    f"tables.{schema.name}.columns: {meant[0]} is no name of ours",
                    f"did you mean {column.name}? write our name first, then yours",
                    table=schema.name,
                    column=meant[0],
                )
            raise _no_column(
                schema.name,
                column.name,
                theirs,
                f"name yours under tables.{schema.name}.columns.{column.name}",
            )
    return mapped


def readings(
    con: duckdb.DuckDBPyConnection,
    schema: Schema,
    query: str,
    types: dict[str, str],
    *,
    timezone: str,
    untyped: bool,
) -> list[Reading]:
    """Decide how each column is read.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        Where the query runs.
    schema : Schema
        The table.
    query : str
        A SELECT with our column names.
    types : dict of str
        DuckDB's type of each column.
    timezone : str
        IANA name of the zone that aware times are turned into.
    untyped : bool
        True where the source has only text, so that numbers among the further columns have to be found.

    Returns
    -------
    list of Reading
        The contract's columns first (a null for each that the user does not have), then the further ones.

    Raises
    ------
    ChurnmlError
        If a column holds a type that cannot be what it should.
    """
    types = _without_null_types(con, schema, query, types)
    named = [
        _read(schema, column.name, column.kind, types[column.name], timezone)
        if column.name in types
        else Reading(column.name, column.kind, f"CAST(NULL AS {_sql_type(column.kind)})")
        for column in schema.columns
    ]
    further = {name: _kind_of(types[name]) for name in types if schema.column(name) is None and name != REASON}
    if untyped:
        further |= _kinds_of_text(con, schema, query, [name for name, kind in further.items() if kind == "text"])
    return named + [
        _read(schema, name, kind, types[name], timezone, extra=True) for name, kind in further.items() if kind
    ]


def typed(query: str, columns: list[Reading]) -> str:
    """Return the SELECT that reads every column.

    Beside each value stand ``{name}__unreadable`` and ``{name}__instant`` where there is such a thing, and ``__raw__``,
    the row as it came.
    """
    parts = []
    for column in columns:
        parts.append(f"{column.value} AS {quoted(column.name)}")
        if column.unreadable:
            parts.append(f"{column.unreadable} AS {quoted(column.name + '__unreadable')}")
        if column.instant:
            parts.append(f"{column.instant} AS {quoted(column.name + '__instant')}")
    return f"SELECT {', '.join(parts)}, __row__ AS {RAW} FROM ({query}) AS __row__"


def _read(schema: Schema, name: str, kind: Kind, sql_type: str, timezone: str, *, extra: bool = False) -> Reading:
    column = quoted(name)
    blank_is_null = f"NULLIF(TRIM({column}), '')"
    if kind == "text":
        if _kind_of(sql_type) is None:
            raise wrong_type(schema, name, sql_type, "text")
        if not extra and (sql_type in _FLOATS or sql_type.startswith("DECIMAL")):
            number = f"CAST({column} AS DOUBLE)"  # pandas turns whole numbers with gaps into floats
            whole = f"isfinite({number}) AND {number} = trunc({number}) AND abs({number}) < 1e15"
            as_whole = f"CAST(CAST({number} AS BIGINT) AS VARCHAR)"
            return Reading(name, kind, f"CASE WHEN {whole} THEN {as_whole} ELSE CAST({column} AS VARCHAR) END")
        return Reading(name, kind, f"CAST({column} AS VARCHAR)", extra=extra)
    if kind == "boolean":
        if sql_type == "BOOLEAN":
            return Reading(name, kind, column, extra=extra)
        if sql_type != "VARCHAR" and not _is_number(sql_type):
            raise wrong_type(schema, name, sql_type, "true or false")
        value = f"TRY_CAST({blank_is_null if sql_type == 'VARCHAR' else column} AS BOOLEAN)"
        return Reading(name, kind, value, _lost(value, column, sql_type), extra=extra)
    if kind == "number":
        if sql_type == "VARCHAR":
            value = f"TRY_CAST({blank_is_null} AS DOUBLE)"
            return Reading(name, kind, value, _lost(value, column, sql_type), extra=extra)
        if not _is_number(sql_type):
            raise wrong_type(schema, name, sql_type, "a number")
        return Reading(name, kind, f"CAST({column} AS DOUBLE)", extra=extra)
    return _read_time(schema, name, sql_type, timezone, extra=extra)


def _read_time(schema: Schema, name: str, sql_type: str, timezone: str, *, extra: bool) -> Reading:
    column, zone = quoted(name), text_literal(timezone)
    if sql_type == _AWARE:
        return Reading(name, "time", f"timezone({zone}, {column})", _out_of_range(column), column, extra)
    if sql_type in _TIMES:
        cut = f"TRY_CAST({column} AS TIMESTAMP)"  # nanoseconds are cut off, not rounded
        lost = (
            _out_of_range(cut)
            if sql_type == "TIMESTAMP"
            else f"({_lost(cut, column, sql_type)} OR {_out_of_range(cut)})"
        )
        return Reading(name, "time", cut, lost, extra=extra)
    if sql_type != "VARCHAR":
        raise wrong_type(schema, name, sql_type, "a time")
    text = f"NULLIF(TRIM({column}), '')"
    aware = f"regexp_matches({text}, {text_literal(_OFFSET)})"
    naive = f"regexp_matches({text}, {text_literal(_NAIVE)})"
    joined = f"regexp_replace({text}, {text_literal(_OFFSET)}, '\\1\\4')"
    full = f"regexp_replace({joined}, {text_literal(_OFFSET_WITHOUT_SECONDS)}, '\\1:00\\2')"
    instant = f"CASE WHEN {aware} THEN TRY_CAST({full} AS TIMESTAMPTZ) END"
    value = f"CASE WHEN {aware} THEN timezone({zone}, {instant}) WHEN {naive} THEN TRY_CAST({text} AS TIMESTAMP) END"
    unreadable = f"({_lost(value, column, sql_type)} OR COALESCE({_out_of_range(value)}, false))"
    return Reading(name, "time", value, unreadable, instant, extra)


def _out_of_range(time: str) -> str:
    """Return SQL that is true of infinity, and of years that no calendar here has."""
    return f"NOT ({time} BETWEEN TIMESTAMP '0001-01-02' AND TIMESTAMP '9999-12-31 23:59:59.999999')"


def _lost(value: str, column: str, sql_type: str) -> str:
    there = f"TRIM({column}) <> ''" if sql_type == "VARCHAR" else f"{column} IS NOT NULL"
    return f"(COALESCE({there}, false) AND ({value}) IS NULL)"


def _without_null_types(
    con: duckdb.DuckDBPyConnection, schema: Schema, query: str, types: dict[str, str]
) -> dict[str, str]:
    """Return the types, text for columns of ours that hold only nulls: DuckDB calls the type of nothing INTEGER."""
    asked = [column.name for column in schema.columns if column.kind != "number"]
    doubtful = [name for name in asked if types.get(name) == "INTEGER"]
    if not doubtful:
        return types
    counted = ", ".join(f"EXISTS (SELECT 1 FROM ({query}) WHERE {quoted(name)} IS NOT NULL)" for name in doubtful)
    found = con.execute(f"SELECT {counted}").fetchone() or ()
    return types | {name: "VARCHAR" for name, there in zip(doubtful, found, strict=True) if not there}


def _kinds_of_text(con: duckdb.DuckDBPyConnection, schema: Schema, query: str, names: list[str]) -> dict[str, Kind]:
    """Find the numbers, booleans and times among columns of text.

    Usage may hold some unreadable numbers, everything else is what all its values are. Codes with leading zeros are no
    numbers.
    """
    if not names:
        return {}
    share = _MEASURE_SHARE if schema.name == "usage" else _ATTRIBUTE_SHARE
    date = text_literal(_DATE)
    tests = ", ".join(
        f"{{'there': count(NULLIF(TRIM({column}), '')), 'numbers': count(TRY_CAST({column} AS DOUBLE)),"
        f" 'codes': count(*) FILTER (regexp_matches(TRIM({column}), '^[+-]?0[0-9]')),"
        f" 'booleans': count(*) FILTER (lower(TRIM({column})) IN ('true', 'false')),"
        f" 'times': count(TRY_CAST(TRIM({column}) AS TIMESTAMP)) FILTER (regexp_matches({column}, {date}))}}"
        for column in map(quoted, names)
    )
    kinds: dict[str, Kind] = {}
    for name, found in zip(names, con.execute(f"SELECT {tests} FROM ({query})").fetchone() or (), strict=True):
        if not found["there"]:
            continue
        if found["numbers"] >= share * found["there"] and not found["codes"]:
            kinds[name] = "number"
        elif found["booleans"] == found["there"]:
            kinds[name] = "boolean"
        elif found["times"] == found["there"]:
            kinds[name] = "time"
    return kinds


def _kind_of(sql_type: str) -> Kind | None:
    if _is_number(sql_type):
        return "number"
    if sql_type in _TIMES:
        return "time"
    if sql_type == "BOOLEAN":
        return "boolean"
    return "text" if sql_type in ("VARCHAR", "UUID") or sql_type.startswith("ENUM") else None


def _is_number(sql_type: str) -> bool:
    return sql_type in _INTEGERS | _HUGE | _FLOATS or sql_type.startswith("DECIMAL")


def _sql_type(kind: Kind) -> str:
    return {"text": "VARCHAR", "time": "TIMESTAMP", "number": "DOUBLE", "boolean": "BOOLEAN"}[kind]


def _no_column(table: str, name: str, there: list[str], remedy: str) -> ChurnmlError:
    near = difflib.get_close_matches(name, there, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return ChurnmlError(
        f"table {table} has no column {name}",
        f"{hint}it has {', '.join(there)}; {remedy}",
        table=table,
        column=name,
    )


def wrong_type(schema: Schema, name: str, sql_type: str, needed: str) -> ChurnmlError:
    """Return the error of a column whose type cannot be what it should."""
    return ChurnmlError(
        f"table {schema.name}: the column {name} holds {sql_type}, {needed} is needed",
        f"convert it, or name another under tables.{schema.name}.columns.{name}",
        table=schema.name,
        column=name,
    )

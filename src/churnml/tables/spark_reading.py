"""Reading values on Spark: the same decisions as `reading`, in Spark's SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from churnml.tables.reading import RAW, Reading, wrong_type
from churnml.tables.schema import Kind, Schema
from churnml.tables.sources import text_literal

_INTEGERS = {"tinyint", "smallint", "int", "bigint"}
_FLOATS = {"float", "double"}
_TIMES = {"date", "timestamp", "timestamp_ntz"}
SQL_TYPES: dict[Kind, str] = {"text": "STRING", "time": "TIMESTAMP_NTZ", "number": "DOUBLE", "boolean": "BOOLEAN"}

# Patterns without backslashes, which Spark's literals would eat. Java's numbers may end in d or f, ours may not.
_NUMBER = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?((?i)inf|infinity|nan)$"
_OFFSET = "([0-9]:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?) *([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$"
_NAIVE = "^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?$"
_NO_SECONDS = "([T ][0-9]{1,2}:[0-9]{2})([Zz]|[+-].*)$"
_NO_COLON = "([+-][0-9]{2})([0-9]{2})$"


def identifier(name: str) -> str:
    """Return an identifier of Spark's SQL that stands for exactly this name."""
    return "`" + name.replace("`", "``") + "`"


def readings(
    schema: Schema, types: Mapping[str, str], *, timezone: str, is_empty: Callable[[str], bool]
) -> list[Reading]:
    """Decide how each column is read.

    Parameters
    ----------
    schema : Schema
        The table.
    types : mapping of str
        Spark's type of each column, by our name.
    timezone : str
        IANA name of the zone that aware times are turned into.
    is_empty : callable
        Tells whether a column holds nothing but nulls: its type then says nothing.

    Returns
    -------
    list of Reading
        The contract's columns first (a null for each that the user does not have), then the further ones.

    Raises
    ------
    ChurnmlError
        If a column holds a type that cannot be what it should.
    """
    found = []
    for column in schema.columns:
        sql_type = types.get(column.name, "void")
        doubtful = sql_type == "int" and column.kind in ("time", "boolean")
        if sql_type == "void" or (doubtful and is_empty(column.name)):
            found.append(Reading(column.name, column.kind, f"CAST(NULL AS {SQL_TYPES[column.kind]})"))
        else:
            found.append(_read(schema, column.name, column.kind, sql_type, timezone))
    further = {name: _kind_of(sql_type) for name, sql_type in types.items() if schema.column(name) is None}
    return found + [
        _read(schema, name, kind, types[name], timezone, extra=True) for name, kind in further.items() if kind
    ]


def typed(relation: str, names: Mapping[str, str], types: Mapping[str, str], columns: list[Reading]) -> str:
    """Return the SELECT that reads every column (see `reading.typed`).

    Parameters
    ----------
    relation : str
        What can stand after FROM.
    names, types : mapping of str
        The user's name, and Spark's type, of each column by our name.
    columns : list of Reading
        How they are read.

    Returns
    -------
    str
        SQL of Spark.
    """
    parts = []
    for column in columns:
        parts.append(f"{column.value} AS {identifier(column.name)}")
        if column.unreadable:
            parts.append(f"{column.unreadable} AS {identifier(column.name + '__unreadable')}")
        if column.instant:
            parts.append(f"{column.instant} AS {identifier(column.name + '__instant')}")
    renamed = ", ".join(f"{identifier(given)} AS {identifier(ours)}" for ours, given in names.items())
    raw = ", ".join(identifier(ours) for ours in names if types[ours] != "void")  # Parquet has no such type
    return f"SELECT {', '.join(parts)}, struct({raw}) AS {RAW} FROM (SELECT {renamed} FROM {relation})"


def _read(schema: Schema, name: str, kind: Kind, sql_type: str, timezone: str, *, extra: bool = False) -> Reading:
    column = identifier(name)
    text = f"NULLIF(TRIM({column}), '')"
    if kind == "text":
        if _kind_of(sql_type) is None:
            raise wrong_type(schema, name, sql_type, "text")
        value = f"CAST({column} AS STRING)"
        if not extra and (sql_type in _FLOATS or sql_type.startswith("decimal")):
            number = f"CAST({column} AS DOUBLE)"  # pandas turns whole numbers with gaps into floats
            whole = f"abs({number}) < 1e15D AND {number} = rint({number})"
            value = f"CASE WHEN {whole} THEN CAST(CAST({number} AS BIGINT) AS STRING) ELSE {value} END"
        return Reading(name, kind, value, extra=extra)
    if kind == "boolean":
        if sql_type == "boolean":
            return Reading(name, kind, column, extra=extra)
        if sql_type != "string" and not _is_number(sql_type):
            raise wrong_type(schema, name, sql_type, "true or false")
        value = f"TRY_CAST({text if sql_type == 'string' else column} AS BOOLEAN)"
        return Reading(name, kind, value, _lost(value, column, sql_type), extra=extra)
    if kind == "number":
        if sql_type == "string":
            value = f"TRY_CAST(CASE WHEN {text} RLIKE {text_literal(_NUMBER)} THEN {text} END AS DOUBLE)"
            return Reading(name, kind, value, _lost(value, column, sql_type), extra=extra)
        if not _is_number(sql_type):
            raise wrong_type(schema, name, sql_type, "a number")
        return Reading(name, kind, f"CAST({column} AS DOUBLE)", extra=extra)
    return _read_time(schema, name, sql_type, timezone, extra=extra)


def _read_time(schema: Schema, name: str, sql_type: str, timezone: str, *, extra: bool) -> Reading:
    column = identifier(name)
    if sql_type == "timestamp":
        return Reading(name, "time", _wall_clock(column, timezone), _out_of_range(column), column, extra)
    if sql_type in _TIMES:
        value = f"CAST({column} AS TIMESTAMP_NTZ)"
        return Reading(name, "time", value, _out_of_range(value), extra=extra)
    if sql_type != "string":
        raise wrong_type(schema, name, sql_type, "a time")
    text = f"NULLIF(TRIM({column}), '')"
    aware, naive = (f"{text} RLIKE {text_literal(pattern)}" for pattern in (_OFFSET, _NAIVE))
    full = text
    for pattern, put in ((_OFFSET, "$1$4"), (_NO_SECONDS, "$1:00$2"), (_NO_COLON, "$1:$2")):
        full = f"regexp_replace({full}, {text_literal(pattern)}, '{put}')"
    instant = f"CASE WHEN {aware} THEN TRY_CAST({full} AS TIMESTAMP_LTZ) END"
    value = (
        f"CASE WHEN {aware} THEN {_wall_clock(instant, timezone)}"
        f" WHEN {naive} THEN TRY_CAST({text} AS TIMESTAMP_NTZ) END"
    )
    unreadable = f"({_lost(value, column, sql_type)} OR COALESCE({_out_of_range(value)}, false))"
    return Reading(name, "time", value, unreadable, instant, extra)


def _wall_clock(instant: str, timezone: str) -> str:
    """Return SQL of the wall-clock time of an instant; the session's own zone is UTC."""
    return f"convert_timezone('UTC', {text_literal(timezone)}, CAST({instant} AS TIMESTAMP_NTZ))"


def _out_of_range(time: str) -> str:
    start, end = "TIMESTAMP_NTZ '0001-01-02'", "TIMESTAMP_NTZ '9999-12-31 23:59:59.999999'"
    return f"NOT (CAST({time} AS TIMESTAMP_NTZ) BETWEEN {start} AND {end})"


def _lost(value: str, column: str, sql_type: str) -> str:
    there = f"TRIM({column}) <> ''" if sql_type == "string" else f"{column} IS NOT NULL"
    return f"(COALESCE({there}, false) AND ({value}) IS NULL)"


def _kind_of(sql_type: str) -> Kind | None:
    if _is_number(sql_type) or sql_type == "void":
        return "number"
    if sql_type in _TIMES:
        return "time"
    return {"boolean": "boolean", "string": "text"}.get(sql_type)  # type: ignore[return-value]


def _is_number(sql_type: str) -> bool:
    return sql_type in _INTEGERS | _FLOATS or sql_type.startswith("decimal")

"""One table from several systems: customers are joined by spell and version, rows of other tables are put together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import duckdb

from churnml.columns import CUSTOMER_ID, KNOWN_AT, SIGNED_UP_AT
from churnml.config import Identities, Source, Table
from churnml.errors import ChurnmlError
from churnml.tables.checks import CONFLICT, DUPLICATE
from churnml.tables.reading import REASON, Reading, readings, renamed
from churnml.tables.schema import Column, Kind, Schema
from churnml.tables.sources import open_source, quoted, readable, text_literal

# The table of what the sources disagree about: customer_id, column, the value of each source, won.
DISAGREEMENTS = "disagreements"

UNKNOWN_IDENTITY = "unknown identity"
AMBIGUOUS_IDENTITY = "ambiguous identity"

_KEYS = (CUSTOMER_ID, KNOWN_AT)  # they say which row it is, and are no values to disagree about


@dataclass(frozen=True)
class _Part:
    """One source: its rows with our column names, how they are read, and whether its customers have other numbers."""

    source: Source
    query: str
    types: dict[str, str]
    columns: dict[str, Reading]
    untyped: bool
    mapped: bool

    @property
    def name(self) -> str:
        return self.source.name or ""


@dataclass(frozen=True)
class _Merge:
    """What is merged: the sources of a table, and which of them wins where."""

    schema: Schema
    parts: list[_Part]
    wins: dict[str, str]
    joins: bool

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(name for part in self.parts for name in part.columns))

    def having(self, name: str) -> list[tuple[int, _Part]]:
        """Return the sources that have a column, with their place: the one that wins first."""
        found = [(at, part) for at, part in enumerate(self.parts) if name in part.columns]
        return sorted(found, key=lambda one: self.wins.get(name) != one[1].name)

    def types(self, name: str) -> set[str]:
        return {part.types[name] for _, part in self.having(name)}

    def kinds(self, name: str) -> set[Kind]:
        return {part.columns[name].kind for _, part in self.having(name)}

    @property
    def untyped(self) -> bool:
        """Whether text may be something else: a source knows no types, or types differ so that only text holds all."""
        further = [name for name in self.names if self.schema.column(name) is None]
        return any(part.untyped for part in self.parts) or any(len(self.types(name)) > 1 for name in further)


def merged(
    con: duckdb.DuckDBPyConnection, schema: Schema, table: Table, folder: Path, *, timezone: str, rows: bool = True
) -> tuple[str, bool]:
    """Make one relation of several sources, or of one whose customers have other numbers.

    Rows that cannot be told whose they are, or which of several they are, carry a reason in ``__reason__``. For
    ``customers`` a table ``disagreements`` is made besides.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        Where relations are made.
    schema : Schema
        The table.
    table : Table
        Its configuration.
    folder : Path
        What relative paths are relative to.
    timezone : str
        IANA name of the zone that aware times are turned into.
    rows : bool
        False where columns and types are enough.

    Returns
    -------
    relation : str
        What can stand after FROM, with our column names.
    untyped : bool
        True where a column may be text only because one of the sources is, or because they differ.

    Raises
    ------
    ChurnmlError
        If a source cannot be read, a column is missing or of a wrong type, columns differ only in case, ``wins`` names
        a column that its source does not have, or no source has the numbers that the identities map.
    """
    ids, joins = table.identities, schema.name == "customers" and bool(table.sources)
    parts = []
    for source in table.parts:
        place = f"{schema.name}.sources.{source.name}" if table.sources else schema.name
        with readable(place, source):
            parts.append(_opened(con, schema, place, source, ids, folder, timezone=timezone, rows=rows))
    merge = _Merge(schema, parts, table.wins, joins)
    _refuse_names_of_one_spelling(merge)
    _refuse_unknown_wins(merge)
    if ids:
        if not any(part.mapped for part in parts):
            raise ChurnmlError(
                f"tables.{schema.name}.identities: no source has the number {ids.from_} in place of {CUSTOMER_ID}",
                "name the column of that number as from:, or take identities out",
                table=schema.name,
                column=ids.from_,
            )
        with readable(f"{schema.name}.identities", Source(path=ids.path)):
            _map_identities(con, schema, ids, folder)
    if joins:
        return _joined(con, merge), merge.untyped
    selects = [f"SELECT {_outputs(merge, part)}, {_identity(part)} AS {REASON} {_from(merge, part)}" for part in parts]
    return f"({' UNION ALL BY NAME '.join(selects)})", merge.untyped


def _opened(
    con: duckdb.DuckDBPyConnection,
    schema: Schema,
    place: str,
    source: Source,
    ids: Identities | None,
    folder: Path,
    *,
    timezone: str,
    rows: bool,
) -> _Part:
    # what one source lacks, another may have
    columns = tuple(dataclasses.replace(column, required=False) for column in schema.columns)
    asked = dataclasses.replace(schema, name=place, columns=columns)
    relation, untyped = open_source(con, place, source, folder, rows=rows)
    query, types = renamed(con, asked, source, relation)
    number = source.columns.get(ids.from_, ids.from_) if ids else None
    mapped = number is not None and source.columns.get(CUSTOMER_ID) == number
    if ids and CUSTOMER_ID not in types and ids.from_ in types:
        others = {ours: theirs for ours, theirs in source.columns.items() if ours != ids.from_}
        source = source.model_copy(update={"columns": {**others, CUSTOMER_ID: number}})
        query, types = renamed(con, asked, source, relation)
        mapped = True
    if CUSTOMER_ID not in types:
        raise ChurnmlError(
            f"table {place} has no column {CUSTOMER_ID}",
            f"it has {', '.join(types)}; name yours under columns.{CUSTOMER_ID}, or its number under identities.from",
            table=schema.name,
            column=CUSTOMER_ID,
        )
    read = readings(con, asked, query, types, timezone=timezone, untyped=untyped)
    there = {column.name: column for column in read if column.name in types}
    return _Part(source, query, types, there, untyped, mapped)


def _refuse_names_of_one_spelling(merge: _Merge) -> None:
    """Refuse columns that differ only in case, which DuckDB cannot tell apart."""
    spelled: dict[str, str] = {}
    for name in merge.names:
        other = spelled.setdefault(name.lower(), name)
        if other != name:
            raise ChurnmlError(
                f"table {merge.schema.name}: the columns {other} and {name} of its sources differ only in case",
                f"map one of them: columns: {{{other}: {name}}}",
                table=merge.schema.name,
                column=name,
            )


def _refuse_unknown_wins(merge: _Merge) -> None:
    for column, name in merge.wins.items():
        allowed = [there for part in merge.parts if part.name == name for there in part.columns if there not in _KEYS]
        if column not in allowed:
            raise ChurnmlError(
                f"tables.{merge.schema.name}.wins: {name} has no column {column} that could win",
                f"it has {', '.join(allowed)}",
                table=merge.schema.name,
                column=column,
            )


def _map_identities(con: duckdb.DuckDBPyConnection, schema: Schema, ids: Identities, folder: Path) -> None:
    """Make the table of numbers: the customer that each stands for, and how many there are."""
    place = f"{schema.name}.identities"
    relation, _ = open_source(con, place, Source(path=ids.path), folder)
    there = {row[0]: row[1] for row in con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    for name in (ids.from_, ids.to):
        if name not in there:
            raise ChurnmlError(
                f"tables.{place}: {ids.path} has no column {name}",
                f"it has {', '.join(there)}",
                table=schema.name,
                column=name,
            )
    asked = Schema(place, "", (), (Column(ids.from_, "text"), Column(ids.to, "text")))
    types = {name: there[name] for name in (ids.from_, ids.to)}
    number, customer, *_ = readings(con, asked, f"SELECT * FROM {relation}", types, timezone="UTC", untyped=False)
    con.execute(
        f"CREATE TEMP TABLE {_numbers(schema)} AS"
        " SELECT n AS __number, min(c) AS __one, count(DISTINCT c) AS __customers"
        f" FROM (SELECT {number.value} AS n, {customer.value} AS c FROM {relation})"
        " WHERE TRIM(n) <> '' AND TRIM(c) <> '' GROUP BY n"
    )


def _numbers(schema: Schema) -> str:
    return quoted("identities_" + schema.name)


# --- the columns of one source ----------------------------------------------------------------------------------------


def _from(merge: _Merge, part: _Part) -> str:
    numbers = f" LEFT JOIN {_numbers(merge.schema)} ON __number = {part.columns[CUSTOMER_ID].value}"
    return f"FROM ({part.query}) AS __row__{numbers if part.mapped else ''}"


def _customer(part: _Part) -> str:
    value = part.columns[CUSTOMER_ID].value
    return f"CASE WHEN __customers = 1 THEN __one ELSE {value} END" if part.mapped else value


def _identity(part: _Part) -> str:
    """Return SQL of the reason for which it is not known whose a row is."""
    if not part.mapped:
        return "CAST(NULL AS VARCHAR)"
    return (
        f"CASE WHEN __customers > 1 THEN '{AMBIGUOUS_IDENTITY}'"
        f" WHEN __customers IS NULL AND {part.columns[CUSTOMER_ID].value} IS NOT NULL THEN '{UNKNOWN_IDENTITY}' END"
    )


def _outputs(merge: _Merge, part: _Part) -> str:
    return ", ".join(f"{_output(merge, part, name)} AS {quoted(name)}" for name in part.columns)


def _output(merge: _Merge, part: _Part, name: str) -> str:
    """Return SQL of a value as it came where all sources have one type, or of what is read to the same value."""
    if name == CUSTOMER_ID:
        return _customer(part)
    column = merge.schema.column(name)
    if len(merge.types(name)) > 1 and column is not None and column.kind == "text":
        return part.columns[name].value
    if len(merge.types(name)) > 1 and merge.kinds(name) == {"number"} and "VARCHAR" not in merge.types(name):
        return f"CAST({quoted(name)} AS DOUBLE)"
    if len(merge.types(name)) > 1 or (merge.joins and name == KNOWN_AT):
        return f"CAST({quoted(name)} AS VARCHAR)"
    return quoted(name)


def _text(merge: _Merge, part: _Part, name: str) -> str:
    """Return SQL of a value as text by which sources are compared: null where there is none, also where it is blank."""
    kinds, raw, value = merge.kinds(name), f"CAST({quoted(name)} AS VARCHAR)", part.columns[name].value
    if kinds == {"number"} or kinds == {"number", "text"}:
        number = f"TRY_CAST(NULLIF(TRIM({raw}), '') AS DOUBLE) + 0"  # 30 is 30.0, and 0 is -0
        text = f"COALESCE(regexp_replace(CAST({number} AS VARCHAR), '\\.0$', ''), {raw})"
    else:
        text = raw if len(kinds) > 1 else f"COALESCE(CAST({value} AS VARCHAR), {raw})"
    return f"CASE WHEN TRIM({text}) <> '' THEN {text} END"


# --- customers --------------------------------------------------------------------------------------------------------


def _joined(con: duckdb.DuckDBPyConnection, merge: _Merge) -> str:
    """Join the customers of all sources, and note what these disagree about."""
    for at, part in enumerate(merge.parts):
        with readable(f"{merge.schema.name}.sources.{part.name}", part.source):
            con.execute(f"CREATE TEMP TABLE __part_{at} AS {_prepared(merge, part)}")
    con.execute(f"CREATE TEMP TABLE __picks AS {_picks(merge)}")
    parts = range(len(merge.parts))
    together = "FROM __picks " + " ".join(f"LEFT JOIN __part_{at} AS p{at} ON p{at}.__id = id{at}" for at in parts)
    con.execute(f"CREATE TEMP TABLE {DISAGREEMENTS} AS {_disagreements(merge, together)}")
    chosen = {name: f"CASE {_by_precedence(merge, name, 'p{at}.{name}')} END" for name in merge.names}
    chosen[CUSTOMER_ID] = "__picks.__customer"
    if SIGNED_UP_AT in chosen:
        chosen[SIGNED_UP_AT] = "__picks.signed"
    if KNOWN_AT in chosen:
        chosen[KNOWN_AT] = "CAST(__picks.known AS VARCHAR)"
    listed = ", ".join(f"{value} AS {quoted(name)}" for name, value in chosen.items())
    alone = [
        f"SELECT {', '.join(map(quoted, part.columns))}, {REASON} FROM __part_{at} WHERE NOT __joined"
        for at, part in enumerate(merge.parts)
    ]
    joined = f"SELECT {listed}, CAST(NULL AS VARCHAR) AS {REASON} {together}"
    return f"({' UNION ALL BY NAME '.join([joined, *alone])})"


def _by_precedence(merge: _Merge, name: str, then: str) -> str:
    """Return the branches of a CASE: the first source that has a value, the one that wins before all."""
    return " ".join(
        f"WHEN p{at}.{quoted(name + '__text')} IS NOT NULL THEN "
        + then.format(at=at, name=quoted(name), part=text_literal(part.name))
        for at, part in merge.having(name)
    )


def _prepared(merge: _Merge, part: _Part) -> str:
    """Return a SELECT of a source's rows with their keys, and whether they can be joined or why not.

    A row that shares spell and known_at with another of its source is a duplicate or a contradiction; one without a
    ``signed_up_at`` speaks for all spells, unless the source has others of that customer with one.
    """
    values = [name for name in part.columns if name not in _KEYS]
    texts = ", ".join(f"{_text(merge, part, name)} AS {quoted(name + '__text')}" for name in values)
    times = [part.columns.get(name) for name in (SIGNED_UP_AT, KNOWN_AT)]
    signed, known = (time.value if time else "CAST(NULL AS TIMESTAMP)" for time in times)
    unreadable_time = " OR ".join([time.unreadable for time in times if time and time.unreadable] or ["false"])
    key = "__good, __customer, __signed, COALESCE(__known, __signed)"
    content = ", ".join([key, *(quoted(name + "__text") for name in values)])
    return f"""
        WITH base AS (
            SELECT {_outputs(merge, part)}, {texts or "NULL AS __no_text"}, {_customer(part)} AS __customer,
                {signed} AS __signed, {known} AS __known, {_identity(part)} AS __reason,
                __reason IS NULL AND __customer IS NOT NULL AND NOT COALESCE({unreadable_time}, false) AS __good
            {_from(merge, part)}),
        copies AS (SELECT *, row_number() OVER (PARTITION BY {content}) AS __copy FROM base),
        judged AS (
            SELECT *, CASE WHEN __reason IS NOT NULL OR NOT __good THEN __reason WHEN __copy > 1 THEN '{DUPLICATE}'
                WHEN count(*) FILTER (__copy = 1) OVER (PARTITION BY {key}) > 1 THEN '{CONFLICT}' END AS {REASON},
                __signed IS NULL AND count(__signed) OVER (PARTITION BY __good, __customer) > 0 AS __nameless
            FROM copies)
        SELECT *, row_number() OVER () AS __id, __good AND {REASON} IS NULL AND NOT __nameless AS __joined
        FROM judged"""


def _picks(merge: _Merge) -> str:
    """Return a SELECT of joined rows: customer, spell, since when known, and the row of each source that counts then.

    Where no source has more than one spell of a customer, all rows are of the same spell, though sources may disagree
    when it began; otherwise rows are of the spell with their own ``signed_up_at``. Whenever a source learnt something,
    there is a version: of each source, the latest row known by then.
    """
    ranks = {at: rank for rank, (at, _) in enumerate(merge.having(SIGNED_UP_AT))}
    rows = " UNION ALL ".join(
        f"SELECT {at} AS part, {ranks.get(at, 'NULL')} AS rank, __id, __customer, __signed, __known,"
        f" {quoted(SIGNED_UP_AT) if at in ranks else 'NULL'} AS signed FROM __part_{at} WHERE __joined"
        for at in range(len(merge.parts))
    )
    ids = ", ".join(f"max(__id) FILTER (part = {at}) AS id{at}" for at in range(len(merge.parts)))
    return f"""
        WITH rows AS ({rows}),
        counted AS (SELECT __customer, part, count(DISTINCT __signed) AS spells FROM rows GROUP BY ALL),
        single AS (SELECT __customer, max(spells) <= 1 AS one FROM counted GROUP BY ALL),
        spells AS (
            SELECT DISTINCT __customer, one, CASE WHEN one THEN TIMESTAMP '-infinity' ELSE __signed END AS spell
            FROM rows JOIN single USING (__customer) WHERE one OR __signed IS NOT NULL),
        members AS (
            SELECT rows.*, spell FROM rows JOIN spells USING (__customer)
            WHERE one OR __signed IS NULL OR __signed = spell),
        starts AS (
            SELECT __customer, spell, min_by(__signed, rank) AS start, min_by(signed, rank) AS signed
            FROM members WHERE __signed IS NOT NULL GROUP BY ALL),
        timed AS (
            SELECT members.* EXCLUDE (signed), starts.signed,
                COALESCE(__known, start, TIMESTAMP '-infinity') AS since
            FROM members LEFT JOIN starts USING (__customer, spell)),
        moments AS (
            SELECT __customer, spell, since AS moment, max(__known) AS known FROM timed GROUP BY ALL),
        versions AS (
            SELECT timed.*, moment, known FROM moments JOIN timed USING (__customer, spell) WHERE since <= moment
            QUALIFY row_number() OVER (
                PARTITION BY __customer, spell, moment, part ORDER BY since DESC, __known IS NULL) = 1)
        SELECT __customer, known, any_value(signed) AS signed, {ids},
            moment = max(moment) OVER (PARTITION BY __customer, spell) AS newest
        FROM versions GROUP BY __customer, spell, moment, known"""


def _disagreements(merge: _Merge, together: str) -> str:
    """Return a SELECT of every column of a customer for which sources have different values, by newest versions."""
    names = ["column", *(part.name for part in merge.parts), "won"]
    found = [f"CAST(NULL AS STRUCT({', '.join(f'{quoted(name)} VARCHAR' for name in names)}))"]
    for name in merge.names:
        there = merge.having(name)
        if len(there) < 2 or name in _KEYS:
            continue
        texts = {at: f"p{at}.{quoted(name + '__text')}" for at, _ in there}
        values = [texts.get(at, "CAST(NULL AS VARCHAR)") for at in range(len(merge.parts))]
        values = [text_literal(name), *values, f"CASE {_by_precedence(merge, name, '{part}')} END"]
        packed = ", ".join(f"{quoted(field)} := {value}" for field, value in zip(names, values, strict=True))
        differ = f"len(list_distinct([{', '.join(texts.values())}])) > 1"
        found.append(f"CASE WHEN {differ} THEN struct_pack({packed}) END")
    each = f"SELECT __picks.__customer AS {CUSTOMER_ID}, unnest([{', '.join(found)}]) AS found {together} WHERE newest"
    return f"SELECT DISTINCT {CUSTOMER_ID}, found.* FROM ({each}) WHERE found IS NOT NULL"

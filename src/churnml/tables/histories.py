"""The operator's histories: opened once, checked, and read only as of a date or in their newest version."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from churnml.columns import CUSTOMER_ID
from churnml.config import Config, Table
from churnml.errors import ChurnmlError
from churnml.files import atomic_file, scratch_folder
from churnml.progress import track
from churnml.tables import checks, known, unchanged
from churnml.tables.merging import DISAGREEMENTS, merged
from churnml.tables.reading import RAW, REASON, Reading, readings, renamed, typed
from churnml.tables.schema import DTYPES, SCHEMAS, Kind, Schema
from churnml.tables.sources import open_source, quoted, readable


@dataclass(frozen=True)
class TableReport:
    """What became of the rows of one table: ``rows = accepted + quarantined``.

    Attributes
    ----------
    rows, accepted, quarantined : int
        Row counts.
    reasons : dict of int
        Rows in quarantine by reason.
    first, last : datetime.datetime or None
        Event times of the first and last accepted row, wall-clock.
    """

    rows: int
    accepted: int
    quarantined: int
    reasons: dict[str, int]
    first: dt.datetime | None
    last: dt.datetime | None


@dataclass
class Histories:
    """Accepted rows of every table; get one with `open_histories`.

    Attributes
    ----------
    config : Config
        What was opened.
    con : ibis backend
        The embedded DuckDB that everything runs in.
    reports : dict of TableReport
        What became of the rows of each table that is there.
    extras : dict of dict
        The columns of each table that describe the customer or measure something (those that the contract does not
        name, and ``segment``), with their kind; personal ones are left out.
    columns : dict of list
        All columns of each table, by our names.
    prefix : str
        Before the names of the tables of accepted rows in ``con``.
    versioned : set of str
        The tables in which a key occurs twice.
    """

    config: Config
    con: Any
    reports: dict[str, TableReport] = field(default_factory=dict)
    extras: dict[str, dict[str, Kind]] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    prefix: str = "accepted"
    versioned: set[str] = field(default_factory=set)

    def has(self, table: str) -> bool:
        """Tell whether the operator has a table."""
        return table in self.reports

    def known(self, table: str, instant: dt.datetime | ir.TimestampScalar) -> ir.Table:
        """Return the rows of a table as they were known at an instant (see `tables.known.known_at`)."""
        return known.known_at(self._accepted(table), SCHEMAS[table], instant, has_versions=table in self.versioned)

    def newest(self, table: str) -> ir.Table:
        """Return the newest version of every row of a table, whenever it became known."""
        rows = self._accepted(table)
        return known.latest_versions(rows, SCHEMAS[table]) if table in self.versioned else rows

    def last_event(self, table: str) -> dt.datetime | None:
        """Return the latest event time of a table by its newest versions; None where there is no row."""
        if not self.has(table):
            return None
        if table not in self.versioned:
            return self.reports[table].last
        latest: dt.datetime | None = self.scalar(self.newest(table)[SCHEMAS[table].event].max())
        return latest

    def _accepted(self, table: str) -> ir.Table:
        return self.table(f"{self.prefix}_{table}")

    # What follows is all that the engine which holds the rows has to do with them; Spark has its own
    # (`tables.spark.SparkHistories`).

    def table(self, name: str) -> ir.Table:
        """Return a table or view that was made here."""
        return self.con.table(name)

    def keep(self, name: str, rows: ir.Table, *, out_of: str | None = None) -> ir.Table:
        """Compute rows once, for as long as the histories are open; what they are made out of is needed no more."""
        kept = self.con.create_table(name, rows, temp=True)
        if out_of is not None:
            self.con.drop_table(out_of)
        return kept

    def view(self, name: str, rows: ir.Table) -> None:
        """Give rows a name, and compute them whenever they are asked for."""
        self.con.raw_sql(f"CREATE TEMP VIEW {quoted(name)} AS {self.con.compile(rows)}")

    def fetch(self, rows: ir.Table) -> pa.Table:
        """Return rows, few of them, as an Arrow table."""
        return rows.to_pyarrow()

    def scalar(self, value: ir.Scalar) -> Any:
        """Return the one value that something comes to."""
        return self.fetch(value.as_table())[0][0].as_py()

    def make_empty(self, name: str, columns: Mapping[str, Kind]) -> None:
        """Make a table without rows."""
        schema = ibis.schema({column: DTYPES[kind] for column, kind in columns.items()})
        self.con.create_table(name, schema=schema, temp=True)

    def read(self, schema: Schema, source: Table) -> tuple[list[Reading], bool]:
        """Make the typed view of a table; return how its columns are read, and whether the user's has the key."""
        return _read(self, schema, source)

    def readable(self, table: str, source: Table) -> AbstractContextManager[None]:
        """Turn what the engine says of a source into an error that names the table."""
        return readable(table, source)

    def quarantine(self, table: str, checked: ir.Table) -> None:
        """Write the bad ones among checked rows."""
        _quarantine(self.con, quarantine_of(self.config, table), checked)


@contextmanager
def open_histories(config: Config, *, strict: bool = True, progress: bool = False) -> Iterator[Histories]:
    """Read, check and open every table of a configuration.

    Bad rows are written to ``quarantine/{table}.parquet`` in the state folder, as they came, with their ``reason``.

    Parameters
    ----------
    config : Config
        What to open.
    strict : bool
        Whether too many rows in quarantine are an error.
    progress : bool
        Whether to show progress on stderr.

    Yields
    ------
    Histories
        Open until the block ends.

    Raises
    ------
    ChurnmlError
        If a source cannot be read, a column is missing or of a wrong type, ``customers`` has no accepted row, or (when
        strict) a table has more than ``quarantine.max_share`` of its rows in quarantine.
    """
    with _connected(config) as histories:
        open_tables(histories, progress=progress)
        if strict:
            refuse_too_many_bad(histories.reports, config)
        yield histories


def open_tables(histories: Histories, *, progress: bool = False) -> None:
    """Read and check every table of the configuration; those that are not given are empty."""
    given = histories.config.tables.given()
    for name in track(given, "reading", show=progress):
        _open(histories, SCHEMAS[name], given[name])
    for name in SCHEMAS.keys() - given.keys():
        _open_absent(histories, SCHEMAS[name])


def describe_tables(config: Config) -> dict[str, dict[str, Kind]]:
    """Return the columns that describe customers or measure usage, without checking any row.

    Parameters
    ----------
    config : Config
        Whose tables.

    Returns
    -------
    dict of dict
        As `Histories.extras`.

    Raises
    ------
    ChurnmlError
        If a source cannot be read, or a column is missing or of a wrong type.
    """
    with _connected(config) as histories:
        for name, source in config.tables.given().items():
            with readable(name, source):
                _read(histories, SCHEMAS[name], source, rows=False)
        return histories.extras


@contextmanager
def _connected(config: Config) -> Iterator[Histories]:
    with scratch_folder() as scratch:
        con = ibis.duckdb.connect(temp_directory=str(scratch))
        try:
            for setting in (
                "TimeZone = 'UTC'",
                "preserve_insertion_order = false",
                "python_enable_replacements = false",
            ):
                con.raw_sql(f"SET {setting}")
            yield Histories(config, con)
        finally:
            con.disconnect()


def refuse_too_many_bad(reports: dict[str, TableReport], config: Config) -> None:
    """Raise if any table has more rows in quarantine than the configuration allows.

    Raises
    ------
    ChurnmlError
        Naming the first such table, its counts and reasons.
    """
    allowed = config.quarantine.max_share
    for name, report in reports.items():
        if report.quarantined > allowed * report.rows:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in report.reasons.items())
            raise ChurnmlError(
                f"table {name}: {report.quarantined:,} of {report.rows:,} rows are in quarantine ({reasons}),"
                f" more than the share of {allowed:g} that is allowed",
                f"look at {quarantine_of(config, name)}, mend the rows or raise quarantine.max_share",
                table=name,
                rows=report.quarantined,
                reasons=report.reasons,
            )


def _read(histories: Histories, schema: Schema, source: Table, *, rows: bool = True) -> tuple[list[Reading], bool]:
    """Make the typed view of a table; return how its columns are read, and whether the user's table has the key."""
    con, config = histories.con, histories.config
    if source.sources or source.identities:
        relation, untyped = merged(con.con, schema, source, config.folder, timezone=config.timezone, rows=rows)
        source = source.model_copy(update={"columns": {}})  # they have our names already
    else:
        relation, untyped = open_source(con.con, schema.name, source, config.folder, rows=rows)
    query, types = renamed(con.con, schema, source, relation)
    columns = readings(con.con, schema, query, types, timezone=config.timezone, untyped=untyped)
    con.raw_sql(f"CREATE TEMP VIEW {quoted('typed_' + schema.name)} AS {typed(query, columns)}")
    histories.extras[schema.name] = describing(schema, columns, config)
    histories.columns[schema.name] = [name for name in types if name != REASON]
    return columns, set(schema.key) <= types.keys()


def _open(histories: Histories, schema: Schema, source: Table) -> None:
    with histories.readable(schema.name, source):
        columns, keyed = histories.read(schema, source)
        if schema.name == "customers" and source.sources:
            _keep_disagreements(histories)
        rows = histories.table(f"typed_{schema.name}")
        rows = checks.with_own_reason(rows, schema, columns, histories.config.now())
        if schema.large and not keyed:
            _accept_in_place(histories, schema, columns, rows)
        else:
            _accept_copied(histories, schema, columns, rows, keyed=keyed)
    report = histories.reports[schema.name]
    if schema.name == "customers" and not report.accepted:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in report.reasons.items()) or "it is empty"
        raise ChurnmlError(
            f"table customers: none of its {report.rows:,} rows can be used ({reasons})",
            "mend the source or the mapping"
            + (" (versions of a row need known_at)" if checks.CONFLICT in report.reasons else ""),
            table="customers",
            rows=report.rows,
            reasons=report.reasons,
        )


def describing(schema: Schema, columns: list[Reading], config: Config) -> dict[str, Kind]:
    """Return the columns that describe the customer or measure something (see `Histories.extras`)."""
    own = {column.name for column in schema.columns if column.attribute}
    return {
        column.name: column.kind
        for column in columns
        if (column.extra or column.name in own) and column.name not in config.personal
    }


def _open_absent(histories: Histories, schema: Schema) -> None:
    histories.make_empty(f"accepted_{schema.name}", {column.name: column.kind for column in schema.columns})
    histories.extras[schema.name] = {}


def _accept_copied(
    histories: Histories, schema: Schema, columns: list[Reading], rows: ir.Table, *, keyed: bool
) -> None:
    """Check every row against the others, keep the good ones in memory (DuckDB spills what does not fit)."""
    if schema.name != "customers":
        rows = checks.with_unknown_customer(rows, histories.table("accepted_customers"))
    if keyed:
        rows = checks.with_version_reason(rows, schema)
    if schema.name == "customers":
        rows = checks.with_overlapping_spells(rows, schema)
    checked = histories.keep(f"checked_{schema.name}", rows)
    _report(histories, schema, _counted(checked, schema), checked)
    accepted = checked.filter(checked[REASON].isnull()).select([column.name for column in columns])
    accepted = histories.keep(f"accepted_{schema.name}", accepted, out_of=f"checked_{schema.name}")
    if keyed and _has_versions(histories, accepted, schema):
        histories.versioned.add(schema.name)


def _accept_in_place(histories: Histories, schema: Schema, columns: list[Reading], rows: ir.Table) -> None:
    """Leave rows where they are; filter only for what counting them finds, and do not count unchanged files again."""
    config = histories.config
    mark = unchanged.fingerprint(config, ["customers", schema.name])
    known_good = unchanged.recall(config, schema.name, mark)
    if known_good and quarantine_of(config, schema.name).exists():
        count, first, last = known_good["rows"], known_good["first"], known_good["last"]
        moments = [dt.datetime.fromisoformat(moment) if moment else None for moment in (first, last)]
        histories.reports[schema.name] = TableReport(count, count, 0, {}, *moments)
    else:
        _count_by_customer(histories, schema, rows)
    report = histories.reports[schema.name]
    accepted = rows
    if report.reasons:
        accepted = rows.filter(rows[REASON].isnull()).semi_join(histories.table("accepted_customers"), CUSTOMER_ID)
    else:
        moments_text = {
            "first": report.first and report.first.isoformat(),
            "last": report.last and report.last.isoformat(),
        }
        unchanged.remember(config, schema.name, mark, {"rows": report.rows, **moments_text})
    histories.view(f"accepted_{schema.name}", accepted.select([column.name for column in columns]))


def _count_by_customer(histories: Histories, schema: Schema, rows: ir.Table) -> None:
    """Count a large table in one pass, and by reason in another only where something is bad."""
    customers = histories.table("accepted_customers")
    good = rows[REASON].isnull()
    event = rows[schema.event]
    by_customer = rows.group_by(CUSTOMER_ID).agg(
        rows=rows.count(), bad=rows[REASON].count(), first=event.min(where=good), last=event.max(where=good)
    )
    counted = histories.keep(f"counted_{schema.name}", by_customer)
    strangers = counted.anti_join(customers, CUSTOMER_ID)
    if histories.scalar((counted.bad > 0).any()) or histories.scalar(strangers.count()):
        checked = checks.with_unknown_customer(rows, customers)
        totals = _counted(checked, schema)
    else:
        checked = rows
        totals = counted.agg(rows=counted.rows.sum(), first=counted.first.min(), last=counted.last.max())
        totals = totals.mutate(ibis.null("string").name(REASON))
    _report(histories, schema, totals, checked)


def _counted(checked: ir.Table, schema: Schema) -> ir.Table:
    event, good = checked[schema.event], checked[REASON].isnull()
    return checked.group_by(REASON).agg(rows=checked.count(), first=event.min(where=good), last=event.max(where=good))


def _report(histories: Histories, schema: Schema, counted: ir.Table, checked: ir.Table) -> None:
    found = {row[REASON]: row for row in histories.fetch(counted).to_pylist()}
    good = {"rows": 0, "first": None, "last": None} | {k: v for k, v in found.pop(None, {}).items() if v is not None}
    reasons = {reason: int(row["rows"]) for reason, row in sorted(found.items())}
    bad = sum(reasons.values())
    histories.reports[schema.name] = TableReport(
        int(good["rows"]) + bad, int(good["rows"]), bad, reasons, good["first"], good["last"]
    )
    histories.quarantine(schema.name, checked if bad else checked.limit(0))


def quarantine_of(config: Config, table: str) -> Path:
    """Return where the bad rows of a table are written."""
    return config.state_folder / "quarantine" / f"{table}.parquet"


def _keep_disagreements(histories: Histories) -> None:
    """Write what the sources of ``customers`` disagree about to ``conflicts/customers.parquet`` in the state folder."""
    target = _folder_made(histories.config.state_folder / "conflicts") / "customers.parquet"
    _write(target, histories.con.con.execute(f"SELECT * FROM {DISAGREEMENTS} ORDER BY ALL").to_arrow_reader())


def _folder_made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ChurnmlError(f"{folder} cannot be made ({error.strerror})", "mend state.folder") from error
    return folder


def _quarantine(con: Any, target: Path, checked: ir.Table) -> None:
    _folder_made(target.parent)
    bad = con.compile(checked.filter(checked[REASON].notnull()).select(REASON, RAW))
    fields = {
        name: "their_reason" if name == "reason" else name for name in checked[RAW].type().names if name != REASON
    }
    raw = ", ".join(f"{RAW}.{quoted(name)} AS {quoted(shown)}" for name, shown in fields.items())
    if target.is_dir():  # Spark writes folders
        shutil.rmtree(target)
    _write(target, con.con.execute(f"SELECT {REASON} AS reason, {raw} FROM ({bad})").to_arrow_reader())


def _write(target: Path, rows: pa.RecordBatchReader) -> None:
    with atomic_file(target) as part, pq.ParquetWriter(part, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)


def _has_versions(histories: Histories, accepted: ir.Table, schema: Schema) -> bool:
    keys = accepted.group_by(list(schema.key)).agg(versions=accepted.count())
    keys = keys.filter(*(keys[name].notnull() for name in schema.key))
    return bool(histories.scalar(keys.versions.max() > 1))

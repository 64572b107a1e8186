"""The operator's histories on Spark: tables, views, DataFrames and Parquet, read where they are.

The checks are those of `checks`, and what decides is in `histories`; here is only how Spark does it. Nothing is taken
from the executors but counts.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from churnml.config import Config, Table
from churnml.errors import ChurnmlError
from churnml.tables.histories import Histories, describing, open_tables, quarantine_of, refuse_too_many_bad
from churnml.tables.reading import RAW, REASON, Reading, mapped_names
from churnml.tables.schema import Kind, Schema
from churnml.tables.sources import arrow_of, unreadable
from churnml.tables.spark_dialect import spark_dialect
from churnml.tables.spark_reading import SQL_TYPES, identifier, readings, typed

# Times without a zone are the project's wall-clock time; with UTC as the session's zone no cast moves them.
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",  # ibis sets it
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
_PARTITIONS, _DEFAULT, _PARTITION_BYTES = "spark.sql.shuffle.partitions", "200", 32 * 2**20
_OTHER_FILES = (".csv", ".tsv", ".txt", ".gz", ".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".db", ".sqlite", ".duckdb")


@dataclass
class SparkHistories(Histories):
    """Accepted rows of every table, on Spark; get them with `open_on_spark`.

    Attributes
    ----------
    session : pyspark.sql.SparkSession
        Where they are.
    settings : mapping of str
        The user's own settings, by name.
    """

    session: Any = None
    settings: Mapping[str, str | None] = field(default_factory=dict)
    _bytes: int = 0
    _own: str = field(default_factory=lambda: f"churnml_{uuid.uuid4().hex[:8]}_")
    _kept: dict[str, Any] = field(default_factory=dict)
    _views: set[str] = field(default_factory=set)

    def frame(self, rows: ir.Table | str) -> Any:
        """Return rows as a DataFrame of Spark, computed when it is asked to."""
        return self.session.sql(rows if isinstance(rows, str) else self.con.compile(rows))

    def name(self, name: str) -> str:
        """Return what a table or view of ours is called, beside the user's own."""
        return self._own + name

    def table(self, name: str) -> ir.Table:
        """Return a table or view that was made here."""
        return self.con.table(self.name(name))

    def keep(self, name: str, rows: ir.Table, *, out_of: str | None = None) -> ir.Table:
        """Compute rows once, in memory and on disk where it is too small; what is made out of such rows is a view."""
        frame = self.frame(rows)
        return self.named(name, frame) if out_of else self.keep_frame(name, frame)

    def keep_frame(self, name: str, frame: Any) -> ir.Table:
        """Compute a DataFrame once, and give it a name."""
        self.forget(name)
        self._kept[name] = frame.persist()
        return self.named(name, frame)

    def named(self, name: str, frame: Any) -> ir.Table:
        """Give a DataFrame a name."""
        frame.createOrReplaceTempView(self.name(name))
        self._views.add(name)
        return self.table(name)

    def forget(self, name: str) -> None:
        """Give back what was kept."""
        if name in self._kept:
            self._kept.pop(name).unpersist()

    def view(self, name: str, rows: ir.Table) -> None:
        """Give rows a name, and compute them whenever they are asked for."""
        self.named(name, self.frame(rows))

    def fetch(self, rows: ir.Table) -> pa.Table:
        """Return rows, few of them, as an Arrow table."""
        return self.frame(rows).toArrow()

    def make_empty(self, name: str, columns: Mapping[str, Kind]) -> None:
        """Make a table without rows."""
        nulls = (f"CAST(NULL AS {SQL_TYPES[kind]}) AS {identifier(column)}" for column, kind in columns.items())
        self.named(name, self.frame(f"SELECT {', '.join(nulls)} WHERE false"))

    def read(self, schema: Schema, source: Table) -> tuple[list[Reading], bool]:
        """Make the typed view of a table; return how its columns are read, and whether the user's has the key."""
        frame = self._source(schema.name, source)
        self._deal(frame)
        self.named(f"source_{schema.name}", frame)
        theirs = dict(frame.dtypes)
        names = mapped_names(schema, source, list(theirs))
        types = {ours: theirs[given] for ours, given in names.items()}
        relation = self.name(f"source_{schema.name}")

        def is_empty(name: str) -> bool:
            column = identifier(names[name])
            return not self.session.sql(f"SELECT 1 FROM {relation} WHERE {column} IS NOT NULL LIMIT 1").collect()

        columns = readings(schema, types, timezone=self.config.timezone, is_empty=is_empty)
        self.named(f"typed_{schema.name}", self.frame(typed(relation, names, types, columns)))
        self.extras[schema.name] = describing(schema, columns, self.config)
        self.columns[schema.name] = list(types)
        return columns, set(schema.key) <= types.keys()

    def _deal(self, frame: Any) -> None:
        """Shuffle into no more partitions than the tables need, where the user has left Spark's default.

        Spark itself makes no fewer of them where something that is kept is joined: two hundred tasks for every join.
        """
        self._bytes += int(frame._jdf.queryExecution().optimizedPlan().stats().sizeInBytes())
        if self.settings[_PARTITIONS] in (None, _DEFAULT):
            needed = max(self.session.sparkContext.defaultParallelism, self._bytes // _PARTITION_BYTES)
            self.session.conf.set(_PARTITIONS, str(min(needed, int(_DEFAULT))))

    def _source(self, table: str, source: Table) -> Any:
        if isinstance(source.data, pd.DataFrame | pa.Table):
            data = arrow_of(source.data) if isinstance(source.data, pd.DataFrame) else source.data
            return self.session.createDataFrame(data)
        if source.data is not None and hasattr(source.data, "createOrReplaceTempView"):
            return source.data
        if (
            source.path
            and not source.identities
            and not source.path.lower().endswith(_OTHER_FILES)
            and source.table is None
        ):
            path = source.path if "://" in source.path else str(self.config.path(source.path))
            several = not path.endswith(".parquet") or Path(path).is_dir() or "*" in path
            # Spark, too, knows what a pattern means, but logs a stack trace because no file has its name
            files = sorted(glob.glob(path)) if "*" in path and "://" not in path else []  # noqa: PTH207 - see files_of
            return self.session.read.option("mergeSchema", str(several)).parquet(*(files or [path]))
        if source.table and not (source.path or source.url or source.identities):
            return self.session.table(source.table)
        raise ChurnmlError(
            f"tables.{table}: Spark reads its own tables and views (table:), DataFrames and Parquet (path:), no other"
            " files, databases, sources: or identities:",
            "put it into one of those, or use --engine duckdb",
            table=table,
        )

    @contextmanager
    def readable(self, table: str, source: Table) -> Iterator[None]:
        """Turn what Spark says of a source into an error that names the table."""
        from pyspark.errors import AnalysisException, PySparkException

        try:
            yield
        except AnalysisException as error:
            absent = {"TABLE_OR_VIEW_NOT_FOUND": f"Spark table or view {source.table}"}
            absent["PATH_NOT_FOUND"] = f"file {source.path}"
            what = absent.get(str(error.getCondition()))
            if what is None:
                raise unreadable(table, source, error) from error
            raise ChurnmlError(f"table {table}: there is no {what}", f"mend tables.{table}", table=table) from error
        except PySparkException as error:
            raise unreadable(table, source, error) from error

    def quarantine(self, table: str, checked: ir.Table) -> None:
        """Write the bad ones among checked rows: a folder of Parquet files, an empty file where there are none."""
        from pyspark.sql.pandas.types import to_arrow_schema

        target = quarantine_of(self.config, table)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ChurnmlError(f"{target.parent} cannot be made ({error.strerror})", "mend state.folder") from error
        fields = {name: "their_reason" if name == "reason" else name for name in checked[RAW].type().names}
        raw = ", ".join(f"{RAW}.{identifier(name)} AS {identifier(shown)}" for name, shown in fields.items())
        there = checked[REASON].notnull()  # noqa: PD004 - of ibis
        bad = self.con.compile(checked.filter(there).select(REASON, RAW))
        part = target.with_name(f".{table}.{uuid.uuid4().hex[:8]}.part")
        try:
            frame = self.session.sql(f"SELECT {REASON} AS reason, {raw} FROM ({bad})")
            if self.reports[table].quarantined:
                frame.write.parquet(part.absolute().as_uri())
            else:  # no reason to start a job
                pq.write_table(to_arrow_schema(frame.schema).empty_table(), part)
            if target.is_dir():
                shutil.rmtree(target)
            target.unlink(missing_ok=True)
            part.replace(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def close(self) -> None:
        """Leave nothing of ours in the session."""
        for name in list(self._kept):
            self.forget(name)
        for name in self._views:
            self.session.catalog.dropTempView(self.name(name))


@contextmanager
def open_on_spark(config: Config, *, progress: bool = False) -> Iterator[SparkHistories]:
    """Read, check and open every table of a configuration on Spark (see `histories.open_histories`).

    The session is the one that is active, or a new one where there is none; its settings are put back at the end.

    Parameters
    ----------
    config : Config
        What to open.
    progress : bool
        Whether to show progress on stderr.

    Yields
    ------
    SparkHistories
        Open until the block ends.

    Raises
    ------
    ChurnmlError
        If Spark is not installed or does not start, a source cannot be read, a column is missing or of a wrong type,
        ``customers`` has no accepted row, or a table has more than ``quarantine.max_share`` of its rows in quarantine.
    """
    with _session(config) as session, _settings(session) as before:
        con = ibis.pyspark.connect(session)
        con.compiler = spark_dialect()
        histories = SparkHistories(config, con, session=session, settings=before)
        try:
            open_tables(histories, progress=progress)
            refuse_too_many_bad(histories.reports, config)
            yield histories
        finally:
            histories.close()


@contextmanager
def _session(config: Config) -> Iterator[Any]:
    if importlib.util.find_spec("pyspark") is None:
        raise ChurnmlError("the engine spark needs PySpark, which is not installed", "pip install churnml[spark]")
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    given = (getattr(source.data, "sparkSession", None) for source in config.tables.given().values())
    session = next((found for found in given if found is not None), None) or SparkSession.getActiveSession()
    if session is not None:
        yield session
        return
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else executors take whatever python3 is
    try:
        builder = SparkSession.builder.appName("churnml")
        if "PYSPARK_GATEWAY_PORT" not in os.environ:  # no spark-submit, whose own word counts
            builder = builder.config("spark.log.level", "ERROR")
        session = builder.getOrCreate()
    except (PySparkException, OSError) as error:
        raise ChurnmlError(f"Spark does not start ({error})", "install Java 17 and set JAVA_HOME") from error
    try:
        yield session
    finally:
        session.stop()


@contextmanager
def _settings(session: Any) -> Iterator[dict[str, str | None]]:
    before = {key: session.conf.get(key, None) for key in (*_SETTINGS, _PARTITIONS)}
    try:
        for key, value in _SETTINGS.items():
            session.conf.set(key, value)
        yield before
    finally:
        for key, value in before.items():
            if value is None:
                session.conf.unset(key)
            else:
                session.conf.set(key, value)

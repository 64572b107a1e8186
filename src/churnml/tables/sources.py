"""Opening a source: whatever holds rows becomes a relation of an embedded DuckDB, column names as the user has them."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import glob
import gzip
import re
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import python_calamine

from churnml.config import Source, Table
from churnml.errors import ChurnmlError

_TEXT_FILES = {".csv", ".tsv", ".txt", ".gz"}
_EXCEL_FILES = {".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"}
_CHUNK = 50_000
_EXCEL_CALL = re.compile(
    r"""read_xlsx\(\s*'(?P<path>(?:[^']|'')*)'\s*(?:,\s*sheet\s*:?=>?\s*'(?P<sheet>(?:[^']|'')*)')?\s*\)""",
    re.IGNORECASE,
)
_SQLITE_MAGIC = b"SQLite format 3\x00"


def quoted(name: str) -> str:
    """Return an SQL identifier that stands for exactly this name."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """Return an SQL literal of a text."""
    return "'" + text.replace("'", "''") + "'"


def open_source(
    con: duckdb.DuckDBPyConnection, table: str, source: Source, folder: Path, *, rows: bool = True
) -> tuple[str, bool]:
    """Make the rows of a source readable in DuckDB.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        The connection that the relation is made in.
    table : str
        Our name of the table.
    source : Source
        What the configuration says of it.
    folder : Path
        What relative paths are relative to.
    rows : bool
        False where columns and types are enough: a database is then not asked for its rows.

    Returns
    -------
    relation : str
        What can stand after FROM.
    untyped : bool
        True where the source knows no types and every column is text.

    Raises
    ------
    ChurnmlError
        If the source is missing, corrupt or not one that can be read.
    """
    try:
        if source.url is not None:
            from churnml.tables.postgres import read_postgres  # takes time to load, and most have no database

            return read_postgres(con, table, source, rows=rows), False
        if source.path is None and source.data is None and source.sql is None:
            raise ChurnmlError(
                f"tables.{table}: {source.table} is a table of Spark, which DuckDB cannot read",
                "use --engine spark, or give a path beside table:",
                table=table,
            )
        if source.data is not None:
            return _frame(con, table, source.data), False
        if source.sql is not None:
            return _query(con, table, source.sql, folder), False
        return _files(con, table, source, folder)
    except (duckdb.Error, sqlite3.Error, python_calamine.CalamineError, OSError) as error:
        raise unreadable(table, source, error) from error


@contextlib.contextmanager
def readable(table: str, source: Source) -> Iterator[None]:
    """Raise what DuckDB says of a source as a ChurnmlError that names it; full memory or disk is not its fault."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if "Could not write" in str(error):  # what does not fit into memory is written to the disk
            raise
        raise unreadable(table, source, error) from error


def unreadable(table: str, source: Source, error: Exception) -> ChurnmlError:
    """Return the error of a source that cannot be read, with what is wrong but without the data of any row."""
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    lines = [re.sub(r"string '.*'", "a text", line) for line in lines]  # it may be a person's
    told = [line for line in lines[1:] if re.match("Expected Number of Columns|Invalid unicode", line)]
    where = source.path or ("its sql" if source.sql else "its database" if source.url else "its data")
    return ChurnmlError(
        f"table {table}: {where} cannot be read ({', '.join([lines[0], *told])})",
        "mend or replace it",
        table=table,
        file=source.path,
    )


def _csv(table: str, path: Path) -> str:
    """Return what reads one text file, every column as text.

    The first line says what the file is: were it guessed from all of them, one bad line would make it another.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            first = file.readline()
    except UnicodeDecodeError as error:
        raise ChurnmlError(f"table {table}: {path} is not in UTF-8", "convert it", table=table) from error
    delimiter = max(",;\t|", key=first.count)
    names = next(csv.reader([first], delimiter=delimiter), [])
    if not any(names):
        raise ChurnmlError(f"table {table}: {path} has no line of column names", "add one", table=table, file=str(path))
    columns = ", ".join(f"{text_literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({text_literal(str(path))}, auto_detect = false, header = true, delim = {text_literal(delimiter)},"
        f" quote = '\"', escape = '\"', columns = {{{columns}}})"
    )


def files_of(table: str, source: Source, folder: Path) -> list[Path]:
    """Return the files that a path stands for.

    Parameters
    ----------
    table : str
        Our name of the table.
    source : Source
        A source with a ``path``: a file, a folder of Parquet files, or a pattern.
    folder : Path
        What a relative path is relative to.

    Returns
    -------
    list of Path
        In the order of their names, at least one.

    Raises
    ------
    ChurnmlError
        If there is none.
    """
    if "://" in str(source.path):  # not shown: it may hold a password
        raise ChurnmlError(f"table {table}: its path is an address", "a database is given as url:", table=table)
    path = folder / str(source.path)
    if path.is_dir():
        path = path / "**" / "*.parquet"
    if glob.has_magic(str(path)) and not path.exists():
        names = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - leaves hidden parts out, Path.glob does not
        found = [Path(name) for name in names if Path(name).is_file()]
    else:
        found = [path] if path.is_file() else []
    if not found:
        raise ChurnmlError(
            f"table {table}: there is no file {path}", f"mend tables.{table}", table=table, file=str(path)
        )
    return found


def all_files_of(table: str, source: Table, folder: Path) -> list[Path]:
    """Return every file that a table is read from, that of its identities among them (see `files_of`)."""
    parts = [*source.parts, *([Source(path=source.identities.path)] if source.identities else [])]
    return [file for part in parts if part.path is not None for file in files_of(table, part, folder)]


def _files(con: duckdb.DuckDBPyConnection, table: str, source: Source, folder: Path) -> tuple[str, bool]:
    paths = files_of(table, source, folder)
    listed = "[" + ", ".join(text_literal(str(path)) for path in paths) + "]"
    with paths[0].open("rb") as file:
        head = file.read(16)
    suffix = paths[0].suffix.lower()
    if len(paths) > 1 and (suffix in _EXCEL_FILES or head == _SQLITE_MAGIC or head[8:12] == b"DUCK"):
        raise ChurnmlError(
            f"tables.{table}: {source.path} stands for {len(paths)} files",
            "name one, or join them with sql:",
            table=table,
        )
    if suffix in _EXCEL_FILES:
        return _frame(con, table, _excel(table, paths[0], source.sheet)), True
    if head == _SQLITE_MAGIC:
        return _sqlite(con, table, paths[0], _table_name(table, source)), True
    if head[8:12] == b"DUCK":
        inside = ".".join(quoted(part) for part in _table_name(table, source).split("."))
        relation = f"{quoted(_attached(con, table, paths[0]))}.{inside}"
        untyped = False
    elif suffix in _TEXT_FILES:
        relation = "(" + " UNION ALL BY NAME ".join(f"SELECT * FROM {_csv(table, path)}" for path in paths) + ")"
        untyped = True
    else:
        relation = f"read_parquet({listed}, union_by_name = true)"
        untyped = False
    con.execute(f"DESCRIBE SELECT * FROM {relation}")
    return relation, untyped


def _attached(con: duckdb.DuckDBPyConnection, table: str, path: Path) -> str:
    """Attach a DuckDB file, once for all its tables; return its name."""
    full = str(path.resolve())
    there = con.execute("SELECT database_name FROM duckdb_databases() WHERE path = ?", [full]).fetchone()
    if there:
        return str(there[0])
    con.execute(f"ATTACH {text_literal(full)} AS {quoted('file_' + table)} (READ_ONLY)")
    return f"file_{table}"


def _table_name(table: str, source: Source) -> str:
    if source.table is None:
        raise ChurnmlError(f"tables.{table}: {source.path} is a database", "name its table with table:", table=table)
    return source.table


def _query(con: duckdb.DuckDBPyConnection, table: str, sql: str, folder: Path) -> str:
    sql = _EXCEL_CALL.sub(lambda call: _excel_in_query(con, table, folder, call), sql)
    statements = con.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ChurnmlError(f"tables.{table}: sql must be a single SELECT", "histories are only read", table=table)
    con.execute(f"SET file_search_path = {text_literal(str(folder))}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE {quoted('source_' + table)} AS {statements[0].query}")
    con.execute("RESET file_search_path")
    return quoted("source_" + table)


def _excel_in_query(con: duckdb.DuckDBPyConnection, table: str, folder: Path, call: re.Match[str]) -> str:
    path, sheet = (None if text is None else text.replace("''", "'") for text in call.group("path", "sheet"))
    found = files_of(table, Source(path=path), folder)
    if len(found) > 1:
        raise ChurnmlError(f"tables.{table}: read_xlsx('{path}') stands for {len(found)} files", "name one file")
    return _frame(con, f"{table}_{call.start()}", _excel(table, found[0], sheet))


def _frame(con: duckdb.DuckDBPyConnection, table: str, data: Any) -> str:
    if isinstance(data, pd.DataFrame):
        data = arrow_of(data)
    if not isinstance(data, pa.Table):
        raise ChurnmlError(
            f"tables.{table}: a {type(data).__name__} is no table",
            "give a path, a DataFrame or an Arrow table",
        )
    con.register("source_" + table, data)
    return quoted("source_" + table)


def arrow_of(frame: pd.DataFrame) -> pa.Table:
    """Return a frame as an Arrow table, cells of several types as text."""
    columns: dict[str, Any] = {}
    for name, column in frame.items():
        try:
            # pyarrow 25 asks for zoned times in a way that pandas 4 will not know
            with warnings.catch_warnings(action="ignore", category=pd.errors.Pandas4Warning):
                columns[str(name)] = pa.array(column, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            columns[str(name)] = pa.array([_as_text(value) for value in column], pa.string())
    return pa.table(columns)


def _as_text(value: Any) -> str | None:
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _excel(table: str, path: Path, sheet: str | None) -> pa.Table:
    with python_calamine.CalamineWorkbook.from_path(path) as book:
        if sheet is not None and sheet not in book.sheet_names:
            raise ChurnmlError(
                f"table {table}: {path} has no sheet {sheet}",
                f"it has {', '.join(book.sheet_names)}",
                table=table,
            )
        names, *rows = book.get_sheet_by_name(sheet or book.sheet_names[0]).to_python() or [[]]
    if not names:
        raise ChurnmlError(f"table {table}: {path} has no columns", "name the sheet that has: sheet:", table=table)
    columns = [[None if row[at] == "" else row[at] for row in rows] for at in range(len(names))]
    return pa.table({str(name): _typed_cells(column) for name, column in zip(names, columns, strict=True)})


def _typed_cells(cells: list[Any]) -> pa.Array:
    """Return the cells of one type as that type (whole numbers as integers, XLSX knows none), others as text."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {float} and all(cell is None or (cell.is_integer() and abs(cell) < 2**53) for cell in cells):
        return pa.array([None if cell is None else int(cell) for cell in cells], pa.int64())
    if len(kinds) == 1 and kinds <= {float, bool, dt.date, dt.datetime}:
        return pa.array(cells)
    return pa.array([_cell(cell) for cell in cells], pa.string())


def _sqlite(con: duckdb.DuckDBPyConnection, table: str, path: Path, name: str) -> str:
    with contextlib.closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    ) as file:
        cursor = file.execute(f"SELECT * FROM {quoted(name)}")
        chunks = iter(lambda: cursor.fetchmany(_CHUNK), [])
        return _cells(con, table, [column[0] for column in cursor.description], chunks)


def _cells(con: duckdb.DuckDBPyConnection, table: str, names: list[str], chunks: Iterator[list[Any]]) -> str:
    """Store cells of any type as text: what they mean is decided where every text is read."""
    if not names:
        raise ChurnmlError(f"table {table}: the source has no columns", "name the sheet or table that has", table=table)
    schema = pa.schema([(name, pa.string()) for name in names])
    batches = (
        pa.record_batch([pa.array([_cell(row[at]) for row in rows], pa.string()) for at in range(len(names))], schema)
        for rows in chunks
    )
    con.register("cells", pa.RecordBatchReader.from_batches(schema, batches))
    con.execute(f"CREATE TEMP TABLE {quoted('source_' + table)} AS SELECT * FROM cells")
    con.unregister("cells")
    return quoted("source_" + table)


def _cell(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # XLSX knows no integers
    return _as_text(value)

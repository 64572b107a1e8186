"""The database: where it is, its connections, its migrations, and what goes wrong there."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from churnml.addresses import postgres_settings
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.files import require_writable

_FILE = "state.db"
_MIGRATIONS = Path(__file__).with_name("migrations")
_VERSION_TABLE = "churnml_version"
_LOCK = 0x636875726E  # PostgreSQL's number for who migrates
_PATIENCE_SECONDS = 5  # with another process that writes to SQLite

_engines: dict[str, Engine] = {}
_opening = threading.Lock()

# The first that is found in what the database says, and what to do about it.
_REMEDIES = (
    (r"locked|busy", "another process is writing to it: try again when it is done"),
    (r"not a database|malformed|disk i/o", "put it back from a backup"),
    (r"\bfull\b|no space", "free space"),
    (r"password|authentication|role .* does not exist", "mend state.url; its password goes in as ${NAME}"),
    (
        r"unable to open|read-?only|permission|denied",
        "give the user who runs churnml the right to read, to write and to make tables there",
    ),
    (r"can only grow", "leave it as it is; churnml forget takes a customer out"),
)
_OTHERWISE = "start it, or mend state.url"


class StateError(ChurnmlError):
    """Say that the database cannot be reached, or refuses."""


def database(config: Config) -> Engine:
    """Return the database of a configuration, made or brought up to date where this process first asks for it.

    Parameters
    ----------
    config : Config
        ``state.url``; by default the SQLite file ``state.db`` in the state folder.

    Returns
    -------
    Engine
        The same one every time.

    Raises
    ------
    ChurnmlError
        If the address is none, or the database cannot be reached, is newer than this churnml, or refuses.
    """
    address = config.state.url or str(config.state_folder.absolute())
    key = f"{config.folder.absolute()}\n{address}"
    with _opening:
        if key not in _engines:
            engine = _sqlite(_file(config)) if _is_sqlite(config) else _postgresql(address)
            try:
                with understood(engine):
                    migrated(engine)
            except ChurnmlError:
                engine.dispose()
                raise
            _engines[key] = engine
        return _engines[key]


def close() -> None:
    """Close what this process has open; whoever asks again opens it anew."""
    with _opening:
        for engine in _engines.values():
            engine.dispose()
        _engines.clear()


def migrated(engine: Engine) -> None:
    """Bring the tables up to date; of several processes that start at once, one does it and the others wait.

    Raises
    ------
    ChurnmlError
        If a newer churnml has made them.
    """
    from alembic import command
    from alembic.config import Config as Settings
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    settings = Settings(attributes={"version_table": _VERSION_TABLE})
    settings.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    settings.set_main_option("path_separator", "newline")
    script = ScriptDirectory.from_config(settings)
    known = {revision.revision for revision in script.walk_revisions()}
    with _transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        context = MigrationContext.configure(connection, opts={"version_table": _VERSION_TABLE})
        version = context.get_current_revision()
        if version is not None and version not in known:
            raise ChurnmlError(
                f"{_place(engine)} was made by a newer churnml (its version {version} is unknown to this one)",
                "install that churnml",
                version=version,
            )
        if version != script.get_current_head():
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")


@contextlib.contextmanager
def reading(config: Config) -> Iterator[Connection]:
    """Yield a connection that sees one state of the database.

    Raises
    ------
    StateError
        If the database cannot be reached, or refuses.
    """
    engine = database(config)
    with understood(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(where: Config | Engine) -> Iterator[Connection]:
    """Yield a connection whose changes are kept together when the block ends well, or not at all.

    Raises
    ------
    StateError
        If the database cannot be reached, or refuses.
    """
    engine = where if isinstance(where, Engine) else database(where)
    with understood(engine), _transaction(engine) as connection:
        yield connection


@contextlib.contextmanager
def understood(engine: Engine) -> Iterator[None]:
    """Turn what the database raises inside into a `StateError`, which tells no password and no row.

    Raises
    ------
    StateError
        With the database, what it said, and what to do.
    """
    try:
        yield
    except (DBAPIError, NoConnection) as error:
        said = _said(error)
        remedies = (remedy for pattern, remedy in _REMEDIES if re.search(pattern, said, re.IGNORECASE))
        raise StateError(f"{_place(engine)} fails ({said})", next(remedies, _OTHERWISE)) from None


def among(connection: Connection, column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a column is one of many values, which go to the database as one parameter."""
    if connection.dialect.name == "sqlite":
        each = sa.func.json_each(json.dumps(list(values))).table_valued("value")
        return column.in_(sa.select(each.c.value))
    return column == sa.any_(sa.literal(list(values), sa.ARRAY(sa.Text)))


@contextlib.contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    with engine.connect().execution_options(churnml_writes=True) as connection, connection.begin():
        yield connection


def _is_sqlite(config: Config) -> bool:
    return config.state.url is None or config.state.url.startswith("sqlite:")


def _file(config: Config) -> Path:
    if config.state.url is None:
        folder = config.state_folder.absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ChurnmlError(f"{folder} cannot be made ({error.strerror})", "mend state.folder") from error
        return folder / _FILE
    found = re.fullmatch(r"sqlite:///([^?]+)", config.state.url)
    if found is None or found[1] == ":memory:":
        raise _no_address()
    path = config.path(re.sub(r"^/+", "/", found[1])).absolute()
    require_writable(path)
    return path


def _sqlite(path: Path) -> Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _PATIENCE_SECONDS},
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "connect", lambda _, record: record.info.update(file=_identity(path)))
    sa.event.listen(engine, "checkout", lambda _, record, __: _require_same(record.info["file"], path))
    sa.event.listen(engine, "begin", _begin)
    return engine


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _require_same(opened: tuple[int, int] | None, path: Path) -> None:
    """Give up a connection to a file that another has taken the place of; nothing takes that of one that is gone.

    Raises
    ------
    DisconnectionError
        If it is another: the pool opens a new connection.
    OperationalError
        If it is gone.
    """
    now = _identity(path)
    if now is None:
        raise sa.exc.OperationalError("open", None, sqlite3.OperationalError(f"{path} is gone"))
    if now != opened:
        raise sa.exc.DisconnectionError(f"{path} is another file now")


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin`
    for pragma in ("foreign_keys = ON", "secure_delete = ON"):  # who is forgotten is gone from the file, too
        connection.execute(f"PRAGMA {pragma}")
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:  # SQLite waits for nobody here
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _begin(connection: Connection) -> None:
    """Begin; whoever writes waits for its turn here, since SQLite lets no reader become a writer later."""
    writes = connection.get_execution_options().get("churnml_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: str) -> Engine:
    settings = postgres_settings(url)
    if settings is None:
        raise _no_address()
    # a connection that a restart has broken is replaced before it is used
    return sa.create_engine(
        "postgresql+psycopg://", connect_args=settings, pool_pre_ping=True, pool_timeout=10, hide_parameters=True
    )


def _no_address() -> ChurnmlError:
    return ChurnmlError(
        "state.url is no address of a database that churnml can keep its state in",
        "write sqlite:///state.db or postgresql://user:${PASSWORD}@host:5432/database, or leave it out",
        key="state.url",
    )


def _place(engine: Engine) -> str:
    return f"the database {engine.url.database}" if engine.dialect.name == "sqlite" else "the database of state.url"


def _said(error: DBAPIError | NoConnection) -> str:
    """Return the first line of what the database says; what PostgreSQL tells of rows is not in it."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    told = getattr(getattr(origin, "diag", None), "message_primary", None) or str(origin)
    return (told.strip().splitlines() or [type(error).__name__])[0][:300]

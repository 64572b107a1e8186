"""Many rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

Rows = list[tuple[Any, ...]]


def append(connection: Connection, table: Table, batches: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    """Put batches of rows into a table, as fast as the database takes them.

    Parameters
    ----------
    connection : Connection
        Whose transaction is used.
    table : Table
        Whose columns each row has, in any order.
    batches : iterable of sequence of mapping
        The rows.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        If the database refuses.
    """
    names = [column.name for column in table.columns]
    columns = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in names)
    # by the drivers themselves: what SQLAlchemy does for each row takes longer than the database
    driver: Any = connection.connection.driver_connection
    tuples = ([tuple(row[name] for name in names) for row in rows] for rows in batches)
    fill = _copy if connection.dialect.name == "postgresql" else _insert
    try:
        fill(driver, f"{table.name} ({columns})", tuples, len(names))
    except driver.Error as error:
        raise DBAPIError(f"rows into {table.name}", None, error) from error


def _copy(driver: Any, into: str, batches: Iterable[Rows], _width: int) -> None:
    with driver.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as copy:
        for rows in batches:
            for row in rows:
                copy.write_row(row)


def _insert(driver: Any, into: str, batches: Iterable[Rows], width: int) -> None:
    for rows in batches:
        driver.executemany(f"INSERT INTO {into} VALUES ({', '.join('?' * width)})", rows)

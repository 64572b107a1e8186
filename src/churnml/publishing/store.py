"""The online store of a release: one row a customer, in a SQLite file that is written once and only read after."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import weakref
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from churnml.errors import ChurnmlError

_TABLE = """
    CREATE TABLE customers (
        customer_id TEXT NOT NULL, account_manager TEXT,
        score BLOB NOT NULL, reasons BLOB NOT NULL, profile BLOB NOT NULL, features BLOB NOT NULL, history BLOB NOT NULL
    ) STRICT"""
_INDEXES = (
    "CREATE UNIQUE INDEX by_customer ON customers (customer_id)",
    "CREATE INDEX by_manager ON customers (account_manager, customer_id) WHERE account_manager IS NOT NULL",
)
_PAGE = 8192  # bytes: most rows fit into one
_AT_ONCE = 500  # ids looked up by one statement


@dataclass(frozen=True)
class StoredRow:
    """One customer.

    Attributes
    ----------
    customer_id : str
        Who.
    account_manager : str or None
        Whose customer.
    score : bytes
        A row of scores without ``reasons``, as JSON.
    reasons : bytes
        The reasons, as a JSON list.
    profile : bytes
        As JSON: ``segment``, ``account_manager``, ``key_account``, ``personal``.
    features : bytes
        A JSON list of values, in the order of their names.
    history : bytes
        As JSON: the latest rows of every table.
    """

    customer_id: str
    account_manager: str | None
    score: bytes
    reasons: bytes
    profile: bytes
    features: bytes
    history: bytes


def write_store(file: Path, rows: Iterable[StoredRow]) -> None:
    """Write the store; rows come in the order of customers."""
    with closing(sqlite3.connect(file, isolation_level=None)) as store:
        for pragma in (f"page_size = {_PAGE}", "journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            store.execute(f"PRAGMA {pragma}")
        store.execute("BEGIN")
        store.execute(_TABLE)
        store.executemany(
            "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    row.customer_id,
                    row.account_manager,
                    row.score,
                    row.reasons,
                    row.profile,
                    zlib.compress(row.features, 1),
                    zlib.compress(row.history, 1),
                )
                for row in rows
            ),
        )
        for index in _INDEXES:
            store.execute(index)
        store.execute("COMMIT")


def write_store_without(file: Path, customer: str, target: Path) -> None:
    """Write a copy of a store in which nothing of a customer is left, not even where it was."""
    shutil.copyfile(file, target)
    with closing(sqlite3.connect(target, isolation_level=None)) as store:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "secure_delete = ON"):
            store.execute(f"PRAGMA {pragma}").fetchall()
        store.execute("DELETE FROM customers WHERE customer_id = ?", (customer,))


class Store:
    """The store, open for reading by any thread.

    Parameters
    ----------
    file : Path
        What `write_store` wrote.

    Raises
    ------
    ChurnmlError
        If it cannot be opened.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._turn = threading.Lock()
        try:
            # immutable: no locks, no look at whether it changes; it never does
            self._connection = sqlite3.connect(
                f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        self._close = weakref.finalize(self, self._connection.close)
        self._ask("PRAGMA mmap_size = 0")  # who reads a mapped file that was cut off meanwhile is killed

    def scores(self, ids: Sequence[str], *, reasons: bool) -> list[bytes | None]:
        """Return a JSON object for each id, None where it is unknown."""
        if reasons:
            rows = self._rows("score, reasons", ids)
            found = {row[0]: b'%b,"reasons":%b}' % (row[1][:-1], row[2]) for row in rows}
        else:
            found = {row[0]: b'%b,"reasons":[]}' % row[1][:-1] for row in self._rows("score", ids)}
        for row in found.values():
            self._read(from_json, row)
        return [found.get(one) for one in ids]

    def profiles(self, ids: Sequence[str]) -> list[dict[str, Any] | None]:
        """Return the profile of each id, None where it is unknown."""
        found = {row[0]: self._read(json.loads, row[1]) for row in self._rows("profile", ids)}
        return [found.get(one) for one in ids]

    def managers(self, ids: Sequence[str]) -> list[str | None]:
        """Return the account manager of each id, None where there is none."""
        found = {row[0]: row[1] for row in self._rows("account_manager", ids)}
        return [found.get(one) for one in ids]

    def history(self, one: str) -> Any:
        """Return the history of a customer, None where it is unknown."""
        return self._unpacked("history", one)

    def features(self, one: str) -> Any:
        """Return the values of a customer's features, None where it is unknown."""
        return self._unpacked("features", one)

    def customers_of(self, manager: str) -> list[str]:
        """Return the ids of an account manager's customers, in their order."""
        found = self._ask("SELECT customer_id FROM customers WHERE account_manager = ? ORDER BY customer_id", manager)
        return [row[0] for row in found]

    def close(self) -> None:
        """Close it; nothing can be read any more."""
        with self._turn:
            self._close()

    def _unpacked(self, column: str, one: str) -> Any:
        found = self._rows(column, [one])
        return self._read(_unpacked, found[0][1]) if found else None

    def _read(self, read: Callable[[bytes], Any], content: bytes) -> Any:
        """Read what is stored; what cannot be is damage that SQLite does not see."""
        try:
            return read(content)
        except (ValueError, zlib.error) as error:
            raise self._unreadable(error) from error

    def _rows(self, columns: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        ids = [one for one in ids if _is_text(one)]
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            found += self._ask(f"SELECT customer_id, {columns} FROM customers WHERE customer_id IN ({marks})", *some)
        return found

    def _ask(self, sql: str, *parameters: str) -> list[tuple[Any, ...]]:
        try:
            with self._turn:
                return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> ChurnmlError:
        return ChurnmlError(f"the store {self._file} cannot be read ({error})", "publish again", file=str(self._file))


def _unpacked(content: bytes) -> Any:
    return json.loads(zlib.decompress(content))


def _is_text(one: str) -> bool:
    """Tell whether an id is one that somebody can have: half a character is none."""
    try:
        return one.isascii() or bool(one.encode())
    except UnicodeEncodeError:
        return False

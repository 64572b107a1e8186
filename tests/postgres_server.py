"""A PostgreSQL server of the tests' own: in a temporary folder, on a private socket, without TCP, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

PASSWORD = "Zq7!/@:#ü"  # what addresses need encoded is in it


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    socket: Path

    def url(self, user: str = "churnml", password: str = PASSWORD, database: str = "billing") -> str:
        return f"postgresql://{user}:{password}@/{database}?host={self.socket}"

    def connect(self, user: str = "owner") -> psycopg.Connection:
        return psycopg.connect(host=str(self.socket), user=user, password=PASSWORD, dbname="billing", autocommit=True)

    def run(self, *statements: str) -> None:
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def load(self, table: str, columns: dict[str, str], rows: Sequence[Sequence[object]]) -> None:
        """Make a table (columns with PostgreSQL's types) in place of one of that name, readable by churnml."""
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        self.run(
            f"DROP TABLE IF EXISTS {table}", f"CREATE TABLE {table} ({declared})", f"GRANT SELECT ON {table} TO churnml"
        )
        into = f"COPY {table} FROM STDIN"
        with self.connect() as connection, connection.cursor() as cursor, cursor.copy(into) as copy:
            for row in rows:
                copy.write_row(row)


def programs() -> Path | None:
    """The folder of initdb and postgres; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Run a server; as nobody where the tests run as root, which PostgreSQL refuses to be."""
    binaries = programs()
    assert binaries
    who = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="churnml-pg-", dir="/tmp"))  # a socket's path must be short
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        if who:
            for path in (folder, secret):
                shutil.chown(path, who["user"], who["group"])
        made = ["-D", folder / "data", "-U", "owner", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": "/", **who}
        subprocess.run([binaries / "initdb", *made, "--no-sync", "--locale=C.UTF-8"], check=True, **quiet)
        settings = {"listen_addresses": "", "unix_socket_directories": folder, "fsync": "off", "timezone": "Asia/Tokyo"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log = (folder / "log").open("wb")
        with (
            log,
            subprocess.Popen(
                [binaries / "postgres", "-D", folder / "data", *options], **{**quiet, "stderr": log}
            ) as server,
        ):
            try:
                _prepare(folder, server)
                yield Server(folder)
            finally:
                server.send_signal(2)  # fast shutdown
                server.wait(timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers, and make its database and churnml's user."""
    for _ in range(300):
        with contextlib.suppress(psycopg.OperationalError):
            with psycopg.connect(
                host=str(folder), user="owner", password=PASSWORD, dbname="postgres", autocommit=True
            ) as connection:
                connection.execute("CREATE DATABASE billing")
                connection.execute(f"CREATE ROLE churnml LOGIN PASSWORD '{PASSWORD}'")
            return
        assert server.poll() is None, (folder / "log").read_text()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.1)
    raise AssertionError("the server does not answer: " + (folder / "log").read_text())

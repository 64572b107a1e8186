"""Opening the MLflow store of a configuration."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from churnml.addresses import without_password
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.files import atomic_file
from churnml.registry.address import Address, address_of
from churnml.registry.quiet import quiet
from churnml.registry.trouble import understood

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PATIENCE = 5  # seconds until a store that does not answer is given up


@dataclass(frozen=True)
class Store:
    """An open MLflow store.

    Parameters
    ----------
    client : MlflowClient
        Talks to the store; the global tracking address plays no part.
    address : Address
        Where it is.
    """

    client: MlflowClient
    address: Address


@contextlib.contextmanager
def opened(config: Config) -> Iterator[Store]:
    """Open the store of a configuration; all that MLflow does, it does inside of this.

    Parameters
    ----------
    config : Config
        Names the store in ``tracking.uri``. An SQLite store that is not there is made.

    Yields
    ------
    Store
        The store.

    Raises
    ------
    ChurnmlError
        If the store is not there, does not answer within seconds, is locked, damaged or of another version of MLflow,
        or if anything fails that is done with it.
    """
    address = address_of(config)
    with quiet(_settings(address)), understood(address.uri):
        from mlflow import MlflowClient

        if address.is_server:
            _require_answer(address.uri)
        elif not address.is_folder:
            if address.database:
                _make_database(address.database)
            _require_our_schema(address)
        yield Store(MlflowClient(address.uri, address.uri), address)


def _settings(address: Address) -> dict[str, str]:
    settings = {}
    if address.database:  # no connection outlives its use: the file may be moved or replaced between two commands
        settings["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"
    if address.artifacts:  # of MLflow's own default experiment, which else would lie in the working folder
        settings["_MLFLOW_SERVER_ARTIFACT_ROOT"] = address.artifacts.as_uri()
    if address.is_folder:  # MLflow's file stores ask the global address for the models of their versions
        settings["MLFLOW_TRACKING_URI"] = address.uri
    return settings


def experiment_id(store: Store, name: str) -> str:
    """Return the id of an experiment, which is made where it is not there.

    MLflow cannot change where the artefacts of an experiment lie. Where a store was moved, its experiment gets the old
    place as part of its name, and a new one is made.

    Parameters
    ----------
    store : Store
        An open store.
    name : str
        The experiment.

    Returns
    -------
    str
        Its id.

    Raises
    ------
    ChurnmlError
        If it was deleted in MLflow, or its folder of artefacts is gone.
    """
    from mlflow.exceptions import MlflowException

    found = store.client.get_experiment_by_name(name)
    if found is None:
        artifacts = store.address.artifacts
        try:
            return str(store.client.create_experiment(name, artifacts.as_uri() if artifacts else None))
        except MlflowException as error:
            found = store.client.get_experiment_by_name(name)  # somebody else was faster
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise ChurnmlError(
            f"the experiment {name} was deleted in MLflow",
            f"restore it (mlflow experiments restore --experiment-id {found.experiment_id}), or name another "
            "tracking.experiment",
            experiment=name,
        )
    place, home = local_path(found.artifact_location), store.address.artifacts
    if place and home and place != home and place.name == home.name and (home.is_dir() or store.address.database):
        # the store was moved or copied: artefacts lie beside it, and never in the folder of another
        store.client.rename_experiment(found.experiment_id, f"{name} ({place})")
        return experiment_id(store, name)
    if place and home and place != home and not place.is_dir():
        raise ChurnmlError(
            f"the artefacts of the experiment {name} lie in {place}, which does not exist",
            "put the folder back, or name another tracking.experiment",
            experiment=name,
            folder=str(place),
        )
    return str(found.experiment_id)


def local_path(uri: str) -> Path | None:
    """Return the path of an artefact that lies on this machine's disks, or None for one that is elsewhere."""
    if "://" not in uri and not uri.startswith("file:"):
        return Path(uri) if uri.startswith("/") else None
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _require_answer(uri: str) -> None:
    from requests.utils import get_environ_proxies

    parts = urlsplit(uri)
    if get_environ_proxies(uri):
        return  # only the proxy knows the way
    port = parts.port or (443 if parts.scheme == "https" else 80)
    socket.create_connection((unquote(parts.hostname or ""), port), timeout=_PATIENCE).close()


def _make_database(path: Path) -> None:
    with _alone_in(path.parent):
        if path.exists() and path.stat().st_size:
            return
        with atomic_file(path) as part:
            import sqlalchemy
            from mlflow.store.db import utils

            engine = sqlalchemy.create_engine(f"sqlite:///{part}", poolclass=sqlalchemy.NullPool)

            @sqlalchemy.event.listens_for(engine, "connect")
            def _fast(connection: object, _: object) -> None:  # the file is on disk before it gets its name
                connection.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]
                connection.execute("PRAGMA journal_mode = MEMORY")  # type: ignore[attr-defined]

            utils._initialize_tables(engine)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # not every network drive can lock
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _require_our_schema(address: Address) -> None:
    """Raise unless the database is of this version of MLflow, which else would change it without asking."""
    import sqlalchemy

    waiting = {"timeout": _PATIENCE} if address.database else {"connect_timeout": _PATIENCE}
    if address.uri.startswith("mssql"):
        waiting = {}
    engine = sqlalchemy.create_engine(address.uri, poolclass=sqlalchemy.NullPool, connect_args=waiting)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
        has_schema = "alembic_version" in tables
        query = sqlalchemy.text("SELECT version_num FROM alembic_version")
        schema = connection.execute(query).scalar() if has_schema else None
    if schema == _schemas()[0] or (not has_schema and not address.database):
        return  # a database without MLflow's tables gets them
    raise _of_another_version(address, schema)


@cache
def _schemas() -> tuple[str, frozenset[str]]:
    import mlflow
    from alembic.script import ScriptDirectory

    migrations = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    return migrations.get_current_head() or "", frozenset(step.revision for step in migrations.walk_revisions())


def _of_another_version(address: Address, schema: str | None) -> ChurnmlError:
    import mlflow

    shown = without_password(address.uri, address.uri)
    if schema is None:
        return ChurnmlError(f"{address.database} is a database, but none of MLflow's", "name another in tracking.uri")
    if schema in _schemas()[1]:
        return ChurnmlError(
            f"the MLflow store {shown} was made by an older MLflow than {mlflow.__version__} (schema {schema})",
            f"make a backup, then run mlflow db upgrade {shown}",
            schema=schema,
        )
    return ChurnmlError(
        f"the MLflow store {shown} has the schema {schema}, which MLflow {mlflow.__version__} does not know",
        "use the newer MLflow it was made with, or name another store in tracking.uri",
        schema=schema,
    )

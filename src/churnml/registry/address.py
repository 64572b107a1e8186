"""Where MLflow's store is: the configured address made independent of the working folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from churnml.addresses import without_password
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.files import require_folder, require_writable

_ARTIFACTS = "mlartifacts"
_SERVERS = ("http", "https")
_DATABASES = ("postgresql", "mysql", "mssql")


@dataclass(frozen=True)
class Address:
    """An MLflow store.

    Parameters
    ----------
    uri : str
        Its address; paths are absolute.
    database : Path or None
        The file of an SQLite store.
    artifacts : Path or None
        The folder for files; None where a server decides.
    """

    uri: str
    database: Path | None
    artifacts: Path | None

    @property
    def is_server(self) -> bool:
        """Whether it is an MLflow server."""
        return self.artifacts is None

    @property
    def is_folder(self) -> bool:
        """Whether it is one of MLflow's old file stores."""
        return self.uri.startswith("file:")


def address_of(config: Config) -> Address:
    """Return the store of a configuration.

    Parameters
    ----------
    config : Config
        Paths in ``tracking.uri`` are relative to its folder.

    Returns
    -------
    Address
        SQLite and file stores have their artefacts in ``mlartifacts`` beside them, databases beside the configuration.

    Raises
    ------
    ChurnmlError
        If the address is of no kind that MLflow has, or names a place that cannot be written.
    """
    uri = config.tracking.uri
    scheme = (re.match(r"[\w-]+(?=[:+])", uri) or [""])[0].lower()
    if scheme in _SERVERS:
        _require_host(uri)
        return Address(uri, None, None)
    if scheme in _DATABASES:
        return Address(uri, None, config.path(_ARTIFACTS).absolute())
    found = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^?]+)(\?.*)?", uri)
    if found and found[2] != ":memory:":
        path = _path(config, found[2])
        if "?" in str(path) or "%" in str(path):
            raise ChurnmlError(
                f"{path} has a ? or %, which an SQLite address cannot hold", "name another folder or file"
            )
        require_writable(path)
        return Address(f"{found[1]}{path}{found[3] or ''}", path, path.parent / _ARTIFACTS)
    found = re.fullmatch(r"file:(?://(?=/))?(?!//)(.+)", uri)
    if found:
        path = _path(config, unquote(found[1]))
        require_folder(path)
        return Address(path.as_uri(), None, path.parent / _ARTIFACTS)
    raise _no_address(uri)


def _require_host(uri: str) -> None:
    try:
        host, _ = urlsplit(uri).hostname, urlsplit(uri).port
    except ValueError:
        host = None
    if not host:
        raise _no_address(uri)


def _path(config: Config, text: str) -> Path:
    return config.path(re.sub(r"^/+", "/", text)).absolute()  # a path that begins with // is no path on every system


def _no_address(uri: str) -> ChurnmlError:
    shown = without_password(uri, uri)
    return ChurnmlError(
        f"tracking.uri {shown} is no address of an MLflow store",
        "write sqlite:///mlflow.db, file:mlruns, http://host:5000, or a postgresql://, mysql:// or mssql:// address",
        key="tracking.uri",
        value=shown,
    )

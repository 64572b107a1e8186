"""Starting the service."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from churnml.config import load_config
from churnml.errors import ChurnmlError

_GRACE_SECONDS = 13  # for what runs; a supervisor that asks to stop waits 15
_IDLE_SECONDS = 65  # longer than clients and proxies keep a connection, so that they are the ones to close it


def serve(config: str | os.PathLike[str], *, host: str = "127.0.0.1", port: int = 3000) -> NoReturn:
    """Become the service: this process is replaced, and runs until it is asked to stop.

    Parameters
    ----------
    config : path
        The configuration; a file, since the service's own processes read it.
    host : str
        The address to listen on.
    port : int
        The port to listen on.

    Raises
    ------
    ChurnmlError
        If the configuration is wrong, the host is no address, or the port is taken.
    """
    settings = load_config(config)
    address = _address(host)
    _require_free(address, port)
    home = settings.state_folder / "serving"  # of BentoML: figures of this service's workers, and of no other's
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ChurnmlError(f"{home} cannot be made ({error.strerror})", "mend state.folder") from error
    os.environ["CHURNML_CONFIG"] = str(Path(config).absolute())
    os.environ["BENTOML_HOME"] = str(home.absolute())
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    where = ("--host", address, "--port", str(port))
    times = ("--timeout-graceful-shutdown", str(_GRACE_SECONDS), "--timeout-keep-alive", str(_IDLE_SECONDS))
    command = [sys.executable, "-m", "bentoml", "serve", "churnml.service.bento:Churnml", *where, *times]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 - signals have to reach it


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host))
    except ValueError:
        raise ChurnmlError(
            f"the host {host} is no address", "use 127.0.0.1, or 0.0.0.0 for all networks", value=host
        ) from None


def _require_free(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, port))
        except (OSError, OverflowError) as error:
            raise ChurnmlError(
                f"nothing can listen on {address} port {port} ({getattr(error, 'strerror', None) or error})",
                "choose another --port or --host",
                value=port,
            ) from None

"""What goes wrong at MLflow's store, said in one line that a user can act on, without passwords."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from churnml.addresses import without_password
from churnml.errors import ChurnmlError

# The first that is found in what MLflow, the database or the system says, and what to do about it.
_REMEDIES = (
    (r"database is locked", "another process is writing to it: try again when it is done"),
    (r"not a database|malformed|disk i/o", "put it back from a backup, or take it away and train again"),
    (r"no space|disk is full|quota", "free space"),
    (
        r"\b401\b|unauthori[sz]ed|unauthenticated|authentication|access denied for user",
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN; a database's password "
        "goes into tracking.uri as ${NAME}",
    ),
    (
        r"unable to open|read-?only|permission|forbidden|\b403\b|not permitted",
        "give the user who runs churnml the right to read and write there",
    ),
    (r"mlflow-artifacts", "this store belongs to a server: give the server's address as tracking.uri"),
    (r"no module named|can't load plugin", "install that package, the store needs it"),
    (
        r"refused|timed? ?out|unreachable|resol|not known|no address|max retries|could not connect|can't connect|reset",
        "start it, or mend tracking.uri",
    ),
)
_OTHERWISE = "look at the store, and at tracking.uri in the configuration"
_OUR_OWN = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS")


@contextlib.contextmanager
def understood(uri: str) -> Iterator[None]:
    """Turn what MLflow, its database or the network raise inside into a `ChurnmlError`.

    Parameters
    ----------
    uri : str
        The store's address; a password in it is told nobody.

    Raises
    ------
    ChurnmlError
        With the store, what it said, and what to do. Calls that MLflow refuses as wrong are bugs and stay as they are.
    """
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError, ImportError) as error:
        said = _first_line(error)
        remedies = (remedy for pattern, remedy in _REMEDIES if re.search(pattern, said, re.IGNORECASE))
        remedy = next(remedies, None)
        if remedy is None and getattr(error, "error_code", None) in _OUR_OWN:
            raise
        cause = None if "@" in uri else error  # a traceback would tell the password
        raise ChurnmlError(
            f"the MLflow store {without_password(uri, uri)} fails: {without_password(said, uri)}",
            remedy or _OTHERWISE,
            uri=without_password(uri, uri),
        ) from cause


def _first_line(error: BaseException) -> str:
    told = error.strerror if isinstance(error, OSError) and error.strerror and not error.filename else str(error)
    lines = told.strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= 300 else f"{lines[0][:300]}..."

"""MLflow kept to itself: no telemetry, no chatter, no patience of minutes; settings are put back afterwards."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping

_ALWAYS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",  # it would put the working folder's lock file into the model
}
_UNLESS_SET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # of seven, the last waits two minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # whoever configures file: means it
}


@contextlib.contextmanager
def quiet(settings: Mapping[str, str]) -> Iterator[None]:
    """Import and use MLflow inside of this.

    Parameters
    ----------
    settings : mapping of str to str
        Further environment variables that MLflow reads.
    """
    unless_set = {name: value for name, value in _UNLESS_SET.items() if name not in os.environ}
    with _environment(_ALWAYS | unless_set | dict(settings)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own use of its libraries
        from mlflow.utils import logging_utils

        stream = logging_utils.MLFLOW_LOGGING_STREAM  # what all of MLflow's loggers write to
        logger = logging.getLogger("mlflow")
        enabled, level = stream.enabled, logger.level
        stream.enabled = False
        logger.setLevel(logging.CRITICAL + 1)  # some of MLflow's functions open the stream again
        try:
            yield
        finally:
            stream.enabled = enabled
            logger.setLevel(level)


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

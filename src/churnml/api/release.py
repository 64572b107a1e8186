"""From scores to the service: publish, forget."""

from __future__ import annotations

from churnml.api.histories import AsOf
from churnml.asof import parse_as_of
from churnml.config import ConfigLike, load_config
from churnml.publishing import build
from churnml.publishing.build import Published


def publish(config: ConfigLike, as_of: AsOf, *, progress: bool = False) -> Published:
    """Build what the service answers from: scores and features of a day, and the champions, as one release.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    as_of : date or text
        The date; scores of it that are kept are taken, or else made now.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    Published
        ``release``, ``as_of``, ``customers``, ``scored``, ``churn_model_version``, ``value_model_version``. A service
        that runs takes it up within some seconds, all of it at once.

    Raises
    ------
    ChurnmlError
        If there is no champion (the message says which gate refused), nobody is at risk, or the disk refuses.
    """
    return build.publish(load_config(config), parse_as_of(as_of), progress=progress)

"""From scores to the service: publish, forget."""

from __future__ import annotations

import time
from dataclasses import dataclass

from churnml.api.histories import AsOf
from churnml.asof import parse_as_of
from churnml.config import ConfigLike, load_config
from churnml.publishing import build
from churnml.publishing.build import Published
from churnml.publishing.forgetting import forget_in_files
from churnml.state.forget import forget_in_state

_UNTIL_TAKEN = 5.0  # seconds: a service takes a release within about one, and answers in less than the others


@dataclass(frozen=True)
class Forgotten:
    """What `forget` came to.

    Attributes
    ----------
    token : str or None
        What stands for the person in audit and campaigns, and under which it is recorded that somebody was forgotten;
        None where there was nothing of them.
    rows, releases : int
        What was removed from files (see `publishing.forgetting.Removed`).
    release : str or None
        What is answered from now, where that had to be made again.
    """

    token: str | None
    rows: int
    releases: int
    release: str | None


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


def forget(config: ConfigLike, customer: str) -> Forgotten:
    """Remove a person from everything that churnml keeps, and record that it was done.

    In audit and campaigns a random token takes the place of the ``customer_id``, so that counts stay. Your own tables
    are yours: what is still in them comes back with the next scores.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    customer : str
        The ``customer_id``.

    Returns
    -------
    Forgotten
        What was found.

    Raises
    ------
    ChurnmlError
        If a file or the database refuses; do it again then, until it ends well.
    """
    settings = load_config(config)
    removed = forget_in_files(settings, customer)
    if removed.release is not None:
        time.sleep(_UNTIL_TAKEN)  # a running service answers from the release before for a moment, and writes it down
    token = forget_in_state(settings, customer, elsewhere=removed.anything)
    return Forgotten(token, removed.rows, removed.releases, removed.release)

"""A release, open: what the service answers from."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from churnml.errors import ChurnmlError
from churnml.models.bundle import Bundle
from churnml.publishing import files
from churnml.publishing.online import OnlineScorer
from churnml.publishing.store import Store
from churnml.scoring.score import Model

_AGAIN_SECONDS = 30.0  # until a release that was refused is looked at again


class Release:
    """Models and the scores of a day; get one with `open_release`.

    Any thread may ask at any time.

    Parameters
    ----------
    folder : Path
        What was published.
    manifest : mapping
        What it tells of itself.

    Attributes
    ----------
    name : str
        The folder's.
    as_of : datetime.date
        T.
    published_at : datetime.datetime
        UTC.
    churn_version : str
        The model's.
    value_version : str or None
        The model's; None where there are no bills.
    customers, scored : int
        How many are in it, and have a score.
    personal : tuple of str
        The columns that the configuration calls personal; ``segment`` and ``account_manager`` may be among them.
    facts : dict
        What `GET /v1/model` tells: ``release``, ``as_of``, ``published_at``, ``churnml`` and ``models``, of each
        ``version``, ``trained_at``, ``train_dates``, ``test_dates``, ``metrics``.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        models = manifest["models"]
        self.name = folder.name
        self.as_of = dt.date.fromisoformat(manifest["as_of"])
        self.published_at = dt.datetime.fromisoformat(manifest["published_at"])
        self.churn_version: str = models["churn"]["version"]
        self.value_version: str | None = models["value"] and models["value"]["version"]
        self.customers: int = manifest["customers"]
        self.scored: int = manifest["scored"]
        self.personal: tuple[str, ...] = tuple(manifest["personal"])
        told = {word: manifest[word] for word in ("as_of", "published_at", "churnml", "models")}
        self.facts: dict[str, Any] = {"release": self.name, **told}
        kept = json.loads((folder / files.FEATURES).read_text(encoding="utf-8"))
        churn, value = (
            Model(Bundle.load(folder / files.MODELS / name), int(found["version"])) if found else None
            for name, found in ((name, models[name]) for name in ("churn", "value"))
        )
        assert churn is not None
        self._online = OnlineScorer(kept, churn, value, np.load(folder / files.SPREAD, allow_pickle=False))
        self._feature_names: list[str] = [feature["name"] for feature in kept["features"]]
        self._store = Store(folder / files.STORE)

    def scores(self, ids: Sequence[str], *, reasons: bool) -> list[bytes | None]:
        """Return the scores of customers.

        Parameters
        ----------
        ids : sequence of str
            Whose.
        reasons : bool
            Whether to tell the reasons, too; ``reasons`` is an empty list otherwise.

        Returns
        -------
        list of bytes or None
            For each id a JSON object, the row of a score; None where the id is unknown.

        Raises
        ------
        ChurnmlError
            If the store cannot be read.
        """
        return self._store.scores(ids, reasons=reasons)

    def profiles(self, ids: Sequence[str]) -> list[dict[str, Any] | None]:
        """Return ``segment``, ``account_manager``, ``key_account`` and ``personal`` (a dict) of each id, or None."""
        return self._store.profiles(ids)

    def managers(self, ids: Sequence[str]) -> list[str | None]:
        """Return the account manager of each id; None where there is none, or the id is unknown."""
        return self._store.managers(ids)

    def customers_of(self, manager: str) -> list[str]:
        """Return the ids of an account manager's customers, sorted."""
        return self._store.customers_of(manager)

    def history(self, customer: str) -> dict[str, list[dict[str, Any]]] | None:
        """Return the latest rows of each table (see `scoring.timeline`), None where the id is unknown."""
        found: dict[str, list[dict[str, Any]]] | None = self._store.history(customer)
        return found

    def features(self, customer: str) -> dict[str, Any] | None:
        """Return what the models read of a customer, by name; None where the id is unknown."""
        values = self._store.features(customer)
        return None if values is None else dict(zip(self._feature_names, values, strict=True))

    def score_histories(
        self, as_of: dt.date, customers: Sequence[Mapping[str, Any]], *, reasons: bool
    ) -> list[dict[str, Any]]:
        """Score customers by the histories that were sent (see `publishing.online.OnlineScorer`)."""
        return self._online.score(as_of, customers, reasons=reasons)

    def warm_up(self) -> None:
        """Do once what the first request would have to wait for."""
        self.scores([""], reasons=True)
        self._online.warm_up()

    def close(self) -> None:
        """Give the store back; it is given back by itself once nobody holds the release."""
        self._store.close()


def open_release(folder: Path, *, verify: bool = True) -> Release:
    """Open a release.

    Parameters
    ----------
    folder : Path
        What was published.
    verify : bool
        Whether to compare the content of every file with the manifest; sizes always are.

    Returns
    -------
    Release
        Its models are loaded.

    Raises
    ------
    ChurnmlError
        If a file is missing or damaged (the message names it).
    """
    manifest = files.read_manifest(folder, verify=verify)
    try:
        return Release(folder, manifest)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise files.damaged(folder, f"{type(error).__name__}: {error}") from error


class Current:
    """The release to answer from, whichever it is.

    Parameters
    ----------
    folder : Path
        Where releases lie.

    Attributes
    ----------
    release : Release or None
        The newest that could be opened; None until there is one. Who answers takes it once and keeps it for the answer.
    refused : str or None
        Why the newest is not the one that is answered from; None where it is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[str, float] | None = None
        self._turn = threading.Lock()
        self.release: Release | None = None
        self.refused: str | None = None

    def refresh(self) -> None:
        """Look whether another release was published, and answer from it if it is whole; never raises.

        The one before is closed by itself when the last answer that is made of it is done.
        """
        with self._turn:
            try:
                name = files.current_name(self._folder)
            except ChurnmlError as error:
                self.refused = str(error)
                return
            if self.release is not None and name == self.release.name:
                self._seen, self.refused = None, None
                return
            if name is None or not self._is_due(name):
                return
            self.refused = self._taken(name)
            if self.refused is not None and self.release is None:
                others = [one.name for one in files.releases_in(self._folder) if one.name != name]
                next((one for one in reversed(others) if self._taken(one) is None), None)

    def _is_due(self, name: str) -> bool:
        """Tell whether a release is new, or was refused so long ago that it may have been put right."""
        now = time.monotonic()
        if self._seen is not None and self._seen[0] == name and now - self._seen[1] < _AGAIN_SECONDS:
            return False
        self._seen = name, now
        return True

    def _taken(self, name: str) -> str | None:
        """Answer from a release; return why not, where it is not whole."""
        try:
            release = open_release(self._folder / name)
            release.warm_up()
        except Exception as error:  # whatever is wrong with it, the one before goes on
            return str(error) or type(error).__name__
        self.release = release
        return None

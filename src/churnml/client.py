"""A client of the service, for other systems that speak Python: `churnml.client.Client`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from time import sleep
from types import TracebackType
from typing import Any, Self, TypedDict, cast
from urllib.parse import quote

import httpx

from churnml.errors import ChurnmlError

_PER_REQUEST = 1_000
_LONGEST_WAIT = 30.0
_AGAIN = (429, 503)
_IDLE_SECONDS = 4  # a server closes idle connections after 5 at the earliest; whoever sends just then loses


class Reason(TypedDict):
    """Why a customer may leave; ``effect`` in log-odds."""

    code: str
    feature: str
    value: float | None
    effect: float
    text_en: str
    text_zh: str


class Score(TypedDict):
    """A customer's score; everything behind ``status_reason`` is null, and ``reasons`` empty, where not scored."""

    customer_id: str
    as_of: str
    status: str
    status_reason: str | None
    churn_probability: float | None
    churn_percentile: float | None
    expected_value: float | None
    value_if_stays: float | None
    value_at_risk: float | None
    value_tier: str | None
    risk_band: str | None
    cause_probabilities: dict[str, float] | None
    reasons: list[Reason]
    churn_model_version: str | None
    value_model_version: str | None


class Versions(TypedDict):
    """Which models scored."""

    churn: str
    value: str | None


class Scores(TypedDict):
    """Scores in the order asked, and what they are from."""

    as_of: str
    age_days: int
    release: str
    models: Versions
    warnings: list[str]
    scores: list[Score]


class Customer(TypedDict):
    """One customer."""

    as_of: str
    age_days: int
    release: str
    models: Versions
    warnings: list[str]
    score: Score
    profile: dict[str, Any]
    history: dict[str, list[dict[str, Any]]]


class Target(TypedDict):
    """Whom to contact, with what, and why."""

    rank: int
    assignment_id: str
    customer_id: str
    key_account: bool
    value_tier: str | None
    segment: str | None
    offer_id: str | None
    channel: str | None
    churn_probability: float | None
    risk_band: str | None
    value_at_risk: float | None
    expected_profit: float | None
    reasons: list[Reason]
    account_manager: str | None
    personal: dict[str, Any]


class Client:
    """Asks the service, and again where it is overloaded or out of reach for a moment.

    Parameters
    ----------
    url : str
        Where it is, such as ``https://churnml.example``.
    key : str
        What ``churnml keys create`` printed.
    timeout : float
        Seconds to wait for an answer.
    retries : int
        How often to ask again after a broken connection, 429 or 503; ``Retry-After`` is honoured, up to 30 seconds.

    Raises
    ------
    ChurnmlError
        If the address or the key cannot be one.

    Examples
    --------
    >>> client = Client("http://127.0.0.1:3000", "churnml_...")
    >>> client.score(["C00000001"], reasons=True)["scores"][0]["risk_band"]  # doctest: +SKIP
    'high'
    """

    def __init__(self, url: str, key: str, *, timeout: float = 15.0, retries: int = 3) -> None:
        if not url.startswith(("http://", "https://")):
            raise ChurnmlError(f"{url} is no address of the service", "write it like https://churnml.example")
        if not key.isascii():
            raise ChurnmlError("the key is none that churnml makes", "give what churnml keys create printed")
        self._retries = retries
        limits = httpx.Limits(keepalive_expiry=_IDLE_SECONDS)
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, limits=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def score(self, customer_ids: Sequence[str], *, reasons: bool = False) -> Scores:
        """Score customers by their ids.

        Parameters
        ----------
        customer_ids : sequence of str
            Up to 1,000; ids that are not known are rows with the status ``not_scored``.
        reasons : bool
            Whether to tell why.

        Returns
        -------
        dict
            ``scores`` in the order asked, and what they are from.

        Raises
        ------
        ChurnmlError
            If the service refuses or cannot be reached.
        """
        return cast(Scores, self._sent("/v1/score", {"customer_ids": list(customer_ids), "reasons": reasons}))

    def score_histories(self, as_of: str, customers: Sequence[Mapping[str, Any]], *, reasons: bool = False) -> Scores:
        """Score customers by their histories.

        Parameters
        ----------
        as_of : str
            The date, such as ``2024-07-01``.
        customers : sequence of mapping
            Up to 1,000, each with ``customer`` (its row) and the rows of other tables by name.
        reasons : bool
            Whether to tell why.

        Returns
        -------
        dict
            As of `score`.

        Raises
        ------
        ChurnmlError
            If the service refuses or cannot be reached.
        """
        asked = {"as_of": as_of, "customers": [dict(one) for one in customers], "reasons": reasons}
        return cast(Scores, self._sent("/v1/score_histories", asked))

    def customer(self, customer_id: str) -> Customer:
        """Return one customer's score, profile and recent history.

        Raises
        ------
        ChurnmlError
            If there is none of that id, or none for this key.
        """
        return cast(Customer, self._asked(f"/v1/customers/{_part(customer_id)}"))

    def campaigns(self) -> list[dict[str, Any]]:
        """Return how each campaign was opened."""
        return cast(list[dict[str, Any]], self._asked("/v1/campaigns")["campaigns"])

    def campaign(self, campaign_id: str) -> dict[str, Any]:
        """Return how a campaign was opened."""
        return self._asked(f"/v1/campaigns/{_part(campaign_id)}")

    def targets(self, campaign_id: str) -> Iterator[Target]:
        """Iterate over whom to contact, in that order; pages are fetched as they are needed."""
        cursor: str | None = None
        while True:
            place = {} if cursor is None else {"cursor": cursor}
            page = self._asked(f"/v1/campaigns/{_part(campaign_id)}/targets", {"limit": str(_PER_REQUEST), **place})
            yield from cast(list[Target], page["targets"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def model(self) -> dict[str, Any]:
        """Return what scores: versions, trained when, on what, with which metrics."""
        return self._asked("/v1/model")

    def _asked(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self._answer(self._http.build_request("GET", path, params=query))

    def _sent(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            request = self._http.build_request("POST", path, json=body)
        except (TypeError, ValueError) as error:
            told = f"what is asked cannot be sent as JSON ({type(error).__name__})"
            raise ChurnmlError(
                told, "send texts, finite numbers, booleans, lists and mappings; null for NaN"
            ) from error
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> dict[str, Any]:
        """Ask until there is an answer: nothing that is asked here changes anything, so that asking twice is safe."""
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                if last:
                    place = request.url.copy_with(path="/", query=None)
                    raise ChurnmlError(
                        f"{place} does not answer ({type(error).__name__})", "see whether the service runs"
                    ) from error
                wait = _pause(attempt)
            else:
                if response.status_code not in _AGAIN or last:
                    return _content(response)
                wait = _told(response.headers.get("Retry-After"), attempt)
            sleep(wait)
        raise AssertionError("the last attempt returns or raises")


def _part(text: str) -> str:
    """Return a text as one part of an address; dots alone would lead elsewhere."""
    encoded = quote(text, safe="", errors="replace")
    return encoded if encoded.strip(".") else encoded.replace(".", "%2E")


def _pause(attempt: int) -> float:
    return min(0.2 * 2.0**attempt, _LONGEST_WAIT) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients in time


def _told(retry_after: str | None, attempt: int) -> float:
    if retry_after is not None and retry_after.isdecimal():
        return min(float(retry_after), _LONGEST_WAIT)
    return _pause(attempt)


def _content(response: httpx.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        content = None
    if response.is_success and isinstance(content, dict):
        return content
    error = content.get("error") if isinstance(content, dict) else None
    told = error if isinstance(error, dict) else {"message": "an answer that is none of the service", "code": None}
    raise ChurnmlError(
        f"the service refuses with {response.status_code}: {told.get('message')}",
        status=response.status_code,
        code=told.get("code"),
        problems=told.get("details"),
    )

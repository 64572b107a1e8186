"""Scores: by id from the store, or from the histories that are sent."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from starlette.responses import Response

from churnml.columns import AS_OF, CUSTOMER_ID
from churnml.errors import ChurnmlError
from churnml.publishing.release import Release
from churnml.service.answers import Score, ScoresAnswer
from churnml.service.bodies import Body, HistoriesRequest, ScoreRequest, read
from churnml.service.operations import Call, Operation
from churnml.service.problems import Refused, invalid, unavailable
from churnml.service.queries import refuse_others
from churnml.state.audit import AuditRow
from churnml.state.keys import Key

UNKNOWN = "no customer of this id is at risk in the store"
_COLUMNS = tuple(name for name in Score.model_fields if name not in (CUSTOMER_ID, AS_OF))
_WITHOUT_REASONS = tuple(name for name in _COLUMNS if name != "reasons")
_LONG = 64 * 1024  # bytes of a body that hold up other requests while they are read
_CHUNK = 20  # customers scored from histories before looking whether anybody still waits
_NOTHING = dict.fromkeys(_COLUMNS)

Asked = TypeVar("Asked", bound=Body)


async def parsed(call: Call, model: type[Asked]) -> Asked:
    """Return the body, in a thread where it is long."""
    most = call.running.config.service.max_customers
    if len(call.content) <= _LONG:
        return read(model, call.content, most)
    found: Asked = await call.running.threaded(read, model, call.content, most)
    return found


@contextlib.contextmanager
def stored() -> Iterator[None]:
    """Answer 503 where the store cannot be read.

    Raises
    ------
    Refused
        503.
    """
    try:
        yield
    except (ChurnmlError, sqlite3.Error, OSError):
        raise unavailable("the store cannot be read at present; try again", code="store", after=5) from None


async def audit(call: Call, customers: Sequence[str], columns: Sequence[str], route: str) -> None:
    """Return when it is kept who saw which columns of whom."""
    key, at = call.caller, dt.datetime.now(dt.UTC)
    named = tuple(customer.replace("\0", "\N{REPLACEMENT CHARACTER}") for customer in customers)
    row = AuditRow(at, call.request_id, key.name, key.role, route, named, tuple(columns))
    await call.running.audit.record(row)


def owns(key: Key, profile: dict[str, Any] | None) -> bool:
    """Tell whether a customer is one that a key may see."""
    return profile is not None and (key.role != "account_manager" or profile["account_manager"] == key.manager)


def not_scored(customer: str, release: Release, why: str) -> bytes:
    """Return the row of a customer without a score."""
    row = {CUSTOMER_ID: customer, AS_OF: release.as_of.isoformat(), **_NOTHING}
    row |= {"status": "not_scored", "status_reason": why, "reasons": []}
    return json.dumps(row, ensure_ascii=False).encode()


def answered(about: dict[str, Any], member: str, rows: Sequence[bytes]) -> Response:
    """Return an answer that holds rows which are JSON already."""
    head = json.dumps(about, ensure_ascii=False)[:-1]
    content = b'%s, "%s": [%s]}' % (head.encode(), member.encode(), b", ".join(rows))
    return Response(content, 200, None, "application/json")


def too_old(call: Call, release: Release) -> str | None:
    """Return why nobody is scored from a release that is too old; None where it is not."""
    if not call.running.expired(release):
        return None
    return f"the scores are {call.running.age_days(release)} days old: churnml publish makes new ones"


def found_rows(call: Call, release: Release, ids: Sequence[str], *, reasons: bool) -> list[bytes | None]:
    """Return the rows of customers that the caller may see, None for the others."""
    with stored():
        rows = release.scores(ids, reasons=reasons)
        if call.caller.role != "account_manager":
            return rows
        managers = release.managers(ids)
    return [row if manager == call.caller.manager else None for row, manager in zip(rows, managers, strict=True)]


async def score(call: Call) -> Response:
    """Score by ids.

    Raises
    ------
    Refused
        As documented.
    """
    refuse_others(call.query, ())
    asked = await parsed(call, ScoreRequest)
    release, ids = call.running.release, asked.customer_ids
    why = too_old(call, release)
    found: list[bytes | None] = [None] * len(ids) if why else found_rows(call, release, ids, reasons=asked.reasons)
    rows = [not_scored(ids[place], release, why or UNKNOWN) if row is None else row for place, row in enumerate(found)]
    seen = [customer for customer, row in zip(ids, found, strict=True) if row is not None]
    await audit(call, seen, _COLUMNS if asked.reasons else _WITHOUT_REASONS, SCORE.path)
    call.running.figures.scores(found)
    return answered(call.running.about(release), "scores", rows)


async def score_histories(call: Call) -> Response:
    """Score by what was sent.

    Raises
    ------
    Refused
        As documented.
    """
    refuse_others(call.query, ())
    asked = await parsed(call, HistoriesRequest)
    release, day = call.running.release, asked.day
    sent = [dict(customer) for customer in asked.customers]  # not copied: a year of usage is a while to copy
    rows: list[bytes] = []
    async with call.running.long_work if len(sent) > _CHUNK else contextlib.nullcontext():
        for start in range(0, len(sent), _CHUNK):
            rows += await call.running.threaded(_scored, release, day, sent, start, asked.reasons)
    columns = _COLUMNS if asked.reasons else _WITHOUT_REASONS
    await audit(call, [one["customer"][CUSTOMER_ID] for one in sent], columns, SCORE_HISTORIES.path)
    call.running.figures.scores(rows)
    return answered({**call.running.about(release), AS_OF: day.isoformat()}, "scores", rows)


def _scored(release: Release, day: dt.date, sent: list[dict[str, Any]], start: int, reasons: bool) -> list[bytes]:
    try:
        rows = release.score_histories(day, sent[start : start + _CHUNK], reasons=reasons)
    except ChurnmlError as error:
        raise _counted_from(start, error) from None
    return [json.dumps(row, ensure_ascii=False, default=str).encode() for row in rows]


def _counted_from(start: int, error: ChurnmlError) -> Refused:
    """Return the refusal of what is wrong in a chunk, with the place in the whole."""

    def whole(text: str) -> str:
        return re.sub(r"^customers\.(\d+)", lambda found: f"customers.{start + int(found[1])}", text)

    place = whole(str(error.details.get("place", "")))
    return invalid([{"place": place, "problem": whole(str(error)).removeprefix(place).removeprefix(": ")}])


SCORE = Operation(
    "POST",
    "/v1/score",
    "crm",
    score,
    "score",
    "Scores of customers by their ids, in the order asked; unknown ids are rows with the status not_scored.",
    refuses=(400, 408, 413, 422),
    body=ScoreRequest,
    returns=ScoresAnswer,
)
SCORE_HISTORIES = Operation(
    "POST",
    "/v1/score_histories",
    "crm",
    score_histories,
    "score_histories",
    "Scores of customers by the histories that are sent with them; columns that no feature needs are ignored.",
    refuses=(400, 408, 413, 422),
    body=HistoriesRequest,
    returns=ScoresAnswer,
)
OPERATIONS = (SCORE, SCORE_HISTORIES)

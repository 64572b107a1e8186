"""One customer: score, reasons, who it is, what happened lately."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from starlette.responses import Response

from churnml.columns import CUSTOMER_ID
from churnml.service.answers import CustomerAnswer
from churnml.service.bodies import LONGEST_ID
from churnml.service.operations import Call, Operation, Parameter
from churnml.service.problems import not_found
from churnml.service.queries import refuse_others
from churnml.service.scores import audit, found_rows, not_scored, owns, stored, too_old
from churnml.state.keys import Key

MASK = "***"
_OPEN = ("segment", "account_manager", "key_account")


def shown(profile: dict[str, Any], key: Key, personal: Collection[str]) -> dict[str, Any]:
    """Return what a caller may see of who a customer is: personal columns are masked for the retention team."""
    if key.role in ("account_manager", "admin"):
        return profile
    masked = {name: _masked(profile[name]) if name in personal else profile[name] for name in _OPEN}
    return {**masked, "personal": {name: _masked(value) for name, value in profile["personal"].items()}}


def _masked(value: Any) -> str | None:
    return None if value is None else MASK


def _without(rows: list[dict[str, Any]], personal: Collection[str]) -> list[dict[str, Any]]:
    """Leave out what has become personal since the release was made: no history has it, whoever asks."""
    hidden = frozenset(personal) - {CUSTOMER_ID}
    return [{name: value for name, value in row.items() if name not in hidden} for row in rows]


async def customer(call: Call) -> Response:
    """Tell of one customer.

    Raises
    ------
    Refused
        404 if there is none of that id, or it is another manager's.
    """
    refuse_others(call.query, ())
    release, customer_id = call.running.release, call.path[CUSTOMER_ID]
    with stored():
        profile = release.profiles([customer_id])[0]
        history = release.history(customer_id)
    row = found_rows(call, release, [customer_id], reasons=True)[0]
    if profile is None or row is None or not owns(call.caller, profile):
        raise not_found("customer")
    why = too_old(call, release)
    score = not_scored(customer_id, release, why) if why else row
    seen = shown(profile, call.caller, call.running.personal)
    tables = {table: _without(rows, call.running.personal) for table, rows in (history or {}).items()}
    columns = ("score", *_OPEN, *seen["personal"], *(f"history.{table}" for table in tables))
    await audit(call, [customer_id], columns, CUSTOMER.path)
    rest = json.dumps({"profile": seen, "history": tables}, ensure_ascii=False)
    head = json.dumps(call.running.about(release), ensure_ascii=False)
    content = b'%s, "score": %s, %s' % (head[:-1].encode(), score, rest[1:].encode())
    return Response(content, 200, None, "application/json")


CUSTOMER = Operation(
    "GET",
    "/v1/customers/{customer_id:text}",
    "retention",
    customer,
    "customer",
    "One customer's score, reasons, profile and recent history.",
    refuses=(404, 422),
    returns=CustomerAnswer,
    parameters=(
        Parameter(
            CUSTOMER_ID,
            "path",
            {"type": "string", "minLength": 1, "maxLength": LONGEST_ID},
            "The id, percent-encoded, slashes too.",
            "C00000001",
        ),
    ),
)
OPERATIONS = (CUSTOMER,)

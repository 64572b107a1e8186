"""Campaigns and whom to contact: from the database, with what the reader may see of each customer."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.responses import Response

from churnml.campaigns.store import CampaignRecord, NoCampaignError, campaign, campaigns
from churnml.campaigns.targets import targets as targets_of
from churnml.columns import CUSTOMER_ID
from churnml.errors import ChurnmlError
from churnml.formulas import defused
from churnml.service.answers import Campaign, CampaignsAnswer, Target, TargetsAnswer
from churnml.service.cursors import cursor_of, rank_of
from churnml.service.customers import shown
from churnml.service.operations import Call, Operation, Parameter
from churnml.service.problems import not_found, unavailable
from churnml.service.queries import choice, number, refuse_others
from churnml.service.scores import audit, stored

_ID = "campaign_id"
_MOST, _USUAL = 1_000, 100
_PAGE = ("limit", "cursor", "format")
_OF_EVERYBODY = ("segment", "account_manager")

Found = TypeVar("Found")


async def listed(call: Call) -> Response:
    """List the campaigns.

    Raises
    ------
    Refused
        503 while the database cannot be read.
    """
    refuse_others(call.query, ())
    records = await call.running.threaded(_read, campaigns, call.running.config)
    return _json({"campaigns": [_told(record) for record in records]})


async def one(call: Call) -> Response:
    """Tell how a campaign was opened.

    Raises
    ------
    Refused
        404 if there is none of that name.
    """
    refuse_others(call.query, ())
    return _json(_told(await call.running.threaded(_read, campaign, call.running.config, call.path[_ID])))


async def targets(call: Call) -> Response:
    """List whom to contact, a page at a time.

    Raises
    ------
    Refused
        404 if there is no such campaign, 422 if the cursor is not one that this list gave.
    """
    refuse_others(call.query, _PAGE)
    limit = number(call.query, "limit", _USUAL, _MOST)
    form = choice(call.query, "format", ("json", "csv"))
    name = call.path[_ID]
    manager = call.caller.manager if call.caller.role == "account_manager" else None
    whose = json.dumps([name, manager])
    after = rank_of(whose, call.query.get("cursor"))
    rows, more = await call.running.threaded(_page, call, name, manager, after, limit)
    columns = dict.fromkeys(name for row in rows for name in (*row, *row["personal"]))
    await audit(call, [row[CUSTOMER_ID] for row in rows], tuple(columns), TARGETS.path)
    cursor = cursor_of(whose, rows[-1]["rank"]) if more else None
    if form == "json":
        return _json({"targets": rows, "next_cursor": cursor})
    headers = {"X-Next-Cursor": cursor} if cursor else {}
    return Response(_csv(rows, call.running.release.personal), 200, headers, "text/csv; charset=utf-8")


def _page(call: Call, name: str, manager: str | None, after: int, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """Return a page, and whether there is more behind it."""
    release = call.running.release
    with stored():
        own = None if manager is None else release.customers_of(manager)
    found = _read(targets_of, call.running.config, name, after=after, limit=limit + 1, manager_customers=own)
    page = found[:limit]
    with stored():
        profiles = release.profiles([row[CUSTOMER_ID] for row in page])
    rows = [_row(call, row, profile) for row, profile in zip(page, profiles, strict=True)]
    return rows, len(found) > limit


def _row(call: Call, row: dict[str, Any], profile: dict[str, Any] | None) -> dict[str, Any]:
    gone: dict[str, Any] = {**dict.fromkeys(_OF_EVERYBODY), "personal": {}}
    seen = gone if profile is None else shown(profile, call.caller, call.running.personal)
    return {**row, **{name: seen[name] for name in gone}}


def _read(reads: Callable[..., Found], *arguments: Any, **options: Any) -> Found:
    try:
        return reads(*arguments, **options)
    except NoCampaignError:
        raise not_found("campaign") from None
    except ChurnmlError:
        message = "the database cannot be read at present; try again"
        raise unavailable(message, code="database", after=2) from None


def _told(record: CampaignRecord) -> dict[str, Any]:
    told = record.model_dump(mode="json")
    return {name: told[name] for name in Campaign.model_fields}


def _json(content: dict[str, Any]) -> Response:
    return Response(json.dumps(content, ensure_ascii=False).encode(), 200, None, "application/json")


def _csv(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> bytes:
    """Return rows as Excel reads them: UTF-8 with a byte-order mark, nothing that it would take for a formula.

    Personal columns are there whoever is on the page, so that all pages have the same.
    """
    names = [name for name in Target.model_fields if name not in ("reasons", "personal")]
    listed = {name for name in columns if name not in (CUSTOMER_ID, *_OF_EVERYBODY)}
    personal = sorted(listed.union(*(row["personal"] for row in rows)))
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\r\n")
    own = [f"personal_{name}" if name in names else name for name in personal]
    writer.writerow([*names, "reasons_en", "reasons_zh", *map(defused, own)])
    for row in rows:
        said = [
            "; ".join(why["text_en"] for why in row["reasons"]),
            "；".join(why["text_zh"] for why in row["reasons"]),
        ]
        cells = [*(row[name] for name in names), *said, *(row["personal"].get(name) for name in personal)]
        writer.writerow([defused(cell) if isinstance(cell, str) else cell for cell in cells])
    return b"\xef\xbb\xbf" + lines.getvalue().encode()


_CAMPAIGN = Parameter(
    _ID, "path", {"type": "string", "minLength": 1, "maxLength": 64}, "The name of the campaign.", "spring"
)
LISTED = Operation(
    "GET",
    "/v1/campaigns",
    "retention",
    listed,
    "campaigns",
    "All campaigns, by as-of date and name.",
    refuses=(422,),
    returns=CampaignsAnswer,
)
ONE = Operation(
    "GET",
    "/v1/campaigns/{campaign_id}",
    "retention",
    one,
    "campaign",
    "How a campaign was opened.",
    refuses=(404, 422),
    returns=Campaign,
    parameters=(_CAMPAIGN,),
)
TARGETS = Operation(
    "GET",
    "/v1/campaigns/{campaign_id}/targets",
    "retention",
    targets,
    "targets",
    "Whom to contact, in that order; account managers see their own customers.",
    refuses=(404, 422),
    returns=TargetsAnswer,
    text=("text/csv",),
    headers=("X-Next-Cursor",),
    parameters=(
        _CAMPAIGN,
        Parameter(
            "limit",
            "query",
            {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _USUAL},
            "How many at most.",
            50,
        ),
        Parameter(
            "cursor",
            "query",
            {"type": "string", "minLength": 1, "maxLength": 64},
            "`next_cursor` of the page before (`X-Next-Cursor` with CSV); without one, the first page.",
            cursor_of(json.dumps(["spring", None]), 50),
        ),
        Parameter(
            "format",
            "query",
            {"type": "string", "enum": ["json", "csv"], "default": "json"},
            "CSV is UTF-8 with a byte-order mark, formulas defused.",
            "json",
        ),
    ),
)
OPERATIONS = (LISTED, ONE, TARGETS)

"""What scores: versions, trained when, on what, how well."""

from __future__ import annotations

import json

from starlette.responses import Response

from churnml.service.answers import ModelAnswer
from churnml.service.operations import Call, Operation
from churnml.service.queries import refuse_others


async def model(call: Call) -> Response:
    """Tell what scores.

    Raises
    ------
    Refused
        503 while there is no release.
    """
    refuse_others(call.query, ())
    release = call.running.release
    told = {**call.running.about(release), "published_at": release.published_at.isoformat(), "facts": release.facts}
    return Response(json.dumps(told, ensure_ascii=False).encode(), 200, None, "application/json")


OPERATIONS = (
    Operation("GET", "/v1/model", "crm", model, "model", "What scores.", refuses=(422,), returns=ModelAnswer),
)

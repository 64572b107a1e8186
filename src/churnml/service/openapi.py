"""The OpenAPI document, made of the operations themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from churnml.config import Service
from churnml.service.answers import Error
from churnml.service.bodies import HistoriesRequest, ScoreRequest
from churnml.service.operations import Operation, Parameter

_VERSION = "1"  # of what is asked and answered, whichever churnml answers
_SCHEMAS = "#/components/schemas/"
_MEANINGS = {
    400: "The request cannot be read: no JSON, another Content-Type, a Content-Encoding.",
    401: "No key, or one that is unknown, expired or revoked.",
    403: "The key's role may not do this.",
    404: "There is none, or none that the key may see.",
    408: "The body did not arrive in time.",
    413: "Too many customers, or too long a body.",
    422: "The request can be read, but is wrong; `details.problems` says where.",
    429: "Too many requests by this key, or too many wrong keys from this address.",
    503: "Overloaded, too slow, or something that is needed is not there: try again.",
}
_HEADERS = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "X-Request-ID": {
        "description": "The number of the request in logs and audit: yours, where you sent one of 1 to 64 letters, "
        "digits, dots, dashes and underscores.",
        "schema": {"type": "string"},
    },
    "X-Next-Cursor": {
        "description": "With CSV: the cursor of the next page; not there on the last one.",
        "schema": {"type": "string"},
    },
}
_ALWAYS_WITH_KEY = (401, 403, 429, 503)


def document(operations: Sequence[Operation], settings: Service) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    operations : sequence of Operation
        What can be asked.
    settings : Service
        Limits.

    Returns
    -------
    dict
        OpenAPI 3.1.
    """
    models: list[type[BaseModel]] = [Error]
    models += [model for one in operations for model in (one.body, one.returns) if model is not None]
    ways = [(model, "validation") for model in dict.fromkeys(models)]
    _, schemas = models_json_schema(ways, ref_template=_SCHEMAS + "{model}")  # type: ignore[arg-type]
    found = schemas["$defs"]
    for model, member in ((ScoreRequest, "customer_ids"), (HistoriesRequest, "customers")):
        found[model.__name__]["properties"][member]["maxItems"] = settings.max_customers
    paths: dict[str, Any] = {}
    for one in operations:
        paths.setdefault(one.path.replace(":text", ""), {})[one.method.lower()] = _operation(one, settings)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "churnml",
            "version": _VERSION,
            "description": "Scores, customers and campaign lists.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": found,
            "headers": _HEADERS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "churnml keys create"}},
        },
    }


def text_of(found: dict[str, Any]) -> str:
    """Return a document as it is checked in."""
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _operation(one: Operation, settings: Service) -> dict[str, Any]:
    codes = [*one.refuses] if one.role is None else sorted({*one.refuses, *_ALWAYS_WITH_KEY})
    kinds = {kind: "object" if kind == "application/json" else "string" for kind in one.text}
    content: dict[str, Any] = {kind: {"schema": {"type": holds}} for kind, holds in kinds.items()}
    if one.returns is not None:
        content = {"application/json": {"schema": _reference(one.returns)}, **content}
    answered = {"200": {"description": "Answered.", "headers": _headers(*one.headers), "content": content}}
    told: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "security": [] if one.role is None else [{"key": []}],
        "responses": answered | {str(code): _error(code) for code in codes},
    }
    if one.role is not None:
        told["description"] = f"For the role {one.role} and above."
    if one.parameters:
        told["parameters"] = [_parameter(parameter) for parameter in one.parameters]
    if one.body is not None:
        limit = f"At most {settings.max_customers:,} customers and {settings.max_body_mib} MiB."
        body = {"application/json": {"schema": _reference(one.body)}}
        told["requestBody"] = {"required": True, "description": limit, "content": body}
    return told


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _SCHEMAS + model.__name__}


def _headers(*more: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *more)}


def _error(code: int) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(Error)}}
    more = ("Retry-After",) if code in (429, 503) else ()
    return {"description": _MEANINGS[code], "headers": _headers(*more), "content": content}


def _parameter(one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": one.place,
        "required": one.place == "path",
        "schema": one.schema,
        "description": one.meaning,
        "example": one.example,
    }

"""The application: every operation behind the front door."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from churnml.config import Service
from churnml.service import campaigns, customers, health, model, scores
from churnml.service.access import allows
from churnml.service.front import Exchange, Front
from churnml.service.openapi import document, text_of
from churnml.service.operations import Call, Operation
from churnml.service.problems import Refused
from churnml.service.queries import refuse_others
from churnml.service.running import Running


class _Text(Convertor[str]):
    """Whatever stands in an address, slashes and line ends too: ids hold anything."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("text", _Text())


async def openapi(call: Call) -> Response:
    """Return the document, with the limits that hold here."""
    refuse_others(call.query, ())
    text = text_of(document(OPERATIONS, call.running.config.service))
    return Response(text.encode(), 200, None, "application/json")


OPERATIONS = (
    *scores.OPERATIONS,
    *customers.OPERATIONS,
    *campaigns.OPERATIONS,
    *model.OPERATIONS,
    Operation("GET", "/openapi.json", "crm", openapi, "openapi", "This document.", (422,), text=("application/json",)),
    *health.OPERATIONS,
)


def application(running: Running) -> Front:
    """Return the application of a worker."""
    routes = [
        Route(one.path, _endpoint(one, running), methods=[one.method], name=one.path.replace(":text", ""))
        for one in OPERATIONS
    ]
    for route in routes:
        route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z")  # a line end is no end
        route.methods = (route.methods or set()) - {"HEAD"}  # the document does not know it
    with_body = {(one.method, one.path) for one in OPERATIONS if one.body is not None}
    return Front(Router(routes, redirect_slashes=False), running, with_body)


def openapi_document(settings: Service) -> dict[str, Any]:
    """Return the OpenAPI document of a service with such settings."""
    return document(OPERATIONS, settings)


def _endpoint(one: Operation, running: Running) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        exchange: Exchange = request.scope["churnml"]
        if one.role is not None and (exchange.key is None or not allows(exchange.key, one.role)):
            raise Refused(403, "forbidden", f"this needs a key of the role {one.role} or above")
        return await one.answer(
            Call(
                running, exchange.request_id, exchange.key, exchange.content, request.path_params, request.query_params
            )
        )

    return endpoint

"""What the service can be asked: the routes, and all that the OpenAPI document says of them, in one place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.responses import Response

from churnml.service.running import Running
from churnml.state.keys import Key, Role


@dataclass(frozen=True)
class Call:
    """A request that was let in.

    Attributes
    ----------
    running : Running
        What answers.
    request_id : str
        Its number.
    key : Key or None
        Who asks; None only where everybody may.
    content : bytes
        The body.
    path : mapping of str
        What stands in the path, decoded.
    query : QueryParams
        What stands after it.
    """

    running: Running
    request_id: str
    key: Key | None
    content: bytes
    path: Mapping[str, str]
    query: QueryParams

    @property
    def caller(self) -> Key:
        """Who asks."""
        assert self.key is not None
        return self.key


@dataclass(frozen=True)
class Parameter:
    """Something that stands in a path or after it.

    Attributes
    ----------
    name : str
        Its name.
    place : {"path", "query"}
        Where.
    schema : dict
        Its JSON schema.
    meaning : str
        For people.
    example : str or int
        One.
    """

    name: str
    place: str
    schema: dict[str, Any]
    meaning: str
    example: str | int


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked.

    Attributes
    ----------
    method, path : str
        The route.
    role : str or None
        Who may, at least; None for everybody.
    answer : callable
        Answers.
    name, summary : str
        For the document.
    refuses : tuple of int
        Statuses of its errors, beside those that every operation has.
    body : type of BaseModel, optional
        What is sent.
    returns : type of BaseModel, optional
        What is answered in JSON.
    text : tuple of str
        Other media types that it may answer.
    parameters : tuple of Parameter
        Of path and query.
    headers : tuple of str
        Further headers that its answers may have.
    """

    method: str
    path: str
    role: Role | None
    answer: Callable[[Call], Awaitable[Response]]
    name: str
    summary: str
    refuses: tuple[int, ...] = ()
    body: type[BaseModel] | None = None
    returns: type[BaseModel] | None = None
    text: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    headers: tuple[str, ...] = ()

"""What is answered in place of what was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

_MOST_PLACES = 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Refused(Exception):  # noqa: N818 - a refusal is an answer
    """Answer with an error.

    Parameters
    ----------
    status : int
        The HTTP status.
    code : str
        What a program tells errors apart by.
    message : str
        What is wrong and what to do, for people; nothing personal.
    details : mapping, optional
        The same as data.
    headers : mapping of str, optional
        Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.details, self.headers = dict(details or {}), dict(headers or {})

    def response(self) -> Response:
        """Return the answer."""
        error = {"code": self.code, "message": self.message, "details": self.details}
        content = json.dumps({"error": error}, default=str).encode()
        return Response(content, self.status, self.headers, "application/json")


def bad_request(message: str, **details: Any) -> Refused:
    """Return the refusal of a request that cannot be read."""
    return Refused(400, "bad_request", message, details)


def not_found(what: str) -> Refused:
    """Return the refusal of what is not there, or not there for whoever asks."""
    return Refused(404, "not_found", f"there is no such {what}")


def too_large(message: str, **details: Any) -> Refused:
    """Return the refusal of more than is taken at once."""
    return Refused(413, "too_large", message, details)


def unavailable(message: str, *, code: str = "unavailable", after: int = 1) -> Refused:
    """Return the refusal of what can be asked again a little later."""
    return Refused(503, code, message, headers={"Retry-After": str(after)})


def invalid(problems: Sequence[Mapping[str, Any]]) -> Refused:
    """Return the refusal of a request that can be read, but is wrong at some places."""
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    message = f"{first['place'] or 'the body'}: {first['problem']}{more}"
    return Refused(422, "invalid", message, {"problems": list(problems[:_MOST_PLACES])})


def places(error: ValidationError) -> list[dict[str, str]]:
    """List where a body is wrong, and how: names of members, never their values."""
    found = error.errors(include_input=False, include_context=False, include_url=False)
    return [{"place": _place(one["loc"]), "problem": one["msg"].removeprefix("Value error, ")} for one in found]


def _place(parts: Sequence[int | str]) -> str:
    """Return a place; what is no name of ours may be anything, and is not said again."""
    return ".".join(str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "?" for part in parts)

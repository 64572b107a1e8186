"""What stands after the path: strict about names, types and ranges."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import QueryParams

from churnml.service.problems import invalid


def refuse_others(query: QueryParams, known: Sequence[str]) -> None:
    """Refuse what is not known, or stands twice.

    Raises
    ------
    Refused
        422.
    """
    names = [name for name, _ in query.multi_items()]
    wrong = [name for name in dict.fromkeys(names) if name not in known or names.count(name) > 1]
    if wrong:
        allowed = f"allowed once each: {', '.join(known)}" if known else "nothing is allowed here"
        raise invalid([{"place": "query", "problem": allowed}])


def number(query: QueryParams, name: str, default: int, most: int) -> int:
    """Return a whole number from 1 on.

    Raises
    ------
    Refused
        422 if it is none, or out of range.
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= most):
        raise invalid([{"place": name, "problem": f"should be a whole number from 1 to {most}"}])
    return int(text)


def choice(query: QueryParams, name: str, among: Sequence[str]) -> str:
    """Return one of some words; the first by default.

    Raises
    ------
    Refused
        422 if it is another.
    """
    text = query.get(name, among[0])
    if text not in among:
        raise invalid([{"place": name, "problem": f"should be one of {', '.join(among)}"}])
    return text

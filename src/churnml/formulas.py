"""Texts that a spreadsheet would take for the start of a formula."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def defused(text: str) -> str:
    """Return a text that a spreadsheet shows as it is: what looks like a formula begins with an apostrophe."""
    return f"'{text}" if text.startswith(FORMULA) else text

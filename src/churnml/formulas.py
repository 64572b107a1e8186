"""Texts that a spreadsheet would take for the start of a formula."""

from __future__ import annotations

import re

# Blanks before it do not matter to all of them, nor whether a sign is as wide as a Chinese one (OWASP, CSV injection).
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


def defused(text: str) -> str:
    """Return a text that a spreadsheet shows as it is: what looks like a formula begins with an apostrophe."""
    return f"'{text}" if _FORMULA.match(text) else text

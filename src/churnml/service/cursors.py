"""Where the next page of a list begins: opaque, and of no use once it is changed or taken to another list."""

from __future__ import annotations

import base64
import binascii
import hashlib

from churnml.service.problems import invalid

_LONGEST = 64
_DIGEST = 12
_HIGHEST = 2**31 - 1  # rank


def cursor_of(listed: str, rank: int) -> str:
    """Return the cursor behind a rank of a list.

    Its digest finds mistakes and meddling. It keeps no secret: what a caller may see is decided by the key alone.
    """
    number = rank.to_bytes(8, "big")
    return base64.urlsafe_b64encode(number + _digest(listed, number)).decode().rstrip("=")


def rank_of(listed: str, cursor: str | None) -> int:
    """Return the rank behind which a page begins.

    Raises
    ------
    Refused
        422 if the cursor is not one that this list gave.
    """
    if cursor is None:
        return 0
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        found = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        found = b""
    number = found[:8]
    if int.from_bytes(number, "big") > _HIGHEST or cursor_of(listed, int.from_bytes(number, "big")) != cursor:
        raise invalid([{"place": "cursor", "problem": "is not one that this list gave; begin without"}])
    return int.from_bytes(number, "big")


def _digest(listed: str, number: bytes) -> bytes:
    return hashlib.blake2b(number + listed.encode(), digest_size=_DIGEST, person=b"churnml cursor").digest()

"""Who runs churnml."""

from __future__ import annotations

import getpass


def user() -> str:
    """Return the name of the operating system's user, or ``unknown``."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"

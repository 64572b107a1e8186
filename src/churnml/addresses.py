"""Addresses of databases: what to connect with, and how they are shown without passwords."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote

_SCHEMES = ("postgresql://", "postgres://")
_DEFAULTS = {"connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}


def postgres_settings(url: str) -> dict[str, Any] | None:
    """Return what to connect to a PostgreSQL database with.

    Parameters
    ----------
    url : str
        Its address; the password may hold characters that an address must not.

    Returns
    -------
    dict or None
        What psycopg takes; None where it is no such address.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    scheme = next((scheme for scheme in _SCHEMES if url.startswith(scheme)), None)
    if scheme is None:
        return None
    login, _, place = url.removeprefix(scheme).rpartition("@")
    user, colon, password = login.partition(":")
    try:
        settings: dict[str, Any] = {**_DEFAULTS, **conninfo_to_dict(scheme + place)}
    except psycopg.Error:
        return None
    if not re.fullmatch(r"[\d,]*", str(settings.get("port") or "")):
        return None
    settings |= {"user": unquote(user)} if user else {}
    settings |= {"password": unquote(password)} if colon else {}
    # poolers between us and the server do not know prepared statements
    return {**settings, "client_encoding": "UTF8", "application_name": "churnml", "prepare_threshold": None}


def bare(url: str) -> str:
    """Return an address without its password, as it is written and hashed: a new one makes no other configuration."""
    scheme, mark, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    shown = f"{scheme}{mark}{user.partition(':')[0]}{at}{place}"
    return re.sub(r"(password=)[^&]*", r"\1", shown, flags=re.IGNORECASE)


def without_password(text: str, uri: str) -> str:
    """Return a text without the password of an address.

    Parameters
    ----------
    text : str
        What is to be shown.
    uri : str
        The address that may hold a password.

    Returns
    -------
    str
        The text with ``***`` in its place.
    """
    password = uri.partition("://")[2].rpartition("@")[0].partition(":")[2]
    for written in {password, unquote(password), quote(unquote(password), safe="")} - {""}:
        text = text.replace(written, "***")
    return re.sub(r"((?:password|passwd|pwd|token|secret)=)[^&\s]+", r"\1***", text, flags=re.IGNORECASE)

"""Keys to the service: made, listed, revoked. What is kept of one is its hash."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from churnml.asof import parse_instant
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.state.database import reading, writing
from churnml.state.tables import KEYS

Role = Literal["crm", "retention", "account_manager", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

_PREFIX = "churnml_"  # by which a key that leaked is recognised
_BYTES = 32
_NAME = re.compile(r"\w[\w.@-]{0,63}")


@dataclass(frozen=True)
class Key:
    """What is known of a key.

    Attributes
    ----------
    name : str
        By which it is listed, revoked, and written to the audit.
    role : {"crm", "retention", "account_manager", "admin"}
        What it opens.
    manager : str or None
        Whose customers, for an account manager.
    created_at, expires_at, revoked_at : datetime.datetime or None
        In UTC; from ``expires_at`` on it opens nothing.
    """

    name: str
    role: Role
    manager: str | None
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None

    def is_valid(self, now: dt.datetime) -> bool:
        """Tell whether it opens anything at an instant."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def hash_of(key: str) -> str:
    """Return what is kept of a key: its SHA-256, as hexadecimal text.

    Nobody can guess 256 random bits, however fast the hash is; slow hashes are for passwords that people choose.
    """
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def create_key(
    config: Config,
    name: str,
    role: str,
    *,
    manager: str | None = None,
    expires: str | dt.date | None = None,
) -> tuple[str, Key]:
    """Make a key.

    Parameters
    ----------
    config : Config
        Where it is kept.
    name : str
        How it is called; a name is used once, also after the key was revoked.
    role : {"crm", "retention", "account_manager", "admin"}
        What it opens.
    manager : str, optional
        Whose customers; with ``account_manager``, and only there.
    expires : date, datetime or text, optional
        When it ends to open anything: the start of a day, or a time, in the project's zone where it names none.

    Returns
    -------
    tuple of str and Key
        The key itself, which is kept nowhere, and what is known of it.

    Raises
    ------
    ChurnmlError
        If the name is none or was used, the role is none, the manager is missing or has no place, or the key would
        have expired already.
    """
    _check(name, role, manager)
    now = dt.datetime.now(dt.UTC)
    until = None if expires is None else parse_instant(expires, config.timezone)
    if until is not None and until <= now:
        raise ChurnmlError(f"a key that expires at {until.isoformat()} opens nothing", "give a later date")
    secret = _PREFIX + secrets.token_urlsafe(_BYTES)
    row = {"name": name, "role": role, "manager": manager, "created_at": now, "expires_at": until, "revoked_at": None}
    with writing(config) as connection:
        try:
            connection.execute(insert(KEYS), [{**row, "hash": hash_of(secret)}])
        except IntegrityError:
            raise ChurnmlError(f"there is or was a key {name} already", "choose another name", value=name) from None
    return secret, _key(row)


def list_keys(config: Config) -> list[Key]:
    """Return all keys there ever were, the oldest first.

    Raises
    ------
    ChurnmlError
        If the database cannot be read.
    """
    with reading(config) as connection:
        rows = connection.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.name)).mappings()
        return [_key(row) for row in rows]


def revoke_key(config: Config, name: str) -> Key:
    """Take a key back; one that was taken back before stays as it is.

    Parameters
    ----------
    config : Config
        Where it is kept.
    name : str
        How it is called.

    Returns
    -------
    Key
        With the instant from which on it opens nothing.

    Raises
    ------
    ChurnmlError
        If there is no key of that name.
    """
    with writing(config) as connection:
        named = KEYS.c.name == name
        open_still = named & KEYS.c.revoked_at.is_(None)
        connection.execute(update(KEYS).where(open_still).values(revoked_at=dt.datetime.now(dt.UTC)))
        row = connection.execute(select(KEYS).where(named)).mappings().first()
    if row is None:
        raise ChurnmlError(f"there is no key {name}", "churnml keys list shows them", value=name)
    return _key(row)


def valid_keys(connection: Connection) -> dict[str, Key]:
    """Return the keys that were not revoked, by their hashes; whether one has expired is seen when it is used."""
    rows = connection.execute(select(KEYS).where(KEYS.c.revoked_at.is_(None))).mappings()
    return {row["hash"]: _key(row) for row in rows}


def _key(row: Any) -> Key:
    return Key(*(row[name] for name in ("name", "role", "manager", "created_at", "expires_at", "revoked_at")))


def _check(name: str, role: str, manager: str | None) -> None:
    if not _NAME.fullmatch(name):
        raise ChurnmlError(
            f"{name!r} cannot be the name of a key",
            "use up to 64 letters, digits, dots, dashes, underscores and @, a letter or digit first",
            value=name,
        )
    if role not in ROLES:
        raise ChurnmlError(f"there is no role {role}", f"use one of {', '.join(ROLES)}", value=role)
    if role == "account_manager" and not manager:
        raise ChurnmlError("the key of an account manager opens own customers only", "say whose with --manager ID")
    if role != "account_manager" and manager is not None:
        raise ChurnmlError(f"the role {role} has no manager", "leave --manager out, or use --role account_manager")

"""Access to the service: its keys, and the audit of what was read with them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from churnml.api.histories import AsOf, PathLike
from churnml.config import ConfigLike, load_config
from churnml.state.audit import export_audit
from churnml.state.keys import Key, Role, create_key, list_keys, revoke_key


def keys_create(
    config: ConfigLike, name: str, role: Role, *, manager: str | None = None, expires: AsOf | None = None
) -> dict[str, Any]:
    """Make a key to the service.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    name : str
        How it is called in lists and in the audit; a name is used once.
    role : {"crm", "retention", "account_manager", "admin"}
        What it opens.
    manager : str, optional
        Whose customers, for ``account_manager``.
    expires : date, datetime or text, optional
        When it ends to open anything: the start of a day, or a time, in the project's zone where it names none.

    Returns
    -------
    dict
        ``key``, which is kept nowhere and cannot be shown again; ``name``, ``role``, ``manager``, ``status``,
        ``created_at``, ``expires_at``, ``revoked_at``.

    Raises
    ------
    ChurnmlError
        If the name was used, the role is none, the manager is missing or has no place, or the key would have expired.
    """
    secret, key = create_key(load_config(config), name, role, manager=manager, expires=expires)
    return {"key": secret, **_told(key)}


def keys_list(config: ConfigLike) -> list[dict[str, Any]]:
    """List the keys to the service that there ever were.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.

    Returns
    -------
    list of dict
        ``name``, ``role``, ``manager``, ``status`` (``valid``, ``expired``, ``revoked``), ``created_at``,
        ``expires_at``, ``revoked_at`` (UTC, ISO 8601), the oldest first.
    """
    return [_told(key) for key in list_keys(load_config(config))]


def keys_revoke(config: ConfigLike, name: str) -> dict[str, Any]:
    """Take a key to the service back.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    name : str
        How it is called.

    Returns
    -------
    dict
        As `keys_list` tells it.

    Raises
    ------
    ChurnmlError
        If there is no key of that name.
    """
    return _told(revoke_key(load_config(config), name))


def keys_audit(
    config: ConfigLike,
    out: PathLike,
    *,
    since: AsOf | None = None,
    until: AsOf | None = None,
) -> dict[str, Any]:
    """Write who has read what of whom through the service.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    out : path
        A ``.csv`` or ``.parquet`` file.
    since, until : date, datetime or text, optional
        From when on, and before when: the start of a day, or a time, in the project's zone where it names none.

    Returns
    -------
    dict
        ``rows`` and ``out``.

    Raises
    ------
    ChurnmlError
        If a time is none, or the file cannot be written.
    """
    return export_audit(load_config(config), out, since=since, until=until)


def _told(key: Key) -> dict[str, Any]:
    valid = key.is_valid(dt.datetime.now(dt.UTC))
    times = {name: getattr(key, name) for name in ("created_at", "expires_at", "revoked_at")}
    return {
        "name": key.name,
        "role": key.role,
        "manager": key.manager,
        "status": "valid" if valid else "revoked" if key.revoked_at else "expired",
        **{name: time.isoformat(timespec="seconds") if time else None for name, time in times.items()},
    }

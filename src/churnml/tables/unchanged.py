"""Remembering that a large table was found all good, so that it is not counted again until its files change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from churnml.config import Config
from churnml.files import atomic_file
from churnml.tables.sources import all_files_of

_MEMORY = "unchanged.json"


def fingerprint(config: Config, tables: Sequence[str]) -> str | None:
    """Return what tells whether tables, or how they are read, have changed.

    Parameters
    ----------
    config : Config
        The configuration.
    tables : sequence of str
        The tables that the finding rests on.

    Returns
    -------
    str or None
        A hash of the version of churnml, the tables' configuration, the time zone, and the path, size and time of
        change of each file; None where a table does not come from files alone.
    """
    facts: list[Any] = [metadata.version("churnml"), config.timezone]
    for name in tables:
        source = config.tables.given()[name]
        if any(part.path is None or "://" in part.path for part in source.parts):
            return None
        found = [(str(file), file.stat()) for file in all_files_of(name, source, config.folder)]
        # a copy may keep the content's time of change, but not the inode's
        files = [(path, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in found]
        facts.append((name, source.model_dump(mode="json", exclude={"data"}), files))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def recall(config: Config, table: str, mark: str | None) -> dict[str, Any] | None:
    """Return what was remembered of a table under this fingerprint, or None."""
    found = _memory(config).get(table)
    return found["facts"] if mark is not None and isinstance(found, dict) and found.get("fingerprint") == mark else None


def remember(config: Config, table: str, mark: str | None, facts: dict[str, Any]) -> None:
    """Keep facts of a table under its fingerprint; without one, nothing is kept."""
    if mark is None:
        return
    memory = _memory(config) | {table: {"fingerprint": mark, "facts": facts}}
    with atomic_file(config.state_folder / _MEMORY) as part:
        part.write_text(json.dumps(memory, indent=1), encoding="utf-8")


def _memory(config: Config) -> dict[str, Any]:
    path = config.state_folder / _MEMORY
    try:
        memory = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError:
        return {}
    return memory if isinstance(memory, dict) else {}

"""The files of a release, and the manifest that tells what is in each."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.files import atomic_file

FORMAT = 1
MANIFEST, CURRENT = "manifest.json", "CURRENT"
STORE, FEATURES, SPREAD, MODELS = "customers.sqlite", "features.json", "spread.npy", "models"

_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


def releases_folder(config: Config) -> Path:
    """Return the folder that releases lie in."""
    return config.state_folder / "releases"


def releases_in(folder: Path) -> list[Path]:
    """Return the releases of a folder, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))


def current_name(folder: Path) -> str | None:
    """Return the name of the release to answer from; None where nothing was published yet.

    Raises
    ------
    ChurnmlError
        If what tells it cannot be read, or is no name.
    """
    file = folder / CURRENT
    try:
        name = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ChurnmlError(f"{file} cannot be read ({error})", "publish again", file=str(file)) from None
    if not _NAME.fullmatch(name):
        raise ChurnmlError(f"{file} names no release", "publish again", file=str(file))
    return name


def make_current(folder: Path, name: str) -> None:
    """Let a release be the one to answer from."""
    with atomic_file(folder / CURRENT) as part:
        part.write_text(f"{name}\n", encoding="ascii")


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest of a release whose other files are whole, and see all of them onto the disk."""
    listed = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as content:
            listed[file.relative_to(folder).as_posix()] = {
                "sha256": hashlib.file_digest(content, "sha256").hexdigest(),
                "size": file.stat().st_size,
            }
            os.fsync(content.fileno())
    told = {"format": FORMAT, **facts, "files": listed}
    with (folder / MANIFEST).open("w", encoding="utf-8") as content:
        json.dump(told, content, ensure_ascii=False, indent=1)
        content.flush()
        os.fsync(content.fileno())


def read_manifest(folder: Path, *, verify: bool = True) -> dict[str, Any]:
    """Read the manifest of a release.

    Parameters
    ----------
    folder : Path
        The release.
    verify : bool
        Whether to look at the content of every file, too.

    Returns
    -------
    dict
        ``format``, ``as_of``, ``published_at``, ``churnml``, ``models``, ``files``, ...

    Raises
    ------
    ChurnmlError
        If a file is missing, or is not what the manifest tells (the message names it).
    """
    file = folder / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        files = {folder / name: (one["sha256"], one["size"]) for name, one in manifest["files"].items()}
        known = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(file, str(error) or type(error).__name__) from None
    if known != FORMAT:
        raise ChurnmlError(
            f"the release {folder.name} has the format {known}, not {FORMAT}", "publish again", file=str(file)
        )
    for path in (folder / name for name in (STORE, FEATURES, SPREAD)):
        if path not in files:
            raise damaged(file, f"{path.name} is not in it")
    strange = {path for path in folder.rglob("*") if path.is_file()} - {*files, file}
    if strange:
        raise damaged(min(strange), "the manifest does not list it")
    for path, (digest, size) in files.items():
        try:
            if path.stat().st_size != size:
                raise damaged(path, f"it has {path.stat().st_size:,} bytes, not {size:,}")
            if verify and _digest(path) != digest:
                raise damaged(path, "its content is not what was published")
        except OSError as error:
            raise damaged(path, error.strerror or str(error)) from None
    return dict(manifest)


def damaged(file: Path, why: str) -> ChurnmlError:
    """Return the error of a file that is not as it was published."""
    return ChurnmlError(f"the release is damaged: {file} ({why})", "publish again", file=str(file))


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

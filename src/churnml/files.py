"""Files and folders that appear whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from churnml.errors import ChurnmlError


@contextlib.contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a path to write to, that takes the place of ``target`` when the block ends well.

    Parameters
    ----------
    target : Path
        The file to make. Its folder must exist.

    Yields
    ------
    Path
        A hidden file beside the target; removed when the block fails. What a killed run left there is removed first.

    Raises
    ------
    ChurnmlError
        If the folder does not exist, the target is a folder, or the disk refuses.
    """
    require_folder(target)
    if target.is_dir():
        raise ChurnmlError(f"{target} is a folder", "name a file to write", file=str(target))
    with _part_beside(target) as part:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to fill, that becomes ``target`` when the block ends well.

    Parameters
    ----------
    target : Path
        The folder to make: it must not exist, or be empty. The folder it lies in must exist.

    Yields
    ------
    Path
        A hidden, empty folder beside the target.

    Raises
    ------
    ChurnmlError
        If the target holds something, its parent does not exist, or the disk refuses.
    """
    require_folder(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ChurnmlError(f"{target} exists and is not empty", "name a new folder or remove it", file=str(target))
    with _part_beside(target) as part:
        part.mkdir()
        yield part
        part.replace(target)


def require_folder(target: Path) -> None:
    """Raise if the folder that a file is to be written to does not exist."""
    if not target.absolute().parent.is_dir():
        raise ChurnmlError(f"the folder {target.absolute().parent} does not exist", "make it first", file=str(target))


@contextlib.contextmanager
def _part_beside(target: Path) -> Iterator[Path]:
    target = target.absolute()
    try:
        for stale in target.parent.iterdir():
            found = re.fullmatch(rf"\.{re.escape(target.name)}\.(\d+)\.[0-9a-f]{{8}}\.part", stale.name)
            if found and not _alive(int(found[1])):
                _remove(stale)
        part = target.parent / f".{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part"
        try:
            yield part
        finally:
            _remove(part)
    except OSError as error:
        raise ChurnmlError(
            f"{target} cannot be written ({error.strerror or error})",
            "free space on the disk or name a place that can be written",
            file=str(target),
        ) from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

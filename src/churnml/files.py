"""Files and folders that appear whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from churnml.errors import ChurnmlError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_IN_WORK: set[Path] = set()  # what this process is writing


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
        If the folder does not exist, the target is no plain file, or the disk refuses.
    """
    require_writable(target)
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
        try:
            part.replace(target)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            for made in sorted(part.iterdir(), reverse=True):  # a folder that somebody works in cannot be replaced
                made.replace(target / made.name)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder for what does not fit into memory; what killed runs left of theirs is removed first."""
    for stale in Path(tempfile.gettempdir()).glob("churnml-*-*"):
        found = re.fullmatch(r"churnml-(\d+)-\w+", stale.name)
        if found and stale not in _IN_WORK and not _in_work_elsewhere(int(found[1])):
            with contextlib.suppress(OSError):
                shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=f"churnml-{os.getpid()}-") as name:
        scratch = Path(name)
        _IN_WORK.add(scratch)
        try:
            yield scratch
        finally:
            _IN_WORK.discard(scratch)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs have left half-written in a folder, and in those that lie in it.

    Raises
    ------
    ChurnmlError
        If it cannot be removed.
    """
    for path in sorted(folder.rglob(".*.part")):
        try:
            if path.exists() and _is_left(path, ".+"):
                _remove(path)
        except OSError as error:
            raise ChurnmlError(f"{path} cannot be removed ({error.strerror})", "remove it", file=str(path)) from error


def require_folder(target: Path) -> None:
    """Raise if the folder that a file or folder is to lie in does not exist."""
    parent = target.absolute().parent
    if not parent.is_dir():
        raise ChurnmlError(f"the folder {parent} does not exist", "make it first", file=str(target))


def require_writable(target: Path) -> None:
    """Raise if a file cannot be put there: no such folder, a folder, a device, a name that is too long."""
    require_folder(target)
    try:
        mode = target.stat().st_mode if target.exists() else stat.S_IFREG
    except OSError as error:
        raise ChurnmlError(f"{target} cannot be written ({error.strerror})", "name another file") from None
    if stat.S_ISDIR(mode):
        raise ChurnmlError(f"{target} is a folder", "name a file to write", file=str(target))
    if not stat.S_ISREG(mode):
        raise ChurnmlError(f"{target} is no plain file", "name a file to write", file=str(target))


@contextlib.contextmanager
def _part_beside(target: Path) -> Iterator[Path]:
    target = target.absolute()
    try:
        for path in target.parent.iterdir():
            if _is_left(path, re.escape(target.name)):
                _remove(path)
        part = target.parent / f".{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part"
        _IN_WORK.add(part)
        try:
            yield part
        finally:
            _IN_WORK.discard(part)
            _remove(part)
    except OSError as error:
        raise ChurnmlError(
            f"{target} cannot be written ({error.strerror or error})",
            "free space" if error.errno in _NO_SPACE else "name a place that can be written",
            file=str(target),
        ) from error


def _is_left(path: Path, name: str) -> bool:
    """Tell whether a path is a part of what matches a name, and nobody works on it."""
    found = re.fullmatch(rf"\.{name}\.(\d+)\.[0-9a-f]{{8}}\.part", path.name)
    return found is not None and path not in _IN_WORK and not _in_work_elsewhere(int(found[1]))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _in_work_elsewhere(pid: int) -> bool:
    if pid == os.getpid():  # what a killed run left, whose number this process was given again
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

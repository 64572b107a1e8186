"""Keeping stdout for results."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def quiet_stdout() -> Iterator[None]:
    """Let nothing of what C code prints reach stdout.

    HiGHS prints a line of its own while it branches, whatever it is told (jump-dev/HiGHS.jl issue 312), which would
    stand in the middle of a ``--json`` result.
    """
    libc = ctypes.CDLL(None)
    with suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
    libc.fflush(None)
    try:
        kept = os.dup(1)
    except OSError:  # stdout is closed: nothing to keep clean
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
            os.dup2(nowhere.fileno(), 1)
        yield
        libc.fflush(None)
    finally:
        os.dup2(kept, 1)
        os.close(kept)

"""Progress of long work: a bar on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def track(items: Iterable[Item], label: str, *, show: bool = True) -> Iterator[Item]:
    """Yield the items one by one and show how far the work is.

    Parameters
    ----------
    items : iterable
        What is worked on; each item is printed as text.
    label : str
        What is being done, such as ``features``.
    show : bool
        Show nothing where false.

    Yields
    ------
    object
        Each item, unchanged.
    """
    if not show:
        yield from items
    elif sys.stderr.isatty():
        with tqdm(items, desc=label, file=sys.stderr, leave=False) as bar:
            for item in bar:
                bar.set_postfix_str(str(item))
                yield item
    else:
        total = f"/{len(items)}" if isinstance(items, Sized) else ""
        for number, item in enumerate(items, start=1):
            with contextlib.suppress(OSError):  # nobody reads it: no reason to stop
                print(f"{label} {number}{total}: {item}", file=sys.stderr, flush=True)  # noqa: T201
            yield item

"""Who saw whom: rows are written in groups, before the answers that they tell of leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from churnml.service.problems import unavailable
from churnml.state.audit import AuditRow

_GROUP_SECONDS = 0.005
_MOST_ROWS = 1_000


class Audit:
    """Writes audit rows of requests that run at the same time in one transaction.

    Parameters
    ----------
    write : callable
        Writes rows, all or none, or raises; called in a thread of its own, one group after another.
    """

    def __init__(self, write: Callable[[Sequence[AuditRow]], None]) -> None:
        self._write = write
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="churnml-audit")
        self._waiting: list[tuple[AuditRow, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def record(self, row: AuditRow) -> None:
        """Return when a row is kept.

        Raises
        ------
        Refused
            503 if it cannot be.
        """
        kept = asyncio.get_running_loop().create_future()
        self._waiting.append((row, kept))
        if self._task is None:
            self._task = asyncio.create_task(self._flush())
        await kept

    def stop(self) -> None:
        """Write what is begun, and nothing more."""
        self._thread.shutdown()

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(_GROUP_SECONDS)
        while self._waiting:
            group = [(row, kept) for row, kept in self._waiting[:_MOST_ROWS] if not kept.done()]
            del self._waiting[:_MOST_ROWS]
            try:
                if group:
                    await loop.run_in_executor(self._thread, self._write, [row for row, _ in group])
                failed = False
            except Exception:
                failed = True  # whatever the reason: nobody's data leaves without its row
            for _, kept in group:
                if kept.done():  # the request gave up meanwhile
                    continue
                if failed:
                    kept.set_exception(unavailable("what is read cannot be recorded at present; try again", after=2))
                else:
                    kept.set_result(None)
        self._task = None

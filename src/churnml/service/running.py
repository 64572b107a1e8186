"""What a worker holds while it runs: the current release, the valid keys, the audit's writer, figures."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from churnml.config import Config
from churnml.publishing.release import Current, Release
from churnml.service.access import Access
from churnml.service.audit import Audit
from churnml.service.figures import Figures
from churnml.service.logs import event
from churnml.service.problems import unavailable
from churnml.state.audit import AuditRow, write_audit
from churnml.state.database import close, database
from churnml.state.keys import valid_keys

_RENEW_SECONDS = 1.0
_START_SECONDS = 10.0


class Running:
    """One worker of the service.

    Parameters
    ----------
    config : Config
        The configuration.

    Attributes
    ----------
    config : Config
        As given.
    access : Access
        Who may ask.
    audit : Audit
        Who saw whom.
    figures : Figures
        What Prometheus is told.
    long_work : asyncio.Semaphore
        Lets one request of many histories be scored at a time: side by side all would be late.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.access = Access(config.service.rate_limit / config.service.workers)
        self.audit = Audit(self._write_audit)
        self.figures = Figures()
        self._current = Current(config.state_folder / "releases")
        self._refused: str | None = None
        self.long_work = asyncio.Semaphore(1)
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="churnml-work")
        self._renewing = ThreadPoolExecutor(2, thread_name_prefix="churnml-renew")
        self._tasks: list[asyncio.Task[None]] = []
        self._told: tuple[str, dt.date, dict[str, Any]] | None = None

    async def start(self) -> None:
        """Take the release and the keys that are there, and look for newer ones every second from now on."""
        renewals = (self._renew_release, self._renew_keys)
        first = [asyncio.ensure_future(self._renewed(renew)) for renew in renewals]
        await asyncio.wait(first, timeout=_START_SECONDS)  # until then requests wait rather than fail
        self._tasks = [asyncio.create_task(self._again_and_again(renew)) for renew in renewals]

    async def stop(self) -> None:
        """Stop looking, and let go of the database."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._renewing.shutdown(wait=False, cancel_futures=True)
        self.audit.stop()
        close()

    @property
    def release(self) -> Release:
        """The release that answers now.

        Raises
        ------
        Refused
            503 while there is none.
        """
        release = self._current.release
        if release is None:
            told = "is published yet" if self.refused is None else "can be opened"
            raise unavailable(f"no release {told}: churnml publish makes one", code="no_release", after=5)
        return release

    @property
    def lacking(self) -> list[str]:
        """What has to be there before anything can be answered, and is not."""
        lacks = [] if self._current.release is not None else ["release"]
        return lacks if self.access.fresh else [*lacks, "database"]

    @property
    def refused(self) -> str | None:
        """Why the newest release was refused; None where it is served."""
        return self._current.refused

    @property
    def personal(self) -> frozenset[str]:
        """The columns that are masked: those of the configuration, and of the release."""
        published = self._current.release
        return frozenset((*self.config.personal, *(published.personal if published else ())))

    @property
    def published(self) -> Release | None:
        """The release that answers now, if there is one."""
        return self._current.release

    def age_days(self, release: Release) -> int:
        """Return how many days ago the as-of date of a release was, in the project's zone."""
        return (self.config.now().date() - release.as_of).days

    def about(self, release: Release) -> dict[str, Any]:
        """Return what every answer says of the release that it is from."""
        today = self.config.now().date()
        if self._told is None or self._told[:2] != (release.name, today):
            age = (today - release.as_of).days
            told = {
                "as_of": release.as_of.isoformat(),
                "age_days": age,
                "release": release.name,
                "models": {"churn": release.churn_version, "value": release.value_version},
                "warnings": _warnings(age, self.config.service.stale_after_days),
            }
            self._told = release.name, today, told
        return self._told[2]

    def expired(self, release: Release) -> bool:
        """Tell whether a release is too old to score anybody."""
        most = self.config.service.expires_after_days
        return most is not None and self.age_days(release) > most

    async def threaded(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns that takes long, or waits for a disk or a database."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*arguments))

    async def _again_and_again(self, renew: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            await self._renewed(renew)

    def _renewed(self, renew: Callable[[], None]) -> Awaitable[None]:
        return asyncio.get_running_loop().run_in_executor(self._renewing, _unless_it_fails, renew)

    def _renew_release(self) -> None:
        before = self._current.release
        self._current.refresh()
        release, refused = self._current.release, self._current.refused
        if release is not None and release is not before:
            event("release", release=release.name, churn=release.churn_version, value=release.value_version)
        if refused is not None and refused != self._refused:
            self.figures.release_refused()
            event("release_refused", why=refused)
        self._refused = refused

    def _renew_keys(self) -> None:
        with database(self.config).connect() as connection:
            self.access.renew(valid_keys(connection))

    def _write_audit(self, rows: Sequence[AuditRow]) -> None:
        write_audit(database(self.config), rows)
        self.figures.audited(len(rows))


def _unless_it_fails(renew: Callable[[], None]) -> None:
    try:
        renew()
    except Exception as error:
        event("renewal_failed", what=renew.__name__.strip("_"), why=type(error).__name__)


def _warnings(age: int, stale_after: int) -> list[str]:
    if age <= stale_after:
        return []
    return [f"these scores are {age} days old, more than {stale_after}: churnml publish makes new ones"]

"""Writing a period's tables and truth: Parquet, month by month, the same bytes for the same seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath

import pyarrow as pa
import pyarrow.parquet as pq

from churnml.progress import track
from churnml.simulator import accounts, billing, care, contacts, truth, usage
from churnml.simulator import settings as c
from churnml.simulator.clock import month_name, month_start
from churnml.simulator.draws import Draws
from churnml.simulator.offers import Offer
from churnml.simulator.path import Path
from churnml.simulator.traits import People

Part = Callable[[], pa.Table]
_THREADS = 2


@dataclass(frozen=True)
class Period:
    """Name a span of months, ``first`` to ``last``, both in it; 0 is the first month of the simulation."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """Write it as ``YYYY-MM_YYYY-MM``."""
        return f"{month_name(self.first)}_{month_name(self.last)}"

    @property
    def begin(self) -> float:
        """Give its begin in days; the first period also holds what was before the start."""
        return float(month_start(self.first)) if self.first else -float("inf")

    @property
    def end(self) -> float:
        """Give its end in days, which is not in it."""
        return float(month_start(self.last + 1))

    def months(self, *, back: int = 0) -> range:
        """List its months, and as many before it."""
        return range(max(self.first - back, 0), self.last + 1)


@dataclass(frozen=True)
class World:
    """Put together what all tables are made of."""

    people: People
    draws: Draws
    path: Path
    offers: Mapping[str, Offer]


def write_tables(world: World, period: Period, folder: FilePath, *, show_progress: bool) -> dict[str, int]:
    """Write the tables of a period into a folder; return their rows."""
    people, draws, path = world.people, world.draws, world.path
    begin, end = period.begin, period.end
    answers = contacts.all_answers(path.contacts)
    back = c.LOOK_BACK_MONTHS
    parts: dict[str, list[Part]] = {
        "customers": [partial(accounts.customer_rows, people, draws, path, begin, end)],
        "subscriptions": [partial(accounts.subscription_rows, path, begin, end)],
        "contacts": [partial(contacts.contact_rows, answers, period.first, period.last)],
        "bills": [partial(billing.bill_month, people, draws, path, m, begin, end) for m in period.months(back=back)],
        "complaints": [partial(care.complaint_month, draws, path, m, begin, end) for m in period.months(back=back)],
        "surveys": [partial(care.survey_month, draws, path, m) for m in period.months()],
        "costs": [partial(billing.cost_month, people, draws, path, m) for m in period.months()],
        "usage": [
            partial(usage.usage_month, people, draws, path, m, known=(begin, end)) for m in period.months(back=1)
        ],
    }
    shown = track(list(parts), "simulated tables", show=show_progress)
    return {name: _write(folder / f"{name}.parquet", parts[name]) for name in shown}


def write_truth(world: World, period: Period, folder: FilePath) -> None:
    """Write the truth of a period into a folder."""
    people, draws, path = world.people, world.draws, world.path
    _write(folder / "traits.parquet", [partial(truth.trait_rows, people, world.offers, period.begin, period.end)])
    _write(folder / "departures.parquet", [partial(truth.departure_rows, path, period.begin, period.end)])
    months = [partial(truth.month_rows, people, draws, path, m, world.offers) for m in period.months()]
    _write(folder / "months.parquet", months)


def _write(file: FilePath, parts: Sequence[Part]) -> int:
    """Write the parts one after the other; threads make them ahead, which changes nothing in the file."""
    rows = 0
    writer: pq.ParquetWriter | None = None
    try:
        for table in _ahead(parts):
            if writer is None:
                writer = _writer(file, table.schema)
            if table.num_rows:
                writer.write_table(table, row_group_size=1 << 20)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _writer(file: FilePath, schema: pa.Schema) -> pq.ParquetWriter:
    repeated = [item.name for item in schema if pa.types.is_dictionary(item.type) or item.type == pa.int32()]
    return pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[*repeated, *({"used_at", "month", "customer_id"} & set(schema.names))],
        dictionary_pagesize_limit=1 << 26,
        store_schema=False,  # readers see plain text, not dictionaries
    )


def _ahead(parts: Iterable[Part]) -> Iterator[pa.Table]:
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[pa.Table]] = deque()
        for part in parts:
            waiting.append(pool.submit(part))
            if len(waiting) > _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

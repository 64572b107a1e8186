"""Writing a period's tables and truth: Parquet, month by month, the same bytes for the same seed."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from churnml.config import Offer
from churnml.progress import track
from churnml.simulator import settings as c
from churnml.simulator.accounts import customer_rows, subscription_rows
from churnml.simulator.billing import bill_month, cost_month
from churnml.simulator.care import complaint_month, survey_month
from churnml.simulator.clock import Period
from churnml.simulator.contacts import contact_rows
from churnml.simulator.truth import departure_rows, month_rows, trait_rows
from churnml.simulator.usage import usage_month
from churnml.simulator.world import World

Part = Callable[[], pa.Table]
_THREADS = 2


def write_tables(world: World, period: Period, folder: Path, *, show_progress: bool) -> dict[str, int]:
    """Write the tables of a period into a folder; return their rows."""
    months = range(period.first, period.last + 1)
    before = range(max(period.first - c.LOOK_BACK_MONTHS, 0), period.last + 1)
    late = range(max(period.first - 1, 0), period.last + 1)
    tables: dict[str, list[Part]] = {
        "customers": [partial(customer_rows, world, period)],
        "subscriptions": [partial(subscription_rows, world, period)],
        "contacts": [partial(contact_rows, world, period)],
        "bills": [partial(bill_month, world, period, month) for month in before],
        "complaints": [partial(complaint_month, world, period, month) for month in before],
        "surveys": [partial(survey_month, world, month) for month in months],
        "costs": [partial(cost_month, world, month) for month in months],
        "usage": [partial(usage_month, world, period, month) for month in late],
    }
    shown = track(list(tables), "simulated tables", show=show_progress)
    return {name: _write(folder / f"{name}.parquet", tables[name]) for name in shown}


def write_truth(world: World, period: Period, offers: Mapping[str, Offer], folder: Path) -> None:
    """Write the truth of a period into a folder."""
    _write(folder / "traits.parquet", [partial(trait_rows, world, period, offers)])
    _write(folder / "departures.parquet", [partial(departure_rows, world, period)])
    months = range(period.first, period.last + 1)
    _write(folder / "months.parquet", [partial(month_rows, world, month, offers) for month in months])


def _write(file: Path, parts: Iterable[Part]) -> int:
    """Write the parts one after the other; return the rows."""
    rows = 0
    writer: pq.ParquetWriter | None = None
    with contextlib.ExitStack() as stack:
        for table in _ahead(parts):
            writer = writer or stack.enter_context(_writer(file, table.schema))
            if table.num_rows:
                writer.write_table(table, row_group_size=1 << 20)
            rows += table.num_rows
    return rows


def _writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
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
    """Let threads make the next parts, which changes nothing in the file."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[pa.Table]] = deque()
        for part in parts:
            waiting.append(pool.submit(part))
            if len(waiting) > _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

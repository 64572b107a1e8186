"""The panel: one row for each customer at each as-of date, made one date after another."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from churnml.columns import AS_OF, CHURNED, CUSTOMER_ID, VALUE
from churnml.errors import ChurnmlError
from churnml.feature_extraction.catalogue import ROW_CONTEXT, catalogue_of
from churnml.feature_extraction.declare import Feature
from churnml.feature_extraction.embedded import Embedded
from churnml.feature_extraction.frozen import Frozen
from churnml.files import atomic_file, require_writable, scratch_folder
from churnml.labels import outcome
from churnml.population import at_risk, customers_lately
from churnml.progress import track
from churnml.tables.histories import Histories
from churnml.tables.unchanged import fingerprint

_ARROW_TYPES = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}

_FORGOTTEN = 7 * 86_400  # seconds, after which what a killed run kept is taken away


class Panel:
    """Features, and labels where asked for, of everyone at risk at each of some dates.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    dates : sequence of datetime.date
        As-of dates; doubled ones count once, in ascending order.
    labels : bool
        Whether to add ``churned`` and ``value``.
    also : sequence of Feature
        Columns to have beside the features of the catalogue, where they are not among them.
    only : collection of str, optional
        Names of the features to have, where not all of the catalogue.

    Attributes
    ----------
    features : list of Feature
        Those of the catalogue, which models read.
    frozen : Frozen
        What features looked up of everyone at the latest date that was computed.
    """

    _ENGINE: ClassVar[Any] = Embedded

    def __init__(
        self,
        histories: Histories,
        dates: Sequence[dt.date],
        *,
        labels: bool = False,
        also: Sequence[Feature] = (),
        only: Collection[str] | None = None,
    ) -> None:
        self.histories = histories
        self.dates = sorted(set(dates))
        self.labels = labels
        known = catalogue_of(histories.config, histories.extras)
        self.features: list[Feature] = [feature for feature in known if only is None or feature.name in only]
        names = {feature.name for feature in self.features}
        self._columns = [*self.features, *(feature for feature in also if feature.name not in names)]
        self._engine = self._ENGINE(histories, self._columns, ROW_CONTEXT)
        self.frozen = Frozen({})

    @property
    def schema(self) -> pa.Schema:
        """The columns and types of the panel: keys, features in the catalogue's order, labels."""
        columns = [(CUSTOMER_ID, pa.string()), (AS_OF, pa.date32())]
        columns += [(feature.name, _ARROW_TYPES[feature.dtype]) for feature in self._columns]
        columns += [(CHURNED, pa.int64()), (VALUE, pa.float64())] if self.labels else []
        return pa.schema(columns)

    def batches(self, *, progress: bool = False) -> Iterator[pa.RecordBatch]:
        """Compute the panel date by date.

        Yields
        ------
        pyarrow.RecordBatch
            Rows in the order of date and customer.

        Raises
        ------
        ChurnmlError
            If nobody is at risk at one of the dates.
        """
        for as_of in track(self.dates, "features", show=progress):
            yield from self._at(as_of)

    def write(self, target: Path, *, progress: bool = False) -> int:
        """Write the panel as one Parquet file that appears whole or not at all; return its number of rows.

        Each date is kept as soon as it is done, until all are: a run that was killed goes on with the missing dates,
        unless tables, configuration or features have changed since.
        """
        require_writable(target)
        if len(self.dates) == 1:
            return self._write(target, self.batches(progress=progress))
        kept = self._kept_folder()
        with scratch_folder() as scratch:
            folder = kept or scratch
            parts = [folder / f"{as_of}.parquet" for as_of in self.dates]
            files = self._all_of(parts, progress=progress)
            rows = self._write(target, (batch for file in files for batch in file.iter_batches(50_000)))
        if kept:
            for part in parts:
                part.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another run for the same dates is at work there
                kept.rmdir()
        return rows

    def _all_of(self, parts: list[Path], *, progress: bool) -> list[pq.ParquetFile]:
        """Compute the dates that are not there, and open all; again, where another run for them takes some away."""
        for as_of, part in zip(track(self.dates, "features", show=progress), parts, strict=True):
            if not part.exists():
                part.parent.mkdir(exist_ok=True)
                self._write(part, self._at(as_of))
        try:
            return [pq.ParquetFile(part) for part in parts]
        except FileNotFoundError:
            return self._all_of(parts, progress=progress)

    def _write(self, target: Path, batches: Iterable[pa.RecordBatch]) -> int:
        rows = 0
        with atomic_file(target) as part, pq.ParquetWriter(part, self.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch.cast(self.schema))
                rows += batch.num_rows
        return rows

    def _kept_folder(self) -> Path | None:
        """Return where the dates that are done are kept; None where nobody could tell whether the tables change."""
        config = self.histories.config
        mark = fingerprint(config, list(config.tables.given()))
        if mark is None:
            return None
        own = config.path(config.features.python).read_text("utf-8") if config.features.python else ""
        facts = (mark, config.hash, own, str(self.schema), self.dates, metadata.version("churnml"))
        folder = config.state_folder / "panels" / hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for other in folder.parent.iterdir():
                if time.time() - other.stat().st_mtime > _FORGOTTEN:
                    shutil.rmtree(other, ignore_errors=True)
        except OSError as error:
            raise ChurnmlError(f"{folder} cannot be made ({error.strerror})", "mend state.folder") from error
        return folder

    def to_pandas(self, *, progress: bool = False) -> pd.DataFrame:
        """Return the panel as a DataFrame, ``as_of`` as datetime64 at 00:00."""
        batches = [batch.cast(self.schema) for batch in self.batches(progress=progress)]
        table = pa.Table.from_batches(batches, self.schema)
        del batches  # each column's memory is given back as soon as pandas has it
        frame: pd.DataFrame = table.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
        return frame.astype({AS_OF: "datetime64[us]"})

    def _at(self, as_of: dt.date) -> pa.RecordBatchReader:
        con = self.histories.con
        populations = {"at_risk": at_risk(self.histories, as_of), "lately": customers_lately(self.histories, as_of)}
        rows, self.frozen = self._engine.at(as_of, populations)
        population = con.table("population_at_risk")
        if not population.count().to_pyarrow().as_py():
            raise self._nobody(as_of)
        sql = f"SELECT * FROM ({rows})"
        if self.labels:
            for labels in (outcome.churned, outcome.value):
                sql += f" LEFT JOIN ({con.compile(labels(self.histories, population, as_of))}) USING ({CUSTOMER_ID})"
        return con.con.execute(f"{sql} ORDER BY {CUSTOMER_ID}").to_arrow_reader(50_000)

    def _nobody(self, as_of: dt.date) -> ChurnmlError:
        histories = self.histories
        label = histories.config.label
        tables = ["customers"] + ([label.activity] if label.mode == "inactive" else [])
        missing = [table for table in tables if not histories.has(table)]
        if missing:
            return ChurnmlError(
                f"nobody is at risk at {as_of}: there is no table {missing[0]}, which label.activity asks for",
                "set label.activity to a table that is there",
                date=str(as_of),
            )
        reports = {table: histories.reports[table] for table in tables}
        spans = [f"{table} from {r.first:%Y-%m-%d} to {r.last:%Y-%m-%d}" for table, r in reports.items() if r.first]
        return ChurnmlError(
            f"nobody is at risk at {as_of} ({', '.join(spans)})", "choose another date", date=str(as_of)
        )

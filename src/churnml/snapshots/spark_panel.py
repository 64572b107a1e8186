"""The panel on Spark: one partition of Parquet files for each as-of date, written on the executors."""

from __future__ import annotations

import datetime as dt
from typing import Any

from churnml.columns import AS_OF, CUSTOMER_ID
from churnml.feature_extraction.on_spark import OnSpark
from churnml.labels import outcome
from churnml.population import at_risk, customers_lately
from churnml.progress import track
from churnml.snapshots.panel import Panel
from churnml.tables.spark import SparkHistories
from churnml.tables.spark_out import appearing_folder


class SparkPanel(Panel):
    """Features, and labels where asked for, of everyone at risk at each of some dates (see `Panel`)."""

    histories: SparkHistories
    _ENGINE = OnSpark

    def frame_at(self, as_of: dt.date) -> tuple[Any, int]:
        """Return the rows of a date as a DataFrame of Spark, good until the next call, and their number.

        Raises
        ------
        ChurnmlError
            If nobody is at risk.
        """
        histories = self.histories
        populations = {"at_risk": at_risk(histories, as_of), "lately": customers_lately(histories, as_of)}
        frame, self.frozen = self._engine.at(as_of, populations)
        population = histories.table("population_at_risk")
        count = int(histories.scalar(population.count()))
        if not count:
            raise self._nobody(as_of)
        if self.labels:
            for labels in (outcome.churned, outcome.value):
                frame = frame.join(histories.frame(labels(histories, population, as_of)), CUSTOMER_ID, "left")
        return frame, count

    def write_folder(self, out: str, *, progress: bool = False) -> int:
        """Write the panel as a folder of Parquet that appears whole or not at all; return its number of rows."""
        rows = 0
        with appearing_folder(self.histories.session, out) as part:
            for as_of in track(self.dates, "features", show=progress):
                frame, count = self.frame_at(as_of)
                frame.drop(AS_OF).write.parquet(f"{part}/{AS_OF}={as_of}")
                rows += count
        return rows

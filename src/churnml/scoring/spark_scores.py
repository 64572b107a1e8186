"""Scoring the whole base on Spark: each executor predicts its rows with the same bundles, by the same code."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from churnml.columns import AS_OF, CHURN_PROBABILITY
from churnml.models.bundle import Bundle
from churnml.scoring.score import SCHEMA, Grading, Model, score_rows
from churnml.tables.spark import SparkHistories
from churnml.tables.spark_out import appearing_folder

Files = tuple[tuple[str, bytes], ...]  # a saved bundle: paths in its folder, and what they hold
_PERCENTILE = "churn_percentile"
_ROWS = pa.schema([column for column in SCHEMA if column.name != _PERCENTILE])  # what one row tells


def write_on_spark(
    histories: SparkHistories,
    panel: Any,
    schema: pa.Schema,
    models: tuple[Model, Model | None],
    as_of: dt.date,
    out: str,
) -> int:
    """Score everyone of a panel and write it, as a folder that appears whole or not at all.

    Parameters
    ----------
    histories : SparkHistories
        Where the panel lives.
    panel : pyspark.sql.DataFrame
        Keys, features, and the bills of the last 90 days.
    schema : pyarrow.Schema
        Its columns and types.
    models : tuple of Model
        For churn, and for value where there are bills.
    as_of : datetime.date
        T.
    out : str
        The folder: one partition, with the columns of `SCHEMA`.

    Returns
    -------
    int
        How many are scored.

    Raises
    ------
    ChurnmlError
        If the folder cannot be written, or the features are not those that a model was trained on.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    bundles = tuple((model.version, packed(model.bundle)) for model in models if model is not None)
    scored = partial(_scored, bundles=bundles, schema=schema, grading=Grading.of(histories.config))
    with appearing_folder(histories.session, out) as part:
        rows = histories.keep_frame("scores", panel.mapInArrow(scored, from_arrow_schema(_ROWS)))
        scores = histories.frame(_with_percentile(histories.name("scores")))
        scores.drop(AS_OF).write.parquet(f"{part}/{AS_OF}={as_of}")
        return int(histories.scalar(rows.count(where=rows["status"] == "scored")))


def _with_percentile(scores: str) -> str:
    """Return SQL that ranks by distinct probabilities: one executor sorts only these, not everyone."""
    columns = ", ".join(f"{'p' if name == _PERCENTILE else 's'}.{name}" for name in SCHEMA.names)
    return f"""
        SELECT {columns}
        FROM {scores} AS s LEFT JOIN (
            SELECT {CHURN_PROBABILITY} AS probability,
                   sum(n) OVER (ORDER BY {CHURN_PROBABILITY}) / sum(n) OVER () * 100D AS {_PERCENTILE}
            FROM (SELECT {CHURN_PROBABILITY}, count(*) AS n FROM {scores}
                  WHERE {CHURN_PROBABILITY} IS NOT NULL GROUP BY {CHURN_PROBABILITY})
        ) AS p ON s.{CHURN_PROBABILITY} = p.probability"""


def packed(bundle: Bundle) -> Files:
    """Return the files of a bundle, to be sent to executors."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle.save(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return tuple((path.relative_to(folder).as_posix(), path.read_bytes()) for path in files)


@lru_cache(maxsize=4)
def _unpacked(files: Files) -> Bundle:
    """Load a bundle once in each process of an executor."""
    with tempfile.TemporaryDirectory() as name:
        for path, content in files:
            target = Path(name) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return Bundle.load(Path(name))


def _scored(
    batches: Iterator[pa.RecordBatch],
    *,
    bundles: tuple[tuple[int, Files], ...],
    schema: pa.Schema,
    grading: Grading,
) -> Iterator[pa.RecordBatch]:
    """Score rows on an executor."""
    churn, value, *_ = (*(Model(_unpacked(files), version) for version, files in bundles), None)
    assert churn is not None
    for batch in batches:
        table = pa.Table.from_batches([batch]).select(schema.names).cast(schema)
        frame = table.to_pandas(date_as_object=False).astype({AS_OF: "datetime64[us]"})
        yield from to_arrow(score_rows(frame, grading, churn, value, workers=1))


def to_arrow(scores: pd.DataFrame) -> list[pa.RecordBatch]:
    """Return scores as Arrow batches, percentiles left out."""
    rows = scores.assign(**{AS_OF: scores[AS_OF].dt.date})[_ROWS.names]
    return pa.Table.from_pandas(rows, _ROWS, preserve_index=False).to_batches()  # type: ignore[no-any-return]

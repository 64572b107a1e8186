"""Scores as files: the one that was asked for, and the copy that campaigns start from."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.dataset import dataset

from churnml.columns import AS_OF, CUSTOMER_ID
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.files import atomic_file
from churnml.scoring.score import SCHEMA

_CONFIG = b"churnml.config_hash"
_VERSIONS = ("churn_model_version", "value_model_version")


def write_scores(scores: pd.DataFrame, config: Config, target: Path) -> None:
    """Write scores as a Parquet file that appears whole or not at all."""
    table = pa.Table.from_pandas(scores.assign(**{AS_OF: scores[AS_OF].dt.date}), SCHEMA, preserve_index=False)
    table = table.replace_schema_metadata({_CONFIG: config.hash.encode()})
    with atomic_file(target) as part:
        pq.write_table(table, part, compression="zstd")


def keep_scores_of(folder: Path, config: Config, as_of: dt.date) -> None:
    """Keep the scores of a date that Spark has written, batch by batch (see `keep_scores`)."""
    target = _kept(config, as_of)
    _make(target.parent)
    schema = SCHEMA.with_metadata({_CONFIG: config.hash.encode()})
    written = dataset(folder, format="parquet", partitioning="hive", schema=SCHEMA)
    with atomic_file(target) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for batch in written.to_batches():
            writer.write_batch(batch.cast(SCHEMA).replace_schema_metadata(schema.metadata))


def keep_scores(scores: pd.DataFrame, config: Config) -> Path:
    """Keep the scores of a date in the state folder, in place of earlier ones; return where.

    Raises
    ------
    ChurnmlError
        If the state folder cannot be written.
    """
    target = _kept(config, scores[AS_OF].iloc[0].date())
    _make(target.parent)
    write_scores(scores, config, target)
    return target


def kept_scores(config: Config, as_of: dt.date, versions: tuple[int, int | None]) -> pd.DataFrame | None:
    """Return the kept scores of a date; None where there are none by these versions and this configuration.

    Tables handed over as frames are no part of a configuration's hash, so nothing is taken from before for them.
    """
    if not _are_by(config, as_of, versions):
        return None
    scores: pd.DataFrame = pq.read_table(_kept(config, as_of)).to_pandas(date_as_object=False, maps_as_pydicts="strict")
    return scores.astype({AS_OF: "datetime64[us]"})


def kept_file(config: Config, as_of: dt.date, versions: tuple[int, int | None], population: list[str]) -> Path | None:
    """Return where the scores of a date are kept, if `kept_scores` returns them and they are of this population."""
    if not _are_by(config, as_of, versions):
        return None
    file = _kept(config, as_of)
    customers = pq.read_table(file, columns=[CUSTOMER_ID])[CUSTOMER_ID].to_pylist()
    return file if sorted(customers) == sorted(population) else None


def _are_by(config: Config, as_of: dt.date, versions: tuple[int, int | None]) -> bool:
    try:
        with pq.ParquetFile(_kept(config, as_of)) as file:
            schema = file.schema_arrow
            same = schema.equals(SCHEMA) and file.metadata.num_rows > 0
            first = next(file.iter_batches(1, columns=list(_VERSIONS))).to_pylist()[0] if same else {}
    except (OSError, pa.ArrowException):
        return False
    in_memory = any(part.data is not None for table in config.tables.given().values() for part in table.parts)
    wanted = {
        name: None if version is None else str(version) for name, version in zip(_VERSIONS, versions, strict=True)
    }
    return first == wanted and not in_memory and (schema.metadata or {}).get(_CONFIG) == config.hash.encode()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ChurnmlError(f"{folder} cannot be made ({error.strerror})", "mend state.folder") from error


def _kept(config: Config, as_of: dt.date) -> Path:
    return config.state_folder / "scores" / f"{as_of}.parquet"

"""Building a release: the scores of a day, what is shown of each customer, and the models, as one folder."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json

from churnml.columns import AS_OF, CHURN_PROBABILITY, CUSTOMER_ID, VALUE_TIER
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.feature_extraction.catalogue import ROW_CONTEXT, columns_of
from churnml.feature_extraction.declaration import Feature
from churnml.feature_extraction.recorded import recorded
from churnml.files import atomic_folder, remove_leftovers, scratch_folder
from churnml.population import at_risk, newest_spells
from churnml.progress import track
from churnml.publishing import files
from churnml.publishing.store import StoredRow, write_store
from churnml.scoring.daily import Scorers, scorers, versions_of, warn_of_silence
from churnml.scoring.keep import keep_scores, kept_file
from churnml.scoring.score import SCHEMA, Grading, score_panel
from churnml.scoring.timeline import timelines
from churnml.snapshots.panel import Panel
from churnml.tables.histories import Histories, open_histories
from churnml.tables.sources import quoted
from churnml.tiering.spend import QUARTER, SPEND

KEPT = 3  # releases
_CHUNK = 20_000  # rows
_TOLD = 10_000  # customers, after which progress is told
_SEGMENT, _MANAGER, _KEY = "segment", "account_manager", "key"


@dataclass(frozen=True)
class Published:
    """A release that was published.

    Attributes
    ----------
    release : str
        Its name.
    as_of : datetime.date
        T.
    customers, scored : int
        How many are in it, and have a score.
    churn_model_version : str
        What scored them.
    value_model_version : str or None
        What scored them; None where there are no bills.
    """

    release: str
    as_of: dt.date
    customers: int
    scored: int
    churn_model_version: str
    value_model_version: str | None


def publish(config: Config, as_of: dt.date, *, progress: bool = False) -> Published:
    """Build a release of a day and put it in place of the one before.

    Parameters
    ----------
    config : Config
        The configuration.
    as_of : datetime.date
        T.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    Published
        What is in it. The newest three releases are kept.

    Raises
    ------
    ChurnmlError
        If there is no champion, nobody is at risk, or the disk refuses.
    """
    models = scorers(config)
    folder = _made(files.releases_folder(config))
    remove_leftovers(folder)
    now = dt.datetime.now(dt.UTC)
    name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    with open_histories(config, progress=progress) as histories, scratch_folder() as scratch:
        warn_of_silence(histories, as_of)
        panel = Panel(histories, [as_of], also=SPEND)
        panel.write(scratch / "panel.parquet", progress=progress)
        scores = _scored(config, as_of, models, scratch / "panel.parquet", progress=progress)
        with atomic_folder(folder / name) as part:
            _write_models(models, part / files.MODELS)
            _write_features(panel, models, part / files.FEATURES)
            spread = _write_spread(scores, part / files.SPREAD)
            _write_histories(histories, as_of, scratch)
            rows = _rows(histories, scores, scratch, _read_by(panel, models))
            write_store(part / files.STORE, _told_by_number(rows, show=progress))
            customers = pq.read_metadata(scores).num_rows
            told = [None if version is None else str(version) for version in versions_of(models)]
            facts = {
                "as_of": str(as_of),
                "published_at": now.isoformat(timespec="seconds"),
                "churnml": metadata.version("churnml"),
                "customers": customers,
                "scored": len(spread),
                "models": _told(models),
                "personal": list(config.personal),
            }
            files.write_manifest(part, facts)
    files.make_current(folder, name)
    keep_newest(folder)
    assert told[0] is not None
    return Published(name, as_of, customers, len(spread), told[0], told[1])


def _told_by_number(rows: Iterator[StoredRow], *, show: bool) -> Iterator[StoredRow]:
    """Yield rows; progress tells how many there are, and nothing of them."""
    batches = iter(lambda: list(itertools.islice(rows, _TOLD)), [])
    for batch in track(map(_Batch, batches), "customers", show=show):
        yield from batch.rows


@dataclass(frozen=True)
class _Batch:
    rows: list[StoredRow]

    def __str__(self) -> str:
        return f"{len(self.rows):,} more"


def keep_newest(folder: Path) -> None:
    """Remove all releases but the newest three and the one that is answered from."""
    current = files.current_name(folder)
    for old in files.releases_in(folder)[:-KEPT]:
        if old.name != current:
            shutil.rmtree(old, ignore_errors=True)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ChurnmlError(f"{folder} cannot be made ({error.strerror})", "mend state.folder") from error
    return folder


def _scored(config: Config, as_of: dt.date, models: Scorers, panel: Path, *, progress: bool) -> Path:
    """Return the file of kept scores, made now where there is none that could be used."""
    population = pq.read_table(panel, columns=[CUSTOMER_ID])[CUSTOMER_ID].to_pylist()
    kept = kept_file(config, as_of, versions_of(models), population)
    if kept is not None:
        return kept
    frame: pd.DataFrame = pq.read_table(panel).to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
    scores = score_panel(frame.astype({AS_OF: "datetime64[us]"}), config, *models, progress=progress)
    return keep_scores(scores, config)


def _write_models(models: Scorers, folder: Path) -> None:
    folder.mkdir()
    for name, model in zip(("churn", "value"), models, strict=True):
        if model is not None:
            (folder / name).mkdir()
            model.bundle.save(folder / name)


def _read_by(panel: Panel, models: Scorers) -> list[Feature]:
    """Return the features that models, or grades, are made of."""
    names = {name for model in models if model is not None for name in model.bundle.columns}
    listed = {feature.name: feature for feature in (*panel.features, QUARTER)}
    return [feature for name, feature in listed.items() if name in names | {QUARTER.name}]


def _write_features(panel: Panel, models: Scorers, file: Path) -> None:
    config = panel.histories.config
    grading = Grading.of(config)
    kept = {
        **recorded(_read_by(panel, models), ROW_CONTEXT, columns_of(panel.histories.extras)),
        "frozen": panel.frozen.to_dict(),
        "timezone": config.timezone,
        "label": config.label.model_dump(mode="json"),
        "tiers": grading.tiers and grading.tiers.model_dump(mode="json"),
        "risk_bands": dict(grading.risk_bands),
        "sensitive": list(grading.sensitive),
    }
    file.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")


def _write_spread(scores: Path, file: Path) -> Any:
    found = pq.read_table(scores, columns=[CHURN_PROBABILITY])[CHURN_PROBABILITY].to_numpy()
    spread = np.sort(found[np.isfinite(found)])
    np.save(file, spread, allow_pickle=False)
    return spread


def _told(models: Scorers) -> dict[str, Any]:
    return {
        name: None if model is None else {"version": str(model.version), **model.told}
        for name, model in zip(("churn", "value"), models, strict=True)
    }


def _write_histories(histories: Histories, as_of: dt.date, scratch: Path) -> None:
    """Write what is shown of each customer, table by table, in the order of customers."""
    con = histories.con.con
    population = histories.keep("published", at_risk(histories, as_of).select(CUSTOMER_ID))
    for table, sql in timelines(histories, as_of, lambda rows: rows.semi_join(population, CUSTOMER_ID)).items():
        _write(con.execute(sql).to_arrow_reader(_CHUNK), scratch / f"history_{table}.parquet")
    shown = newest_spells(histories).semi_join(population, CUSTOMER_ID)
    names = list(dict.fromkeys([CUSTOMER_ID, _SEGMENT, _MANAGER, *histories.config.personal]))
    rows = shown.select(*(name for name in names if name in shown.columns)).order_by(CUSTOMER_ID)
    _write(con.execute(histories.con.compile(rows)).to_arrow_reader(_CHUNK), scratch / "profiles.parquet")


def _write(rows: pa.RecordBatchReader, file: Path) -> None:
    with pq.ParquetWriter(file, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)


def _rows(histories: Histories, scores: Path, scratch: Path, features: list[Feature]) -> Iterator[StoredRow]:
    """Put together what belongs to one customer; all files are in the order of customers."""
    config = histories.config
    key_levels = config.tiers.first.key if config.tiers is not None else ()
    personal = [name for name in config.personal if name not in (CUSTOMER_ID, _SEGMENT, _MANAGER)]
    stories = {table: _Beside(scratch / f"history_{table}.parquet") for table in histories.reports}
    profiles, values = _Beside(scratch / "profiles.parquet"), _values(scratch / "panel.parquet", features)
    sql = f"SELECT * FROM read_parquet(?) ORDER BY {quoted(CUSTOMER_ID)}"
    ordered = histories.con.con.execute(sql, [str(scores)]).to_arrow_reader(_CHUNK)
    for batch in ordered:
        for score in batch.cast(SCHEMA).to_pylist(maps_as_pydicts="strict"):
            who, reasons = score[CUSTOMER_ID], score.pop("reasons")
            shown = profiles.of(who) or {}
            profile = {
                _SEGMENT: shown.get(_SEGMENT),
                _MANAGER: shown.get(_MANAGER),
                "key_account": shown.get(_SEGMENT) == _KEY or score[VALUE_TIER] in key_levels,
                "personal": {name: shown.get(name) for name in personal},
            }
            told = [f'"{table}":{found["listed"]}' for table, one in stories.items() if (found := one.of(who))]
            same, value = next(values)
            if same != who:
                raise ChurnmlError("scores and features are of other customers", "publish again")
            yield StoredRow(
                customer_id=who,
                account_manager=shown.get(_MANAGER),
                score=_json(score),
                reasons=_json(reasons or []),
                profile=_json(profile),
                features=_json(value),
                history=f"{{{','.join(told)}}}".encode(),
            )


def _json(value: Any) -> bytes:
    return to_json(value, inf_nan_mode="null")


def _values(panel: Path, features: list[Feature]) -> Iterator[tuple[str, list[Any]]]:
    names = [feature.name for feature in features]
    with pq.ParquetFile(panel) as file:
        for batch in file.iter_batches(_CHUNK, columns=[CUSTOMER_ID, *names]):
            columns = [batch.column(name).to_pylist() for name in (CUSTOMER_ID, *names)]
            for who, *values in zip(*columns, strict=True):
                yield who, values


class _Beside:
    """A file that has a row for some customers, in their order, read along with all of them.

    Parameters
    ----------
    file : Path
        Parquet, with ``customer_id``.
    """

    def __init__(self, file: Path) -> None:
        self._rows = self._read(file)
        self._next = next(self._rows, None)

    def of(self, customer: str) -> dict[str, Any] | None:
        """Return the row of a customer; customers are asked for in their order."""
        while self._next is not None and self._next[CUSTOMER_ID] < customer:
            self._next = next(self._rows, None)
        return self._next if self._next is not None and self._next[CUSTOMER_ID] == customer else None

    @staticmethod
    def _read(file: Path) -> Iterator[dict[str, Any]]:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(_CHUNK):
                yield from batch.to_pylist()

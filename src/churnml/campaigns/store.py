"""What is kept of a campaign: a folder for each in the state folder, that appears whole."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from churnml.campaigns import schema as s
from churnml.config import Config, Offer
from churnml.errors import ChurnmlError
from churnml.files import atomic_folder
from churnml.scoring.score import SCHEMA as SCORES

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RECORD, _ASSIGNMENTS, _SCORES = "campaign.json", "assignments.parquet", "scores.parquet"


class CampaignRecord(BaseModel):
    """How a campaign was opened.

    Attributes
    ----------
    id : str
        Its name.
    as_of : datetime.date
        T.
    seed : int
        Where chance began.
    budget : float or None
        In money; None where it was not limited.
    capacity : dict of int
        Contacts by channel.
    offers : tuple of Offer
        What was offered, on the terms of that day.
    control_share, explore_share : float
        As configured.
    cool_down_days : int
        As configured.
    churn_model_version, value_model_version : str or None
        What the scores are by.
    config_hash : str
        The hash of the configuration.
    opened_at : datetime.datetime
        With its zone.
    summary : dict
        As `campaigns.assignments.summary_of` counts.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    as_of: dt.date
    seed: int
    budget: float | None
    capacity: dict[str, int]
    offers: tuple[Offer, ...]
    control_share: float
    explore_share: float
    cool_down_days: int
    churn_model_version: str | None
    value_model_version: str | None
    config_hash: str
    opened_at: dt.datetime
    summary: dict[str, int | float]


def require_new_name(config: Config, name: str) -> None:
    """Raise a ChurnmlError if a campaign cannot have a name: it is no name, or was used before."""
    if not _NAME.fullmatch(name):
        raise ChurnmlError(
            f"{name!r} cannot be the name of a campaign",
            "use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first",
            value=name,
        )
    for used in _names(config):
        if used.lower() == name.lower():  # one folder on file systems that do not tell case
            raise ChurnmlError(f"there is a campaign {used} already", "choose another name", value=name)


def keep(config: Config, record: CampaignRecord, assignments: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Keep a campaign.

    Parameters
    ----------
    config : Config
        Where.
    record : CampaignRecord
        How it was opened.
    assignments : DataFrame
        Everyone in the population.
    scores : DataFrame
        The scores that it was opened with (contract, section 5); those of treated and control are kept, so that lists
        show them whatever is scored later.

    Raises
    ------
    ChurnmlError
        If the name is taken, or the disk refuses.
    """
    require_new_name(config, record.id)
    target = _folder(config) / record.id
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ChurnmlError(f"{target.parent} cannot be made ({error.strerror})", "mend state.folder") from error
    drawn = assignments[assignments[s.ARM].isin(s.DRAWN)]
    listed = scores[scores["customer_id"].isin(drawn["customer_id"])]
    listed = listed.assign(as_of=record.as_of)
    with atomic_folder(target) as part:
        _write(assignments, s.SCHEMA, part / _ASSIGNMENTS)
        _write(listed, SCORES, part / _SCORES)
        (part / _RECORD).write_text(record.model_dump_json(indent=1), encoding="utf-8")


def campaigns(config: Config) -> list[CampaignRecord]:
    """Return how each campaign that is kept was opened, in the order of their as-of dates and names."""
    records = [campaign(config, name) for name in _names(config)]
    return sorted(records, key=lambda record: (record.as_of, record.id))


def campaign(config: Config, name: str) -> CampaignRecord:
    """Return how a campaign was opened.

    Raises
    ------
    ChurnmlError
        If there is none of that name, or its file is broken.
    """
    file = _existing(config, name) / _RECORD
    try:
        return CampaignRecord.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise _broken(file) from error


def assignments_of(config: Config, name: str, *, arms: Sequence[str] = s.ARMS) -> pd.DataFrame:
    """Return the assignments of a campaign, in their order.

    Parameters
    ----------
    config : Config
        Where they are kept.
    name : str
        The campaign.
    arms : sequence of str
        Which arms; all by default.

    Returns
    -------
    DataFrame
        The columns of an assignment.

    Raises
    ------
    ChurnmlError
        If there is no such campaign, or its file is broken.
    """
    return _read(_existing(config, name) / _ASSIGNMENTS, [(s.ARM, "in", list(arms))])


def scores_of(config: Config, name: str) -> pd.DataFrame:
    """Return the scores that treated and control of a campaign had when it was opened.

    Raises
    ------
    ChurnmlError
        If there is no such campaign, or its file is broken.
    """
    return _read(_existing(config, name) / _SCORES, None)


def _folder(config: Config) -> Path:
    return config.state_folder / "campaigns"


def _names(config: Config) -> list[str]:
    folder = _folder(config)
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))


def _existing(config: Config, name: str) -> Path:
    names = _names(config)
    if name not in names:
        there = f"there are {', '.join(names)}" if names else "open one with churnml campaign open"
        raise ChurnmlError(f"there is no campaign {name!r}", there, value=name, campaigns=names)
    return _folder(config) / name


def _write(frame: pd.DataFrame, schema: pa.Schema, target: Path) -> None:
    table = pa.Table.from_pandas(frame, schema, preserve_index=False)
    pq.write_table(table, target, compression="zstd")


def _read(file: Path, filters: list[tuple[str, str, list[str]]] | None) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = pq.read_table(file, filters=filters).to_pandas(maps_as_pydicts="strict")
    except (OSError, pa.ArrowException) as error:
        raise _broken(file) from error
    return frame


def _broken(file: Path) -> ChurnmlError:
    return ChurnmlError(f"{file} cannot be read as it was written", "put it back from a copy", file=str(file))

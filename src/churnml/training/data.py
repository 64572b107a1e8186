"""What models are trained on: one panel of every date whose outcome is known."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnml.columns import AS_OF, CHURNED, PANEL_KEYS, VALUE
from churnml.errors import ChurnmlError
from churnml.feature_extraction.declare import Feature
from churnml.snapshots.audit import moving_features
from churnml.snapshots.leaks import leaking_columns
from churnml.snapshots.panel import Panel
from churnml.tables.histories import Histories
from churnml.tiering.spend import SPEND, YEAR
from churnml.training.dates import Schedule, churn_schedule, value_schedule


@dataclass(frozen=True)
class TrainingData:
    """A panel with labels, and how it is split.

    Attributes
    ----------
    panel : DataFrame
        Keys, features, last year's spend, ``churned`` and ``value``.
    features : list of Feature
        What the models read.
    churn : Schedule
        Dates of the churn model.
    value : Schedule or None
        Dates of the value model, where there are bills.
    leaks : list of str
        Columns that give the outcome away.
    """

    panel: pd.DataFrame
    features: list[Feature]
    churn: Schedule
    value: Schedule | None
    leaks: list[str]

    @property
    def hash(self) -> str:
        """What tells this panel from another, as hexadecimal text (SHA-256).

        Of floats a random projection of each column counts, to seven digits: their last bits differ from run to run,
        and no rounding of single values is the same on both sides of its edges.
        """
        floats = self.panel.select_dtypes("float64").fillna(0.0)
        nulls = self.panel[floats.columns].isna()
        exact = pd.concat([self.panel.drop(columns=floats.columns), nulls.add_suffix("__null")], axis=1)
        digest = hashlib.sha256(pd.util.hash_pandas_object(exact, index=False).to_numpy().tobytes())
        draws = np.random.default_rng(0).random(len(floats))
        for name, column in floats.items():
            whole = float(column.abs().sum())
            digest.update(f"{name} {whole:.7g} {round(draws @ column / whole * 1e7) if whole else 0}".encode())
        return digest.hexdigest()

    def churn_rows(self, dates: Sequence[dt.date]) -> pd.DataFrame:
        """Return keys, spend and labels of the rows of some dates whose customers are known to have left or stayed."""
        return self._at(dates, CHURNED)

    def value_rows(self, dates: Sequence[dt.date]) -> pd.DataFrame:
        """Return keys, spend and labels of the rows of some dates whose value is known."""
        return self._at(dates, VALUE)

    def read(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the columns that the models read, of rows that `churn_rows` or `value_rows` gave."""
        return self.panel.loc[rows.index, [feature.name for feature in self.features]]

    def _at(self, dates: Sequence[dt.date], label: str) -> pd.DataFrame:
        inside = self.panel[AS_OF].isin(pd.to_datetime(list(dates)))
        return self.panel.loc[inside & self.panel[label].notna(), [*PANEL_KEYS, YEAR.name, CHURNED, VALUE]]


def gather(histories: Histories, given: Sequence[dt.date] = (), *, progress: bool = False) -> TrainingData:
    """Make the panel of every date whose outcome is known.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    given : sequence of datetime.date
        Dates asked for, in place of those of the configuration.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    TrainingData
        Panel and schedules.

    Raises
    ------
    ChurnmlError
        If the dates cannot be split (see `churn_schedule`), or train or test customers are all of one outcome.
    """
    churn = churn_schedule(histories, given)
    value = value_schedule(histories, churn)
    panel = Panel(histories, churn.known, labels=True, also=SPEND)
    frame = panel.to_pandas(progress=progress)
    found = leaking_columns(frame[frame[AS_OF] == frame[AS_OF].max()], panel.features, churn.known[-1])
    if histories.config.features.python is not None:  # ours are held by tests
        found += moving_features(histories, churn.known[-1])
    data = TrainingData(frame, panel.features, churn, value, [finding.column or "" for finding in found])
    for role, dates in (("train", churn.train), ("test", churn.test)):
        _refuse_one_class(data.churn_rows(dates)[CHURNED], role, dates)
    for role, dates in (("train", value.train), ("test", value.test)) if value else ():
        _refuse_one_value(data.value_rows(dates)[VALUE], role, dates)
    return data


def _refuse_one_value(value: pd.Series[float], role: str, dates: Sequence[dt.date]) -> None:
    if value.max() > value.min():
        return
    raise ChurnmlError(
        f"there is one value only: all {len(value):,} customers at the {role} dates ({dates[0]} to {dates[-1]}) bring"
        f" {value.iloc[0]:g}",
        "look at the amounts of bills and costs, or leave the table bills out",
        column=VALUE,
        rows=len(value),
    )


def _refuse_one_class(churned: pd.Series[int], role: str, dates: Sequence[dt.date]) -> None:
    left = int(churned.sum())
    if 0 < left < len(churned):
        return
    span = f"{dates[0]}" if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    raise ChurnmlError(
        f"there is one class only: of {len(churned):,} customers at the {role} dates ({span}) {left:,} left",
        "look at label.types and at churned_at, take more dates or a longer label.horizon_days",
        column=CHURNED,
        rows=len(churned),
    )

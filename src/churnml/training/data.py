"""What models are trained on: one panel of every date whose outcome is known."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from churnml.asof import Span
from churnml.columns import AS_OF, CAUSE, CHURNED, CUSTOMER_ID, DURATION_DAYS, PANEL_KEYS, VALUE, WEIGHT
from churnml.errors import ChurnmlError
from churnml.feature_extraction.declare import Feature
from churnml.labels.contacted import OWN_CALL, weights
from churnml.labels.departure import departures
from churnml.labels.outcome import outcome_window
from churnml.population import at_risk
from churnml.snapshots.audit import moving_features
from churnml.snapshots.leaks import leaking_columns
from churnml.snapshots.panel import Panel
from churnml.tables.histories import Histories
from churnml.tiering.spend import SPEND, YEAR
from churnml.training.dates import Schedule, churn_schedule, value_schedule

_BESIDE = (YEAR.name, CHURNED, VALUE)


@dataclass(frozen=True)
class Touched:
    """What campaigns of ours did to one label.

    Attributes
    ----------
    weight : Series of shape (n,)
        Of each row of the panel; 0 for those who were treated by lot and are left out.
    removed, weighted, own_calls : int
        Rows with a label that are left out, that stand for others, and that had a contact not drawn by lot.
    before, after : float
        Mean of the label with every row, and of those left by weight.
    """

    weight: pd.Series[float]
    removed: int
    weighted: int
    own_calls: int
    before: float
    after: float

    def to_dict(self) -> dict[str, float]:
        """Return the figures, without the rows."""
        return {
            "removed": self.removed,
            "weighted": self.weighted,
            "own_calls": self.own_calls,
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True)
class TrainingData:
    """A panel with labels, and how it is split.

    Attributes
    ----------
    panel : DataFrame
        Keys, features, last year's spend, ``churned``, ``value``, and where customers terminate ``duration_days`` and
        ``cause`` of their departures.
    features : list of Feature
        What the models read.
    churn : Schedule
        Dates of the churn model.
    value : Schedule or None
        Dates of the value model, where there are bills.
    leaks : list of str
        Columns that give the outcome away.
    touched : dict of Touched
        What campaigns of ours did to the labels, by label.
    sensitive : DataFrame or None
        For each customer and test date the columns that the configuration calls sensitive; they need not be features.
    tables : dict of dict
        What the panel was made of: accepted ``rows`` of each table, and the times of the ``first`` and ``last``.
    """

    panel: pd.DataFrame
    features: list[Feature]
    churn: Schedule
    value: Schedule | None
    leaks: list[str]
    touched: dict[str, Touched]
    sensitive: pd.DataFrame | None = None
    tables: dict[str, dict[str, int | str]] = field(default_factory=dict)

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
        """Return keys, spend, labels and weight of those of some dates known to have left or stayed."""
        return self._at(dates, CHURNED)

    def value_rows(self, dates: Sequence[dt.date]) -> pd.DataFrame:
        """Return keys, spend, weight and labels of the rows of some dates whose value is known."""
        return self._at(dates, VALUE)

    def watched_rows(self, dates: Sequence[dt.date]) -> pd.DataFrame:
        """Return keys, ``duration_days``, ``cause`` and weight of the rows of some dates, watched from then on.

        Without rows where customers do not terminate.
        """
        if DURATION_DAYS not in self.panel:
            return self.panel.iloc[:0][list(PANEL_KEYS)]
        return self._at(dates, DURATION_DAYS, [DURATION_DAYS, CAUSE])

    def read(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the columns that the models read, of rows that one of the above gave."""
        return self.panel.loc[rows.index, [feature.name for feature in self.features]]

    def _at(self, dates: Sequence[dt.date], label: str, columns: Sequence[str] = _BESIDE) -> pd.DataFrame:
        inside = self.panel[AS_OF].isin(pd.to_datetime(list(dates)))
        weight = self.touched[CHURNED if label == DURATION_DAYS else label].weight
        chosen = self.panel.loc[inside & self.panel[label].notna() & (weight > 0), [*PANEL_KEYS, *columns]]
        return chosen.assign(**{WEIGHT: weight})


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
        If the dates cannot be split (see `churn_schedule`), train or test customers are all of one outcome, or
        ``customers`` lacks a sensitive column.
    """
    churn = churn_schedule(histories, given)
    value = value_schedule(histories, churn)
    sensitive = sensitive_columns(histories, sorted({*churn.test, *(value.test if value else [])}))
    panel = Panel(histories, churn.known, labels=True, also=SPEND)
    frame = panel.to_pandas(progress=progress)
    found = leaking_columns(frame[frame[AS_OF] == frame[AS_OF].max()], panel.features, churn.known[-1])
    if histories.config.features.python is not None:  # ours are held by tests
        found += moving_features(histories, churn.known[-1])
    if histories.config.label.mode == "terminated":
        frame = frame.merge(_departures(histories, churn.known), how="left", on=list(PANEL_KEYS), validate="1:1")
    spans = {
        CHURNED: [(day, outcome_window(histories, day)) for day in churn.known],
        VALUE: [(day, Span.outcome(day, 0, histories.config.value.horizon_days)) for day in value.known]
        if value
        else [],
    }
    touched = {label: _touched(frame, label, weights(histories, outcomes)) for label, outcomes in spans.items()}
    leaks = [finding.column or "" for finding in found]
    data = TrainingData(frame, panel.features, churn, value, leaks, touched, sensitive, _tables(histories))
    for role, dates in (("train", churn.train), ("test", churn.test)):
        _refuse_one_class(data.churn_rows(dates)[CHURNED], role, dates)
    for role, dates in (("train", value.train), ("test", value.test)) if value else ():
        _refuse_one_value(data.value_rows(dates)[VALUE], role, dates)
    return data


def _tables(histories: Histories) -> dict[str, dict[str, int | str]]:
    return {
        name: {"rows": report.accepted, "first": str(report.first), "last": str(report.last)}
        for name, report in histories.reports.items()
    }


def _touched(panel: pd.DataFrame, label: str, found: pd.DataFrame) -> Touched:
    keys = pd.MultiIndex.from_frame(panel[list(PANEL_KEYS)])
    rows = found.set_index(list(PANEL_KEYS)).reindex(keys)
    weight = pd.Series(rows[WEIGHT].astype("float64").fillna(1.0).to_numpy(), panel.index)
    own = rows[OWN_CALL].astype("boolean").fillna(False).to_numpy(dtype=bool)
    known = panel[label].notna()
    labels, kept = panel.loc[known, label].to_numpy(dtype=float), weight[known].to_numpy()
    return Touched(
        weight,
        removed=int((kept == 0).sum()),
        weighted=int((kept > 1).sum()),
        own_calls=int((own & known).sum()),
        before=float(labels.mean()) if len(labels) else float("nan"),
        after=float(np.average(labels, weights=kept)) if kept.sum() else float("nan"),
    )


def _departures(histories: Histories, dates: Sequence[dt.date]) -> pd.DataFrame:
    """Return when and why everyone at risk at some dates left, one row for each of the panel's."""
    parts = []
    for day in dates:
        found = histories.fetch(departures(histories, at_risk(histories, day), day)).to_pandas()
        parts.append(found[[CUSTOMER_ID, DURATION_DAYS, CAUSE]].assign(**{AS_OF: pd.Timestamp(day)}))
    rows: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return rows.astype({AS_OF: "datetime64[us]"})


def sensitive_columns(histories: Histories, dates: Sequence[dt.date]) -> pd.DataFrame | None:
    """Read the columns of ``customers`` that the configuration calls sensitive, as known at some dates.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    dates : sequence of datetime.date
        As-of dates.

    Returns
    -------
    DataFrame or None
        Those columns by ``customer_id`` and ``as_of``; None where none is called sensitive.

    Raises
    ------
    ChurnmlError
        If ``customers`` lacks one of them.
    """
    asked = list(histories.config.sensitive)
    if not asked:
        return None
    parts = []
    for day in dates:
        customers = at_risk(histories, day)
        missing = [name for name in asked if name not in customers.columns]
        if missing:
            raise ChurnmlError(
                f"sensitive: the table customers has no column {', '.join(missing)}",
                "name columns of customers, or take them out of sensitive",
                table="customers",
                column=missing[0],
            )
        frame = customers.select(CUSTOMER_ID, *asked).to_pyarrow().to_pandas()
        parts.append(frame.assign(**{AS_OF: pd.Timestamp(day)}))
    return pd.DataFrame(pd.concat(parts).set_index([CUSTOMER_ID, AS_OF]))


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

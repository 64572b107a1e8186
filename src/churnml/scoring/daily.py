"""The scores of a day by the models that score customers: those that are kept, or else made and kept now."""

from __future__ import annotations

import datetime as dt
import warnings

import pandas as pd

from churnml.columns import CUSTOMER_ID
from churnml.config import Config
from churnml.errors import ChurnmlError, ChurnmlWarning
from churnml.population import at_risk
from churnml.registry import champions
from churnml.registry.question import differences
from churnml.scoring.keep import keep_scores, kept_scores
from churnml.scoring.score import Model, score_panel
from churnml.snapshots.panel import Panel
from churnml.tables.histories import Histories
from churnml.tiering.spend import SPEND

_SILENCE = 31  # days: bills come once a month

Scorers = tuple[Model, Model | None]  # for churn, and for value where there are bills


def scores_at(histories: Histories, as_of: dt.date, *, progress: bool = False) -> pd.DataFrame:
    """Return the champions' scores of a date: those that are kept, or else made and kept now."""
    models = scorers(histories.config)
    kept = kept_scores(histories.config, as_of, versions_of(models))
    population = at_risk(histories, as_of).select(CUSTOMER_ID).to_pyarrow()[CUSTOMER_ID].to_pylist()
    if kept is None or sorted(kept[CUSTOMER_ID]) != sorted(population):
        panel = panel_at(histories, as_of, progress=progress)
        kept = score_panel(panel, histories.config, *models, progress=progress)
        keep_scores(kept, histories.config)
    return kept


def versions_of(models: Scorers) -> tuple[int, int | None]:
    """Return the versions of the models for churn and for value."""
    churn, value = models
    return churn.version, None if value is None else value.version


def scorers(config: Config, *, candidate: bool = False) -> Scorers:
    """Return the models that score customers, or the newest to look at.

    Raises
    ------
    ChurnmlError
        If there is no champion, or it answers another question than the configuration asks.
    """
    churn = _model(config, "churn", candidate=candidate)
    if not churn.bundle.facts["has_value"]:
        return churn, None
    return churn, _model(config, "value", candidate=candidate)


def _model(config: Config, name: str, *, candidate: bool) -> Model:
    """Load a model, and refuse it where it answers another question than the configuration asks."""
    loaded = champions.load(config, name, candidate=candidate)
    differs = differences(config, name, loaded.bundle.facts)
    if differs:
        raise ChurnmlError(
            f"version {loaded.version} of the {name} model was trained to answer another question ({differs})",
            "run churnml train CONFIG, or put the configuration back",
            model=name,
            version=loaded.version,
        )
    dates = {f"{use}_dates": days for use, days in loaded.dates.items()}
    told = {"trained_at": loaded.trained_at.isoformat(timespec="seconds"), **dates, "metrics": loaded.metrics}
    return Model(loaded.bundle, loaded.version, told)


def panel_at(histories: Histories, as_of: dt.date, *, progress: bool = False) -> pd.DataFrame:
    """Return what models read of everyone at risk at a date, with what grades are made of."""
    warn_of_silence(histories, as_of)
    return Panel(histories, [as_of], also=SPEND).to_pandas(progress=progress)


def warn_of_silence(histories: Histories, as_of: dt.date) -> None:
    """Warn of a date at which everyone seems to be silent: long after the last row, or before the first."""
    told = {table: moment for table in ("usage", "bills") if (moment := histories.last_event(table)) is not None}
    begun = [report.first for table in told if (report := histories.reports[table]).first]
    if begun and as_of <= min(begun).date():
        first = f"the first row of {' and '.join(told)} is of {min(begun):%Y-%m-%d}"
        warnings.warn(ChurnmlWarning(f"{first}: at {as_of} nothing is known of any customer's doing"), stacklevel=4)
    latest = max(told.values(), default=None)
    days = 0 if latest is None else (as_of - latest.date()).days
    if latest is not None and days > _SILENCE:
        last = f"the last row of {' and '.join(told)} is of {latest:%Y-%m-%d}, {days} days before {as_of}"
        warnings.warn(ChurnmlWarning(f"{last}: customers seem to have fallen silent who have not"), stacklevel=4)

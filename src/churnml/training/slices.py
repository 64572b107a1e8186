"""Parts of the test's rows that a model is also measured in, and what customers are worth there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from churnml.columns import AS_OF, CUSTOMER_ID
from churnml.config import Config
from churnml.evaluation.profit import TERMS
from churnml.tiering.grades import monthly_spend, value_tier
from churnml.training.data import TrainingData

NONE, OTHER = "(none)", "(other)"
_MOST = 20  # parts of one column, the most frequent; the others are one part
_FEWEST = 30  # rows of a part of its own: fewer would tell of persons, and nothing of the model
_BANDS = 5  # of a sensitive column of numbers
_TENURE = {0: "under 90 days", 90: "90 days to a year", 365: "1 to 2 years", 730: "2 to 5 years", 1826: "5 years on"}


def slices_of(data: TrainingData, config: Config, rows: pd.DataFrame) -> pd.DataFrame:
    """Tell which part of the test each row belongs to.

    Parameters
    ----------
    data : TrainingData
        With the panel that the rows are of.
    config : Config
        For tiers and sensitive columns.
    rows : DataFrame of shape (n, columns)
        Tested rows, with the panel's index.

    Returns
    -------
    DataFrame of shape (n, dimensions)
        Of ``segment``, ``tier``, ``tenure``, ``region``, ``plan``, ``month`` and the sensitive columns those that there
        are. Parts of fewer than 30 rows, or beyond the 20 most frequent, are one.
    """
    panel = data.panel.loc[rows.index]
    found: dict[str, pd.Series[Any]] = {}
    for name in ("segment", "region", "plan"):
        if f"account_{name}" in panel:
            found[name] = _parts(panel[f"account_{name}"])
    if config.tiers and data.value is not None:
        found["tier"] = _parts(value_tier(monthly_spend(panel), config.tiers.first))
    if "account_tenure_days" in panel:
        days = panel["account_tenure_days"].to_numpy(dtype=np.float64)
        place = np.searchsorted(list(_TENURE), days, side="right") - 1
        found["tenure"] = _parts(pd.Series(np.array(list(_TENURE.values()), dtype=object)[place], panel.index))
    found["month"] = rows[AS_OF].dt.strftime("%Y-%m")
    if data.sensitive is not None:
        keys = pd.MultiIndex.from_frame(rows[[CUSTOMER_ID, AS_OF]])
        for attribute, column in data.sensitive.reindex(keys).items():
            found[str(attribute)] = _parts(column.set_axis(rows.index))
    return pd.DataFrame(found)


def worth_of(data: TrainingData, config: Config, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return what each customer would bring who stays, as known at the date: spend goes on as it was.

    Monthly spend x ``value.margin_rate`` x ``value.horizon_days`` / 30, in money; a customer without a bill counts as
    the median. Without bills everyone is worth what the literature takes (see `evaluation.profit`). A predicted value
    would make the figure depend on another model.
    """
    if data.value is None:
        return np.full(len(rows), TERMS.worth)
    spend = monthly_spend(data.panel.loc[rows.index]).clip(lower=0)
    months = config.value.horizon_days / 30
    return (spend.fillna(spend.median()).fillna(0) * config.value.margin_rate * months).to_numpy(dtype=np.float64)


def _parts(column: pd.Series[Any]) -> pd.Series[Any]:
    """Name the parts of a column: its values, or bands where it holds many numbers or times."""
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.dt.year
    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numbers and column.nunique() > _MOST:
        column = pd.qcut(column.astype("float64"), _BANDS, duplicates="drop")
    named = column.astype(object).map(str, na_action="ignore").astype(object)
    named = named.where(column.notna().to_numpy(), NONE)
    counts = named.value_counts()
    kept = counts[counts >= _FEWEST].head(_MOST).index
    return named.where(named.isin(kept), OTHER)

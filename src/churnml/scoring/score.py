"""Scoring the whole base as of a date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from churnml.columns import (
    AS_OF,
    CAUSE_PROBABILITIES,
    CHURN_PROBABILITY,
    CUSTOMER_ID,
    EXPECTED_VALUE,
    RISK_BAND,
    VALUE_AT_RISK,
    VALUE_IF_STAYS,
    VALUE_TIER,
)
from churnml.config import Config, TierScheme
from churnml.models.bundle import Bundle
from churnml.models.churn import ChurnClassifier
from churnml.progress import track
from churnml.scoring.reasons import reasons
from churnml.tiering.grades import monthly_spend, value_tier

_REASON = pa.struct(
    [
        ("code", pa.string()),
        ("feature", pa.string()),
        ("value", pa.float64()),
        ("effect", pa.float64()),
        ("text_en", pa.string()),
        ("text_zh", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        (CUSTOMER_ID, pa.string()),
        (AS_OF, pa.date32()),
        ("status", pa.string()),
        ("status_reason", pa.string()),
        (CHURN_PROBABILITY, pa.float64()),
        ("churn_percentile", pa.float64()),
        (EXPECTED_VALUE, pa.float64()),
        (VALUE_IF_STAYS, pa.float64()),
        (VALUE_AT_RISK, pa.float64()),
        (VALUE_TIER, pa.string()),
        (RISK_BAND, pa.string()),
        (CAUSE_PROBABILITIES, pa.map_(pa.string(), pa.float64())),
        ("reasons", pa.list_(_REASON)),
        ("churn_model_version", pa.string()),
        ("value_model_version", pa.string()),
    ]
)
_CHUNK = 20_000  # customers whose reasons are worked out at once


@dataclass(frozen=True)
class Model:
    """A bundle and the version that it is registered as.

    Attributes
    ----------
    bundle : Bundle
        What predicts.
    version : int
        Its version.
    told : mapping
        What people are told of it, JSON: ``trained_at``, ``train_dates``, ``test_dates``, ``metrics``.
    """

    bundle: Bundle
    version: int
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Grading:
    """What of a configuration grades customers, and which of their attributes are never told.

    Attributes
    ----------
    tiers : TierScheme or None
        The primary scheme; None where there is none, or no bills to grade by.
    risk_bands : mapping of float
        The probability from which on each holds.
    sensitive : tuple of str
        Columns of ``customers`` that are no reason.
    """

    tiers: TierScheme | None
    risk_bands: Mapping[str, float]
    sensitive: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take it from a configuration."""
        graded = config.tiers is not None and config.tables.bills is not None
        return cls(config.tiers.first if config.tiers and graded else None, dict(config.risk_bands), config.sensitive)


def score_panel(
    panel: pd.DataFrame,
    config: Config,
    churn: Model,
    value: Model | None,
    *,
    with_reasons: bool = True,
    progress: bool = False,
) -> pd.DataFrame:
    """Score customers (contract, section 5).

    Parameters
    ----------
    panel : DataFrame
        Keys, features, and the bills of the last 90 days; one row for each customer at risk.
    config : Config
        For risk bands and grades.
    churn, value : Model
        What scores; no value model where there are no bills.
    with_reasons : bool
        Whether to work out reasons; without them the lists are empty.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    DataFrame
        The columns of `SCHEMA`, one row for each of the panel's, in its order.

    Raises
    ------
    ChurnmlError
        If the features are not those that a model was trained on.
    """
    scores = _predicted(panel, Grading.of(config), churn, value, workers=0)
    scores["churn_percentile"] = scores[CHURN_PROBABILITY].rank(pct=True, method="max") * 100
    found = _reasons(panel, churn.bundle, config.sensitive, progress=progress) if with_reasons else [[]] * len(scores)
    scores["reasons"] = pd.Series(found, index=scores.index, dtype=object)
    return scores[list(SCHEMA.names)]


def score_rows(
    panel: pd.DataFrame, grading: Grading, churn: Model, value: Model | None, *, workers: int
) -> pd.DataFrame:
    """Score customers by what each row tells: everything of `score_panel` but ``churn_percentile``.

    Parameters
    ----------
    panel : DataFrame
        As for `score_panel`: some of the customers at risk.
    grading : Grading
        Risk bands and grades.
    churn, value : Model
        What scores.
    workers : int
        How many chunks of rows are worked on at once.

    Returns
    -------
    DataFrame
        One row for each of the panel's, in its order.
    """
    scores = _predicted(panel, grading, churn, value, workers=workers)
    found = _reasons(panel, churn.bundle, grading.sensitive, progress=False)
    return scores.assign(reasons=pd.Series(found, index=scores.index, dtype=object))


def _predicted(
    panel: pd.DataFrame, grading: Grading, churn: Model, value: Model | None, *, workers: int
) -> pd.DataFrame:
    scores = panel[[CUSTOMER_ID, AS_OF]].reset_index(drop=True)
    models = [churn] if value is None else [churn, value]
    both = Bundle({name: one for model in models for name, one in model.bundle.models.items()}, {})
    predicted = both.predict(panel, workers=workers).reset_index(drop=True)
    told = pd.Series(np.isfinite(predicted.to_numpy()).all(axis=1))
    for name in (CHURN_PROBABILITY, EXPECTED_VALUE, VALUE_IF_STAYS):
        scores[name] = predicted[name].where(told) if name in predicted else np.nan
    scores["status"] = np.where(told, "scored", "not_scored")
    scores["status_reason"] = pd.Series(None, index=scores.index, dtype="str").mask(~told, "the model gives no number")
    scores[CAUSE_PROBABILITIES] = _causes(predicted).where(told, None)
    scores[VALUE_AT_RISK] = scores[CHURN_PROBABILITY] * scores[VALUE_IF_STAYS]
    scores[VALUE_TIER] = None
    if grading.tiers is not None:
        spend = monthly_spend(panel).reset_index(drop=True)
        scores[VALUE_TIER] = value_tier(spend, grading.tiers)
    scores[RISK_BAND] = _bands(scores[CHURN_PROBABILITY], grading.risk_bands)
    scores["churn_model_version"] = str(churn.version)
    scores["value_model_version"] = None if value is None else str(value.version)
    return scores


def _causes(predicted: pd.DataFrame) -> pd.Series[Any]:
    """Return the chance of each cause, as a dict for each row; nothing where causes are not modelled."""
    names = [str(name) for name in predicted if str(name).startswith(f"{CAUSE_PROBABILITIES}.")]
    causes = [name.removeprefix(f"{CAUSE_PROBABILITIES}.") for name in names]
    rows = predicted[names].to_numpy().tolist()
    found = [dict(zip(causes, row, strict=True)) if causes else None for row in rows]
    return pd.Series(found, index=predicted.index, dtype=object)


def _bands(probability: pd.Series[Any], bands: Mapping[str, float]) -> pd.Series[Any]:
    """Return the highest band whose probability is reached; null below the lowest."""
    ordered = sorted(bands.items(), key=lambda band: band[1])
    band = pd.Series(None, index=probability.index, dtype="str")
    for name, start in ordered:
        band = band.mask(probability >= start, name)
    return band


def _reasons(
    panel: pd.DataFrame, bundle: Bundle, sensitive: Sequence[str], *, progress: bool
) -> list[list[dict[str, Any]]]:
    model = bundle.models[CHURN_PROBABILITY]
    assert isinstance(model, ChurnClassifier)
    found: list[list[dict[str, Any]]] = []
    starts = range(0, len(panel), _CHUNK)
    for start in track(starts, "reasons", show=progress and len(starts) > 1):
        rows = panel.iloc[start : start + _CHUNK]
        found += reasons(model, rows[bundle.columns], bundle.facts["features"], sensitive)
    return found

"""Scores of customers whose histories were sent, computed by the models of a release."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from churnml.asof import start_of
from churnml.columns import (
    AS_OF,
    BILLED_IN_QUARTER,
    CAUSE_PROBABILITIES,
    CHURN_PROBABILITY,
    CHURNED_AT,
    CUSTOMER_ID,
    EXPECTED_VALUE,
    RISK_BAND,
    VALUE_AT_RISK,
    VALUE_IF_STAYS,
    VALUE_TIER,
)
from churnml.config import Label, TierScheme
from churnml.errors import ChurnmlError
from churnml.feature_extraction.codegen import DAY_US
from churnml.feature_extraction.frozen import Frozen
from churnml.feature_extraction.online import Rows, microseconds_of
from churnml.feature_extraction.recorded import Recorded
from churnml.feature_extraction.sent import UnscorableError, no_rows, read_customer, read_rows
from churnml.models.bundle import Bundle, RowPredictor
from churnml.models.churn import ChurnClassifier
from churnml.scoring.reasons import Explainer
from churnml.scoring.score import SCHEMA, Model
from churnml.tables.schema import SCHEMAS
from churnml.tiering.grades import reached

_TABLES = frozenset(SCHEMAS) - {"customers"}
_NO_SCORE = "the model gives no number"
_SAME = 1 + 1e-12  # probabilities so near to each other are of one percentile

Found = tuple[dict[str, Any], dict[str, Any] | None]  # the row of a score so far, and the features to predict from


class OnlineScorer:
    """What scores customers by what is sent of them.

    Parameters
    ----------
    kept : mapping
        What `build.publish` wrote of features, zone, label, tiers and risk bands.
    churn, value : Model
        What scores; no value model where there are no bills.
    spread : array of shape (n,)
        The probabilities of the base, ascending: percentiles are among them.
    """

    def __init__(
        self, kept: Mapping[str, Any], churn: Model, value: Model | None, spread: npt.NDArray[np.float64]
    ) -> None:
        declared = Recorded.of(kept)
        self._engine, self._kinds = declared.engine(), declared.kinds
        self._frozen = Frozen.from_dict(kept["frozen"])
        self._zone: str = kept["timezone"]
        self._label = Label.model_validate(kept["label"], strict=False)
        self._tiers = TierScheme.model_validate(kept["tiers"], strict=False) if kept["tiers"] else None
        self._bands: Mapping[str, float] = kept["risk_bands"]
        self._times = [feature.name for feature in declared.features if feature.dtype == "timestamp"]
        self._spread = spread
        self._versions = str(churn.version), None if value is None else str(value.version)
        models = [churn] if value is None else [churn, value]
        both = Bundle({name: one for model in models for name, one in model.bundle.models.items()}, {})
        self._predictor = RowPredictor(both)
        classifier = churn.bundle.models[CHURN_PROBABILITY]
        assert isinstance(classifier, ChurnClassifier)
        said = churn.bundle.facts["features"]
        self._explainer = Explainer(classifier, said, self._times, kept["sensitive"])
        needed = {*self._engine.tables}
        if self._label.mode == "inactive":
            needed.add(self._label.activity)
        self._tables = sorted(needed)

    def score(self, as_of: dt.date, customers: Sequence[Mapping[str, Any]], *, reasons: bool) -> list[dict[str, Any]]:
        """Score customers.

        Parameters
        ----------
        as_of : datetime.date
            T; rows that were not known then are left out.
        customers : sequence of mapping
            Of each ``customer``, its row, and lists of rows by table, under our names of columns.
        reasons : bool
            Whether to tell the reasons, too.

        Returns
        -------
        list of dict
            The rows of a score, in the order given, as JSON knows them. Who had not signed up at T, had left, or has
            rows that contradict each other is ``not_scored``, and ``status_reason`` says why.

        Raises
        ------
        ChurnmlError
            If what was sent is not of this shape; ``place`` among its details says where.
        """
        found = [self._read(as_of, number, one) for number, one in enumerate(customers)]
        rows = [features for _, features in found if features is not None]
        predicted = self._predictor(rows) if rows else {}
        told = iter(self._explainer(rows) if reasons and rows else [[]] * len(rows))
        numbers = iter(range(len(rows)))
        for score, features in found:
            if features is not None:
                number = next(numbers)
                self._fill(score, features, {name: float(column[number]) for name, column in predicted.items()})
                score["reasons"] = next(told)
        return [score for score, _ in found]

    def warm_up(self) -> None:
        """Score a customer of nothing but a beginning: what is compiled or loaded at first use is so after it."""
        customer = {name: "" for name, kind in self._kinds["customers"].items() if kind == "text"}
        event = SCHEMAS["customers"].event
        self.score(dt.date(2024, 1, 1), [{"customer": {**customer, event: "2020-01-01"}}], reasons=True)

    def _read(self, as_of: dt.date, number: int, sent: Any) -> Found:
        place = f"customers.{number}"
        if not isinstance(sent, Mapping) or not isinstance(sent.get("customer"), Mapping):
            raise _misshapen(f"{place} has no customer", "send its row as an object", f"{place}.customer")
        customer: Mapping[str, Any] = sent["customer"]
        who = customer.get(CUSTOMER_ID)
        if not isinstance(who, str):
            raise _misshapen(
                f"{place}.customer: {CUSTOMER_ID} is no text", "send one", f"{place}.customer.{CUSTOMER_ID}"
            )
        unknown = sorted(map(str, set(sent) - _TABLES - {"customer"}))
        if unknown:
            raise _misshapen(
                f"{place}: there is no table {unknown[0]}", f"send {', '.join(_TABLES)}", f"{place}.{unknown[0]}"
            )
        score: dict[str, Any] = dict.fromkeys(SCHEMA.names)
        score |= {CUSTOMER_ID: who, AS_OF: str(as_of), "status": "not_scored", "reasons": []}
        score["churn_model_version"], score["value_model_version"] = self._versions
        try:
            return score, self._features(as_of, who, customer, sent)
        except UnscorableError as error:
            score["status_reason"] = error.problem
            return score, None
        except ChurnmlError as error:
            table = error.details.get("table")
            parts = [place, "customer" if table == "customers" else table]
            parts += [error.details.get(word) for word in ("row", "column") if word == "column" or table != "customers"]
            where = ".".join(str(part) for part in parts if part is not None)
            raise _misshapen(f"{where}: {error.problem}", error.remedy, where) from error

    def _features(
        self, as_of: dt.date, who: str, customer: Mapping[str, Any], sent: Mapping[str, Any]
    ) -> dict[str, Any]:
        zone, kinds = self._zone, self._kinds
        if self._label.mode == "inactive":
            customer = {**customer, CHURNED_AT: None}
        own = read_customer(customer, kinds["customers"], as_of, zone)
        tables: dict[str, Rows] = {}
        for table in self._tables:
            rows = sent.get(table)
            tables[table] = (
                no_rows(kinds[table])
                if not rows and rows in (None, [])
                else read_rows(table, rows, kinds[table], as_of, zone, who)
            )
        if self._label.mode == "inactive":
            self._require_activity(tables[self._label.activity], as_of)
        features = self._engine.at(own, tables, as_of, self._frozen)
        for name in self._times:
            value = features[name]
            features[name] = None if value is None else value / DAY_US
        return features

    def _require_activity(self, rows: Rows, as_of: dt.date) -> None:
        start = microseconds_of(start_of(as_of)) - self._label.active_days * DAY_US
        if not (rows[SCHEMAS[self._label.activity].event] >= start).any():
            raise UnscorableError(
                f"the customer had no {self._label.activity} in the {self._label.active_days} days before {as_of}",
                "ask for a date at which there is a risk",
            )

    def _fill(self, score: dict[str, Any], features: Mapping[str, Any], predicted: Mapping[str, float]) -> None:
        if self._tiers is not None:
            billed = features[BILLED_IN_QUARTER]
            score[VALUE_TIER] = None if billed is None else reached(self._tiers.levels, max(billed / 3, 0.0))
        if not all(map(math.isfinite, predicted.values())):
            score["status_reason"] = _NO_SCORE
            return
        probability, stays = predicted[CHURN_PROBABILITY], predicted.get(VALUE_IF_STAYS)
        place = int(np.searchsorted(self._spread, probability * _SAME, side="right"))
        prefix = f"{CAUSE_PROBABILITIES}."
        causes = {name.removeprefix(prefix): one for name, one in predicted.items() if name.startswith(prefix)}
        score |= {
            "status": "scored",
            CHURN_PROBABILITY: probability,
            "churn_percentile": 100 * place / len(self._spread) if len(self._spread) else None,
            EXPECTED_VALUE: predicted.get(EXPECTED_VALUE),
            VALUE_IF_STAYS: stays,
            VALUE_AT_RISK: None if stays is None else probability * stays,
            RISK_BAND: reached(self._bands, probability),
            CAUSE_PROBABILITIES: causes or None,
        }


def _misshapen(problem: str, remedy: str, place: str) -> ChurnmlError:
    return ChurnmlError(problem, remedy, place=place)

"""A bundle: models, their columns and where they come from, as one object and one folder of plain files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from churnml.columns import CHURN_PROBABILITY, EXPECTED_VALUE, VALUE_IF_STAYS
from churnml.models.churn import ChurnClassifier, read_json
from churnml.models.value import ValueRegressor

Estimator = ChurnClassifier | ValueRegressor

_CHUNK = 65_536  # rows: their matrix stays in the processor's cache and memory does not grow with the table


@dataclass(frozen=True)
class Bundle:
    """What is trained, registered and scored with as one.

    Attributes
    ----------
    models : mapping of estimator
        By what they predict: ``churn_probability``, or ``expected_value`` and ``value_if_stays``.
    facts : mapping
        Provenance, JSON: as-of dates, hashes of panel and configuration, what is said of each feature.
    """

    models: Mapping[str, Estimator]
    facts: Mapping[str, Any]

    @property
    def columns(self) -> list[str]:
        """The feature columns that are read, in order."""
        return list(next(iter(self.models.values())).columns_.kinds)

    def predict(self, frame: pd.DataFrame, *, threads: int = 1) -> pd.DataFrame:
        """Predict for every row.

        Parameters
        ----------
        frame : DataFrame
            The feature columns of the training; others may stand beside them.
        threads : int
            Of LightGBM; 0 takes every core.

        Returns
        -------
        DataFrame
            One column for each model, rows and index as given.

        Raises
        ------
        ChurnmlError
            If feature columns are missing or of another type.
        """
        wanted = frame[[name for name in self.columns if name in frame]]
        parts: dict[str, list[Any]] = {name: [] for name in self.models}
        for start in range(0, len(wanted), _CHUNK):
            rows = wanted.iloc[start : start + _CHUNK]
            columns, matrix = None, np.empty((0, 0))
            for name, model in self.models.items():
                if model.columns_ != columns:
                    columns, matrix = model.columns_, model.columns_.matrix(rows)
                if isinstance(model, ChurnClassifier):
                    parts[name].append(model.probabilities(matrix, threads=threads)[:, 1])
                else:
                    parts[name].append(model.expected(matrix, threads=threads))
        predictions = {name: np.concatenate(found) if found else np.empty(0) for name, found in parts.items()}
        return pd.DataFrame(predictions, index=frame.index)

    def save(self, folder: Path) -> None:
        """Write the bundle into an empty folder."""
        for name, model in self.models.items():
            (folder / name).mkdir()
            model.save(folder / name)
        facts = {"models": list(self.models), "facts": dict(self.facts)}
        (folder / "bundle.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a bundle that was saved.

        Raises
        ------
        ChurnmlError
            If a file is missing or damaged.
        """
        kept = read_json(folder / "bundle.json")
        kinds: dict[str, type[Estimator]] = {
            CHURN_PROBABILITY: ChurnClassifier,
            EXPECTED_VALUE: ValueRegressor,
            VALUE_IF_STAYS: ValueRegressor,
        }
        return cls({name: kinds[name].load(folder / name) for name in kept["models"]}, kept["facts"])

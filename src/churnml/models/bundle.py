"""A bundle: models, their columns and where they come from, as one object and one folder of plain files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from churnml.columns import CAUSE_PROBABILITIES, CHURN_PROBABILITY, EXPECTED_VALUE, VALUE_IF_STAYS
from churnml.models.churn import ChurnClassifier
from churnml.models.columns_of import ModelColumns, PlainRows
from churnml.models.estimator import reading
from churnml.models.hazard import STAYING, HazardModel
from churnml.models.value import ValueRegressor

Estimator = ChurnClassifier | HazardModel | ValueRegressor

_CHUNK = 32_768  # rows: their matrix stays in the processor's cache and memory does not grow with the table


@dataclass(frozen=True)
class Bundle:
    """What is trained, registered and scored with as one.

    Attributes
    ----------
    models : mapping of estimator
        By what they predict: ``churn_probability`` and, where causes are modelled, ``cause_probabilities``; or
        ``expected_value`` and ``value_if_stays``.
    facts : mapping
        Provenance, JSON: as-of dates, hashes of panel and configuration, what is said of each feature.
    """

    models: Mapping[str, Estimator]
    facts: Mapping[str, Any]

    @property
    def columns(self) -> list[str]:
        """The feature columns that are read, in order."""
        return list(next(iter(self.models.values())).columns_.kinds)

    @property
    def outputs(self) -> list[str]:
        """The columns that are predicted, in order: one for each model, or ``cause_probabilities.{cause}``."""
        return [column for name, model in self.models.items() for column in _outputs(name, model)]

    def predict(self, frame: pd.DataFrame, *, workers: int = 1) -> pd.DataFrame:
        """Predict for every row.

        Parameters
        ----------
        frame : DataFrame
            The feature columns of the training; others may stand beside them.
        workers : int
            How many chunks of rows are worked on at once; 0 takes every core.

        Returns
        -------
        DataFrame
            The columns of ``outputs``, rows and index as given.

        Raises
        ------
        ChurnmlError
            If feature columns are missing or of another type.
        """
        chunks = [frame.iloc[start : start + _CHUNK] for start in range(0, max(len(frame), 1), _CHUNK)]
        with ThreadPoolExecutor(workers or os.cpu_count()) as pool:  # LightGBM and numpy leave Python alone meanwhile
            parts = list(pool.map(self._predicted, chunks))
        columns = {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}
        return pd.DataFrame(columns, frame.index)

    def _predicted(self, rows: pd.DataFrame) -> dict[str, Any]:
        return self.predicted_of(
            lambda columns: columns.matrix(rows[[column for column in columns.kinds if column in rows]])
        )

    def predicted_of(self, matrix_of: Callable[[ModelColumns], Any]) -> dict[str, Any]:
        """Predict for rows that come as the matrix of whatever columns a model reads."""
        columns, matrix = None, np.empty((0, 0))
        found: dict[str, Any] = {}
        for name, model in self.models.items():
            if model.columns_ != columns:
                columns = model.columns_
                matrix = matrix_of(columns)
            if isinstance(model, HazardModel):
                found.update(zip(_outputs(name, model), model.incidences(matrix).T, strict=True))
            elif isinstance(model, ChurnClassifier):
                found[name] = model.probabilities(matrix)[:, 1]
            else:
                found[name] = model.expected(matrix)
        return found

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
        kinds: dict[str, type[Estimator]] = {
            CHURN_PROBABILITY: ChurnClassifier,
            CAUSE_PROBABILITIES: HazardModel,
            EXPECTED_VALUE: ValueRegressor,
            VALUE_IF_STAYS: ValueRegressor,
        }
        with reading(folder / "bundle.json") as kept:
            return cls({name: kinds[name].load(folder / name) for name in kept["models"]}, kept["facts"])


class RowPredictor:
    """Predicts for a few rows that are dicts, the numbers that `Bundle.predict` has for a frame.

    Parameters
    ----------
    bundle : Bundle
        What predicts.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._readers: list[tuple[ModelColumns, PlainRows]] = []
        for model in bundle.models.values():
            if all(model.columns_ != columns for columns, _ in self._readers):
                self._readers.append((model.columns_, PlainRows(model.columns_)))

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return for each of the bundle's outputs an array with a number for each row (see `PlainRows`)."""
        return self._bundle.predicted_of(lambda wanted: self._reader(wanted)(rows))

    def _reader(self, wanted: ModelColumns) -> PlainRows:
        return next(reader for columns, reader in self._readers if columns is wanted or columns == wanted)


def _outputs(name: str, model: Estimator) -> list[str]:
    if not isinstance(model, HazardModel):
        return [name]
    return [f"{name}.{cause}" for cause in (*model.causes_, STAYING)]

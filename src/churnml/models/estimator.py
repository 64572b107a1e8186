"""What estimators share: they take tables as they are, and are kept as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, validate_data

from churnml.errors import ChurnmlError, DataError
from churnml.models.columns_of import ModelColumns


class TableEstimator(BaseEstimator):  # type: ignore[misc]
    """An estimator of tables with numbers, booleans, times, categories, text and nulls.

    Attributes
    ----------
    columns_ : ModelColumns
        The columns of the training.
    """

    columns_: ModelColumns

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def frame(self, table: Any, *, fitting: bool = False) -> pd.DataFrame:
        """Return a table, or an array of rows x columns, as a DataFrame with text names.

        Raises
        ------
        ValueError
            If it is no such thing, or its columns are not those of the training: scikit-learn's own messages.
        """
        if not isinstance(table, pd.DataFrame):
            table = check_array(table, dtype=None, ensure_all_finite=False)
        elif not table.columns.is_unique:
            name = str(table.columns[table.columns.duplicated()][0])
            raise DataError(f"two columns of X are called {name}", "give each a name of its own", column=name)
        elif fitting:
            check_array(np.empty((min(len(table), 1), min(table.shape[1], 1))), ensure_all_finite=False)
        validate_data(self, table, reset=fitting, skip_check_array=True)
        if isinstance(table, pd.DataFrame):
            return table if all(isinstance(name, str) for name in table.columns) else table.rename(columns=str)
        return pd.DataFrame(table, columns=[f"x{number}" for number in range(table.shape[1])]).infer_objects()

    def write(self, file: Path, kept: dict[str, Any]) -> None:
        """Write what is kept, with the columns and parameters that every estimator has."""
        parameters = {name: value for name, value in self.get_params().items() if name != "random_state"}
        own = {
            "columns": self.columns_.to_dict(),
            "named": hasattr(self, "feature_names_in_"),
            "parameters": parameters,
        }
        file.write_text(json.dumps({**own, **kept}, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> tuple[Self, dict[str, Any]]:
        """Return an estimator with what `write` wrote, and the rest of it.

        Raises
        ------
        ChurnmlError
            If the file is missing or damaged.
        """
        kept = read_json(file)
        model = cls(**kept["parameters"])
        model.columns_ = ModelColumns.from_dict(kept["columns"])
        if kept["named"]:
            model.feature_names_in_ = np.array(list(model.columns_.kinds), dtype=object)
        model.n_features_in_ = len(model.columns_.kinds)
        return model, kept


def row_weights(given: Any, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return how much each row counts, in units of the mean: what LightGBM asks of a leaf is in rows."""
    weight = np.asarray(_check_sample_weight(given, frame, ensure_non_negative=True), dtype=np.float64)
    return np.asarray(weight / weight.mean(), dtype=np.float64)


def read_json(file: Path) -> Any:
    """Read what was written as JSON.

    Raises
    ------
    ChurnmlError
        If the file is missing or damaged.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ChurnmlError(f"the model {file} cannot be read ({str(error)[:80]})", "train again") from None

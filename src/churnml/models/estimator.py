"""What estimators share: they take tables as they are, and are kept as text."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, Self, TypeVar

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from churnml.errors import ChurnmlError, DataError
from churnml.models.boosting import load_booster, save_booster
from churnml.models.columns_of import ModelColumns
from churnml.models.folds import Rows, days_of

Kept = tuple[Mapping[str, lgb.Booster], dict[str, Any]]
T = TypeVar("T")

_FILE = "model.json"


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
        """Return a table of pandas, Arrow or Polars, or an array of rows x columns, as a DataFrame with text names.

        Raises
        ------
        ValueError
            If it is no such thing, or its columns are not those of the training: scikit-learn's own messages.
        """
        if hasattr(table, "to_pandas"):
            table = table.to_pandas()
        if not isinstance(table, pd.DataFrame):
            table = check_array(table, dtype=None, ensure_all_finite=False)
        elif not table.columns.is_unique:
            name = str(table.columns[table.columns.duplicated()][0])
            raise DataError(f"two columns of X are called {name}", "give each a name of its own", column=name)
        elif fitting:
            check_array(np.empty((min(len(table), 1), min(table.shape[1], 1))), ensure_all_finite=False)
        validate_data(self, table, reset=fitting, skip_check_array=True)
        if isinstance(table, pd.DataFrame):
            return table.set_axis([str(name) for name in table.columns], axis=1)
        return pd.DataFrame(table, columns=[f"x{number}" for number in range(table.shape[1])]).infer_objects()

    def save(self, folder: Path) -> None:
        """Write the model into a folder, which is made where there is none, as text."""
        check_is_fitted(self)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        boosters, kept = self._kept()
        parameters = self.get_params()
        if not isinstance(parameters["random_state"], Integral):
            del parameters["random_state"]  # what draws is used up by a fit
        own = {
            "class": type(self).__name__,
            "boosters": {name: save_booster(one, folder / f"{name}.txt") for name, one in boosters.items()},
            "columns": self.columns_.to_dict(),
            "named": hasattr(self, "feature_names_in_"),
            "parameters": parameters,
        }
        text = json.dumps({**own, **kept}, ensure_ascii=False, default=np.generic.item)
        (folder / _FILE).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model that was saved; it predicts the same bits.

        Raises
        ------
        ChurnmlError
            If a file is missing or damaged, or the model is of another class.
        """
        folder = Path(folder)
        with reading(folder / _FILE) as kept:
            if kept["class"] != cls.__name__:
                raise ChurnmlError(f"the model {folder} is a {kept['class']}", f"read it by {kept['class']}.load")
            model = cls(**kept["parameters"])
            model.columns_ = ModelColumns.from_dict(kept["columns"])
            if kept["named"]:
                model.feature_names_in_ = np.array(list(model.columns_.kinds), dtype=object)
            model.n_features_in_ = len(model.columns_.kinds)
            model._restore(
                {name: load_booster(folder / f"{name}.txt", told) for name, told in kept["boosters"].items()}, kept
            )
        return model

    def _kept(self) -> Kept:
        """Return what is kept beside columns and parameters: boosters by name, and what can be JSON."""
        raise NotImplementedError

    def _restore(self, boosters: Mapping[str, lgb.Booster], kept: Mapping[str, Any]) -> None:
        """Take what `_kept` gave."""
        raise NotImplementedError


def counted_rows(
    frame: pd.DataFrame, sample_weight: Any, groups: Any, as_of: Any
) -> tuple[Rows | slice, npt.NDArray[np.float64], Rows | None, pd.Series[Any] | None]:
    """Choose the rows of a training that count: a weight of 0 is the same as not being there.

    Parameters
    ----------
    frame : DataFrame of shape (n, columns)
        The rows.
    sample_weight, groups, as_of : array of shape (n,), optional
        What is known of them, as `fit` takes it.

    Returns
    -------
    rows : array of int, or slice
        Positions of those that count.
    weight : array of float
        How much they do, in units of the mean: what LightGBM asks of a leaf is in rows.
    groups : array of int or None
        Their customers, by number.
    as_of : Series or None
        Their dates.

    Raises
    ------
    DataError
        If groups or dates have nulls.
    """
    check_consistent_length(*(rows for rows in (frame, groups, as_of) if rows is not None))
    weight = np.asarray(_check_sample_weight(sample_weight, frame, ensure_non_negative=True), dtype=np.float64)
    days = None if as_of is None else days_of(as_of)
    for name, given in {"groups": groups, "as_of": days}.items():
        nulls = 0 if given is None else int(np.count_nonzero(pd.isna(np.asarray(given))))
        if nulls:
            raise DataError(f"{name} has {nulls:,} nulls", "fill them in, or leave these rows out", rows=nulls)
    rows = slice(None) if weight.all() else np.flatnonzero(weight)  # all of them are not copied
    customers = None if groups is None else pd.factorize(np.asarray(groups)[rows])[0]
    return rows, weight[rows] / weight[rows].mean(), customers, None if days is None else days.iloc[rows]


def one_of(allowed: Iterable[T], what: str, name: str) -> T:
    """Return what has a name.

    Raises
    ------
    DataError
        If nothing has; it names what there is.
    """
    named = {str(one): one for one in allowed}
    if name not in named:
        raise DataError(f"there is no {what} {name}", f"take one of: {', '.join(named)}", allowed=list(named))
    return named[name]


@contextlib.contextmanager
def reading(file: Path) -> Iterator[Any]:
    """Read what was written as JSON; whatever is missing from it, is missed in the block or is no such thing, is told.

    Raises
    ------
    ChurnmlError
        If the file is missing or damaged.
    """
    try:
        yield json.loads(file.read_text(encoding="utf-8"))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ChurnmlError(f"the model {file} cannot be read ({repr(error)[:80]})", "train again") from None

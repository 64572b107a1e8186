"""The columns that a model was fitted on, and how a frame becomes the matrix that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churnml.errors import ChurnmlError

Kind = Literal["number", "text"]
Matrix = npt.NDArray[np.float64]

_LEVELS = 40  # of a text column that keep a code of their own
_SHOWN = 5
_NOISE_BITS = 12


@dataclass(frozen=True)
class ModelColumns:
    """Names, kinds and categories of the columns that a model reads.

    Attributes
    ----------
    kinds : mapping of str
        ``number`` (also booleans and times) or ``text``, by column, in the order of the matrix.
    levels : mapping of list
        The frequent values of each text column, the most frequent first; the position is the code, every other value
        shares the code after them.
    """

    kinds: Mapping[str, Kind]
    levels: Mapping[str, list[str]]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> ModelColumns:
        """Learn the columns of a training frame."""
        kinds: dict[str, Kind] = {str(name): _kind(frame[name]) for name in frame.columns}
        levels = {}
        for name in (name for name, kind in kinds.items() if kind == "text"):
            counts = frame[name].dropna().astype(str).value_counts()
            ranked = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
            levels[name] = [str(level) for level, _ in ranked[:_LEVELS]]
        return cls(kinds, levels)

    @property
    def categorical(self) -> list[int]:
        """The positions of the text columns."""
        return [number for number, kind in enumerate(self.kinds.values()) if kind == "text"]

    def matrix(self, frame: pd.DataFrame) -> Matrix:
        """Return a frame as numbers: rows x columns, nulls as nan, without their last bits (see `steady`).

        Raises
        ------
        ChurnmlError
            If columns or their kinds differ from those of the training frame; the difference is shown.
        """
        self._refuse_other(frame)
        matrix = np.empty((len(frame), len(self.kinds)), dtype=np.float64)
        for number, (name, kind) in enumerate(self.kinds.items()):
            matrix[:, number] = _numbers(frame[name]) if kind == "number" else self._codes(name, frame[name])
        return steady(matrix, _NOISE_BITS)

    def _codes(self, name: str, column: pd.Series[Any]) -> Matrix:
        levels = self.levels[name]
        values = pa.array(column.astype("str"), pa.large_string(), from_pandas=True)
        codes = pc.index_in(values, pa.array(levels, pa.large_string())).fill_null(len(levels)).to_numpy()
        return np.where(values.is_null(), np.nan, codes)

    def _refuse_other(self, frame: pd.DataFrame) -> None:
        names = [str(name) for name in frame.columns]
        differences = {
            "missing": [name for name in self.kinds if name not in set(names)],
            "unknown": [name for name in names if name not in self.kinds],
        }
        if not differences["missing"]:
            differences["of another type"] = [
                name
                for name, kind in self.kinds.items()
                if _kind(frame[name]) != kind and not bool(frame[name].isna().all())
            ]
        told = [
            f"{len(found)} {what} ({', '.join(found[:_SHOWN])}{', ...' if len(found) > _SHOWN else ''})"
            for what, found in differences.items()
            if found
        ]
        if told:
            raise ChurnmlError(
                f"the columns are not those that the model was trained on: {'; '.join(told)}",
                "make the features by the configuration that it was trained with, or train again",
                **differences,
            )

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {"kinds": dict(self.kinds), "levels": dict(self.levels)}


def steady(numbers: Matrix, bits: int) -> Matrix:
    """Round numbers in place to 53 - ``bits`` binary digits.

    The order in which sums are added up differs between runs and engines, and with it their last bits: a tree that is
    grown on them, or splits between them, would differ, too.
    """
    whole = numbers.view(np.int64)
    whole += 1 << (bits - 1)
    whole &= -1 << bits
    return numbers


def as_frame(table: Any) -> pd.DataFrame:
    """Return a table, or an array of rows x columns, as a DataFrame with text names."""
    if isinstance(table, pd.DataFrame):
        return table if all(isinstance(name, str) for name in table.columns) else table.rename(columns=str)
    array = np.asarray(table)
    return pd.DataFrame(array, columns=[f"x{number}" for number in range(array.shape[1])])


def _kind(column: pd.Series[Any]) -> Kind:
    types = pd.api.types
    numeric = types.is_numeric_dtype(column) or types.is_bool_dtype(column) or types.is_datetime64_any_dtype(column)
    return "number" if numeric else "text"


def _numbers(column: pd.Series[Any]) -> Matrix:
    if pd.api.types.is_datetime64_any_dtype(column):
        return np.asarray((column - pd.Timestamp(0)) / pd.Timedelta(days=1), dtype=np.float64)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)

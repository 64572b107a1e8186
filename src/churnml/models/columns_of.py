"""The columns that a model was fitted on, and how a frame becomes the matrix that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import TargetEncoder

from churnml.errors import DataError
from churnml.models.constructed import Construction, constructions, with_constructed
from churnml.models.folds import Rows

Kind = Literal["number", "time", "zoned time", "text"]
Matrix = npt.NDArray[np.float64]

MANY_LEVELS = 20  # of a text column: trees split codes of fewer, of more they read the mean outcome of each
_MOST_LEVELS = 100_000
_ENCODING_FOLDS = 5
_SHOWN = 5
_NOISE_BITS = 12
_NUMBERS = {"boolean", "integer", "floating", "mixed-integer-float", "decimal"}  # as pandas tells what columns hold
_LENGTHS = {"timedelta", "timedelta64"}
_TIMES = {"date", "datetime", "datetime64"}


@dataclass(frozen=True)
class ModelColumns:
    """Names, kinds and categories of the columns that a model reads.

    Attributes
    ----------
    kinds : mapping of str
        ``number`` (also booleans, and lengths of time in days), ``time`` (dates and times without a zone, in days since
        1970), ``zoned time`` (the same of UTC) or ``text``, by column, in the order of the matrix.
    levels : mapping of list
        The values of each text column, the most frequent first; the position is the code, every other value shares the
        code after them.
    encodings : mapping of list of float
        What stands in place of the codes of text columns with many values: the mean outcome of each, shrunk towards
        that of all (empirical Bayes; Micci-Barreca, 2001).
    made : tuple of Construction
        The columns that follow those that are given.
    """

    kinds: Mapping[str, Kind]
    levels: Mapping[str, list[str]]
    encodings: Mapping[str, list[float]] = field(default_factory=dict)
    made: tuple[Construction, ...] = ()

    @classmethod
    def of(cls, frame: pd.DataFrame, *, most: int = _MOST_LEVELS) -> ModelColumns:
        """Learn the columns of a training frame, with codes for the most frequent values of texts."""
        kinds: dict[str, Kind] = {str(name): _kind(frame[name]) for name in frame.columns}
        levels = {}
        for name in (name for name, kind in kinds.items() if kind == "text"):
            counts = frame[name].dropna().astype(str).value_counts()
            ranked = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
            levels[name] = [str(level) for level, _ in ranked[:most]]
        return cls(kinds, levels)

    @classmethod
    def learned(
        cls, frame: pd.DataFrame, target: Matrix, groups: Any = None, *, construct: bool = False, seed: int = 0
    ) -> tuple[ModelColumns, Matrix]:
        """Learn the columns of a training frame, and what of them depends on the outcome.

        Parameters
        ----------
        frame : DataFrame of shape (n, columns)
            The training rows.
        target : array of shape (n,)
            Their outcome.
        groups : array of shape (n,), optional
            Customers: no row's encodings rest on rows of its own customer.
        construct : bool
            Whether to make further columns (see `constructions`).
        seed : int
            Of the folds of the encodings.

        Returns
        -------
        columns : ModelColumns
            What was learned.
        matrix : array of shape (n, columns)
            The training rows; encoded columns are cross-fitted: of rows in other folds.
        """
        columns = cls.of(frame)
        matrix = columns.matrix(frame)
        encodings = {}
        for place, name in enumerate(columns.kinds):
            count = len(columns.levels.get(name, ()))
            if count > MANY_LEVELS:
                codes = matrix[:, place].copy()
                encodings[name] = _means(codes, target, count).tolist()
                matrix[:, place] = _cross_fitted(codes, target, groups, count, seed)
        if construct:
            spread = np.array([len(np.unique(column)) for column in matrix.T]) > 2
            numeric = [place for place, kind in enumerate(columns.kinds.values()) if kind == "number" and spread[place]]
            columns = replace(columns, made=tuple(constructions(list(columns.kinds), numeric)))
            matrix = with_constructed(matrix, columns.made)
        return replace(columns, encodings=encodings), matrix

    def known_from(
        self, rows: Rows, frame: pd.DataFrame, matrix: Matrix, target: Matrix, groups: Any = None, *, seed: int = 0
    ) -> Matrix | None:
        """Encode the training rows by the outcomes of some of them only: those that were known at a date.

        Parameters
        ----------
        rows : array of int
            Whose outcomes were known.
        frame, matrix : DataFrame, array of shape (n, columns)
            The training rows, and what `learned` made of them.
        target, groups, seed : array, array, int
            As `learned` took them.

        Returns
        -------
        array of shape (n, columns) or None
            A copy of the matrix, whose encoded columns rest on nothing else; None where that is no other matrix.
        """
        if not self.encodings or len(rows) == len(frame):
            return None
        known = np.zeros(len(frame), dtype=bool)
        known[rows] = True
        coded, matrix = replace(self, encodings={}), matrix.copy()
        for place, name in enumerate(self.kinds):
            if name in self.encodings:
                codes = coded._codes(name, frame[name])
                matrix[:, place] = _cross_fitted(codes, target, groups, len(self.levels[name]), seed, known)
        return matrix

    @property
    def categorical(self) -> list[int]:
        """The positions of the columns that hold codes."""
        return [
            number
            for number, (name, kind) in enumerate(self.kinds.items())
            if kind == "text" and name not in self.encodings
        ]

    def matrix(self, frame: pd.DataFrame) -> Matrix:
        """Return a frame as numbers: rows x columns, nulls as nan, without their last bits (see `steady`).

        Raises
        ------
        DataError
            If columns or their kinds differ from those of the training frame (the difference is shown), or a number is
            infinite.
        """
        self._refuse_other(frame)
        matrix = np.empty((len(frame), len(self.kinds)), dtype=np.float64)
        for number, (name, kind) in enumerate(self.kinds.items()):
            matrix[:, number] = self._codes(name, frame[name]) if kind == "text" else _numbers(frame[name])
        return self.finished(matrix)

    def finished(self, matrix: Matrix) -> Matrix:
        """Return what `matrix` returns, for rows that are numbers and codes already; they are changed in place."""
        steady(matrix, _NOISE_BITS)
        infinite = np.flatnonzero(np.isinf(matrix).any(axis=0))
        if len(infinite):
            named = [list(self.kinds)[place] for place in infinite]
            raise DataError(
                f"Input X contains infinity or a value too large for dtype('float64'): column {named[0]}",
                "take it out, or let it be null",
                column=named[0],
            )
        return with_constructed(matrix, self.made)

    def _codes(self, name: str, column: pd.Series[Any]) -> Matrix:
        levels = self.levels[name]
        values = pa.array(column.astype("str"), pa.large_string(), from_pandas=True)
        codes = pc.index_in(values, pa.array(levels, pa.large_string())).fill_null(len(levels)).to_numpy()
        if name in self.encodings:
            codes = np.asarray(self.encodings[name])[codes]
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
            raise DataError(
                f"the columns are not those that the model was trained on: {'; '.join(told)}",
                "make the features by the configuration that it was trained with, or train again",
                **differences,
            )

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> ModelColumns:
        """Return what `to_dict` gave."""
        made = tuple(Construction(one["how"], tuple(one["of"])) for one in kept["made"])
        return cls(**{**kept, "made": made})


class PlainRows:
    """Rows that are dicts, as the matrix that `ModelColumns.matrix` makes of a frame: for a few, a tenth of its cost.

    Numbers are numbers or booleans, times the days since 1970, texts text; nothing is None.

    Parameters
    ----------
    columns : ModelColumns
        What the model reads.
    """

    def __init__(self, columns: ModelColumns) -> None:
        self._columns = columns
        self._codes: list[tuple[str, dict[str, float] | None, float]] = []
        for name, kind in columns.kinds.items():
            levels = columns.levels[name] if kind == "text" else []
            codes = columns.encodings.get(name, [float(code) for code in range(len(levels) + 1)])
            known = dict(zip(levels, codes, strict=False)) if kind == "text" else None
            self._codes.append((name, known, codes[-1]))

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Matrix:
        """Return the matrix.

        Raises
        ------
        DataError
            If a number is infinite.
        KeyError
            If a row lacks a column.
        """
        numbers = [[_code(row[name], known, other) for name, known, other in self._codes] for row in rows]
        return self._columns.finished(np.array(numbers, dtype=np.float64).reshape(len(rows), len(self._codes)))


def _code(value: Any, known: Mapping[str, float] | None, other: float) -> Any:
    return value if known is None or value is None else known.get(str(value), other)


def _means(codes: Matrix, target: Matrix, count: int) -> Matrix:
    """Return the mean outcome of each code, shrunk towards that of all; the last is of those never seen."""
    there = ~np.isnan(codes)
    if not there.any():
        return np.full(count + 1, np.nan)
    encoder = TargetEncoder(target_type="continuous").fit(codes[there].reshape(-1, 1), target[there])
    return np.asarray(encoder.transform(np.arange(count + 1, dtype=np.float64).reshape(-1, 1)).ravel())


def _cross_fitted(
    codes: Matrix, target: Matrix, groups: Any, count: int, seed: int, known: npt.NDArray[np.bool_] | None = None
) -> Matrix:
    """Encode each row by rows of other customers, of which those count whose outcome is known (by default all)."""
    customers = np.arange(len(codes)) if groups is None else pd.factorize(np.asarray(groups))[0]
    folds = min(_ENCODING_FOLDS, len(np.unique(customers)))
    encoded = np.full(len(codes), np.nan)
    there = ~np.isnan(codes)
    for fit, judge in GroupKFold(folds, shuffle=True, random_state=seed).split(codes, groups=customers):
        told = fit if known is None else fit[known[fit]]
        means = _means(codes[told], target[told], count)
        given = judge[there[judge]]
        encoded[given] = means[codes[given].astype(int)]
    return encoded


def steady(numbers: Matrix, bits: int) -> Matrix:
    """Round numbers in place to 53 - ``bits`` binary digits.

    The order in which sums are added up differs between runs and engines, and with it their last bits: a tree that is
    grown on them, or splits between them, would differ, too. What rounds to more than a number can be is infinite.
    """
    numbers[np.isnan(numbers)] = np.nan  # some that are nan have bits that would overflow
    whole = numbers.view(np.int64)
    whole += 1 << (bits - 1)
    whole &= -1 << bits
    return numbers


def _held(column: pd.Series[Any]) -> str:
    """Return what a column holds, whatever its dtype: pandas makes objects of booleans or dates that have a null."""
    return pd.api.types.infer_dtype(column, skipna=True)


def _kind(column: pd.Series[Any]) -> Kind:
    held = _held(column)
    if held == "complex":
        raise DataError(
            f"Complex data not supported: column {column.name}",
            "give its parts as two columns",
            column=str(column.name),
        )
    if held in _TIMES:
        zoned = any(getattr(first, "tzinfo", None) for first in column.dropna().iloc[:1])
        return "zoned time" if zoned else "time"
    return "number" if held in _NUMBERS | _LENGTHS else "text"


def _numbers(column: pd.Series[Any]) -> Matrix:
    held, day = _held(column), np.timedelta64(1, "D")
    if held in _TIMES:
        times = pd.to_datetime(column, utc=True).to_numpy(dtype="datetime64[us]")
        return np.asarray((times - np.datetime64(0, "us")) / day)
    if held in _LENGTHS:
        return np.asarray(pd.to_timedelta(column).to_numpy(dtype="timedelta64[us]") / day)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)

"""Columns constructed of others that share a unit: sums and ratios, which trees can only approach step by step."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_SHORTEST = 3  # letters: shorter words (of, in, id) name no unit
_FEW, _MANY = 4, 12  # columns that share a word: so many are compared in pairs, and added up
_WIDE = 60  # numeric columns: who has so many has made sums and ratios already
_MOST = 100


@dataclass(frozen=True)
class Construction:
    """How one column is made of others.

    Attributes
    ----------
    how : {"sum", "ratio"}
        What is done.
    of : tuple of int
        Positions of the columns; of a ratio the part, then the whole.
    """

    how: Literal["sum", "ratio"]
    of: tuple[int, ...]

    def __call__(self, matrix: Matrix) -> Matrix:
        """Return the column, shape (n,): nan where a part of it is, or it would be infinite."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            if self.how == "sum":
                made = matrix[:, list(self.of)].sum(axis=1)
            else:
                part, whole = self.of
                made = matrix[:, part] / matrix[:, whole]
        return np.where(np.isfinite(made), made, np.nan)


def constructions(names: Sequence[str], numeric: Sequence[int]) -> list[Construction]:
    """List what can be made of the columns whose names share a word: charges, minutes, day.

    Parameters
    ----------
    names : sequence of str
        All columns.
    numeric : sequence of int
        Positions of those that hold numbers.

    Returns
    -------
    list of Construction
        Sums of the columns that share a word, ratios of two of them; none where columns are many.
    """
    if len(numeric) > _WIDE:
        return []
    sharing: dict[str, list[int]] = {}
    for place in numeric:
        for word in dict.fromkeys(word.lower() for word in _WORD.findall(names[place])):
            if len(word) >= _SHORTEST:
                sharing.setdefault(word, []).append(place)
    groups = dict.fromkeys(tuple(places) for places in sharing.values() if 2 <= len(places) <= _MANY)
    return list(dict.fromkeys(itertools.chain(*map(_of_group, groups))))[:_MOST]


def _of_group(places: tuple[int, ...]) -> Iterator[Construction]:
    yield Construction("sum", places)
    if len(places) <= _FEW:
        yield from (Construction("ratio", pair) for pair in itertools.combinations(places, 2))


def with_constructed(matrix: Matrix, made: Sequence[Construction]) -> Matrix:
    """Return a matrix with constructed columns after its own."""
    return np.column_stack([matrix, *(one(matrix) for one in made)]) if made else matrix

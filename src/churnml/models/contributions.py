"""What each column adds to a prediction: exact for trees whose leaves hold constants, and for those that hold lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_SAMPLE = 20_000  # rows that tell where a leaf's rows lie


@dataclass(frozen=True)
class Line:
    """The line of one leaf, written as a constant plus slopes times the distance from its rows' centre.

    Attributes
    ----------
    tree, leaf : int
        Which.
    columns : array of int
        Positions of the columns that it reads.
    slopes, centre : array
        Of each of them.
    rest : float
        What the line is at the centre, less the constant that the leaf would have without it.
    """

    tree: int
    leaf: int
    columns: npt.NDArray[np.intp]
    slopes: Array
    centre: Array
    rest: float


def contributions(booster: lgb.Booster, matrix: Array, centres: Mapping[str, list[float]] | None = None) -> Array:
    """Return what each column adds to the raw prediction, shape (n, columns); with the bias they sum to it.

    Parameters
    ----------
    booster : lightgbm.Booster
        Trees.
    matrix : array of shape (n, columns)
        Rows.
    centres : mapping of list, optional
        Where the rows of leaves lie (see `centres_of`); null where leaves hold constants.

    Returns
    -------
    array of shape (n, columns)
        In log-odds, or whatever the raw prediction is in.
    """
    return Contributions(booster, centres)(matrix)


class Contributions:
    """What each column adds to raw predictions, prepared once for many calls.

    Constants of leaves are shared out by TreeSHAP (Lundberg, Erion and Lee, 2018). A line adds its slope times the
    distance from the leaf's centre for each of its columns, and what is left evenly to them.

    Parameters
    ----------
    booster, centres : see `contributions`
        The trees, and where the rows of their leaves lie.
    threads : int
        That work on one call; 0 takes every core.
    """

    def __init__(
        self, booster: lgb.Booster, centres: Mapping[str, list[float]] | None = None, *, threads: int = 0
    ) -> None:
        self._flat, self._threads = booster, threads
        self._lines: dict[int, dict[int, Line]] = {}
        if centres is None:
            return
        text = booster.model_to_string().replace("is_linear=1", "is_linear=0")
        self._flat = lgb.Booster(model_str=text.replace("[linear_tree: 1]", "[linear_tree: 0]"))
        for tree, leaf in _leaves(booster):
            if "leaf_const" in leaf and not leaf.get("leaf_features"):  # a line of no column: its constant is predicted
                self._flat.set_leaf_output(tree, leaf["leaf_index"], leaf["leaf_const"])
        for line in _lines(booster, centres):
            self._lines.setdefault(line.tree, {})[line.leaf] = line

    def __call__(self, matrix: Array) -> Array:
        """Return what each column adds, shape (n, columns)."""
        added = np.asarray(self._flat.predict(matrix, pred_contrib=True, num_threads=self._threads))[:, :-1]
        if not self._lines:
            return added
        leaves = np.asarray(self._flat.predict(matrix, pred_leaf=True, num_threads=self._threads))
        for tree, lines in self._lines.items():
            for leaf in np.unique(leaves[:, tree]).tolist():
                if leaf in lines:
                    _add(lines[leaf], matrix, np.flatnonzero(leaves[:, tree] == leaf), added)
        return added


def _add(line: Line, matrix: Array, rows: npt.NDArray[np.intp], added: Array) -> None:
    away = matrix[np.ix_(rows, line.columns)] - line.centre
    there = ~np.isnan(away).any(axis=1)  # elsewhere the leaf's constant stands
    added[np.ix_(rows[there], line.columns)] += away[there] * line.slopes + line.rest / len(line.columns)


def centres_of(booster: lgb.Booster, matrix: Array, seed: int) -> dict[str, list[float]] | None:
    """Return the mean of the columns of each leaf's line over training rows, by tree and leaf; None without lines."""
    if "is_linear=1" not in booster.model_to_string():
        return None
    if len(matrix) > _SAMPLE:
        matrix = matrix[np.random.default_rng(seed).choice(len(matrix), _SAMPLE, replace=False)]
    leaves = np.asarray(booster.predict(matrix, pred_leaf=True, num_threads=1))
    centres = {}
    for tree, leaf in _linear_leaves(booster):
        rows = matrix[np.ix_(leaves[:, tree] == leaf["leaf_index"], leaf["leaf_features"])]
        rows = rows[~np.isnan(rows).any(axis=1)]
        middle = rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1])
        centres[f"{tree} {leaf['leaf_index']}"] = middle.tolist()
    return centres


def _lines(booster: lgb.Booster, centres: Mapping[str, list[float]]) -> Iterator[Line]:
    for tree, leaf in _linear_leaves(booster):
        centre = np.array(centres[f"{tree} {leaf['leaf_index']}"])
        slopes = np.array(leaf["leaf_coeff"])
        rest = leaf["leaf_const"] + float(slopes @ centre) - leaf["leaf_value"]
        yield Line(tree, leaf["leaf_index"], np.array(leaf["leaf_features"]), slopes, centre, rest)


def _linear_leaves(booster: lgb.Booster) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((tree, leaf) for tree, leaf in _leaves(booster) if leaf.get("leaf_features"))


def _leaves(booster: lgb.Booster) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, tree in enumerate(booster.dump_model()["tree_info"]):
        waiting = [tree["tree_structure"]]
        while waiting:
            node = waiting.pop()
            if "leaf_index" in node:
                yield number, node
            waiting += [node[side] for side in ("left_child", "right_child") if side in node]

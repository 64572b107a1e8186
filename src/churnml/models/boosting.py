"""Gradient boosting by LightGBM: a ladder of capacities, climbed as far as unseen rows ask for."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from churnml.errors import ChurnmlError
from churnml.models.folds import Folds

Array = npt.NDArray[np.float64]

MAX_ROUNDS = 600
_PATIENCE = 30
_MORE = 1.1  # the last fit sees more rows than the folds did
_PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.05,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.75,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "max_cat_threshold": 16,
    "verbose": -1,
    # One thread a fit and several fits at once: threads of one fit wait for each other whenever a core is busy
    # elsewhere (ten times slower on a shared machine), and their number would change the last bits of a model.
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
}


_stopping = threading.Event()
_blocks_open, _open = threading.Lock(), [0]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Stop every fit in other threads, within a round, when the block is left by an exception such as Ctrl-C."""
    with _blocks_open:
        if not _open[0]:
            _stopping.clear()
        _open[0] += 1
    try:
        yield
    except BaseException:
        _stopping.set()
        raise
    finally:
        with _blocks_open:
            _open[0] -= 1


def _stop_when_asked(_round: Any) -> None:
    if _stopping.is_set():
        raise InterruptedError("another fit was interrupted")


@dataclass(frozen=True)
class Problem:
    """What is to be learned.

    Attributes
    ----------
    matrix : array of shape (n, columns)
        Rows.
    target, weight : array of shape (n,)
        What to learn, and how much each row counts.
    categorical : list of int
        Columns that hold codes.
    objective : dict
        LightGBM's objective, its metric and their parameters.
    seed : int
        Of all that is drawn.
    """

    matrix: Array
    target: Array
    weight: Array
    categorical: list[int]
    objective: dict[str, Any]
    seed: int

    def parameters(self, leaves: int) -> dict[str, Any]:
        """Return LightGBM's parameters for a capacity."""
        return {**_PARAMETERS, **self.objective, "num_leaves": leaves, "seed": self.seed}

    def dataset(self) -> lgb.Dataset:
        """Return the rows as LightGBM's data: numbers cut into bins, an eighth of the memory."""
        return lgb.Dataset(
            self.matrix,
            self.target,
            weight=self.weight,
            categorical_feature=self.categorical,
            params={"verbose": -1, "num_threads": 1},
        ).construct()


@dataclass(frozen=True)
class Climbed:
    """What the ladder came to.

    Attributes
    ----------
    booster : lightgbm.Booster
        Fitted on all rows.
    unseen : array of shape (n,)
        Predictions by the folds' models, nan for rows that no fold judges.
    fold : array of shape (n,)
        The fold that judges a row, -1 where none does.
    losses : dict of float
        Mean loss of each capacity on rows that it has not seen.
    leaves, rounds : int
        What was chosen.
    """

    booster: lgb.Booster
    unseen: Array
    fold: npt.NDArray[np.intp]
    losses: dict[int, float]
    leaves: int
    rounds: int


def climb(problem: Problem, folds: Folds, ladder: Sequence[int]) -> Climbed:
    """Choose leaves and rounds by the loss on rows that folds judge, and fit them on all rows.

    Parameters
    ----------
    problem : Problem
        What is to be learned.
    folds : Folds
        Who is judged by whom.
    ladder : sequence of int
        Numbers of leaves to choose from.

    Returns
    -------
    Climbed
        The booster, and predictions for rows that their models have not seen.
    """
    data = problem.dataset()
    tasks = [(leaves, fold) for leaves in ladder for fold in range(len(folds.pairs))]
    with ThreadPoolExecutor(_workers()) as pool, interruptible():
        fitted = dict(zip(tasks, pool.map(lambda task: _judged(problem, data, folds, *task), tasks), strict=True))
    curves = {}
    for leaves in ladder:
        lines = [fitted[leaves, fold][1] for fold in range(len(folds.pairs))]
        shortest = min(len(line) for line in lines)
        curves[leaves] = np.mean([line[:shortest] for line in lines], axis=0)
    losses = {leaves: float(curve.min()) for leaves, curve in curves.items()}
    leaves = min(losses, key=lambda number: (losses[number], number))
    best = int(curves[leaves].argmin()) + 1
    rounds = max(round(best * _MORE), 1)
    unseen = np.full(len(problem.target), np.nan)
    fold_of = np.full(len(problem.target), -1, dtype=np.intp)
    for fold, (_, judge) in enumerate(folds.pairs):
        unseen[judge] = predicted(fitted[leaves, fold][0], problem.matrix[judge], rounds=best)
        fold_of[judge] = fold
    booster = lgb.train(problem.parameters(leaves), data, rounds, callbacks=[_stop_when_asked])
    return Climbed(booster, unseen, fold_of, losses, leaves, rounds)


def _judged(problem: Problem, data: lgb.Dataset, folds: Folds, leaves: int, fold: int) -> tuple[lgb.Booster, Array]:
    fit, judge = (data.subset(rows.tolist()) for rows in folds.pairs[fold])
    told: dict[str, Any] = {}
    watch: list[Any] = [_stop_when_asked, lgb.early_stopping(_PATIENCE, verbose=False), lgb.record_evaluation(told)]
    booster = lgb.train(
        problem.parameters(leaves), fit, MAX_ROUNDS, valid_sets=[judge], valid_names=["unseen"], callbacks=watch
    )
    (line,) = told["unseen"].values()
    return booster, np.asarray(line)


def predicted(booster: lgb.Booster, matrix: Array, *, rounds: int | None = None) -> Array:
    """Return a booster's predictions, shape (n,)."""
    return np.asarray(booster.predict(matrix, num_iteration=rounds, num_threads=1), dtype=np.float64)


def _workers() -> int:
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)


def save_booster(booster: lgb.Booster, file: Path) -> None:
    """Write a booster as LightGBM's text."""
    file.write_text(booster.model_to_string(), encoding="utf-8")


def load_booster(file: Path) -> lgb.Booster:
    """Read a booster from LightGBM's text.

    Raises
    ------
    ChurnmlError
        If the file is missing or damaged.
    """
    try:
        return lgb.Booster(model_str=file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, lgb.basic.LightGBMError) as error:
        raise ChurnmlError(f"the model {file} cannot be read ({str(error)[:80]})", "train again") from None

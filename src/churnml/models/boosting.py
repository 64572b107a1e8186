"""Gradient boosting by LightGBM: a ladder of capacities, climbed as far as unseen rows ask for."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from scipy.special import expit

from churnml.errors import ChurnmlError
from churnml.models.folds import MANY_ROWS, Folds, Later, Rows
from churnml.models.line import Line

Array = npt.NDArray[np.float64]

MAX_ROUNDS = 1000
_PATIENCE = 50
_MORE = 1.1  # the last fit sees more rows than the folds did
_WORTH = 1e-3  # a candidate must lower the loss by so much of it to be preferred to an earlier one
_PARAMETERS: dict[str, Any] = {
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
_LINEAR: dict[str, Any] = {"linear_tree": True, "linear_lambda": 1.0}

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
class Candidate:
    """One thing to try.

    Attributes
    ----------
    leaves : int
        Of each tree.
    linear : bool
        Whether leaves hold lines (Shi, Li and Li, 2019) in place of constants.
    columns : str
        Which of the matrices the trees read.
    over_line : bool
        Whether they add to a logistic regression on the given columns.
    """

    leaves: int
    linear: bool = False
    columns: str = "given"
    over_line: bool = False

    def __str__(self) -> str:
        leaves = f"{self.leaves} {'linear ' if self.linear else ''}leaves{' over a line' if self.over_line else ''}"
        return f"{leaves}, {self.columns} columns"


_LARGER = ((4, True), (8, True), (15, False), (31, False))
Effort = Literal["best", "fast"]
CANDIDATES: dict[Effort, tuple[Candidate, ...]] = {
    "fast": (Candidate(4), Candidate(4, over_line=True), Candidate(15)),
    "best": (
        Candidate(4),
        Candidate(4, over_line=True),
        *(Candidate(leaves, linear) for leaves, linear in _LARGER),
        *(Candidate(leaves, linear, "constructed") for leaves, linear in ((4, False), *_LARGER)),
    ),
}
_FEW_ROWS = 10_000


@dataclass(frozen=True)
class Ladder:
    """What is tried, and how long it takes.

    Attributes
    ----------
    candidates : tuple of Candidate
        The simplest first.
    compared_on : int or None
        On how many folds candidates are compared; null for all.
    step : float
        The learning rate: longer steps take fewer trees.
    """

    candidates: tuple[Candidate, ...]
    compared_on: int | None
    step: float

    @classmethod
    def of(cls, rows: int, effort: Effort = "best") -> Self:
        """Choose by the number of rows: of few the largest trees learn nothing more, of many everything takes long."""
        quick = effort == "fast" or rows > MANY_ROWS
        tried = [one for one in CANDIDATES[effort] if rows > _FEW_ROWS or one.leaves < 31]
        return cls(tuple(tried), *((1, 0.1) if quick else (None, 0.05)))


@dataclass(frozen=True)
class Problem:
    """What is to be learned.

    Attributes
    ----------
    matrices : mapping of array of shape (n, columns)
        Rows, with more or fewer columns.
    target, weight : array of shape (n,)
        What to learn, and how much each row counts.
    categorical : list of int
        Columns that hold codes.
    objective : dict
        LightGBM's objective, its metric and their parameters.
    seed : int
        Of all that is drawn.
    step : float
        The learning rate.
    forward : mapping of array, optional
        What the matrices were when outcomes were known of earlier rows only; where they were no other, null.
    """

    matrices: Mapping[str, Array]
    target: Array
    weight: Array
    categorical: list[int]
    objective: dict[str, Any]
    seed: int
    step: float = 0.1
    forward: Mapping[str, Array] | None = None

    @property
    def earlier(self) -> Problem:
        """The problem as it was to be seen forward in time."""
        return self if self.forward is None else replace(self, matrices=self.forward)

    def parameters(self, candidate: Candidate) -> dict[str, Any]:
        """Return LightGBM's parameters for a candidate."""
        own = {"num_leaves": candidate.leaves, "seed": self.seed, "learning_rate": self.step}
        return {**_PARAMETERS, **self.objective, **own, **(_LINEAR if candidate.linear else {})}

    def dataset(self, candidate: Candidate) -> lgb.Dataset:
        """Return the rows as LightGBM's data: numbers cut into bins, an eighth of the memory."""
        return lgb.Dataset(
            self.matrices[candidate.columns],
            self.target,
            weight=self.weight,
            categorical_feature=self.categorical,
            params={"verbose": -1, "num_threads": 1, "linear_tree": candidate.linear},
        ).construct()


@dataclass(frozen=True)
class Climbed:
    """What the ladder came to.

    Attributes
    ----------
    booster : lightgbm.Booster
        Fitted on all rows.
    unseen : array of shape (n,), or (n, classes) where there are several
        Predictions by the folds' models, nan for rows that no fold judges.
    fold : array of shape (n,)
        The fold that judges a row, -1 where none does.
    losses : dict of float
        Mean loss of each candidate on rows that it has not seen.
    chosen : Candidate
        Which.
    rounds : int
        How many trees.
    line : Line or None
        What they add to.
    """

    booster: lgb.Booster
    unseen: Array
    fold: npt.NDArray[np.intp]
    losses: dict[str, float]
    chosen: Candidate
    rounds: int
    line: Line | None


def climb(problem: Problem, folds: Folds, ladder: Sequence[Candidate], *, compared_on: int | None = None) -> Climbed:
    """Choose a candidate and its rounds by the loss on rows that folds judge, and fit it on all rows.

    Parameters
    ----------
    problem : Problem
        What is to be learned.
    folds : Folds
        Who is judged by whom.
    ladder : sequence of Candidate
        What to choose from, the simplest first.
    compared_on : int, optional
        On how many of the folds candidates are compared; by default all.

    Returns
    -------
    Climbed
        The booster, and predictions for rows that their models have not seen.
    """
    compared = {fold: (_some(fit, problem.seed), judge) for fold, (fit, judge) in enumerate(folds.pairs[:compared_on])}
    seen = problem.earlier if folds.judged else problem
    data = {(one.columns, one.linear): seen.dataset(one) for one in ladder}
    fitted: dict[tuple[Candidate, int], _Judged] = {}

    def fit(candidates: Sequence[Candidate], pairs: Mapping[int, tuple[Rows, Rows]]) -> None:
        def judged(task: tuple[Candidate, int]) -> _Judged:
            candidate, fold = task
            return _judged(seen, data[candidate.columns, candidate.linear], *pairs[fold], candidate)

        tasks = [(candidate, fold) for candidate in candidates for fold in pairs]
        with ThreadPoolExecutor(_workers()) as pool, interruptible():
            fitted.update(zip(tasks, pool.map(judged, tasks), strict=True))

    def curve(candidate: Candidate, over: Iterable[int]) -> Array:
        curves = [fitted[candidate, fold].losses for fold in over]
        shortest = min(map(len, curves))
        return np.asarray(np.mean([losses[:shortest] for losses in curves], axis=0))

    fit(ladder, compared)
    losses = {candidate: float(curve(candidate, compared).min()) for candidate in ladder}
    chosen = ladder[0]
    for candidate in ladder[1:]:
        if losses[candidate] < losses[chosen] * (1 - _WORTH):
            chosen = candidate
    everywhere = dict(enumerate(folds.pairs))
    fit([chosen], {fold: pair for fold, pair in everywhere.items() if len(compared.get(fold, [()])[0]) < len(pair[0])})
    best = int(curve(chosen, everywhere).argmin()) + 1
    rounds = max(round(best * _MORE), 1)
    matrix = seen.matrices[chosen.columns]
    classes = problem.objective.get("num_class")
    unseen = np.full((len(problem.target), classes) if classes else len(problem.target), np.nan)
    fold_of = np.full(len(problem.target), -1, dtype=np.intp)
    for fold, (_, judge) in enumerate(folds.pairs):
        found = fitted[chosen, fold]
        unseen[judge] = predicted(found.booster, matrix[judge], rounds=best, line=found.line)
        fold_of[judge] = fold
    line = _line(problem, chosen, np.arange(len(matrix)))
    data_of_all = data[chosen.columns, chosen.linear] if seen is problem else problem.dataset(chosen)
    whole = _over(data_of_all, problem.matrices[chosen.columns], line)
    booster = lgb.train(problem.parameters(chosen), whole, rounds, callbacks=[_stop_when_asked])
    return Climbed(booster, unseen, fold_of, {str(one): loss for one, loss in losses.items()}, chosen, rounds, line)


def refitted(problem: Problem, climbed: Climbed, later: Later) -> Array:
    """Fit what was chosen on rows of earlier dates; return predictions of those of later dates."""
    chosen, problem = climbed.chosen, problem.earlier
    matrix, line = problem.matrices[chosen.columns], _line(problem, chosen, later.fit)
    data = _over(problem.dataset(chosen).subset(later.fit.tolist()), matrix[later.fit], line)
    booster = lgb.train(problem.parameters(chosen), data, climbed.rounds, callbacks=[_stop_when_asked])
    return predicted(booster, matrix[later.judge], line=line)


def _some(rows: Rows, seed: int) -> Rows:
    """Draw rows to compare candidates by; all where they are not too many."""
    if len(rows) <= MANY_ROWS:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, MANY_ROWS, replace=False))


def _line(problem: Problem, candidate: Candidate, rows: Rows) -> Line | None:
    if not candidate.over_line:
        return None
    matrix, target, weight = (array[rows] for array in (problem.matrices["given"], problem.target, problem.weight))
    return Line.fitted(matrix, target, weight, problem.categorical, seed=problem.seed)


def _over(data: lgb.Dataset, matrix: Array, line: Line | None) -> lgb.Dataset:
    """Let trees begin where a line is."""
    return data if line is None else data.construct().set_init_score(line(matrix))


class _Judged(NamedTuple):
    booster: lgb.Booster
    losses: Array  # after each round
    line: Line | None


def _judged(problem: Problem, data: lgb.Dataset, fit_on: Rows, judged_by: Rows, candidate: Candidate) -> _Judged:
    line, matrix = _line(problem, candidate, fit_on), problem.matrices[candidate.columns]
    fit, judge = (_over(data.subset(rows.tolist()), matrix[rows], line) for rows in (fit_on, judged_by))
    told: dict[str, Any] = {}
    watch: list[Any] = [_stop_when_asked, lgb.early_stopping(_PATIENCE, verbose=False), lgb.record_evaluation(told)]
    booster = lgb.train(
        problem.parameters(candidate), fit, MAX_ROUNDS, valid_sets=[judge], valid_names=["unseen"], callbacks=watch
    )
    (losses,) = told["unseen"].values()
    return _Judged(booster, np.asarray(losses), line)


def predicted(booster: lgb.Booster, matrix: Array, *, rounds: int | None = None, line: Line | None = None) -> Array:
    """Return a booster's predictions, shape (n,), or (n, classes) of an objective with several.

    Over a line they are probabilities of what both add up to.
    """
    found = booster.predict(matrix, num_iteration=rounds, raw_score=line is not None, num_threads=1)
    added, classes = np.asarray(found, dtype=np.float64), booster.num_model_per_iteration()
    if classes > 1:
        return added.reshape(-1, classes)  # of no rows LightGBM forgets the classes
    return added if line is None else np.asarray(expit(added + line(matrix)), dtype=np.float64)


def _workers() -> int:
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)


def save_booster(booster: lgb.Booster, file: Path) -> str:
    """Write a booster as LightGBM's text; return the text's SHA-256."""
    text = booster.model_to_string().encode()
    file.write_bytes(text)
    return hashlib.sha256(text).hexdigest()


def load_booster(file: Path, sha256: str) -> lgb.Booster:
    """Read a booster from LightGBM's text, if that is still what was written: others abort the process.

    Raises
    ------
    ChurnmlError
        If the file is missing or damaged.
    """
    try:
        text = file.read_bytes()
        if hashlib.sha256(text).hexdigest() != sha256:
            raise ValueError("it was changed after it was written")
        return lgb.Booster(model_str=text.decode())
    except (OSError, ValueError, lgb.basic.LightGBMError) as error:
        raise ChurnmlError(f"the model {file} cannot be read ({str(error)[:80]})", "train again") from None

"""The hazard model: when customers leave and why, from one set of hazards that fit together for every horizon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

from churnml.errors import DataError
from churnml.models.boosting import Candidate, Problem, climb, predicted
from churnml.models.calibration import EDGE, MOST_SHIFT
from churnml.models.columns_of import ModelColumns
from churnml.models.estimator import Kept, TableEstimator, counted_rows
from churnml.models.folds import Folds, forward, inner_folds
from churnml.models.periods import PersonPeriods

Array = npt.NDArray[np.float64]

STAYING = "staying"
MONTH_DAYS = 365.25 / 12

_CANDIDATES = (Candidate(4), Candidate(15))
_ENOUGH = 30  # leavers, to learn from what sets those of a cause apart
_MOST_APART = 7  # causes, each of which asks for trees of its own
_PASSES = 20  # until the levels of all causes are right together


class HazardModel(TableEstimator):
    """Predict when customers leave and for which cause.

    The time from T on is cut into periods. The hazard of a period is the chance to leave in it for each cause, given
    that the customer is still there at its start. One LightGBM model with the classes "stays" and each cause learns it
    from all periods in which somebody was watched, with the period's number as a column (discrete-time competing risks:
    Tutz and Schmid, 2016; rows of several as-of dates: van Houwelingen, 2007). Within a period, and after the last one
    that was watched, the rate of leaving is constant. Whatever is asked - any horizon, any cause, the time that is left
    - follows from these hazards, so that the answers agree with one another.

    The level of each cause is corrected on periods that the model has not seen, by a tenth at most. Causes with fewer
    than 30 leavers are learned as one, together with the next larger one where they are still too few, and share its
    hazard by their numbers. With fewer than 30 leavers in all, everyone has the same hazards in every period.

    Parameters
    ----------
    label_days : int
        Days from T to the end of the outcome window, lead and horizon: what `cause_probabilities` takes by default, and
        how far inner folds keep apart.
    period_days : int
        Length of a period.
    periods : int
        How many periods are looked ahead.
    max_rows : int
        From how many periods of customers is learned at most. Of more, those without a departure are drawn, with
        weights, so that memory and time do not grow with them.
    random_state : int, RandomState or None
        The same number gives the same model, on any number of cores.

    Attributes
    ----------
    causes_ : list of str
        In alphabetical order.
    reach_ : int
        Periods that were watched; the last hazard is taken to go on after them.
    search_ : dict
        ``leavers`` of each cause; where there are trees, their ``losses``, ``capacity`` and ``rounds``, ``levels``
        (departures observed over predicted, by cause or causes learned as one), and the dates that inner folds
        ``fitted`` and ``judged``.
    """

    def __init__(
        self,
        *,
        label_days: int = 74,
        period_days: int = 30,
        periods: int = 12,
        max_rows: int = 100_000,
        random_state: Any = None,
    ) -> None:
        self.label_days = label_days
        self.period_days = period_days
        self.periods = periods
        self.max_rows = max_rows
        self.random_state = random_state

    def fit(
        self,
        X: Any,  # noqa: N803
        duration: Any,
        cause: Any,
        sample_weight: Any = None,
        groups: Any = None,
        as_of: Any = None,
    ) -> Self:
        """Fit on customers who were watched from a date on.

        Parameters
        ----------
        X : DataFrame of shape (n, columns)
            Numbers, booleans, times, categories and text, with nulls, as known at the date.
        duration : array of shape (n,)
            Days from the date to the departure, or until when the customer was watched (censored); 0 or more.
        cause : array of shape (n,)
            The cause of the departure, as text; null where there was none.
        sample_weight : array of shape (n,), optional
            How much each row counts.
        groups : array of shape (n,), optional
            Customers; the rows of one are kept together in inner folds.
        as_of : array of shape (n,), optional
            The rows' dates; inner folds then go forward in time, and are fitted on periods that were over by then.

        Returns
        -------
        HazardModel
            Itself.

        Raises
        ------
        DataError
            If nobody leaves within the periods, or X, duration or cause hold what no model can be fitted on.
        """
        frame = self.frame(X, fitting=True)
        days, causes = _watched(duration, cause, len(frame))
        rows, weight, groups, as_of = counted_rows(frame, sample_weight, groups, as_of)
        frame, days, causes = frame.iloc[rows], days[rows], causes.iloc[rows].reset_index(drop=True)
        for name in ("period_days", "periods", "max_rows"):
            if not getattr(self, name) > 0:
                raise DataError(f"{name} is {getattr(self, name)}", "give a number above 0")
        random = check_random_state(self.random_state)
        customers = np.arange(len(frame)) if groups is None else groups
        length = days / self.period_days
        left = causes.notna() & (length < self.periods)
        if not left.any():
            raise DataError(
                f"of {len(frame):,} rows nobody leaves within {self.periods} periods of {self.period_days} days",
                "take more dates, or more customers",
                rows=len(frame),
            )
        leavers = {str(name): int(n) for name, n in pd.Series(customers).groupby(causes.where(left)).nunique().items()}
        classes = _classes(leavers)
        number = {name: place for place, together in enumerate(classes, start=1) for name in together}
        outcome = np.asarray(causes.where(left).map(number).fillna(0), dtype=np.int16)
        self.causes_ = sorted(leavers)
        counted = pd.Series(weight).groupby(causes.where(left)).sum()
        self.split_ = np.array([[counted[name] * (name in one) for name in self.causes_] for one in classes])
        self.split_ /= self.split_.sum(axis=1, keepdims=True)
        self.booster_: lgb.Booster | None = None
        self.search_: dict[str, Any] = {"leavers": leavers}
        watched = PersonPeriods.of(length, outcome, weight, most=self.periods)
        self.reach_ = int(watched.number.max()) + 1
        if sum(leavers.values()) < _ENOUGH:
            self.columns_ = ModelColumns.of(frame)
            shares = np.bincount(watched.outcome, watched.weight, len(classes) + 1)
            self.level_ = shares / shares.sum()
            return self
        watched = watched.drawn(self.max_rows, random)
        dates = None if as_of is None else as_of.iloc[watched.row]
        return self._fit_trees(frame, watched, classes, customers[watched.row], dates, int(random.randint(2**31 - 1)))

    def _fit_trees(
        self,
        frame: pd.DataFrame,
        watched: PersonPeriods,
        classes: list[list[str]],
        customers: npt.NDArray[np.intp],
        dates: pd.Series[Any] | None,
        seed: int,
    ) -> Self:
        target = watched.outcome.astype(np.float64)
        rows = frame.iloc[watched.row]
        folds = inner_folds(target, customers, seed=seed)
        if dates is not None:
            folds = self._forward(folds, watched, dates)
        event = (target > 0).astype(np.float64)
        self.columns_, matrix = ModelColumns.learned(rows, event, customers, seed=seed)
        forward = self.columns_.known_from(folds.known, rows, matrix, event, customers, seed=seed)
        objective = {"objective": "multiclass", "metric": "multi_logloss", "num_class": len(classes) + 1}
        matrices = {"given": np.column_stack([matrix, watched.number])}
        earlier = None if forward is None else {"given": np.column_stack([forward, watched.number])}
        codes = self.columns_.categorical
        problem = Problem(matrices, target, watched.weight, codes, objective, seed, forward=earlier)
        climbed = climb(problem, folds, _CANDIDATES, compared_on=1)
        judged = climbed.fold >= 0
        self.booster_ = climbed.booster
        shifts = _level_shifts(climbed.unseen[judged], watched.outcome[judged], watched.weight[judged])
        self.level_ = np.exp(np.clip(shifts, -MOST_SHIFT, MOST_SHIFT))
        self.search_ |= {
            "losses": climbed.losses,
            "capacity": str(climbed.chosen),
            "rounds": climbed.rounds,
            "levels": {", ".join(one): float(np.exp(shifts[place])) for place, one in enumerate(classes, start=1)},
            "fitted": [str(day) for day in folds.fitted],
            "judged": [str(day) for day in folds.judged],
        }
        return self

    def _forward(self, folds: Folds, watched: PersonPeriods, dates: pd.Series[Any]) -> Folds:
        """Let folds go forward in time: judged are late dates, by periods that were over at the first of them."""
        days = sorted(set(dates.dt.date))
        _, judged = forward(days, self.label_days)
        if not judged:
            return folds
        first = pd.Timestamp(judged[0])
        over = dates + pd.to_timedelta((watched.number + 1.0) * self.period_days, unit="D")
        may_fit, may_judge = (over <= first).to_numpy(), (dates >= first).to_numpy()
        pairs = [(fit[may_fit[fit]], judge[may_judge[judge]]) for fit, judge in folds.pairs]
        classes = len(np.unique(watched.outcome))
        if any(len(np.unique(watched.outcome[part])) < classes for pair in pairs for part in pair):
            return folds
        return Folds(pairs, sorted(set(dates[may_fit].dt.date)), judged)

    def churn_by(self, X: Any, days: Any) -> Array:  # noqa: N803
        """Return the chance of having left, for whatever cause, within so many days of T.

        Parameters
        ----------
        X : DataFrame of shape (n, columns)
            The columns of the training.
        days : number, or array of shape (k,)
            Horizons, from T on.

        Returns
        -------
        array of shape (n,) or (n, k)
            Never falls with the horizon.

        Raises
        ------
        ChurnmlError
            If the columns are not those of the training, or a horizon is no number of days.
        """
        horizons = _horizons(days, "days")
        rate = self._rates(self._matrix(X), horizons.max(initial=0.0)).sum(axis=2)
        left = -np.expm1(-self._used(rate, horizons))
        return left if np.ndim(days) else np.asarray(left[:, 0])

    def cause_probabilities(self, X: Any, days: float | None = None) -> pd.DataFrame:  # noqa: N803
        """Return the chance of having left for each cause within so many days of T, and that of staying.

        Parameters
        ----------
        X : DataFrame of shape (n, columns)
            The columns of the training.
        days : float, optional
            The horizon, from T on; by default to the end of the outcome window (``label_days``).

        Returns
        -------
        DataFrame
            A column for each cause (its cumulative incidence) and ``staying``; each row sums to 1.

        Raises
        ------
        ChurnmlError
            If the columns are not those of the training, or the horizon is no number of days.
        """
        frame = self.frame(X)
        found = self.incidences(self._matrix(frame), days)
        return pd.DataFrame(found, index=frame.index, columns=[*self.causes_, STAYING])

    def incidences(self, matrix: Array, days: float | None = None) -> Array:
        """Return what `cause_probabilities` returns, for rows that are a matrix already."""
        horizon = _horizons(self.label_days if days is None else days, "days")
        rates = self._rates(matrix, horizon[0])
        total = rates.sum(axis=2)
        before, part = _before(total), self._parts(total.shape[1], horizon[0])
        leaving = np.exp(-before[:, :-1]) * -np.expm1(-total * part)
        by_cause = np.einsum("np,npc->nc", leaving / total, rates)
        return np.column_stack([by_cause, np.exp(-self._used(total, horizon))])

    def survival(self, X: Any, months: int) -> Array:  # noqa: N803
        """Return the chance of still being a customer at the end of each month from T on.

        Parameters
        ----------
        X : DataFrame of shape (n, columns)
            The columns of the training.
        months : int
            How many, of 365.25 / 12 days each.

        Returns
        -------
        array of shape (n, months)
            Never rises.

        Raises
        ------
        ChurnmlError
            If the columns are not those of the training.
        """
        ends = np.arange(1, int(_horizons(months, "months")[0]) + 1) * MONTH_DAYS
        return 1.0 - self.churn_by(X, ends)

    def expected_months(self, X: Any, horizon: float = 12) -> Array:  # noqa: N803
        """Return the restricted mean time that is left: the months of the next ``horizon`` that a customer is there.

        What lies behind the horizon is not counted, so the number is at most ``horizon`` and no forecast of a whole
        life (Royston and Parmar, 2013).

        Parameters
        ----------
        X : DataFrame of shape (n, columns)
            The columns of the training.
        horizon : float
            Months from T on, of 365.25 / 12 days each.

        Returns
        -------
        array of shape (n,)
            Months: the integral of survival.

        Raises
        ------
        ChurnmlError
            If the columns are not those of the training, or the horizon is no number of months.
        """
        end = _horizons(horizon, "months")[0] * MONTH_DAYS
        rate = self._rates(self._matrix(X), end).sum(axis=2)
        there = np.exp(-_before(rate)[:, :-1]) * -np.expm1(-rate * self._parts(rate.shape[1], end)) / rate
        return np.asarray(there.sum(axis=1) * (self.period_days / MONTH_DAYS))

    def _matrix(self, X: Any) -> Array:  # noqa: N803
        check_is_fitted(self)
        return self.columns_.matrix(self.frame(X))

    def _rates(self, matrix: Array, days: float) -> Array:
        """Return how much hazard is used up in each period up to a day, by cause: n x periods x causes, all over 0."""
        count = int(np.clip(np.ceil(days / self.period_days), 1, self.reach_))
        chances = np.empty((len(matrix), count, len(self.split_) + 1))
        if self.booster_ is None:
            chances[:] = self.level_
        else:
            wide = np.column_stack([matrix, np.zeros(len(matrix))])
            for number in range(count):  # one after the other: the columns are many, the periods would repeat them
                wide[:, -1] = number
                chances[:, number] = predicted(self.booster_, wide) * self.level_
        leaving = np.maximum(chances[:, :, 1:], EDGE**2)
        left, stays = leaving.sum(axis=2), np.maximum(chances[:, :, 0], EDGE)
        used = np.log1p(left / stays)  # -log of the chance to stay: leaving and staying are 1 together
        return np.asarray((leaving * (used / left)[:, :, None]) @ self.split_)

    def _parts(self, count: int, day: float) -> Array:
        """Return how much of each period lies before a day; the last period goes on."""
        parts: Array = np.clip(day / self.period_days - np.arange(count), 0.0, 1.0)
        parts[-1] = max(day / self.period_days - (count - 1), 0.0)
        return parts

    def _used(self, rate: Array, days: Array) -> Array:
        """Return the hazard that is used up by each day: n x days. In this order of adding it never falls."""
        before, number = _before(rate), np.minimum(days // self.period_days, rate.shape[1] - 1).astype(int)
        return np.asarray(before[:, number] + (days / self.period_days - number) * rate[:, number])

    def _kept(self) -> Kept:
        kept = {
            "causes": self.causes_,
            "split": self.split_.tolist(),
            "level": self.level_.tolist(),
            "reach": self.reach_,
            "search": self.search_,
        }
        return {} if self.booster_ is None else {"booster": self.booster_}, kept

    def _restore(self, boosters: Mapping[str, lgb.Booster], kept: Mapping[str, Any]) -> None:
        self.booster_ = boosters.get("booster")
        self.causes_ = kept["causes"]
        self.split_ = np.array(kept["split"])
        self.level_ = np.array(kept["level"])
        self.reach_ = kept["reach"]
        self.search_ = kept["search"]


def _watched(duration: Any, cause: Any, rows: int) -> tuple[Array, pd.Series[Any]]:
    """Return days and causes, after a look at what they hold."""
    days = np.asarray(column_or_1d(duration, warn=True), dtype=np.float64)
    causes = pd.Series(np.asarray(cause, dtype=object))
    check_consistent_length(days, causes, np.empty(rows))
    wrong = int(np.count_nonzero(~(np.isfinite(days) & (days >= 0))))
    if wrong:
        raise DataError(
            f"{wrong:,} of {rows:,} durations are null, infinite or below 0",
            "leave out the rows that were not watched from their date on",
            rows=wrong,
        )
    causes = causes.where(causes.notna(), None)
    other = [name for name in causes.dropna().unique() if not isinstance(name, str) or name == STAYING]
    if other:
        raise DataError(
            f"{other[0]!r} is no cause of a departure: causes are texts other than {STAYING!r}",
            "give each departure a text, and null where there was none",
            value=str(other[0]),
        )
    return days, causes


def _classes(leavers: Mapping[str, int]) -> list[list[str]]:
    """Put causes with too few leavers together."""
    ranked = sorted(leavers, key=lambda cause: (-leavers[cause], cause))
    apart = [cause for cause in ranked[:_MOST_APART] if leavers[cause] >= _ENOUGH]
    rest = ranked[len(apart) :]
    if rest and apart and sum(leavers[cause] for cause in rest) < _ENOUGH:
        rest.insert(0, apart.pop())
    return [[cause] for cause in apart] + ([rest] if rest else [])


def _level_shifts(chances: Array, outcome: npt.NDArray[np.int16], weight: Array) -> Array:
    """Return the log-odds against staying that make the mean of each class what was observed."""
    observed = np.bincount(outcome, weight, chances.shape[1])
    shifts = np.zeros(chances.shape[1])
    if (observed == 0).any():
        return shifts
    for _ in range(_PASSES):
        shifted = chances * np.exp(shifts)
        expected = weight @ (shifted / shifted.sum(axis=1, keepdims=True))
        shifts += np.log(observed / expected)
        shifts -= shifts[0]
    return shifts


def _before(rate: Array) -> Array:
    """Return the hazard that is used up before each period and after the last: n x (periods + 1)."""
    return np.asarray(np.cumsum(np.pad(rate, ((0, 0), (1, 0))), axis=1))


def _horizons(given: Any, unit: str) -> Array:
    horizons = np.atleast_1d(np.asarray(given, dtype=np.float64))
    if horizons.ndim > 1 or not (np.isfinite(horizons) & (horizons >= 0)).all():
        raise DataError(f"{given} is no horizon", f"give a number of {unit}, 0 or more, or a list of such")
    return horizons

"""Calibration: the shape is corrected where rows not seen prove it wrong, of later dates where there are dates."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

from churnml import ChurnClassifier
from churnml.models.boosting import predicted
from churnml.models.calibration import choose_calibrator, error_of_shift, lasting, level_shift, shifted
from churnml.models.folds import later_rows


def drawn(rows, shape, seed=0, rate=-2.0):
    """Draw what a model makes of right odds, and outcomes."""
    rng = np.random.default_rng(seed)
    odds = rate + 1.5 * rng.normal(size=rows)
    return expit(shape(odds)), (rng.random(rows) < expit(odds)).astype(float)


def chosen(raw, observed):
    place = np.arange(len(raw))
    return choose_calibrator(raw, observed, place % 3, np.ones(len(raw)), place)


@pytest.mark.parametrize("seed", range(8))
def test_probabilities_that_are_right_stay_as_they_are(seed):
    raw, observed = drawn(3_000, lambda odds: odds, seed)
    assert chosen(raw, observed).method == "none"


@pytest.mark.parametrize(
    "shape",
    [lambda odds: 2 * odds + 2, lambda odds: odds / 2, lambda odds: np.where(odds > -1, 3.0, odds) + odds],
    ids=["too sure", "too modest", "with a jump"],
)
def test_a_wrong_shape_is_corrected_and_the_order_stays(shape):
    raw, observed = drawn(20_000, shape)
    calibrator = chosen(raw, observed)
    assert calibrator.method != "none"
    fresh, outcome = drawn(20_000, shape, seed=1)
    told = calibrator(fresh)
    assert log_loss(outcome, told) < log_loss(outcome, fresh) - 0.005
    order = np.argsort(fresh)
    assert (np.diff(told[order]) >= 0).all()


def test_a_gain_within_chance_over_customers_is_no_gain():
    raw, observed = drawn(600, lambda odds: 1.5 * odds + 0.9, seed=2)
    rows = np.repeat(np.arange(600), 30)  # as many rows of the same customers prove no more
    alike = choose_calibrator(raw[rows], observed[rows], rows % 3, np.ones(len(rows)), rows)
    apart = choose_calibrator(raw[rows], observed[rows], rows % 3, np.ones(len(rows)), np.arange(len(rows)))
    assert (alike.method, apart.method != "none") == ("none", True)


def test_later_rows_are_judged_by_models_of_dates_whose_outcome_was_known():
    dates = [dt.date(2024, month, 1) for month in range(1, 13)]
    later = later_rows(np.repeat(dates, 5), label_days=74)
    assert later.judged == dates[-4:]
    assert max(later.fitted) + dt.timedelta(days=74) <= later.judged[0]
    assert set(later.fit) == set(range(5 * len(later.fitted)))
    assert set(later.judge) == set(range(40, 60))
    assert later_rows(None, label_days=74) is None
    assert later_rows([dt.date(2024, 1, 1)] * 9, label_days=74) is None


def test_what_does_not_last_from_date_to_date_makes_no_one_sure():
    """Shops do well or badly at each date anew; customers of one date do not show it, those of later dates do."""
    rng = np.random.default_rng(0)
    dates = [dt.date(2024, month, 1) for month in range(1, 9)]
    parts = []
    for day in dates:
        shop, age = rng.integers(0, 60, 3_000), rng.normal(size=3_000)
        odds = -1.5 + 0.5 * age + 1.5 * rng.normal(size=60)[shop]
        parts.append(pd.DataFrame({"shop": shop, "age": age, "left": rng.random(3_000) < expit(odds), "as_of": day}))
    panel = pd.concat(parts, ignore_index=True)
    train, test = panel[panel["as_of"] < dates[6]], panel[panel["as_of"] >= dates[6]]
    model = ChurnClassifier(capacity="15 leaves, given columns", label_days=31, random_state=0)
    columns = ["shop", "age"]
    model.fit(train[columns], train["left"], as_of=train["as_of"])
    assert model.calibrator_.method != "none"
    raw = predicted(model.booster_, model.columns_.matrix(test[columns]))
    told = model.predict_proba(test[columns])[:, 1]
    assert log_loss(test["left"], told) < log_loss(test["left"], raw)


@pytest.mark.parametrize("shift", [-0.7, 0.0, 0.3])
def test_the_shift_of_a_level_is_found_within_its_error(shift):
    raw, observed = drawn(40_000, lambda odds: odds - shift, seed=3)
    weight, customers = np.ones(len(raw)), np.arange(len(raw))
    found = level_shift(raw, observed, weight)
    error = error_of_shift(shifted(raw, found), observed, weight, customers)
    assert abs(found - shift) < 3 * error
    twice = np.repeat(customers, 2)  # as many rows of the same customers prove no more
    again = error_of_shift(np.repeat(shifted(raw, found), 2), np.repeat(observed, 2), np.ones(len(twice)), twice)
    assert again == pytest.approx(error)


def test_of_a_small_and_sure_shift_nearly_all_is_kept_and_of_a_large_one_nothing():
    assert lasting(0.0, 0.02) == 0
    for shift in (0.05, -0.1, 0.15):
        assert 0.8 < lasting(shift, 0.01) / shift < 1
        assert lasting(shift, 0.1) / shift < 0.5
        assert lasting(-shift, 0.01) == -lasting(shift, 0.01)
    assert abs(lasting(0.5, 0.03)) < 0.001
    assert 0.03 < lasting(0.4, 0.13) < 0.1  # may be chance


def test_what_is_kept_is_the_mean_of_drifts_that_are_drawn_with_seasons():
    rng = np.random.default_rng(0)
    season = rng.random(4_000_000) < 0.2
    drift = np.where(season, 0, 0.1 * rng.normal(size=season.size))
    seen = drift + np.where(season, 0.5 * rng.normal(size=season.size), 0) + 0.08 * rng.normal(size=season.size)
    for shift in (0.1, 0.25, 0.4):
        assert lasting(shift, 0.08) == pytest.approx(drift[np.abs(seen - shift) < 0.01].mean(), abs=0.005)


def test_a_level_that_drifts_a_little_is_followed():
    """Forecasts of later dates are a twelfth too high, and so are those of still later ones."""
    rng = np.random.default_rng(0)
    parts = []
    for number in range(9):
        x = rng.normal(size=6_000)
        seen = x + 0.015 * number  # drifts, though the risk does not
        left = rng.random(6_000) < expit(-2 + x)
        parts.append(pd.DataFrame({"x": seen, "left": left, "as_of": dt.date(2024, number + 1, 1)}))
    panel = pd.concat(parts, ignore_index=True)
    train, test = panel[panel["as_of"] < dt.date(2024, 8, 1)], panel[panel["as_of"] >= dt.date(2024, 8, 1)]
    model = ChurnClassifier(effort="fast", label_days=31, random_state=0)
    told = model.fit(train[["x"]], train["left"], as_of=train["as_of"]).predict_proba(test[["x"]])[:, 1]
    plain = ChurnClassifier(effort="fast", random_state=0).fit(train[["x"]], train["left"]).predict_proba(test[["x"]])
    assert abs(told.mean() / test["left"].mean() - 1) < abs(plain[:, 1].mean() / test["left"].mean() - 1) - 0.02

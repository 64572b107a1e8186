"""What customers bring: level, intervals that hold what they say, and what is kept."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from churnml import ValueRegressor
from churnml.errors import ChurnmlError, DataError
from churnml.models.intervals import Intervals


def money(rows, seed, *, level=1.0):
    """Half bring nothing, some cost money, a few bring very much; nothing but `base`, `risk` and `plan` tells."""
    rng = np.random.default_rng(seed)
    base, risk, plan = rng.gamma(1.5, 20, rows), rng.uniform(0, 1, rows), rng.choice(["a", "b"], rows)
    brings = base * np.where(plan == "a", 1.0, 1.6) * rng.lognormal(-0.5, 1.0, rows) * level
    value = np.where(rng.random(rows) < 0.2 + 0.6 * risk, 0.0, brings)
    value = np.where(rng.random(rows) < 0.07 * risk, -rng.exponential(30, rows), value)
    frame = pd.DataFrame({"base": base, "risk": np.where(rng.random(rows) < 0.1, np.nan, risk), "plan": plan})
    return frame, value


@pytest.fixture(scope="module")
def model():
    return ValueRegressor(random_state=0).fit(*money(8_000, 1))


def coverage(model, unseen, share=0.9):
    frame, value = unseen
    low, high = model.predict_interval(frame, share).T
    held = (low <= value) & (value <= high)
    tenth = pd.qcut(model.predict(frame), 10, labels=False)
    return held.mean(), pd.Series(held).groupby(tenth).mean()


def test_intervals_hold_what_they_say_overall_and_in_every_tenth_of_the_prediction(model):
    overall, tenths = coverage(model, money(20_000, 2))
    assert 0.88 < overall < 0.92
    assert tenths.between(0.85, 0.95).all()


@pytest.mark.parametrize("share", [0.8, 0.95, 0.99])
def test_intervals_of_any_coverage_hold_it(model, share):
    overall, tenths = coverage(model, money(20_000, 2), share)
    assert overall == pytest.approx(share, abs=0.02)
    assert (tenths > share - 0.06).all()


def test_short_intervals_hold_more_where_half_bring_nothing_and_the_mean_is_in_them(model):
    overall, tenths = coverage(model, money(20_000, 2), 0.5)
    assert 0.5 < overall < 0.75
    assert (tenths > 0.45).all()


def test_intervals_hold_the_prediction_and_lie_in_one_another(model):
    frame, _ = money(3_000, 3)
    predicted = model.predict(frame)
    narrow, wide = model.predict_interval(frame, 0.6), model.predict_interval(frame, 0.95)
    for low, high in (narrow.T, wide.T):
        assert (low <= predicted).all()
        assert (predicted <= high).all()
    assert np.mean(wide[:, 1] - wide[:, 0]) > np.mean(narrow[:, 1] - narrow[:, 0])


def test_where_nobody_ever_costs_money_no_interval_goes_below_zero():
    frame, value = money(4_000, 4)
    low, high = ValueRegressor(random_state=0).fit(frame, np.maximum(value, 0)).predict_interval(frame).T
    assert (low >= 0).all()
    assert np.mean(low == 0) > 0.8
    assert (high > 0).all()


def test_the_total_on_rows_not_seen_is_that_of_the_training(model):
    frame, value = money(60_000, 5)
    assert model.predict(frame).sum() == pytest.approx(value.sum(), rel=0.04)


def test_the_same_seed_gives_the_same_model(model):
    frame, _ = money(500, 6)
    again = ValueRegressor(random_state=0).fit(*money(8_000, 1))
    assert np.array_equal(model.predict(frame), again.predict(frame))
    assert np.array_equal(model.predict_interval(frame), again.predict_interval(frame))


def test_what_is_saved_predicts_the_same_bits(model, tmp_path):
    frame, _ = money(500, 6)
    for number, one in enumerate((model, model.tied(frame, 12_345.0))):
        folder = tmp_path / str(number)
        folder.mkdir()
        one.save(folder)
        read = ValueRegressor.load(folder)
        assert np.array_equal(one.predict(frame), read.predict(frame))
        assert np.array_equal(one.predict_interval(frame, 0.77), read.predict_interval(frame, 0.77))


def test_a_model_is_tied_to_a_total_with_its_intervals_and_stays_as_it_is(model):
    frame, _ = money(2_000, 7)
    before = model.predict(frame)
    tied = model.tied(frame, 0.7 * before.sum())
    np.testing.assert_allclose(tied.predict(frame), 0.7 * before)
    np.testing.assert_allclose(tied.predict_interval(frame), 0.7 * model.predict_interval(frame), atol=1e-9)
    assert np.array_equal(model.predict(frame), before)


def test_a_cohort_that_decays_is_covered_once_the_total_is_right(model):
    frame, value = money(20_000, 8, level=0.6)
    assert model.predict(frame).sum() > 1.4 * value.sum()
    tied = model.tied(frame, value.sum())
    overall, tenths = coverage(tied, (frame, value))
    assert 0.87 < overall < 0.93
    assert tenths.between(0.8, 0.97).all()


@pytest.mark.parametrize("total", [0.0, -5.0, np.nan, np.inf])
def test_no_total_that_makes_no_sense_is_taken(model, total):
    with pytest.raises(DataError, match="cannot be tied to a total of"):
        model.tied(money(50, 9)[0], total)


def dated(levels, *, days=30):
    """Draw one panel of the same kind at several dates, whose level moves from date to date."""
    parts = [money(3_000, 20 + number, level=level) for number, level in enumerate(levels)]
    dates = np.repeat([dt.date(2024, 1, 1) + dt.timedelta(days * number) for number in range(len(levels))], 3_000)
    groups = np.tile(np.arange(3_000), len(levels))
    frame = pd.concat([frame for frame, _ in parts], ignore_index=True)
    return frame, np.concatenate([value for _, value in parts]), groups, dates


def test_with_dates_the_level_follows_the_last_of_them_by_a_tenth_at_most():
    frame, value, groups, dates = dated([1.0, 1.0, 1.0, 1.0, 0.5, 0.5])
    plain = ValueRegressor(label_days=60, random_state=0).fit(frame, value)
    moved = ValueRegressor(label_days=60, random_state=0).fit(frame, value, groups=groups, as_of=dates)
    assert moved.search_["gain"]["drift"] < 0.75
    assert plain.search_["gain"]["drift"] == 1.0
    ratio = moved.predict(frame).sum() / plain.predict(frame).sum()
    assert 0.85 < ratio < 0.95


def test_where_nothing_drifts_dates_move_the_level_little():
    frame, value, groups, dates = dated([1.0] * 6)
    model = ValueRegressor(label_days=60, random_state=0).fit(frame, value, groups=groups, as_of=dates)
    assert model.search_["gain"]["drift"] == pytest.approx(1, abs=0.07)
    assert model.predict(frame).sum() == pytest.approx(value.sum(), rel=0.07)


@pytest.mark.parametrize("value", [0.0, 7.5, -3.0])
def test_a_value_that_is_the_same_for_all_is_predicted_for_all(value):
    frame, _ = money(300, 10)
    model = ValueRegressor(random_state=0).fit(frame, np.full(300, value))
    np.testing.assert_allclose(model.predict(frame), value, rtol=0.02)
    low, high = model.predict_interval(frame).T
    np.testing.assert_allclose(low, value, rtol=0.02)
    np.testing.assert_allclose(high, value, rtol=0.02)


def test_few_rows_are_enough_for_an_interval():
    frame, value = money(30, 11)
    model = ValueRegressor(random_state=0).fit(frame, value)
    low, high = model.predict_interval(frame).T
    assert ((low <= model.predict(frame)) & (model.predict(frame) <= high)).all()


def test_rows_of_no_weight_count_for_nothing():
    frame, value = money(4_000, 12)
    weight = np.ones(4_000)
    weight[:2_000] = 0
    value[:2_000] = 1e6
    model = ValueRegressor(random_state=0).fit(frame, value, sample_weight=weight)
    assert model.predict(frame).max() < 1e4
    assert model.predict_interval(frame).max() < 1e5


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 90, np.nan])
def test_a_coverage_that_is_none_is_refused(model, share):
    with pytest.raises(DataError, match=r"a coverage of .* is none"):
        model.predict_interval(money(10, 13)[0], share)


def test_other_columns_are_refused_by_intervals_too(model):
    frame, _ = money(10, 14)
    with pytest.raises(ValueError, match="risk"):
        model.predict_interval(frame.drop(columns="risk"))
    with pytest.raises(ChurnmlError, match="of another type"):
        model.predict_interval(frame.assign(base="much"))


def test_ties_at_an_end_leave_the_share_to_the_other_end():
    observed = np.array([0.0] * 60 + [*range(1, 41)], dtype=float)
    one = np.ones(100)
    low, high = Intervals.learned(observed, one, one, one)(one[:1], one[:1], 0.89)[0]
    assert (low, high) == (0, 30)
    low, high = Intervals.learned(-observed, -one, one, one)(-one[:1], one[:1], 0.89)[0]
    assert (low, high) == (-30, 0)

"""Lifetime value is what a plain loop over customers and months gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnml.errors import DataError
from churnml.models.lifetime import lifetime_value

CHANCE = st.floats(0, 1)
MONEY = st.floats(-1e6, 1e6)


@st.composite
def bases(draw):
    customers, months = draw(st.integers(0, 5)), draw(st.integers(1, 15))
    survival = [
        sorted(draw(st.lists(CHANCE, min_size=months, max_size=months)), reverse=True) for _ in range(customers)
    ]
    wide = draw(st.booleans())
    margin = [
        draw(st.lists(MONEY, min_size=months, max_size=months)) if wide else draw(MONEY) for _ in range(customers)
    ]
    shape = (customers, months) if wide else (customers,)
    return np.array(survival).reshape(customers, months), np.array(margin, dtype=float).reshape(shape)


def plainly(survival, margin, rate, paid):
    values = []
    for chances, brings in zip(survival.tolist(), margin.tolist(), strict=True):
        value, before = 0.0, 1.0
        for month, after in enumerate(chances):
            there = {"start": before, "middle": (before + after) / 2, "end": after}[paid]
            years = (month + {"start": 0, "middle": 0.5, "end": 1}[paid]) / 12
            value += there * (brings[month] if isinstance(brings, list) else brings) / (1 + rate) ** years
            before = after
        values.append(value)
    return values


@settings(deadline=None)
@given(bases(), st.floats(0, 0.99), st.sampled_from(["start", "middle", "end"]))
def test_it_is_what_a_loop_over_customers_and_months_gives(base, rate, paid):
    survival, margin = base
    found = lifetime_value(survival, margin, annual_discount_rate=rate, paid=paid)
    np.testing.assert_allclose(found.value, plainly(survival, margin, rate, paid), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(found.by_month.sum(axis=1), found.value, rtol=1e-12)


def test_constant_churn_without_discount_brings_the_margin_times_the_months_stayed():
    survival = 0.9 ** np.arange(1, 400)[np.newaxis]
    found = lifetime_value(survival, [20.0], annual_discount_rate=0, paid="start")
    assert found.value[0] == pytest.approx(20 / (1 - 0.9))


def test_a_year_of_certain_stay_is_worth_less_the_dearer_money_is():
    worth = [lifetime_value(np.ones((1, 12)), [10.0], annual_discount_rate=rate).value[0] for rate in (0.0, 0.1, 0.5)]
    assert worth[0] == 120
    assert worth[0] > worth[1] > worth[2]


def test_what_was_assumed_is_told_in_two_languages():
    told = lifetime_value(np.ones((1, 24)), [10.0], annual_discount_rate=0.085, paid="end").assumptions
    assert "next 24 months" in told["en"]
    assert "8.5 % a year" in told["en"]
    assert "at the end of each month" in told["en"]
    assert "24 个月" in told["zh"]
    assert "8.5%" in told["zh"]
    assert "月末" in told["zh"]
    each = lifetime_value(np.ones((1, 24)), np.ones((1, 24)), annual_discount_rate=0.085).assumptions
    assert "margin given for each month" in each["en"]
    assert "各月利润分别给定" in each["zh"]


def test_nothing_that_is_given_changes():
    survival, margin = np.array([[0.9, 0.8]]), np.array([10.0])
    lifetime_value(survival, margin, annual_discount_rate=0.1)
    assert survival.tolist() == [[0.9, 0.8]]
    assert margin.tolist() == [10.0]


@pytest.mark.parametrize(
    ("survival", "margin", "more", "told"),
    [
        ([0.9, 0.8], [1.0, 1.0], {}, "no table of customers x months"),
        (np.ones((2, 0)), [1.0, 1.0], {}, "no table of customers x months"),
        ([[0.9, 0.8]], [1.0, 1.0], {}, "margins of shape"),
        ([[0.9, 0.8]], [[1.0, 1.0, 1.0]], {}, "margins of shape"),
        ([[0.9, 0.8]], [np.nan], {}, "a margin is null or infinite"),
        ([[0.9, 0.8], [1.1, 0.8]], [1.0, 1.0], {}, "1 of 2 customers is not between 0 and 1"),
        ([[0.9, np.nan]], [1.0], {}, "not between 0 and 1"),
        ([[0.8, 0.9]], [1.0], {}, "rises from one month to a later one"),
        ([[0.9, 0.8]], [1.0], {"annual_discount_rate": -0.1}, "discount rate of -0.1 is none"),
        ([[0.9, 0.8]], [1.0], {"annual_discount_rate": 10}, "discount rate of 10 is none"),
        ([[0.9, 0.8]], [1.0], {"annual_discount_rate": np.nan}, "discount rate of nan is none"),
        ([[0.9, 0.8]], [1.0], {"paid": "never"}, "take one of: start, middle, end"),
    ],
)
def test_what_makes_no_sense_is_refused(survival, margin, more, told):
    with pytest.raises(DataError, match=told):
        lifetime_value(survival, margin, **{"annual_discount_rate": 0.1, **more})

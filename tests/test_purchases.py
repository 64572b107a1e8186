"""The forecast of purchases finds the shapes that purchases were drawn with, and knows that a cohort decays."""

import numpy as np
import pytest

from churnml.errors import DataError
from churnml.models.purchases import BetaGeometric

TRUE = BetaGeometric(r=0.8, alpha=30.0, a=0.8, b=2.5)


def drawn(customers, days, later, seed):
    """Draw purchases one by one, as the model tells it: what is seen in some days, and how many come later."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(TRUE.r, 1 / TRUE.alpha, customers)
    leaves = rng.beta(TRUE.a, TRUE.b, customers)
    repeats, last, coming = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    for number in range(customers):
        clock = rng.exponential(1 / rate[number])
        while clock < days + later:
            if clock < days:
                repeats[number] += 1
                last[number] = clock
            else:
                coming[number] += 1
            if rng.random() < leaves[number]:
                break
            clock += rng.exponential(1 / rate[number])
    return repeats, last, np.full(customers, float(days)), coming


@pytest.fixture(scope="module")
def base():
    return drawn(6_000, 180, 180, seed=1)


def test_the_total_to_come_is_forecast_though_the_cohort_decays(base):
    *seen, coming = base
    forecast = BetaGeometric.fitted(*seen).expected(*seen, 180)
    assert forecast.sum() == pytest.approx(coming.sum(), rel=0.06)
    assert coming.sum() < 0.75 * seen[0].sum()


def test_the_shapes_found_are_likelier_than_any_beside_them(base):
    *seen, _ = base
    found = BetaGeometric.fitted(*seen)
    assert found.r == pytest.approx(TRUE.r, rel=0.2)
    assert found.alpha == pytest.approx(TRUE.alpha, rel=0.2)
    assert found.a / (found.a + found.b) == pytest.approx(TRUE.a / (TRUE.a + TRUE.b), rel=0.2)


def test_customers_silent_for_long_are_expected_to_bring_less():
    silent = TRUE.expected([5, 5, 5], [170, 100, 40], [180, 180, 180], 90)
    assert silent[0] > silent[1] > silent[2] > 0


def test_more_days_bring_more_and_a_mean_of_one_is_no_gap():
    days = [float(TRUE.expected([3], [100], [180], days)[0]) for days in (1, 30, 90, 365)]
    assert days == sorted(days)
    beside = [BetaGeometric(0.8, 30.0, a, 2.5).expected([3], [100], [180], 90)[0] for a in (0.999, 1.0, 1.001)]
    assert beside[0] > beside[1] > beside[2]


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (([1, 2], [1], [2, 2]), "do not go together"),
        (([1], [5], [2]), "do not go together"),
        (([np.nan], [1], [2]), "do not go together"),
        (([1], [1], [2]), "1 of 1 customers came back"),
    ],
)
def test_what_cannot_be_fitted_is_refused(seen, told):
    with pytest.raises(DataError, match=told):
        BetaGeometric.fitted(*seen)


def test_no_days_are_no_forecast():
    with pytest.raises(DataError, match="0 days cannot be forecast"):
        TRUE.expected([1], [1], [2], 0)

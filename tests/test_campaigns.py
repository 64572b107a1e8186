"""Drawing up campaigns: equal to the oracle, within limits, optimal, and fair by chance."""

import ctypes
import datetime as dt
import json
import math
import os

import campaign_oracle as oracle
import numpy as np
import pandas as pd
import pytest
from campaign_cases import CALL, SETTINGS, SMS, T, customer, drawn_up, populations, scores_of, settings_of_campaigns
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from churnml.campaigns.arms import held_back
from churnml.campaigns.assignments import draw_up, summary_of
from churnml.campaigns.exploring import explore
from churnml.campaigns.limits import Limit, counts_of, exact, limits_of, rounded_up, within
from churnml.campaigns.quiet import quiet_stdout
from churnml.campaigns.schema import ARMS, SCHEMA
from churnml.campaigns.selection import select
from churnml.config import Campaign, Offer
from churnml.errors import ChurnmlError

EXAMPLES = settings(
    max_examples=int(os.environ.get("EXAMPLES", "60")), deadline=None, suppress_health_check=list(HealthCheck)
)


def check_everyone(people, excluded, configured, got):
    """Assert what holds of every campaign; return the selected and the explored."""
    offers = {offer["id"]: offer for offer in configured["offers"]}
    numbers = {offer["id"]: number for number, offer in enumerate(configured["offers"])}
    by_id = {row["customer_id"]: row for row in people}
    assert sorted(got["customer_id"]) == sorted(by_id)
    assert got["assignment_id"].is_unique
    assert set(got["arm"]) <= {"treated", "control", "not_selected", "excluded"}
    selected, explored = [], []
    for row in got.to_dict("records"):
        person = by_id[row["customer_id"]]
        told = not pd.isna(row["expected_profit"])
        assert row["churn_probability"] == person["churn_probability"]
        assert (row["customer_id"] in excluded) == (row["arm"] == "excluded")
        drawn = configured["control_share"] > 0 or row["reason"] == "explore"
        assert pd.notna(row["propensity"]) == (drawn and row["arm"] in ("treated", "control"))
        assert pd.isna(row["offer_id"]) == pd.isna(row["channel"])
        assert (row["uplift_source"] == "assumed") == told == (not pd.isna(row["uplift"]))
        if row["arm"] == "excluded":
            assert (row["reason"], told) == (excluded[row["customer_id"]], False)
        elif row["arm"] == "not_selected":
            gains = [oracle.expected_profit(person, offer) for offer in offers.values()]
            assert row["expected_profit"] == pytest.approx(max(gains), rel=1e-9, abs=1e-9)
            assert row["reason"] == ("beyond_limits" if row["expected_profit"] > 0 else "no_profitable_offer")
            assert pd.isna(row["offer_id"])
        elif row["reason"] == "explore":
            explored.append(row)
            assert pd.isna(row["offer_id"]) == (row["arm"] == "control") != told
        else:
            selected.append(row)
            assert row["reason"] == ("control" if row["arm"] == "control" else "selected")
            assert row["expected_profit"] > 0
        if not pd.isna(row["offer_id"]):
            offer = offers[row["offer_id"]]
            assert row["channel"] == offer["channel"]
            assert row["uplift"] == pytest.approx(oracle.uplift(person, offer), rel=1e-9, abs=1e-9)
            assert row["expected_profit"] == pytest.approx(oracle.expected_profit(person, offer), rel=1e-9, abs=1e-9)
    treated = [numbers[offer] for offer in got.loc[got["arm"] == "treated", "offer_id"]]
    budget = None if configured["budget"] is None else oracle.exact(configured["budget"])
    assert oracle.allowed(configured["offers"], treated, budget, configured["capacity"])
    return selected, explored


def check_chances(people, excluded, configured, selected, explored):
    """Assert how many are controls, and that the propensity is what happened."""
    eligible = len(people) - len(excluded)
    assert len(explored) == oracle.rounded_up(configured["explore_share"], eligible)
    share = sum(row["arm"] == "treated" for row in explored) / max(len(explored), 1)
    assert all(row["propensity"] == pytest.approx(share) for row in explored)
    for offer in configured["offers"]:
        cell = [row for row in selected if row["offer_id"] == offer["id"]]
        control = [row for row in cell if row["arm"] == "control"]
        assert len(control) == oracle.rounded_up(configured["control_share"], len(cell))
        if configured["control_share"]:
            assert all(row["propensity"] == pytest.approx(1 - len(control) / len(cell)) for row in cell)


def check_best(people, excluded, configured, selected, explored):
    """Assert that no other choice from what exploring left would have brought more."""
    numbers = {offer["id"]: number for number, offer in enumerate(configured["offers"])}
    taken = [numbers[row["offer_id"]] for row in explored if row["arm"] == "treated"]
    budget, capacity = oracle.left_over(configured["offers"], configured, taken)
    chosen = [numbers[row["offer_id"]] for row in selected]
    assert oracle.allowed(configured["offers"], chosen, budget, capacity)
    gone = {row["customer_id"] for row in explored} | set(excluded)
    rest = [row for row in people if row["customer_id"] not in gone]
    best = oracle.best_sum(rest, configured["offers"], budget, capacity)
    assert math.fsum(row["expected_profit"] for row in selected) == pytest.approx(best, rel=1e-6, abs=1e-9)


@EXAMPLES
@given(populations(6), settings_of_campaigns(6), st.integers(0, 3))
def test_small_campaigns_are_what_trying_everything_finds(population, configured, seed):
    people, excluded = population
    got = drawn_up(people, configured, excluded, seed=seed)
    selected, explored = check_everyone(people, excluded, configured, got)
    check_chances(people, excluded, configured, selected, explored)
    check_best(people, excluded, configured, selected, explored)


@EXAMPLES
@given(populations(60), settings_of_campaigns(60), st.integers(0, 2**40))
def test_campaigns_keep_every_limit_and_share(population, configured, seed):
    people, excluded = population
    got = drawn_up(people, configured, excluded, seed=seed)
    check_chances(people, excluded, configured, *check_everyone(people, excluded, configured, got))


# --- selection --------------------------------------------------------------------------------------------------------


def limited(costs, channels, capacity, budget):
    offers = [
        Offer(id=str(number), channel=channel, cost=cost)
        for number, (cost, channel) in enumerate(zip(costs, channels, strict=True))
    ]
    return limits_of(offers, capacity, budget)


def total(profit, chosen):
    rows = np.flatnonzero(chosen >= 0)
    return math.fsum(profit[rows, chosen[rows]])


@pytest.mark.parametrize("seed", range(12))
def test_the_selection_agrees_with_a_solver_that_is_given_all_of_it(seed):
    draws = np.random.default_rng(seed)
    n, k = 150, 3
    profit = draws.gamma(1, 20, (n, k)) - 5
    costs, channels = [15.0, 12.35, 0.5], ["phone", "phone", "sms"]
    limits = limited(costs, channels, {"phone": int(draws.integers(5, 60)), "sms": int(draws.integers(5, 60))}, 700.5)
    chosen = select(profit, limits)
    assert all(limit.allows(counts_of(chosen, k)) for limit in limits)
    once = np.kron(np.eye(n), np.ones(k))
    rows = np.vstack([once, *(np.tile([float(use) for use in limit.uses], n) for limit in limits)])
    most = [1.0] * n + [float(limit.most) for limit in limits]
    with quiet_stdout():
        found = milp(
            -profit.ravel(),
            integrality=np.ones(n * k),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(rows, -np.inf, most),
            options={"mip_rel_gap": 1e-7},
        )
    assert total(profit, chosen) == pytest.approx(-found.fun, rel=1e-6)


def test_without_limits_everyone_gets_the_best_offer():
    profit = np.array([[1.0, 2.0], [3.0, 2.0], [-1.0, 0.0], [5.0, 5.0]])
    assert select(profit, ()).tolist() == [1, 0, -1, 0]


def test_nobody_is_chosen_where_nothing_may_be_used():
    assert select(np.ones((4, 1)), limited([1.0], ["phone"], {"phone": 0}, None)).tolist() == [-1] * 4


def test_customers_who_are_alike_are_told_apart_by_their_order_only():
    limits = limited([1.0], ["phone"], {"phone": 3}, None)
    assert select(np.ones((100_000, 1)), limits).nonzero()[0].tolist() == list(range(3, 100_000))


def test_costs_are_counted_in_decimals():
    limits = limited([0.1], ["sms"], {}, 0.7)  # 7 x 0.1 is more than 0.7 in floating-point numbers
    assert (select(np.arange(1.0, 21.0)[:, None], limits) == 0).sum() == 7


def test_costs_that_share_no_unit_are_counted_as_well():
    limits = limited([0.1 + 0.2, math.pi, 1e-7], ["a", "b", "c"], {}, 20.0)
    profit = np.random.default_rng(0).gamma(1, 5, (60, 3)) + 1
    chosen = select(profit, limits)
    assert all(limit.allows(counts_of(chosen, 3)) for limit in limits)
    assert (chosen >= 0).all()


def test_many_customers_take_seconds():
    draws = np.random.default_rng(0)
    profit = draws.gamma(1, 20, (20_000, 3))
    limits = limited([15.0, 15.0, 0.5], ["phone", "phone", "sms"], {"phone": 400, "sms": 2_000}, 9_000.0)
    chosen = select(profit, limits)
    used = [float(limit.used(counts_of(chosen, 3)) / limit.most) for limit in limits]
    assert used[:2] == [1, 1]
    cheapest_called = profit[chosen == 0, 0].min()
    assert cheapest_called > np.quantile(profit[:, 0], 0.9)


def test_what_c_code_prints_does_not_reach_stdout(capfd):
    with quiet_stdout():
        ctypes.CDLL(None).puts(b"a line of HiGHS")
    assert capfd.readouterr() == ("", "")


# --- chance -----------------------------------------------------------------------------------------------------------


def mixed_people(count, seed=5):
    draws = np.random.default_rng(seed)
    return [
        customer(
            number,
            probability=float(draws.uniform(0.1, 0.9)),
            value=float(draws.uniform(500, 3_000)),
            tier=("gold", "gem", None)[number % 3],
            band=("low", "high")[number % 2],
        )
        for number in range(count)
    ]


def test_shares_are_rounded_up_by_the_decimals_that_people_write():
    shares = [(0.1, 30, 3), (0.07, 100, 7), (0.29, 100, 29), (0.1, 31, 4), (0.02, 1, 1), (0.0, 9, 0), (1e-7, 5, 1)]
    assert [rounded_up(share, count) for share, count, _ in shares] == [expected for *_, expected in shares]


def test_over_many_seeds_everyone_is_held_back_as_often_as_the_share_says():
    offers = np.repeat([0, 1], [21, 9])
    strata = np.array([0] * 2 + [1] * 15 + [2] * 8 + [3] * 5)
    draws = 3_000
    held = sum(held_back(offers, strata, 0.1, (), np.random.default_rng(seed)).astype(int) for seed in range(draws))
    for number, size in ((0, 3), (1, 1)):
        chance = size / (offers == number).sum()
        error = math.sqrt(chance * (1 - chance) / draws)
        assert np.abs(held[offers == number] / draws - chance).max() < 4.5 * error


def test_every_stratum_has_its_part_of_the_control_group():
    strata = np.repeat([0, 1, 2], [50, 30, 20])
    for seed in range(50):
        control = held_back(np.zeros(100, dtype=int), strata, 0.1, (), np.random.default_rng(seed))
        assert np.bincount(strata[control], minlength=3).tolist() == [5, 3, 2]


def test_who_is_held_back_beyond_the_share_has_nothing_to_do_with_profit():
    limit = Limit("phone", (exact(1),), exact(20))
    draws, count = 2_000, 40
    held = np.zeros(count)
    for seed in range(draws):
        control = held_back(np.zeros(count, dtype=int), np.arange(count), 0.1, (limit,), np.random.default_rng(seed))
        assert (~control).sum() == 20
        held += control
    assert np.abs(held / draws - 0.5).max() < 4.5 * math.sqrt(0.25 / draws)
    trend = np.corrcoef(np.arange(count), held)[0, 1]
    assert abs(trend) < 4.5 / math.sqrt(count)


def test_the_first_who_passes_a_limit_ends_it_for_all_who_use_it():
    budget = Limit("budget", (exact(15), exact(0.5), exact(0)), exact(30.5))
    calls = Limit("phone", (exact(1), exact(0), exact(0)), exact(2))
    offers = np.array([0, 1, 0, 0, 1, 2, 1])
    assert within((calls, budget), offers).tolist() == [True, True, True, False, False, True, False]
    assert within((), offers).all()


@pytest.mark.parametrize(
    "configured",
    [
        {"control_share": 0.3},
        {"control_share": 0.1, "explore_share": 0.3, "budget": 60, "capacity": {"phone": 6}},
    ],
)
def test_over_many_seeds_everyone_is_treated_as_often_as_their_propensity_says(configured):
    people = mixed_people(24)
    surprise, spread = pd.Series(0.0, [row["customer_id"] for row in people]), 0.0
    by_profit, spread_of_profit = 0.0, 0.0
    for seed in range(80):
        got = drawn_up(people, configured, seed=seed)
        drawn = got[got["propensity"].notna()].set_index("customer_id")
        left = (drawn["arm"] == "treated") - drawn["propensity"]
        chance = drawn["propensity"] * (1 - drawn["propensity"])
        surprise = surprise.add(left, fill_value=0)
        spread = chance.reindex(surprise.index).fillna(0) + spread
        selected = drawn["reason"] != "explore"
        rank = drawn.loc[selected, "expected_profit"].rank()
        rank = rank - rank.mean()
        by_profit += (left[selected] * rank).sum()
        spread_of_profit += (chance[selected] * rank**2).sum()
    assert (surprise.abs() < 4.5 * np.sqrt(spread) + 1e-9).all()
    assert abs(by_profit) < 4.5 * math.sqrt(2 * spread_of_profit)


def test_over_many_seeds_everyone_is_explored_as_often_with_every_offer():
    people, draws = 15, 3_000
    found = np.zeros((people, 3))
    for seed in range(draws):
        explored, offer = explore(np.arange(people), 0.25, 2, (), np.random.default_rng(seed))
        assert len(explored) == 4
        found[explored, offer] += 1
    chance = 4 / people / 3
    assert np.abs(found / draws - chance).max() < 4.5 * math.sqrt(chance * (1 - chance) / draws)


def test_exploring_gives_every_offer_and_control_to_as_many():
    got = drawn_up(mixed_people(100), {"explore_share": 0.3})
    explored = got[got["reason"] == "explore"]
    assert explored["offer_id"].fillna("none").value_counts().to_dict() == {"call": 10, "sms": 10, "none": 10}
    assert explored["propensity"].unique() == pytest.approx([20 / 30])


def test_exploring_reaches_those_whom_no_rule_would_choose():
    people = [customer(number, value=0.0) for number in range(30)]
    got = drawn_up(people, {"explore_share": 0.5})
    assert got["reason"].value_counts().to_dict() == {"explore": 15, "no_profitable_offer": 15}
    assert (got.loc[got["arm"] == "treated", "expected_profit"] < 0).all()


def test_what_exploring_uses_is_gone_and_who_would_pass_a_limit_is_a_control():
    got = drawn_up(mixed_people(60), {"explore_share": 0.5, "capacity": {"phone": 4, "sms": 12}, "budget": 1_000})
    explored = got[got["reason"] == "explore"]
    assert explored["channel"].value_counts().to_dict() == {"sms": 10, "phone": 4}
    assert explored["propensity"].unique() == pytest.approx([14 / 30])
    selected = got[got["reason"].isin(["selected", "control"])]
    assert selected["channel"].value_counts().to_dict() == {"sms": 2}  # 2 left, 2.2 with their controls
    assert got.loc[got["arm"] == "treated", "channel"].value_counts().to_dict() == {"sms": 11, "phone": 4}


def test_nobody_but_the_explored_is_a_control_without_a_control_share():
    got = drawn_up(mixed_people(20), {"control_share": 0, "capacity": {"phone": 3, "sms": 4}, "budget": 46.5})
    assert got["arm"].value_counts().to_dict() == {"not_selected": 14, "treated": 6}
    assert got["propensity"].isna().all()


def test_the_same_seed_gives_the_same_assignments_whatever_the_order_of_rows():
    people = mixed_people(80)
    configured = {"explore_share": 0.1, "budget": 200, "capacity": {"sms": 20}}
    first = drawn_up(people, configured, seed=7)
    shuffled = scores_of(people).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(drawn_up(people, configured, seed=7, scores=shuffled), first)
    other = drawn_up(people, configured, seed=8)
    assert dict(zip(other["customer_id"], other["arm"], strict=True)) != dict(
        zip(first["customer_id"], first["arm"], strict=True)
    )


def test_another_date_draws_others_under_the_same_seed():
    people = mixed_people(80)
    controls = [
        set(got.loc[got["arm"] == "control", "customer_id"])
        for got in (drawn_up(people, as_of=day) for day in (T, dt.date(2024, 4, 1)))
    ]
    assert controls[0] != controls[1]


def test_assignments_of_two_campaigns_share_no_number():
    people = mixed_people(10)
    spring, autumn = (drawn_up(people, name=name) for name in ("spring", "autumn"))
    again = drawn_up(people, name="spring", seed=9)
    assert not set(spring["assignment_id"]) & set(autumn["assignment_id"])
    assert set(spring["assignment_id"]) == set(again["assignment_id"])


def test_the_treated_come_first_by_what_they_bring():
    got = drawn_up(mixed_people(50), {"budget": 100}, {"C00003": "cool_down"})
    assert got["arm"].drop_duplicates().tolist() == ["treated", "control", "not_selected", "excluded"]
    for _, rows in got.groupby("arm"):
        assert rows["expected_profit"].dropna().is_monotonic_decreasing


def test_columns_and_types_are_those_of_the_contract_whoever_is_in_it():
    for people, excluded in ((mixed_people(9), {}), (mixed_people(1), {"C00000": "cool_down"})):
        got = drawn_up(people, excluded=excluded)
        assert " ".join(got) == (
            "campaign_id assignment_id customer_id arm offer_id channel expected_profit churn_probability uplift "
            "uplift_source propensity reason"
        )
        kinds = {name: "float64" if str(SCHEMA.field(name).type) == "double" else "str" for name in got}
        assert {name: str(kind) for name, kind in got.dtypes.items()} == kinds


def test_the_summary_counts_arms_and_the_money_of_the_treated():
    people = mixed_people(40)
    got = drawn_up(people, {"budget": 200}, {"C00001": "cool_down"})
    summary = summary_of(got, [Offer(**CALL), Offer(**SMS)])
    treated = got[got["arm"] == "treated"]
    assert list(summary) == ["population", "treated", "control", "not_selected", "excluded", "expected_profit", "cost"]
    assert summary["population"] == 40 == sum(summary[arm] for arm in ARMS)
    assert summary["expected_profit"] == pytest.approx(treated["expected_profit"].sum())
    assert summary["cost"] == (treated["offer_id"] == "call").sum() * 15 + (treated["offer_id"] == "sms").sum() * 0.5
    assert json.loads(json.dumps(summary)) == summary


def test_nobody_treated_is_told_and_no_error():
    got = drawn_up([customer(1, value=0.0)], {})
    assert summary_of(got, [Offer(**CALL), Offer(**SMS)])["treated"] == 0


# --- what cannot be used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "told"),
    [
        ({"offers": []}, "campaign.offers is empty"),
        ({"offers": [CALL, SMS | {"id": "call"}]}, "two offers have the id call"),
        (
            {"offers": [CALL, {"id": "gift", "channel": "post", "cost": 3}]},
            "campaign.offers: gift has no assumed_save_rate",
        ),
        ({"control_share": 1}, "nobody would be treated"),
        ({"budget": 0}, "the budget is 0, but every offer costs something: give a budget with --budget"),
    ],
)
def test_settings_that_make_no_campaign_are_refused(configured, told):
    with pytest.raises(ChurnmlError, match=told):
        drawn_up(mixed_people(3), configured)


@pytest.mark.parametrize("budget", [-1.0, math.nan, math.inf])
def test_a_budget_that_is_no_amount_is_refused(budget):
    with pytest.raises(ChurnmlError, match=r"the budget (-1\.0|nan|inf) is no amount"):
        limits_of([Offer(**CALL)], {}, budget)


def test_a_budget_of_nothing_is_enough_for_what_costs_nothing():
    got = drawn_up(mixed_people(10), {"offers": [CALL, SMS | {"cost": 0}], "budget": 0})
    assert set(got["offer_id"].dropna()) == {"sms"}


def test_a_seed_below_0_is_refused():
    with pytest.raises(ChurnmlError, match="the seed -1 is below 0"):
        drawn_up(mixed_people(3), seed=-1)


def test_scores_without_monthly_spend_are_refused():
    people = mixed_people(3)
    nothing = pd.Series({"C00000": 5.0})
    with pytest.raises(ChurnmlError, match="2 customers with a score have no monthly spend"):
        draw_up(
            scores_of(people),
            nothing,
            pd.Series(dtype="str"),
            Campaign.model_validate(SETTINGS),
            name="a",
            as_of=T,
            seed=0,
        )

"""The oracle itself, against cases worked out by hand from the text of the contract."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import histories
import oracle
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from oracle import Settings

T = date(2023, 6, 1)
START = datetime(2023, 6, 1)
DAY, US = timedelta(days=1), timedelta(microseconds=1)
ANA = {"customer_id": "ana", "signed_up_at": datetime(2022, 1, 31, 23)}


def ago(days, extra=timedelta()):
    return START - days * DAY + extra


def accept(settings=None, customers=(ANA,), **tables):
    """The accepted rows, where none is bad; rows get ana's id."""
    tables = {name: [{"customer_id": "ana", **row} for row in rows] for name, rows in tables.items()}
    accepted, quarantined = oracle.read({"customers": list(customers), **tables}, settings or Settings())
    assert not any(quarantined.values()), quarantined
    return accepted


def of_ana(settings=None, customers=(ANA,), **tables):
    settings = settings or Settings()
    return oracle.features(accept(settings, customers, **tables), T, settings)["ana"]


def bill(n, billed, amount=10, **more):
    return {"bill_id": f"b{n}", "billed_at": billed, "amount": amount, **more}


def reasons(settings=None, **tables):
    settings = settings or Settings()
    tables = {"customers": [ANA], **tables}
    accepted, quarantined = oracle.read(tables, settings)
    for name, rows in tables.items():
        assert len(accepted[name]) + len(quarantined[name]) == len(rows)
    return sorted(reason for rows in quarantined.values() for _, reason in rows)


# --------------------------------------------------------------------------------------------------- reading


def test_times_become_wall_clock_once():
    zone = timezone(timedelta(hours=-2))
    accepted = accept(
        usage=[
            {"used_at": datetime(2023, 1, 1, 20, tzinfo=zone)},  # 22:00 UTC = 06:00 in Shanghai
            {"used_at": datetime(2023, 1, 1, 20)},
            {"used_at": date(2023, 1, 1)},
            {"used_at": "2022-12-31T23:59:59.999999999"},
            {"used_at": "2023-01-01 00:00:00Z"},
        ]
    )
    assert [row["used_at"] for row in accepted["usage"]] == [
        datetime(2023, 1, 2, 6),
        datetime(2023, 1, 1, 20),
        datetime(2023, 1, 1),
        datetime(2022, 12, 31, 23, 59, 59, 999999),
        datetime(2023, 1, 1, 8),
    ]


def test_bad_rows():
    good = {"customer_id": "ana", "bill_id": "b", "billed_at": START, "amount": 1}
    cases = [
        ({"amount": None}, "amount: null"),
        ({"amount": " "}, "amount: null"),
        ({"amount": "abc"}, "amount: unreadable"),
        ({"amount": "1,5"}, "amount: unreadable"),
        ({"amount": "nan"}, "amount: not finite"),
        ({"amount": math.inf}, "amount: not finite"),
        ({"billed_at": "yesterday"}, "billed_at: unreadable"),
        ({"billed_at": "2023-02-29"}, "billed_at: unreadable"),
        ({"billed_at": datetime(2025, 1, 1, 0, 0, 0, 1)}, "billed_at: later than now"),
        ({"due_at": "soon"}, "due_at: unreadable"),
        ({"paid_at": START - US}, "paid_at: before billed_at"),
        ({"customer_id": "bob"}, "customer_id: unknown"),
        ({"customer_id": None}, "customer_id: null"),
    ]
    for change, reason in cases:
        assert reasons(bills=[{**good, **change}]) == [reason]
    fine = [{"amount": "-1.50"}, {"paid_at": ""}, {"paid_at": START}, {"due_at": date(2030, 1, 1)}]
    for change in [*fine, {"known_at": datetime(2030, 1, 1)}, {"billed_at": datetime(2025, 1, 1)}]:
        assert reasons(bills=[{**good, **change}]) == []
    survey = {"customer_id": "ana", "answered_at": START}
    assert reasons(surveys=[{**survey, "score": n} for n in (0, 0.99, 1, 5, 6)]) == ["score: outside 1-5"] * 3
    gone = {"customer_id": "bob", "signed_up_at": START, "churned_at": START - US}
    assert reasons(customers=[gone], usage=[{"customer_id": "bob", "used_at": START}]) == [
        "churned_at: before signed_up_at",
        "customer_id: unknown",
    ]
    nan = [{**good, "paid_amount": math.nan, "paid_at": START}]
    assert reasons(bills=nan) == []
    assert reasons(Settings(nan_is_null=False), bills=nan) == ["paid_amount: not finite"]
    usage = {"customer_id": "ana", "used_at": START}
    assert reasons(usage=[{**usage, "sms": math.inf}, {**usage, "sms": 1}]) == ["sms: not finite"]


def test_order_checks_of_aware_times_compare_instants():
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2023, 10, 29, 2, 50, tzinfo=berlin)
    second = datetime(2023, 10, 29, 2, 10, tzinfo=berlin, fold=1)  # 20 minutes later
    settings = Settings(timezone="Europe/Berlin")
    call = {"complaint_id": "c", "opened_at": first, "resolved_at": second}
    accepted = accept(settings, complaints=[call])
    row = oracle.features(accepted, date(2023, 10, 30), settings)["ana"]
    assert row["complaints_resolution_hours_mean_7d"] == 0  # "a negative hour count is 0"
    swapped = {"customer_id": "ana", **call, "opened_at": second, "resolved_at": first}
    assert reasons(settings, complaints=[swapped]) == ["resolved_at: before opened_at"]
    mixed = {"customer_id": "ana", **call, "resolved_at": second.replace(tzinfo=None)}
    assert reasons(settings, complaints=[mixed]) == ["resolved_at: before opened_at"]


def test_duplicates_and_conflicts():
    one = {"customer_id": "ana", **bill(1, START)}
    assert reasons(bills=[one, dict(one), dict(one)]) == ["duplicate"] * 2
    assert reasons(bills=[one, {**one, "known_at": START}]) == ["duplicate"]
    assert reasons(bills=[one, {**one, "amount": 11}]) == ["conflicting versions"] * 2
    assert reasons(bills=[one, {**one, "billed_at": START + US}]) == ["conflicting versions"] * 2
    assert reasons(bills=[one, dict(one), {**one, "amount": 11}]) == ["conflicting versions"] * 3
    assert reasons(bills=[one, {**one, "amount": 11, "known_at": START + US}]) == []
    assert reasons(bills=[one, {**one, "amount": "x"}]) == ["amount: unreadable"]
    use = {"customer_id": "ana", "used_at": START}
    assert reasons(usage=[use, dict(use)]) == []
    assert reasons(usage=[{**use, "row_id": "r"}, {**use, "row_id": "r"}, use, use]) == ["duplicate"]
    assert reasons(customers=[ANA, dict(ANA)]) == ["duplicate"]


def test_overlapping_spells():
    first = {**ANA, "churned_at": datetime(2022, 6, 1)}
    back = {"customer_id": "ana", "signed_up_at": datetime(2022, 6, 1)}
    assert reasons(customers=[first, back]) == []
    early = {**back, "signed_up_at": datetime(2022, 6, 1) - US}
    assert reasons(customers=[first, early]) == ["overlapping spells"] * 2
    assert reasons(customers=[ANA, back]) == ["overlapping spells"] * 2
    # judged on the newest version of each spell; all versions of it are bad
    later = {**first, "known_at": datetime(2022, 7, 1)}
    assert reasons(customers=[ANA, later, back]) == []
    assert reasons(customers=[ANA, later, early]) == ["overlapping spells"] * 3


# ----------------------------------------------------------------------------------------- known, population


def test_known_is_strictly_before_t():
    rows = [bill(1, START - US), bill(2, START), bill(3, ago(9), known_at=START)]
    rows += [bill(4, ago(9), known_at=START - US), bill(5, START - US, known_at=ago(30))]
    accepted = accept(bills=rows)
    assert sorted(row["bill_id"] for row in oracle.known(accepted, "bills", T)) == ["b1", "b4", "b5"]


def test_corrections():
    rows = [bill(1, ago(9), 10), bill(1, ago(9), 20, known_at=ago(2)), bill(1, ago(9), 30, known_at=START)]
    rows += [bill(2, ago(9), 1), bill(2, START, 2, known_at=ago(1))]  # moved past T: the older version counts
    rows += [bill(3, ago(5), 7), bill(3, ago(50), 7, known_at=ago(1))]  # moved to another window
    row = of_ana(bills=rows)
    assert row["bills_amount_sum_7d"] == 0
    assert row["bills_amount_sum_30d"] == 21
    assert row["bills_amount_sum_90d"] == 28
    accepted = accept(bills=rows)
    assert sorted(r["amount"] for r in oracle.newest(accepted, "bills")) == [2, 7, 30]


def test_corrected_to_another_customer():
    bob = {**ANA, "customer_id": "bob"}
    rows = [bill(1, ago(3)), {**bill(1, ago(3), known_at=ago(1)), "customer_id": "bob"}]
    out = oracle.features(accept(customers=(ANA, bob), bills=rows), T, Settings())
    assert out["ana"]["bills_amount_sum_7d"] == 0
    assert out["bob"]["bills_amount_sum_7d"] == 10


def test_later_columns():
    call = {"complaint_id": "c", "opened_at": ago(5), "satisfaction": 4, "first_contact_resolved": True}
    for more, satisfaction, resolved in [
        ({"resolved_at": ago(1)}, 4, True),
        ({"resolved_at": ago(1), "rated_at": START}, None, True),
        ({"resolved_at": START, "rated_at": ago(1)}, 4, False),
        ({"resolved_at": START}, None, False),
        ({}, None, False),
    ]:
        (row,) = oracle.known(accept(complaints=[{**call, **more}]), "complaints", T)
        assert row["satisfaction"] == satisfaction
        assert (row["resolved_at"] is not None) == resolved
        assert row["first_contact_resolved"] is (True if resolved else None)
    rows = [bill(1, ago(9), paid_at=START, paid_amount=3), bill(2, ago(9), paid_at=ago(1), paid_amount=3)]
    assert [r["paid_amount"] for r in oracle.known(accept(bills=rows), "bills", T)] == [None, 3]
    contact = {"assigned_at": ago(9), "campaign_id": "c", "arm": "treated", "cost": 2, "propensity": 0.5}
    (row,) = oracle.known(accept(contacts=[{**contact, "contacted_at": START}]), "contacts", T)
    assert (row["cost"], row["contacted_at"], row["propensity"]) == (None, None, 0.5)


def test_population_terminated():
    def at_risk(*spells):
        return oracle.population(accept(customers=spells), T, Settings())

    assert set(at_risk(ANA)) == {"ana"}
    assert not at_risk({**ANA, "signed_up_at": START})
    assert set(at_risk({**ANA, "signed_up_at": START - US})) == {"ana"}
    assert not at_risk({**ANA, "churned_at": START - US})
    (spell,) = at_risk({**ANA, "churned_at": START, "churn_type": "voluntary"}).values()
    assert (spell["churned_at"], spell["churn_type"]) == (None, None)
    late = {**ANA, "churned_at": ago(9), "known_at": START}
    assert set(at_risk(ANA, late)) == {"ana"}
    assert not at_risk(late)
    # the departure is not known yet, the return is: the spell that signed up last
    back = {"customer_id": "ana", "signed_up_at": ago(5)}
    assert at_risk(ANA, late, back)["ana"]["signed_up_at"] == ago(5)


def test_labels_terminated():
    settings = Settings(observed_until=date(2023, 9, 1), types=("voluntary",), lead_days=14, horizon_days=60)

    def label(change, settings=settings):
        now_known = {**ANA, "known_at": ANA["signed_up_at"]}
        change = {"known_at": datetime(2023, 12, 1), **change}
        accepted = accept(customers=[now_known, {**now_known, **change}])
        return oracle.labels(accepted, T, settings)["ana"]["churned"]

    opens, ends = START + 14 * DAY, START + 74 * DAY
    assert label({}) == 0
    assert label({"churned_at": ends, "churn_type": "voluntary"}) == 0
    assert label({"churned_at": ends - US, "churn_type": "voluntary"}) == 1
    assert label({"churned_at": opens, "churn_type": "voluntary"}) == 1
    assert label({"churned_at": opens - US, "churn_type": "voluntary"}) is None
    assert label({"churned_at": START, "churn_type": "voluntary"}) is None
    assert label({"churned_at": ago(9), "churn_type": "voluntary"}) is None
    assert label({"churned_at": opens, "churn_type": "involuntary"}) is None
    assert label({"churned_at": opens, "churn_type": None}) is None
    assert label({"churned_at": opens, "churn_type": None}, Settings(observed_until=date(2023, 9, 1))) == 1
    for day, settle, expected in [(14, 0, 0), (13, 0, None), (15, 2, None), (16, 2, 0)]:
        seen = Settings(observed_until=date(2023, 8, day), settle_days=settle)
        assert ends == datetime(2023, 8, 14)
        assert label({}, seen) == expected


def test_observed_until():
    usage = [{"used_at": datetime(2024, 3, 1, 5)}]
    bills = [bill(1, datetime(2024, 2, 1, 5)), bill(1, datetime(2024, 1, 1), known_at=datetime(2024, 6, 1))]
    settings = Settings()
    assert oracle.observed_until(accept(usage=usage, bills=bills), settings) == datetime(2024, 1, 2)
    assert oracle.observed_until(accept(usage=usage), settings) == datetime(2024, 3, 2)
    assert oracle.observed_until(accept(bills=bills), Settings(settle_days=2)) == datetime(2023, 12, 31)
    inactive = Settings(mode="inactive")
    assert oracle.observed_until(accept(usage=usage, bills=bills), inactive) == datetime(2024, 3, 2)
    with pytest.raises(ValueError, match="configured"):
        oracle.observed_until(accept(), settings)


def test_inactive():
    settings = Settings(mode="inactive", active_days=30, lead_days=0, horizon_days=10)
    gone = {**ANA, "churned_at": ago(100)}  # plays no part
    last = {"used_at": datetime(2023, 12, 1)}

    def label(*times, **more):
        accepted = accept(settings, (gone,), usage=[*({"used_at": at, **more} for at in times), last])
        return oracle.labels(accepted, T, settings).get("ana", {}).get("churned", "not at risk")

    assert label(ago(30)) == 1
    assert label(ago(30, -US)) == "not at risk"
    assert label(START) == "not at risk"
    assert label(ago(1), known_at=START) == "not at risk"
    assert label(ago(1), START) == 0
    assert label(ago(1), START + 10 * DAY - US) == 0
    assert label(ago(1), START + 10 * DAY) == 1
    last = {"used_at": START + 10 * DAY - US}
    assert label(ago(1)) == 0
    last = {"used_at": START + 9 * DAY - US}
    assert label(ago(1)) is None


def test_value():
    settings = Settings(value_horizon_days=30, margin_rate=0.5)
    ends = START + 30 * DAY
    bills = [bill(1, START, 10), bill(2, ends - US, 20), bill(3, ends, 40), bill(4, START - US, 80)]
    costs = [{"incurred_at": START, "amount": 1}, {"incurred_at": ends, "amount": 2}]

    def value(**tables):
        return oracle.labels(accept(**tables), T, settings)["ana"]["value"]

    use = [{"used_at": ends}]
    assert value(usage=use, bills=bills, costs=costs) == 14
    assert value(usage=use, bills=bills) == 15
    assert value(usage=use, bills=bills[:2]) == 15
    assert value(usage=use, bills=[bill(1, START, 10), bill(2, ends - DAY - US, 20)]) is None
    assert value(usage=use, bills=[bill(1, ends + DAY, 10)]) == 0
    assert value(usage=use, costs=costs) is None


# -------------------------------------------------------------------------------------------------- features


def test_usage():
    rows = [
        {"used_at": ago(7), "sms": 1, "Data MB": Decimal("0.50"), "cell": "x", "on": True, "imei": 3},
        {"used_at": ago(7, -US), "sms": 2, "Data MB": None, "cell": "x", "on": True, "imei": 3},
        {"used_at": ago(7, timedelta(hours=5)), "sms": None, "Data MB": None},
        {"used_at": ago(2, timedelta(hours=23)), "sms": 4, "Data MB": Decimal("0.25")},
        {"used_at": ago(60), "sms": 5},
        {"used_at": START, "sms": 100},
    ]
    row = of_ana(Settings(personal=("imei",)), usage=rows)
    assert row["usage_sms_sum_7d"] == 5
    assert row["usage_sms_sum_30d"] == 7
    assert row["usage_Data MB_sum_7d"] == 0.75
    assert row["usage_active_days_7d"] == 2
    assert row["usage_active_days_30d"] == 3
    assert row["usage_days_since_last"] == 2
    assert row["usage_sms_trend_30d_90d"] == pytest.approx((7 / 30) / (12 / 90))
    assert {name for name in row if "imei" in name or "cell" in name or "usage_on" in name} == set()
    assert of_ana(usage=[{"used_at": ago(730), "n": 0}])["usage_days_since_last"] == 730
    beyond = of_ana(usage=[{"used_at": ago(730, -US), "n": 0}])
    assert beyond["usage_days_since_last"] is None
    assert beyond["usage_n_sum_180d"] == 0
    assert beyond["usage_n_trend_30d_90d"] is None


def test_nothing_is_there():
    row = of_ana()
    zero = ("_count", "_sum", "_active_days_", "_changes", "_downgrades", "value_margin", "months_in_a_row")
    zero += ("bills_unpaid_amount", "days_overdue_max", "least_of_6", "open_age", "lines", "contract_ends", "_past")
    assert row.pop("account_tenure_days") == 486  # 365 + 121
    assert row.pop("usage_silent_months_180d") == 6
    assert row.pop("usage_silent_months_in_a_row") == 6
    assert row.pop("usage_active_days_trend_30d_90d") is None
    for name, value in row.items():
        assert value == (0 if any(part in name for part in zero) else None), name
    assert not any("_trend_30d" in name or ("_after_" in name and "usage" in name) for name in row)
    assert not any("surroundings" in name for name in row)


def test_usage_from_month_to_month():
    rows = [{"used_at": ago(days), "n": n} for days, n in ((1, 2), (30, 3), (31, 7), (90, 5), (60.5, 1), (90.5, 9))]
    row = of_ana(usage=rows)
    assert row["usage_n_slope_90d"] == pytest.approx((5 - 6) / 2)  # 6, 7, 5
    assert row["usage_n_volatility_90d"] == pytest.approx(math.sqrt(2 / 3) / 6)
    assert row["usage_active_days_trend_30d_90d"] == pytest.approx((2 / 30) / (5 / 90))
    assert (row["usage_silent_months_180d"], row["usage_silent_months_in_a_row"]) == (2, 0)
    row = of_ana(usage=rows[2:])
    assert (row["usage_silent_months_180d"], row["usage_silent_months_in_a_row"]) == (3, 1)
    assert of_ana(usage=[{"used_at": ago(1), "n": 1e-6}])["usage_n_volatility_90d"] is None


def test_usage_by_the_hour():
    hour = timedelta(hours=1)  # 2023-06-01 is a Thursday
    rows = [
        {"used_at": ago(5, 22 * hour), "voice_minutes": 1, "data_mb": 0},  # Saturday
        {"used_at": ago(3, 6 * hour), "voice_minutes": 2, "data_mb": None},  # Monday
        {"used_at": ago(3, 6 * hour - US), "voice_minutes": 5, "data_mb": 0},
        {"used_at": ago(4, 22 * hour - US), "voice_minutes": 8, "data_mb": 0},  # Sunday
    ]
    row = of_ana(usage=rows)
    assert row["usage_voice_minutes_night_share_90d"] == 6 / 16
    assert row["usage_voice_minutes_weekend_share_90d"] == 9 / 16
    assert (row["usage_rows_night_share_90d"], row["usage_rows_weekend_share_90d"]) == (0.5, 0.5)
    assert (row["usage_data_mb_night_share_90d"], row["usage_data_per_voice_minute_90d"]) == (None, 0)
    daily = [{"used_at": ago(days), "voice_minutes": 1} for days in (3, 5)]
    row = of_ana(usage=daily)
    assert (row["usage_rows_night_share_90d"], row["usage_voice_minutes_night_share_90d"]) == (None, None)
    assert row["usage_rows_weekend_share_90d"] == 0.5


def test_usage_around_a_turn():
    call = {"complaint_id": "c", "opened_at": ago(10, timedelta(hours=9))}
    rows = [{"used_at": ago(days), "n": n} for days, n in ((41, 100), (40, 6), (10, 3), (1, 2))]
    rows += [{"used_at": ago(10, -US), "n": 9}]
    row = of_ana(usage=rows, complaints=[call, {**call, "complaint_id": "d", "opened_at": ago(90)}])
    assert row["usage_n_after_complaint_180d"] == pytest.approx((5 / 10) / (15 / 30))
    assert "usage_n_after_plan_change_180d" not in row
    assert of_ana(usage=rows, complaints=[{**call, "opened_at": ago(7, US)}])["usage_n_after_complaint_180d"] > 0
    assert of_ana(usage=rows, complaints=[{**call, "opened_at": ago(6)}])["usage_n_after_complaint_180d"] is None
    assert of_ana(usage=rows, complaints=[{**call, "opened_at": ago(181)}])["usage_n_after_complaint_180d"] is None
    plans = [{"plan": "a", "started_at": ago(41)}]  # the first ever is no change
    assert of_ana(usage=rows, subscriptions=plans)["usage_n_after_plan_change_180d"] is None
    plans += [{"plan": "b", "started_at": ago(40, timedelta(hours=23))}]
    assert of_ana(usage=rows, subscriptions=plans)["usage_n_after_plan_change_180d"] == pytest.approx(15 / 100)


def test_bills_against_the_past():
    rows = [bill(1, ago(1), 40), bill(2, ago(1), 30), bill(3, ago(31), 50), bill(4, ago(91), 120), bill(5, ago(366), 9)]
    fees = [{"plan": "p", "started_at": ago(9), "monthly_fee": 15}]
    row = of_ana(bills=rows, subscriptions=fees)
    assert row["bills_amount_last"] == 30
    assert row["bills_last_to_mean_365d"] == 0.5
    assert row["bills_max_to_mean_365d"] == pytest.approx(50 / 60)
    assert row["bills_amount_trend_90d_365d"] == pytest.approx((120 / 90) / (240 / 365))
    assert row["bills_over_fee_mean_90d"] == 25
    assert of_ana(bills=rows)["bills_over_fee_mean_90d"] is None
    assert (row["bills_months_in_a_row"], row["bills_amount_least_of_6_months"]) == (2, 0)
    assert row["bills_amount_share_of_own_most"] == pytest.approx(70 / 120)
    assert of_ana(bills=rows[3:])["bills_max_to_mean_365d"] is None
    assert of_ana(bills=[bill(1, ago(1), -5)])["bills_last_to_mean_365d"] is None
    due = [
        bill(1, ago(300), due_at=ago(200), paid_at=ago(190), paid_amount=1),
        bill(2, ago(300), due_at=ago(90), paid_at=ago(94, timedelta(hours=23))),
        bill(3, ago(300), due_at=ago(9), paid_at=START),
    ]
    row = of_ana(bills=due)
    assert (row["bills_payment_delay_days_mean_90d"], row["bills_payment_delay_days_mean_365d"]) == (-4, 3)
    assert row["bills_payment_delay_trend_90d_365d"] == -7


def test_complaints_after_bills_and_promises():
    weeks = timedelta(hours=14 * 24)

    def call(n, opened, **more):
        return {"complaint_id": f"c{n}", "opened_at": opened, **more}

    rows = [
        call(1, ago(5), kind="fault", category="a", promised_at=ago(4), resolved_at=ago(4)),
        call(2, ago(5, US), kind="Fault", category="b", promised_at=ago(4), resolved_at=ago(4, US)),
        call(3, ago(30), category="a", promised_at=START, resolved_at=ago(2)),
        call(4, ago(300), kind="enquiry", promised_at=ago(299)),
    ]
    row = of_ana(complaints=rows, bills=[bill(1, ago(5) - weeks), bill(2, ago(30))])
    assert (row["complaints_after_bill_count_7d"], row["complaints_after_bill_count_30d"]) == (1, 1)
    assert (row["complaints_fault_count_7d"], row["complaints_enquiry_count_180d"]) == (1, 0)
    assert row["complaints_categories_count_30d"] == 2
    assert row["complaints_promise_kept_rate_365d"] == 1 / 3
    assert (row["complaints_open_age_days_max"], row["complaints_days_since_last"]) == (300, 5)
    assert row["complaints_category_last"] == "b"


def test_frequent_categories():
    names = [*"abcdefgh", *"kj", *"ll"]
    expected = {who: "other" if name == "k" else name for who, name in enumerate(names)}  # ten: l, a to h, j
    assert oracle.frequent_or_other(dict(enumerate(names)) | {99: None}) == expected | {99: None}


def test_surveys_of_a_year():
    rows = [
        {"answered_at": ago(366), "score": 1},
        {"answered_at": ago(9), "score": 5},
        {"answered_at": ago(2), "score": 2},
    ]
    row = of_ana(surveys=rows)
    assert (row["surveys_score_change_365d"], row["surveys_score_min_365d"]) == (-1.5, 2)
    assert (row["surveys_days_since_last"], row["surveys_count_365d"]) == (2, 2)
    assert of_ana(surveys=rows[:1])["surveys_score_change_365d"] is None


def test_lines():
    def line(days, fee, **more):
        return {"plan": "p", "started_at": ago(days), "monthly_fee": fee, **more}

    rows = [line(99, 5), line(20, 30), line(20, 20), line(5, 19), line(4, None), line(3, 1), line(2, 1), line(1, 0.5)]
    row = of_ana(subscriptions=rows)
    # 19 < 20; nothing is known of what was last before 1; 1 is not under 1; 0.5 < 1
    assert (row["account_downgrades_7d"], row["account_downgrades_30d"], row["account_lines"]) == (2, 2, 8)
    for days, soon, past in ((0, 1, 0), (-59, 1, 0), (-60, 0, 0), (1, 0, 1)):
        row = of_ana(subscriptions=[line(9, 1, contract_ends_at=ago(days))])
        assert (row["account_contract_ends_within_60d"], row["account_contract_past"]) == (soon, past)


def test_margin_and_contacts():
    costs = [{"incurred_at": ago(365), "amount": 3}, {"incurred_at": ago(1), "amount": 2}]
    row = of_ana(Settings(margin_rate=0.5), bills=[bill(1, ago(90), 10), bill(2, ago(91), 8)], costs=costs)
    assert [row[f"value_margin_{days}d"] for days in (90, 180, 365)] == [3, 7, 4]
    assert row["value_cost_sum_365d"] == 5
    contact = {"campaign_id": "c", "arm": "treated"}
    rows = [
        {**contact, "assigned_at": ago(40), "contacted_at": ago(7), "accepted_at": ago(2)},
        {**contact, "assigned_at": ago(2), "contacted_at": START, "accepted_at": START},
        {**contact, "assigned_at": ago(2)},
    ]
    row = of_ana(contacts=rows)
    assert (row["contacts_count_7d"], row["contacts_days_since_last"], row["contacts_accepted_count_365d"]) == (1, 7, 1)


def test_surroundings():
    def customer(name, region, **more):
        return {"customer_id": name, "signed_up_at": ago(500), "region": region, **more}

    customers = [
        customer("ana", "x"),
        customer("bob", "y", churned_at=ago(90)),
        customer("cyd", "y", churned_at=ago(90, -US)),  # gone before the 90 days
        customer("dan", None),
        {**customer("eve", "x"), "signed_up_at": ago(90)},  # not there 90 days before
    ]
    usage = [{"used_at": ago(30), "voice_minutes": 500, "dropped_calls": 2}]
    usage += [{"customer_id": "dan", "used_at": ago(1), "voice_minutes": 500, "dropped_calls": 4}]
    tables = {"usage": usage, "subscriptions": [{"plan": "p", "started_at": ago(9), "ended_at": ago(1)}]}
    out = oracle.features(accept(customers=customers, **tables), T, Settings())
    name = "surroundings_dropped_calls_per_100_minutes_region_30d"
    assert out["ana"][name] == pytest.approx((200 + 10_000 * 0.6) / (500 + 10_000))
    assert out["eve"][name] == out["ana"][name]
    assert out["dan"][name] == pytest.approx(0.6)
    name = "surroundings_churn_rate_region_90d"  # of ana, bob, dan: bob
    assert out["ana"][name] == pytest.approx((200 / 3) / 201)
    assert out["dan"][name] == pytest.approx(1 / 3)
    name = "surroundings_churn_rate_plan_90d"
    assert out["ana"][name] == pytest.approx((200 / 3) / 201)
    assert out["eve"][name] == pytest.approx(1 / 3)
    alone = oracle.features(accept(customers=customers[-1:], usage=[]), T, Settings())["eve"]
    assert alone["surroundings_churn_rate_region_90d"] is None


def test_bills():
    due = ago(3, timedelta(hours=9))
    end = ago(2)
    rows = [
        bill(1, ago(20), 10, due_at=due, paid_at=end - US),  # in full, in time
        bill(2, ago(20), 10, due_at=due, paid_at=end),  # in full, late
        bill(3, ago(20), 10, due_at=due, paid_at=due, paid_amount=4),  # partly
        bill(4, ago(20), 10, due_at=due, paid_amount=10),  # pays nothing without paid_at
        bill(5, ago(20), -5, due_at=due),  # in full from the start
        bill(6, ago(20), 0, due_at=due),
        bill(7, ago(20), 7),  # never late, but unpaid
        bill(8, ago(20), 10, due_at=START, paid_at=START),  # not late yet; paid at T: not known
        bill(9, ago(100), 10, due_at=ago(7, -US), paid_at=ago(50), paid_amount=12),
    ]
    row = of_ana(bills=rows)
    assert row["bills_late_count_7d"] == 3
    assert row["bills_unpaid_amount"] == 6 + 10 + 7 + 10
    assert row["bills_days_overdue_max"] == 3
    assert row["bills_amount_sum_30d"] == 52
    assert row["bills_amount_mean_30d"] == 52 / 8
    assert row["bills_amount_mean_7d"] is None
    edges = [bill(1, ago(60), 10, due_at=ago(7)), bill(2, ago(60), 10, due_at=ago(7, -US))]
    row = of_ana(bills=edges)
    assert (row["bills_late_count_7d"], row["bills_late_count_30d"]) == (1, 2)
    assert row["bills_days_overdue_max"] == 8


def test_complaints():
    month = timedelta(hours=720)

    def call(n, opened, **more):
        return {"complaint_id": f"c{n}", "opened_at": opened, **more}

    rows = [
        call(1, ago(5), category="a", resolved_at=ago(4), first_contact_resolved=True, satisfaction=2),
        call(2, ago(5) - month, category="a", resolved_at=ago(34), first_contact_resolved=False),
        call(3, ago(6), category="b", resolved_at=ago(6, timedelta(hours=3)), satisfaction=5),
        call(4, ago(6) - month - US, category="b", resolved_at=START, first_contact_resolved=True),
        call(5, ago(3), satisfaction=1),
        call(6, ago(2)),
        call(7, ago(5), category="c"),
        call(8, ago(5), category="c"),  # at one instant: no repeat
    ]
    row = of_ana(complaints=rows)
    assert row["complaints_count_7d"] == 6
    assert row["complaints_count_90d"] == 8
    assert row["complaints_repeat_count_7d"] == 1
    assert row["complaints_open_count"] == 5
    assert row["complaints_first_contact_resolution_rate_7d"] == 1
    assert row["complaints_first_contact_resolution_rate_90d"] == 0.5
    assert row["complaints_resolution_hours_mean_7d"] == 13.5
    assert row["complaints_satisfaction_mean_7d"] == 3.5


def test_surveys():
    rows = [{"answered_at": ago(2), "score": 4}, {"answered_at": ago(2), "score": 3}]
    rows += [{"answered_at": ago(7), "score": 5}, {"answered_at": START, "score": 1}]
    row = of_ana(surveys=rows)
    assert row["surveys_score_last"] == 3
    assert row["surveys_score_mean_7d"] == 4
    assert of_ana(surveys=[{"answered_at": datetime(2021, 1, 1), "score": 2}])["surveys_score_last"] == 2


def test_account():
    rows = [
        {
            "plan": "old",
            "started_at": ago(400),
            "ended_at": ago(9),
            "monthly_fee": 99,
            "contract_ends_at": ago(-99),
        },
        {"plan": "b", "started_at": ago(9), "ended_at": START, "monthly_fee": 10, "contract_ends_at": None},
        {
            "plan": "Z",
            "started_at": ago(9),
            "monthly_fee": None,
            "contract_ends_at": ago(2, timedelta(hours=7)),
        },
        {"plan": "next", "started_at": START, "monthly_fee": 50},
    ]
    row = of_ana(subscriptions=rows)
    assert row["account_plan"] == "Z"  # by code point
    assert row["account_monthly_fee"] == 10
    assert row["account_days_to_contract_end"] == -2
    assert row["account_plan_changes_7d"] == 0
    assert row["account_plan_changes_30d"] == 2
    tie = of_ana(subscriptions=rows[1:3])
    assert tie["account_plan_changes_30d"] == 1
    assert of_ana(subscriptions=rows[2:3])["account_monthly_fee"] is None
    assert of_ana(subscriptions=rows[:1])["account_plan"] is None
    future = [{"plan": "p", "started_at": ago(1), "contract_ends_at": START + DAY - US}]
    assert of_ana(subscriptions=future)["account_days_to_contract_end"] == 0


def test_attributes_and_tenure():
    settings = Settings(personal=("name",))
    first = {**ANA, "segment": "mass", "name": "Ana", "city": "Wien", "churned_at": ago(30)}
    back = {**first, "signed_up_at": ago(9, timedelta(hours=23)), "churned_at": None, "segment": "key"}
    fresh = {**back, "city": "Graz", "known_at": ago(1)}
    later = {**back, "city": "Linz", "known_at": START}
    row = of_ana(settings, (first, back, fresh, later))
    assert row["account_tenure_days"] == 9
    assert row["account_segment"] == "key"
    assert row["account_city"] == "Graz"
    assert not {"account_name", "account_churn_type", "account_known_at", "account_account_manager"} & set(row)


# ------------------------------------------------------------------------------------------------- histories


@profile(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories.operators())
def test_operators_are_good_and_become_frames(example):
    tables, settings, dates = example
    accepted, quarantined = oracle.read(tables, settings)
    assert not any(quarantined.values())
    for name, frame in histories.to_frames(tables).items():
        assert len(frame) == len(tables[name])
        event = oracle.TABLES[name].event
        for row, shown in zip(tables[name], frame[event], strict=True):
            if isinstance(row[event], datetime) and row[event].tzinfo is not None:
                assert shown.to_pydatetime().astimezone(UTC) == row[event].astimezone(UTC)
    for day in dates:
        at_risk = oracle.population(accepted, day, settings)
        assert set(oracle.features(accepted, day, settings)) == set(at_risk)
        assert set(oracle.labels(accepted, day, settings)) == set(at_risk)


@profile(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories.bad_operators())
def test_bad_operators_add_up(example):
    tables, settings, _ = example
    accepted, quarantined = oracle.read(tables, settings)
    for name, rows in tables.items():
        assert len(accepted[name]) + len(quarantined[name]) == len(rows)
    assert set(histories.to_frames(tables)) == set(tables)

"""When customers leave and why: probabilities that agree with one another, and with what was counted and is true."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import churnml
from churnml.columns import AS_OF, CAUSE, CUSTOMER_ID, DURATION_DAYS
from churnml.config import load_config
from churnml.errors import ChurnmlError
from churnml.labels.departure import departures
from churnml.models.hazard import MONTH_DAYS, HazardModel
from churnml.models.periods import PersonPeriods
from churnml.population import at_risk
from churnml.tables.histories import open_histories
from churnml.training.data import gather

DAYS = [0, 1, 30, 45, 74, 90, 180, 359.5, 360, 365, 500]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("churnml.models.boosting.MAX_ROUNDS", 150)


def watched(rows, *, seed=0, shares=(0.6, 0.4), scale=500.0, censored=(20, 450)):
    """Customers with one column that matters: exponential times, the first of several causes, censored at random."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(0, 1, rows)
    frame = pd.DataFrame(
        {"risk": risk, "noise": rng.normal(0, 1, rows), "plan": pd.Series(rng.choice(["a", "b", None], rows))}
    )
    names = ["voluntary", "port_out", "involuntary"][: len(shares)]
    pull = [np.exp(0.7 * risk), np.exp(-0.7 * risk), np.ones(rows)][: len(shares)]
    times = np.stack([rng.exponential(scale / share / one) for share, one in zip(shares, pull, strict=True)])
    end = rng.uniform(*censored, rows)
    duration = np.minimum(times.min(axis=0), end)
    cause = np.array(names, dtype=object)[times.argmin(axis=0)]
    cause[times.min(axis=0) > end] = None
    return frame, duration, cause


@pytest.fixture(scope="module")
def fitted():
    frame, duration, cause = watched(4_000)
    return HazardModel(random_state=1).fit(frame, duration, cause), frame


def aalen_johansen(duration, cause, day, name):
    """Return the cumulative incidence of a cause by a day, event by event."""
    rows = sorted(zip(duration, cause, strict=True), key=lambda row: row[0])
    there, survival, incidence = len(rows), 1.0, 0.0
    for when, why in rows:
        if when >= day:
            break
        if why is not None:
            incidence += survival / there * (why == name)
            survival *= 1 - 1 / there
        there -= 1
    return incidence, survival


def test_the_chance_of_having_left_never_falls_with_the_horizon(fitted):
    model, frame = fitted
    by = model.churn_by(frame, np.sort([*DAYS, *np.linspace(0, 400, 801)]))
    assert (np.diff(by, axis=1) >= 0).all()
    assert (by[:, 0] == 0).all()
    assert ((by >= 0) & (by < 1)).all()


def test_a_horizon_is_answered_alike_alone_and_among_others(fitted):
    model, frame = fitted
    together = model.churn_by(frame, DAYS)
    for place, day in enumerate(DAYS):
        alone = model.churn_by(frame, day)
        assert alone.shape == (len(frame),)
        assert (alone == together[:, place]).all()


@pytest.mark.parametrize("day", DAYS)
def test_causes_and_staying_sum_to_one_and_agree_with_the_chance_of_having_left(fitted, day):
    model, frame = fitted
    found = model.cause_probabilities(frame, day)
    assert list(found) == ["port_out", "voluntary", "staying"]
    assert found.index.equals(frame.index)
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-12
    assert (found >= 0).all().all()
    assert np.allclose(1 - found["staying"], model.churn_by(frame, day), atol=1e-12)


def test_the_outcome_window_is_asked_by_default(fitted):
    model, frame = fitted
    assert model.cause_probabilities(frame).equals(model.cause_probabilities(frame, 74))


def test_survival_and_months_left_agree_with_the_chance_of_having_left(fitted):
    model, frame = fitted
    survival = model.survival(frame, 14)
    assert survival.shape == (len(frame), 14)
    assert np.allclose(survival[:, 2], 1 - model.churn_by(frame, 3 * MONTH_DAYS))
    fine = np.linspace(0, 14 * MONTH_DAYS, 4_201)
    whole = np.trapezoid(1 - model.churn_by(frame[:200], fine), fine, axis=1) / MONTH_DAYS
    assert np.allclose(model.expected_months(frame[:200], 14), whole, rtol=1e-5)
    assert (model.expected_months(frame, 6) <= 6).all()
    assert (model.expected_months(frame, 0) == 0).all()


def test_who_is_at_risk_is_told_from_who_is_not(fitted):
    model, frame = fitted
    found = model.cause_probabilities(frame, 180)
    high, low = frame["risk"] > 1, frame["risk"] < -1
    assert found.loc[high, "voluntary"].mean() > 2.5 * found.loc[low, "voluntary"].mean()
    assert found.loc[low, "port_out"].mean() > 2.5 * found.loc[high, "port_out"].mean()


def test_a_saved_model_predicts_the_same_bits(fitted, tmp_path):
    model, frame = fitted
    model.save(tmp_path)
    again = HazardModel.load(tmp_path)
    assert again.cause_probabilities(frame, 200).equals(model.cause_probabilities(frame, 200))
    assert (again.churn_by(frame, DAYS) == model.churn_by(frame, DAYS)).all()
    assert (again.expected_months(frame) == model.expected_months(frame)).all()
    assert again.search_ == model.search_
    assert not [path for path in tmp_path.iterdir() if path.suffix not in (".txt", ".json")]
    (tmp_path / "booster.txt").unlink()
    with pytest.raises(ChurnmlError, match="train again"):
        HazardModel.load(tmp_path)


def test_the_same_seed_gives_the_same_model():
    frame, duration, cause = watched(1_500)
    customers, as_of = np.arange(1_500) // 2, np.repeat(pd.date_range("2024-01-01", periods=6, freq="MS"), 250)
    models = [
        HazardModel(random_state=seed, max_rows=4_000).fit(frame, duration, cause, groups=customers, as_of=as_of)
        for seed in (5, 5, 6)
    ]
    first, second, other = (model.cause_probabilities(frame) for model in models)
    assert first.equals(second)
    assert not first.equals(other)


@pytest.mark.parametrize("censored", [(20, 450), (95, 95.1), (400, 500)])
def test_without_features_it_is_what_aalen_and_johansen_count(censored):
    rng = np.random.default_rng(0)
    rows = 12_000
    first, second = rng.exponential(500, rows), rng.weibull(1.5, rows) * 700
    end = rng.uniform(*censored, rows)
    duration = np.minimum(np.minimum(first, second), end)
    cause = np.where(first < second, "voluntary", "port_out").astype(object)
    cause[duration == end] = None
    model = HazardModel(random_state=0).fit(pd.DataFrame({"one": np.ones(rows)}), duration, cause)
    for day in (30, 74, 90, 180, 300):
        if day > censored[1]:
            continue
        [found] = model.cause_probabilities(pd.DataFrame({"one": [1.0]}), day).to_dict(orient="records")
        for name in ("voluntary", "port_out"):
            incidence, survival = aalen_johansen(duration, cause, day, name)
            assert found[name] == pytest.approx(incidence, abs=0.006)
        assert found["staying"] == pytest.approx(survival, abs=0.006)


def test_who_is_censored_within_a_period_counts_for_the_part_that_was_watched():
    length, outcome = np.array([0.25, 1.0, 1.5, 2.0, 2.0, 7.0, 0.0]), np.array([0, 1, 0, 0, 2, 1, 0], dtype=np.int16)
    weight = np.array([1.0, 1, 2, 1, 1, 1, 1])
    found = PersonPeriods.of(length, outcome, weight, most=3)
    rows = list(zip(found.row, found.number, found.outcome, found.weight, strict=True))
    assert rows == [
        (0, 0, 0, 0.25),
        (1, 0, 0, 1.0),
        (1, 1, 1, 1.0),  # a departure at 1.0 falls into the second period
        (2, 0, 0, 2.0),
        (2, 1, 0, 1.0),
        (3, 0, 0, 1.0),
        (3, 1, 0, 1.0),
        (4, 0, 0, 1.0),
        (4, 1, 0, 1.0),
        (4, 2, 2, 1.0),
        (5, 0, 0, 1.0),
        (5, 1, 0, 1.0),
        (5, 2, 0, 1.0),  # and one after the last period is none
    ]


def test_drawn_periods_keep_departures_and_sums():
    _, duration, cause = watched(3_000)
    outcome = pd.notna(cause).astype(np.int16)
    whole = PersonPeriods.of(duration / 30, outcome, np.ones(3_000), most=12)
    part = whole.drawn(6_000, np.random.RandomState(0))
    assert len(part.row) == 6_000
    assert part.weight.sum() == pytest.approx(whole.weight.sum(), rel=0.01)
    assert part.weight[part.outcome > 0].sum() == whole.weight[whole.outcome > 0].sum()
    assert (np.diff(part.row) >= 0).all()
    few = whole.drawn(500, np.random.RandomState(0))
    assert (few.outcome > 0).sum() == 250
    assert few.weight[few.outcome > 0].sum() == pytest.approx(whole.weight[whole.outcome > 0].sum())
    assert whole.drawn(10**9, np.random.RandomState(0)) is whole


def test_a_model_of_drawn_periods_has_the_same_level():
    frame, duration, cause = watched(4_000, scale=2_000)
    whole = HazardModel(random_state=0).fit(frame, duration, cause).cause_probabilities(frame, 180).mean()
    drawn = HazardModel(random_state=0, max_rows=6_000).fit(frame, duration, cause)
    assert np.allclose(drawn.cause_probabilities(frame, 180).mean(), whole, rtol=0.07)


def test_a_weight_counts_as_so_many_rows():
    _, duration, cause = watched(3_000)
    often = np.where(cause == "port_out", 1, 3)
    found = [
        HazardModel(random_state=0).fit(pd.DataFrame({"one": np.ones(len(rows))}), duration[rows], cause[rows], weight)
        for rows, weight in ((np.arange(3_000), often), (np.repeat(np.arange(3_000), often), None))
    ]
    one, other = (model.cause_probabilities(pd.DataFrame({"one": [1.0]}), 180).to_numpy() for model in found)
    assert np.allclose(one, other, atol=0.01)


def test_causes_with_few_leavers_share_the_hazard_of_one():
    frame, duration, cause = watched(4_000)
    left = np.flatnonzero(pd.notna(cause))
    cause[left[:20]], cause[left[20:32]] = "moved", "died"
    model = HazardModel(random_state=0).fit(frame, duration, cause)
    found = model.cause_probabilities(frame, 180)
    assert list(found) == ["died", "moved", "port_out", "voluntary", "staying"]
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-12
    assert np.allclose(found["moved"] / found["died"], 20 / 12)
    assert model.search_["leavers"]["died"] == 12
    assert set(model.search_["levels"]) == {"voluntary", "port_out", "moved, died"}
    cause[left[20:32]] = "voluntary"  # 20 are too few alone: they join the next larger cause
    model = HazardModel(random_state=0).fit(frame, duration, cause)
    assert set(model.search_["levels"]) == {"voluntary", "port_out, moved"}


def test_a_leaver_of_several_dates_is_one_leaver():
    frame, duration, cause = watched(200)
    cause[:] = None
    cause[:40], duration[:40] = "voluntary", 10.0
    assert HazardModel(random_state=0).fit(frame, duration, cause).booster_ is not None
    customers = np.arange(200) // 2
    assert HazardModel(random_state=0).fit(frame, duration, cause, groups=customers).booster_ is None


def test_with_few_leavers_everyone_has_the_same_hazard(tmp_path):
    frame, duration, cause = watched(300)
    left = np.flatnonzero(pd.notna(cause))
    duration[left[12:]], cause[left[12:]] = 360.0, None
    cause[left[:9]], cause[left[9:12]] = "voluntary", "port_out"
    model = HazardModel(random_state=0).fit(frame, duration, cause)
    found = model.cause_probabilities(frame, 30)
    assert len(found.drop_duplicates()) == 1
    exposed = np.where(pd.notna(cause), np.floor(duration / 30) + 1, np.minimum(duration / 30, 12)).sum()
    assert 1 - found["staying"][0] == pytest.approx(12 / exposed)
    assert found["voluntary"][0] == pytest.approx(3 * found["port_out"][0])
    model.save(tmp_path)
    assert HazardModel.load(tmp_path).cause_probabilities(frame, 30).equals(found)


def test_one_cause_alone_is_enough():
    frame, duration, cause = watched(1_500, shares=(1.0,))
    found = HazardModel(random_state=0).fit(frame, duration, cause).cause_probabilities(frame, 90)
    assert list(found) == ["voluntary", "staying"]
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-12


def test_inner_folds_go_forward_in_time_and_hold_nothing_that_was_not_over():
    frame, duration, cause = watched(3_000)
    as_of = np.repeat(pd.date_range("2023-01-01", periods=6, freq="2MS"), 500)
    model = HazardModel(random_state=0).fit(frame, duration, cause, as_of=as_of)
    assert model.search_["judged"] == ["2023-09-01", "2023-11-01"]
    assert model.search_["fitted"] == ["2023-01-01", "2023-03-01", "2023-05-01", "2023-07-01"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"duration": [-1.0]}, "1 of 300 durations are null, infinite or below 0"),
        ({"duration": [np.nan]}, "1 of 300 durations"),
        ({"duration": [np.inf]}, "1 of 300 durations"),
        ({"cause": [7]}, "7 is no cause of a departure"),
        ({"cause": ["staying"]}, "'staying' is no cause of a departure"),
        ({"frame": [np.inf]}, "column risk"),
        ({"cause": None}, "nobody leaves within 12 periods of 30 days"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(change, match):
    frame, duration, cause = watched(300)
    for name, values in change.items():
        target = {"duration": duration, "cause": cause, "frame": frame["risk"].to_numpy(copy=True)}[name]
        target[: len(values or cause)] = values
        frame = frame.assign(risk=target) if name == "frame" else frame
    with pytest.raises(ValueError, match=match):
        HazardModel(random_state=0).fit(frame, duration, cause)


def test_lengths_columns_and_horizons_that_do_not_fit_are_refused(fitted):
    model, frame = fitted
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        HazardModel().fit(frame, np.ones(3), [None] * 3)
    with pytest.raises(ValueError, match="risk"):
        model.churn_by(frame.drop(columns="risk"), 30)
    for horizon in (-1, np.nan, [[30.0]]):
        with pytest.raises(ValueError, match="no horizon"):
            model.churn_by(frame, horizon)


def tables_of(customers, **label):
    bills = pd.DataFrame(
        {
            "bill_id": ["b"],
            "customer_id": customers["customer_id"][:1],
            "billed_at": [pd.Timestamp("2024-05-31")],
            "amount": [1.0],
        }
    )
    usage = pd.DataFrame(
        {"customer_id": customers["customer_id"][:1], "used_at": [pd.Timestamp("2024-06-30")], "data_mb": [1.0]}
    )
    return load_config({"tables": {"customers": customers, "bills": bills, "usage": usage}, "label": label})


def test_departures_are_of_the_spell_that_holds_the_date_and_censored_where_nothing_is_known():
    day = pd.Timestamp
    customers = pd.DataFrame(
        [
            ("stays", day("2023-01-01"), None, None),
            ("leaves", day("2023-01-01"), day("2024-03-02 12:00"), "port_out"),
            ("at_once", day("2023-01-01"), day("2024-03-01"), "voluntary"),
            ("no_type", day("2023-01-01"), day("2024-05-31 23:59"), None),
            ("too_late", day("2023-01-01"), day("2024-06-01"), "voluntary"),
            ("returned", day("2023-01-01"), day("2023-06-01"), "voluntary"),
            ("returned", day("2024-01-01"), day("2024-03-31"), "involuntary"),
            ("leaves_and_returns", day("2023-01-01"), day("2024-03-11"), "voluntary"),
            ("leaves_and_returns", day("2024-04-01"), None, None),
            ("gone", day("2023-01-01"), day("2024-02-01"), "voluntary"),
        ],
        columns=["customer_id", "signed_up_at", "churned_at", "churn_type"],
    )
    late = customers.assign(known_at=customers["churned_at"].where(customers["customer_id"] == "gone"))
    late["known_at"] = late["known_at"].mask(late["customer_id"] == "gone", day("2024-04-01"))
    before = late[late["customer_id"] == "gone"].assign(churned_at=pd.NaT, churn_type=None, known_at=pd.NaT)
    with open_histories(tables_of(pd.concat([late, before], ignore_index=True))) as histories:
        found = histories.fetch(departures(histories, at_risk(histories, dt.date(2024, 3, 1)), dt.date(2024, 3, 1)))
    rows = found.to_pandas().set_index("customer_id")
    expected = {
        "stays": (92.0, None),  # bills end on 31 May: known up to 1 June
        "leaves": (1.5, "port_out"),
        "at_once": (0.0, "voluntary"),
        "no_type": (91 + 1439 / 1440, "unknown"),
        "too_late": (92.0, None),
        "returned": (30.0, "involuntary"),
        "leaves_and_returns": (10.0, "voluntary"),
        "gone": (None, None),  # had left before, which nobody knew
    }
    assert set(rows.index) == set(expected)
    for customer, (days, cause) in expected.items():
        row = rows.loc[customer]
        assert (None if pd.isna(row["duration_days"]) else row["duration_days"]) == pytest.approx(days)
        assert (None if pd.isna(row["cause"]) else row["cause"]) == cause
        assert row["departed"] == (cause is not None)


def test_customers_who_fall_silent_have_no_departures():
    customers = pd.DataFrame({"customer_id": ["a"], "signed_up_at": [pd.Timestamp("2023-01-01")]})
    with open_histories(tables_of(customers, mode="inactive")) as histories:
        population = at_risk(histories, dt.date(2024, 7, 1))
        with pytest.raises(ChurnmlError, match="no day of leaving and no cause"):
            departures(histories, population, dt.date(2024, 7, 1))


@pytest.fixture(scope="module")
def learned(simulated):
    """The panel of a simulated operator, and a model of the dates before the last."""
    with open_histories(simulated) as histories:
        data = gather(histories, [dt.date(2023, month, 1) for month in (7, 9, 11)] + [dt.date(2024, 3, 1)])
    test = pd.Timestamp(2024, 3, 1)
    rows = data.watched_rows(data.churn.known[:-1])
    room = (test - rows[AS_OF]) / pd.Timedelta(days=1)
    duration, cause = rows[DURATION_DAYS].clip(upper=room), rows[CAUSE].where(rows[DURATION_DAYS] < room)
    model = HazardModel(random_state=0, max_rows=20_000)
    model.fit(data.read(rows), duration, cause, groups=rows[CUSTOMER_ID], as_of=rows[AS_OF])
    return model, data, data.watched_rows([test.date()])


def test_rows_that_the_label_does_not_tell_are_watched_too(learned):
    _, data, tested = learned
    assert set(tested[CAUSE].dropna()) == {"voluntary", "port_out", "involuntary"}
    assert len(tested) > len(data.churn_rows([tested[AS_OF].iloc[0].date()]))


def test_incidences_of_a_simulated_operator_are_near_the_true_ones(learned, simulated):
    model, data, tested = learned
    months = pd.concat(pd.read_parquet(file) for file in (simulated.folder / "truth").glob("*/months.parquet"))
    months = months[months["month"].between(pd.Timestamp(2024, 3, 1), pd.Timestamp(2024, 5, 1))]
    months = months.sort_values("month", kind="stable")
    days = months["month"].map(
        {pd.Timestamp(2024, 3, 1): 31, pd.Timestamp(2024, 4, 1): 30, pd.Timestamp(2024, 5, 1): 13}
    )
    rates = months[[f"hazard_{cause}" for cause in model.causes_]]
    used = rates.sum(axis=1) * days
    before = used.groupby(months["customer_id"]).cumsum() - used
    leaves = rates.mul(np.exp(-before) * -np.expm1(-used) / rates.sum(axis=1), axis=0)
    true = leaves.groupby(months["customer_id"]).sum().loc[tested[CUSTOMER_ID]].to_numpy()
    predicted = model.cause_probabilities(data.read(tested))
    for place, cause in enumerate(model.causes_):
        bins = np.array_split(np.argsort(predicted[cause].to_numpy(), kind="stable"), 10)
        distance = [abs(predicted[cause].to_numpy()[rows].mean() - true[rows, place].mean()) for rows in bins]
        assert np.mean(distance) <= 0.01, (cause, distance)


def test_the_public_name_is_there():
    assert churnml.HazardModel is HazardModel

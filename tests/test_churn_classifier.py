"""The churn classifier: what it makes of columns, what it says of bad ones, and that it is the same when read back."""

import datetime as dt
import decimal
import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnml import ChurnClassifier, ValueRegressor
from churnml.errors import ChurnmlError
from churnml.models.boosting import CANDIDATES
from churnml.models.columns_of import MANY_LEVELS, ModelColumns
from churnml.models.constructed import Construction, constructions, with_constructed

BEST = [str(one) for one in CANDIDATES["best"]]


def customers(rows=3_000, seed=0, rate=-1.5):
    """Draw customers: who leaves depends on a ratio, on a plan of many, and on nothing else."""
    rng = np.random.default_rng(seed)
    day, night = rng.gamma(4, 50, rows), rng.gamma(4, 50, rows)
    city = rng.integers(0, 60, rows)
    odds = rate + 4 * (day / (day + night) - 0.5) + np.sin(city * 7.0)
    frame = pd.DataFrame(
        {
            "day_minutes": day,
            "night_minutes": np.where(rng.random(rows) < 0.1, np.nan, night),
            "city": pd.Series(city).astype(str).radd("c"),
            "plan": pd.Series(rng.choice(["basic", "plus"], rows), dtype="category"),
            "roams": rng.random(rows) < 0.3,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
        }
    )
    return frame, (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("churnml.models.boosting.MAX_ROUNDS", 150)
        yield


@pytest.mark.parametrize("capacity", [None, *BEST])
def test_contributions_sum_to_the_raw_prediction_and_a_model_read_back_predicts_the_same_bits(capacity, tmp_path):
    frame, left = customers(1_200)
    model = ChurnClassifier(capacity=capacity, random_state=1).fit(frame, left)
    model.save(tmp_path)
    again = ChurnClassifier.load(tmp_path)
    assert (again.predict_proba(frame) == model.predict_proba(frame)).all()
    assert again.get_params() == model.get_params()
    matrix = model.columns_.matrix(frame)
    raw = model.booster_.predict(matrix, raw_score=True) + (model.line_(matrix) if model.line_ else 0)
    for one in (model, again):
        added = one.contributions(frame)
        assert list(added) == list(frame)
        assert np.ptp(raw - added.sum(axis=1)) < 1e-9
    assert not [path for path in tmp_path.rglob("*") if path.suffix not in (".json", ".txt")]


def test_contributions_are_exact_where_a_leaf_has_a_line_of_no_column():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=600), "b": rng.choice(list("xyz"), 600), "c": rng.random(600) < 0.3})
    left = rng.random(600) < 1 / (1 + np.exp(1 - frame["a"] - frame["c"]))
    model = ChurnClassifier(capacity="4 linear leaves, given columns", random_state=0).fit(frame, left)
    raw = model.booster_.predict(model.columns_.matrix(frame), raw_score=True)
    assert np.ptp(raw - model.contributions(frame).sum(axis=1)) < 1e-9


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_weights_of_any_unit_give_the_same_model(scale):
    frame, left = customers(1_200)
    weight = np.where(left == 1, 2.0, 1.0)
    told = [
        ChurnClassifier(effort="fast", random_state=0).fit(frame, left, sample_weight=own).predict_proba(frame)
        for own in (weight, weight * scale)
    ]
    assert np.allclose(*told, atol=1e-6)


@pytest.mark.parametrize("rate", [0, 1, 1.5, -0.1, np.nan])
def test_a_rate_that_is_none_is_refused(rate):
    frame, left = customers(200)
    with pytest.raises(ChurnmlError, match="population_rate is"):
        ChurnClassifier(population_rate=rate).fit(frame, left)


@pytest.mark.parametrize("estimator", [ChurnClassifier, ValueRegressor])
@pytest.mark.parametrize("given_as", ["groups", "as_of"])
@pytest.mark.parametrize("rows", [10, 300])
def test_customers_and_dates_are_of_every_row(estimator, given_as, rows):
    frame, left = customers(200)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        estimator().fit(frame, left, **{given_as: np.repeat(np.datetime64("2024-01-01"), rows)})


def test_weights_that_leave_one_class_or_nothing_are_refused():
    frame, left = customers(200)
    with pytest.raises(ChurnmlError, match="of one class"):
        ChurnClassifier().fit(frame, left, sample_weight=1.0 - left)
    for estimator in (ChurnClassifier(), ValueRegressor()):
        with pytest.raises(ValueError, match="at least one non-zero"):
            estimator.fit(frame, left, sample_weight=np.zeros(200))


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    frame, left = customers(1_500)
    first, second, other = (ChurnClassifier(random_state=seed).fit(frame, left) for seed in (3, 3, 4))
    assert (first.predict_proba(frame) == second.predict_proba(frame)).all()
    assert (first.predict_proba(frame) != other.predict_proba(frame)).any()


def test_probabilities_are_calibrated_and_corrected_to_the_rate_of_the_base():
    frame, left = customers(30_000, rate=-3.5)
    train, test = np.arange(15_000), np.arange(15_000, 30_000)
    leavers = train[left[train] == 1]
    sample = np.concatenate([leavers, train[left[train] == 0][: len(leavers)]])
    rate = float(left[train].mean())
    model = ChurnClassifier(population_rate=rate, effort="fast", random_state=0)
    told = model.fit(frame.iloc[sample], left[sample]).predict_proba(frame.iloc[test])[:, 1]
    assert told.mean() == pytest.approx(left[test].mean(), rel=0.15)
    plain = ChurnClassifier(effort="fast", random_state=0).fit(frame.iloc[sample], left[sample])
    assert plain.predict_proba(frame.iloc[test])[:, 1].mean() > 5 * left[test].mean()


def test_weights_stand_for_rows_that_are_not_there():
    frame, left = customers(6_000)
    weight = np.where(left == 1, 3.0, 1.0)
    told = ChurnClassifier(effort="fast", random_state=0).fit(frame, left, sample_weight=weight).predict_proba(frame)
    assert np.average(told[:, 1], weights=weight) == pytest.approx(np.average(left, weights=weight), rel=0.03)


def test_texts_of_many_values_are_encoded_by_rows_of_other_folds():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"city": rng.choice([f"c{number}" for number in range(400)], 4_000)})
    noise = (rng.random(4_000) < 0.3).astype(float)
    columns, matrix = ModelColumns.learned(frame, noise)
    assert columns.categorical == []
    assert abs(np.corrcoef(matrix[:, 0], noise)[0, 1]) < 0.06  # of its own rows it would be some .3
    customer = np.arange(4_000) // 2  # both rows of a customer have one outcome
    twice = noise[customer * 2]
    _, matrix = ModelColumns.learned(frame, twice, customer)
    assert abs(np.corrcoef(matrix[:, 0], twice)[0, 1]) < 0.06
    unseen = columns.matrix(pd.DataFrame({"city": ["nowhere", None]}))
    assert unseen[0, 0] == pytest.approx(noise.mean(), abs=0.01)
    assert np.isnan(unseen[1, 0])
    few = pd.DataFrame({"city": [f"c{number % MANY_LEVELS}" for number in range(100)]})
    assert ModelColumns.learned(few, np.arange(100) % 2.0)[0].categorical == [0]


def test_columns_are_constructed_of_those_that_share_a_word():
    names = ["TotalCharges", "MonthlyCharges", "tenure", "day_minutes", "night minutes", "id"]
    made = constructions(names, range(5))
    assert [(one.how, [names[place] for place in one.of]) for one in made] == [
        ("sum", ["TotalCharges", "MonthlyCharges"]),
        ("ratio", ["TotalCharges", "MonthlyCharges"]),
        ("sum", ["day_minutes", "night minutes"]),
        ("ratio", ["day_minutes", "night minutes"]),
    ]
    assert constructions([f"minutes_{number}" for number in range(100)], range(100)) == []


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(*[st.one_of(st.just(0.0), st.just(np.nan), st.floats(-1e9, 1e9))] * 3), min_size=1, max_size=5)
)
def test_constructed_columns_equal_plain_arithmetic(rows):
    matrix = np.array(rows)
    made = with_constructed(matrix, [Construction("sum", (0, 1, 2)), Construction("ratio", (0, 2))])[:, 3:]
    for (first, second, third), (total, ratio) in zip(rows, made, strict=True):
        assert total == pytest.approx(first + second + third, nan_ok=True)
        assert ratio == pytest.approx(first / third if third != 0 else np.nan, nan_ok=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda frame, left: (frame, left * 0), "the 400 rows hold one class"),
        (lambda frame, left: (frame, np.arange(400) % 3), "Only binary classification is supported"),
        (lambda frame, left: (frame, pd.Series(left, dtype="Int64").mask(left == 1)), "Input y contains NaN"),
        (lambda frame, left: (frame, left[:-1]), "inconsistent numbers of samples"),
        (lambda frame, left: (frame.assign(day_minutes=np.inf), left), "infinity.*column day_minutes"),
        (lambda frame, left: (frame.set_axis(["a", "a", *"bcde"], axis=1), left), "two columns of X are called a"),
        (lambda frame, left: (frame.iloc[:, :0], left), "0 feature"),
    ],
)
def test_what_no_model_can_be_fitted_on_is_told(changed, message):
    frame, left = changed(*customers(400))
    with pytest.raises(ValueError, match=message):
        ChurnClassifier(effort="fast").fit(frame, left)


def test_columns_that_are_not_those_of_the_training_are_told():
    frame, left = customers(600)
    model = ChurnClassifier(effort="fast", random_state=0).fit(frame, left)
    with pytest.raises(ValueError, match=r"now missing:\n- city"):
        model.predict_proba(frame.drop(columns="city"))
    with pytest.raises(ChurnmlError, match=r"1 of another type \(city\)"):
        model.predict_proba(frame.assign(city=1.0))
    with pytest.raises(ChurnmlError, match="there is no capacity 9 leaves"):
        ChurnClassifier(capacity="9 leaves").fit(frame, left)


@pytest.mark.parametrize("estimator", [ChurnClassifier(random_state=0), ValueRegressor(random_state=0)])
def test_odd_columns_and_few_rows_have_a_defined_result(estimator):
    frame, left = customers(30)
    odd = frame.assign(
        constant=1.0,
        nothing=np.nan,
        no_text=pd.Series([None] * 30, dtype="str"),
        label=left,
        many=[f"x{n}" for n in range(30)],
    )
    told = estimator.fit(odd, left)
    unseen = odd.assign(many="never seen", city=None, day_minutes=None)
    for rows in (odd, unseen):
        found = told.predict_proba(rows)[:, 1] if hasattr(told, "predict_proba") else told.predict(rows)
        assert np.isfinite(found).all()


def test_ten_thousand_categories_tell_nothing_of_themselves():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"account": [f"a{number}" for number in rng.integers(0, 10_000, 20_000)]})
    left = (rng.random(20_000) < 0.2).astype(int)
    told = ChurnClassifier(effort="fast", random_state=0).fit(frame, left).predict_proba(frame)[:, 1]
    assert told.std() < 0.05


DAYS = pd.Series(pd.date_range("2024-01-01", periods=50)).repeat(2).reset_index(drop=True)
DRAWN = np.random.default_rng(0).random(100)


def matrix_of(column, other=None):
    """Learn a column, and read it or another in its place."""
    columns = ModelColumns.of(pd.DataFrame({"it": column}))
    return columns.kinds["it"], columns.matrix(pd.DataFrame({"it": column if other is None else other}))[:, 0]


@pytest.mark.parametrize(
    ("objects", "plain"),
    [
        (pd.Series(DRAWN > 0.5).astype(object), pd.Series(DRAWN > 0.5)),
        (pd.Series(DRAWN).astype(object), pd.Series(DRAWN)),
        (pd.Series(range(100)).astype(object), pd.Series(range(100))),
        (pd.Series([decimal.Decimal(number) / 4 for number in range(100)]), pd.Series(np.arange(100) / 4)),
        (DAYS.dt.date, DAYS),
        (DAYS.astype(object), DAYS),
        (DAYS.astype("date32[day][pyarrow]"), DAYS),
        (DAYS.astype("timestamp[us][pyarrow]"), DAYS),
        ((DAYS - DAYS[0]).astype(object), DAYS - DAYS[0]),
        (DAYS - DAYS[0], pd.Series(np.arange(50.0)).repeat(2).reset_index(drop=True)),
        (DAYS.dt.tz_localize("UTC").astype(object), DAYS.dt.tz_localize("UTC")),
        (DAYS.dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC"), DAYS.dt.tz_localize("Asia/Shanghai")),
    ],
)
def test_a_column_is_what_it_holds_whatever_its_dtype_and_with_nulls_or_without(objects, plain):
    kind, expected = matrix_of(plain)
    assert kind != "text"
    holed = objects.astype(object).where(np.arange(100) % 3 > 0, None)
    for column in (objects, holed):
        assert matrix_of(column)[0] == kind
        for found in (matrix_of(column)[1], matrix_of(plain, column)[1]):
            there = ~np.isnan(found)
            assert there.sum() == column.notna().sum()
            assert (found[there] == expected[there]).all()
    assert np.isnan(matrix_of(plain, pd.Series([None] * 100))[1]).all()


def test_dates_far_away_and_zones_that_change_with_the_season_are_times():
    far = pd.Series([dt.date(9999, 12, 31), dt.date(1970, 1, 2), None])
    assert np.allclose(matrix_of(far)[1], [2_932_896, 1, np.nan], equal_nan=True)
    hours = [dt.datetime(1970, 1, 2, hour, tzinfo=dt.timezone(dt.timedelta(hours=hour))) for hour in (1, 2)]
    assert matrix_of(pd.Series(hours, dtype=object))[1].tolist() == [1, 1]


def test_times_with_a_zone_are_not_taken_for_times_without_nor_for_numbers():
    for first, second in itertools.permutations([DAYS, DAYS.dt.tz_localize("UTC"), pd.Series(DRAWN)], 2):
        with pytest.raises(ChurnmlError, match=r"1 of another type \(it\)"):
            matrix_of(first, second)


def test_complex_numbers_are_refused():
    for column in (pd.Series(DRAWN + 1j), pd.Series([1j, None], dtype=object)):
        with pytest.raises(ChurnmlError, match="Complex data not supported: column it"):
            matrix_of(column)


def test_what_is_no_number_stays_none_and_what_is_too_large_is_told():
    odd = np.full(3, -1, dtype=np.int64).view(np.float64)  # nan, all of whose bits are set
    assert np.isnan(matrix_of(pd.Series(odd))[1]).all()
    with pytest.raises(ChurnmlError, match=r"value too large.*column it"):
        matrix_of(pd.Series([np.finfo(float).max, 0.0]))
    made = [Construction("sum", (0, 1)), Construction("ratio", (0, 1)), Construction("ratio", (0, 2))]
    matrix = np.array([[1e308, 1e308, 1e-300]])
    assert np.array_equal(with_constructed(matrix, made)[0, 3:], [np.nan, 1.0, np.nan], equal_nan=True)


def test_names_of_any_kind_and_tables_of_arrow_are_taken():
    frame, left = customers(400)
    model = ChurnClassifier(effort="fast", random_state=0).fit(frame, left)
    table = pa.Table.from_pandas(frame)
    again = ChurnClassifier(effort="fast", random_state=0).fit(table, left)
    assert list(again.feature_names_in_) == list(frame)
    assert (again.predict_proba(table) == model.predict_proba(frame)).all()
    for names in (pd.MultiIndex.from_product([["a"], list(frame)]), pd.Index(range(len(frame.columns)))):
        named = frame.set_axis(names, axis=1)
        told = ChurnClassifier(effort="fast", random_state=0).fit(named, left).predict_proba(named)
        assert np.isfinite(told).all()

"""Rows of a training: those of no weight are not there, nulls and odd parameters are told, folds look back only."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from churnml import ChurnClassifier, HazardModel, ValueRegressor
from churnml.errors import ChurnmlError, DataError
from churnml.models.boosting import predicted
from churnml.models.bundle import Bundle
from churnml.models.columns_of import ModelColumns
from churnml.models.folds import Folds, later_rows

ROWS = 1_200
ESTIMATORS = [
    ChurnClassifier(effort="fast", random_state=0),
    ValueRegressor(random_state=0),
    HazardModel(random_state=0),
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("churnml.models.boosting.MAX_ROUNDS", 60)


def known(estimator, rows=ROWS):
    """Draw rows: columns, and what this estimator is to learn of them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"risk": rng.normal(size=rows), "shop": rng.integers(0, 40, rows)}).astype({"shop": "str"})
    left = rng.random(rows) < 1 / (1 + np.exp(1 - frame["risk"]))
    if isinstance(estimator, HazardModel):
        return frame, (rng.uniform(5, 200, rows), np.where(left, "voluntary", None))
    return frame, (left.astype(int),) if isinstance(estimator, ChurnClassifier) else (left * rng.gamma(2, 20, rows),)


def told(model, frame):
    return model.predict_proba(frame) if hasattr(model, "predict_proba") else np.asarray(asked(model, frame))


def asked(model, frame):
    return model.predict(frame) if hasattr(model, "predict") else model.cause_probabilities(frame)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_rows_of_no_weight_are_as_if_they_were_not_there(estimator):
    frame, outcome = known(estimator)
    days = np.repeat(pd.date_range("2024-01-01", periods=6, freq="MS"), ROWS // 6)
    who, weight = np.arange(ROWS) // 2, np.where(np.arange(ROWS) % 7, 1.5, 0.0)
    weight[-ROWS // 6 :] = 0  # the whole of the last date
    kept = weight > 0
    frame.loc[~kept, "risk"] = np.inf
    full, part = clone(estimator), clone(estimator)
    full.fit(frame, *outcome, sample_weight=weight, groups=who, as_of=days)
    part.fit(
        frame[kept], *(one[kept] for one in outcome), sample_weight=weight[kept], groups=who[kept], as_of=days[kept]
    )
    assert (told(full, frame[kept]) == told(part, frame[kept])).all()
    assert full.search_ == part.search_


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("given_as", ["groups", "as_of"])
def test_nulls_among_customers_and_dates_are_told(estimator, given_as):
    frame, outcome = known(estimator)
    days = pd.Series(pd.Timestamp("2024-01-01"), range(ROWS)).where(np.arange(ROWS) > 2)
    with pytest.raises(DataError, match=f"{given_as} has 3 nulls"):
        clone(estimator).fit(frame, *outcome, **{given_as: days})


@pytest.mark.parametrize("estimator", ESTIMATORS[:2])
def test_customers_that_are_too_few_are_told(estimator):
    frame, outcome = known(estimator)
    with pytest.raises(DataError, match="groups hold 2 of the 3 customers"):
        clone(estimator).fit(frame, *outcome, groups=np.arange(ROWS) % 2)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_dates_with_a_zone_are_dates(estimator):
    frame, outcome = known(estimator)
    days = pd.Series(np.repeat(pd.date_range("2024-01-01", periods=6, freq="MS"), ROWS // 6))
    plain, zoned = (
        clone(estimator).fit(frame, *outcome, as_of=one) for one in (days, days.dt.tz_localize("Asia/Shanghai"))
    )
    assert (told(plain, frame) == told(zoned, frame)).all()


@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (ChurnClassifier(effort="slow"), "no effort slow: take one of: fast, best"),
        (ChurnClassifier(capacity="9 leaves"), "no capacity 9 leaves: take one of: 4 leaves"),
        (ValueRegressor(capacity={"gain": "9 leaves"}), "no capacity 9 leaves: take one of: .*15 leaves"),
        (
            ValueRegressor(capacity={"gains": "4 leaves, given columns"}),
            "no part of value gains: take one of: gain, loss",
        ),
        (HazardModel(period_days=0), "period_days is 0: give a number above 0"),
        (HazardModel(periods=0), "periods is 0: give a number above 0"),
    ],
)
def test_parameters_that_make_no_sense_are_told(estimator, match):
    frame, outcome = known(estimator)
    with pytest.raises(DataError, match=match):
        estimator.fit(frame, *outcome)


def test_a_rate_that_is_text_is_a_number():
    frame, outcome = known(ESTIMATORS[0])
    first, second = (
        ChurnClassifier(population_rate=rate, effort="fast", random_state=0).fit(frame, *outcome)
        for rate in ("0.1", 0.1)
    )
    assert (told(first, frame) == told(second, frame)).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_is_read_back_can_be_fitted_again_to_the_same_model(estimator, tmp_path):
    frame, outcome = known(estimator)
    model = clone(estimator).set_params(label_days=np.int64(3), random_state=np.int64(5)).fit(frame, *outcome)
    model.save(tmp_path / "new" / "folder")
    again = type(estimator).load(tmp_path / "new" / "folder")
    assert again.get_params() == model.get_params()
    assert (told(clone(again).fit(frame, *outcome), frame) == told(model, frame)).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_no_rows_are_predicted_as_no_rows(estimator):
    frame, outcome = known(estimator)
    model = clone(estimator).fit(frame, *outcome)
    assert told(model, frame[:0]).shape == (0, *told(model, frame[:1]).shape[1:])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_models_that_were_damaged_or_are_others_are_refused(estimator, tmp_path):
    frame, outcome = known(estimator)
    clone(estimator).fit(frame, *outcome).save(tmp_path)
    other = ValueRegressor if isinstance(estimator, ChurnClassifier) else ChurnClassifier
    with pytest.raises(ChurnmlError, match=f"is a {type(estimator).__name__}: read it by"):
        other.load(tmp_path)
    [booster] = tmp_path.glob("*.txt")
    text = booster.read_text("utf-8")
    for damaged in (text[:-100], text[: len(text) // 2], text.replace("leaf_value=", "leaf_value=9 ", 1), ""):
        booster.write_text(damaged, "utf-8")
        with pytest.raises(ChurnmlError, match=r"changed after it was written.*train again"):
            type(estimator).load(tmp_path)
    booster.write_text(text, "utf-8")
    type(estimator).load(tmp_path)
    for damaged in ("", "{}", "[]", json.dumps({"class": type(estimator).__name__, "parameters": {"no": 1}})):
        (tmp_path / "model.json").write_text(damaged, "utf-8")
        with pytest.raises(ChurnmlError, match=r"cannot be read.*train again"):
            type(estimator).load(tmp_path)


def shops(dates=3, each=2_500):
    """Draw customers of shops whose effects are drawn anew every month."""
    rng = np.random.default_rng(0)
    month, shop = np.repeat(np.arange(dates), each), rng.integers(0, 400, dates * each)
    effect = rng.normal(size=(dates, 400))[month, shop]
    left = rng.random(dates * each) < 1 / (1 + np.exp(1 - 2 * effect))
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(month * 30, unit="D")
    return pd.DataFrame({"shop": pd.Series(shop).astype("str")}), left.astype(float), days


def test_encodings_forward_in_time_rest_on_outcomes_that_were_known():
    frame, left, days = shops()
    later = later_rows(days, label_days=0)
    columns, matrix = ModelColumns.learned(frame, left)
    forward = columns.known_from(later.fit, frame, matrix, left)
    changed = left.copy()
    changed[later.judge] = 1 - changed[later.judge]
    assert np.array_equal(forward, columns.known_from(later.fit, frame, matrix, changed))
    assert np.corrcoef(matrix[later.judge, 0], left[later.judge])[0, 1] > 0.1
    assert abs(np.corrcoef(forward[later.judge, 0], left[later.judge])[0, 1]) < 0.06
    assert columns.known_from(np.arange(len(left)), frame, matrix, left) is None
    assert Folds([(np.array([0, 2]), np.array([4])), (np.array([2, 1]), np.array([5]))], [], []).known.tolist() == [
        0,
        1,
        2,
    ]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_models_judged_forward_in_time_have_not_read_what_they_are_judged_by(estimator, monkeypatch):
    frame, left, days = shops()
    seen = []

    def watched(booster, matrix, **asked):
        seen.append(matrix[:, 0])
        return predicted(booster, matrix, **asked)

    monkeypatch.setattr("churnml.models.boosting.predicted", watched)
    for outcome in (left, np.where(days == days.max(), 1 - left, left)):  # of the last date all is the other way round
        known = (outcome,)
        if isinstance(estimator, HazardModel):
            known = (np.where(outcome, 10.0, 25.0), np.where(outcome, "voluntary", None))
        model = clone(estimator).set_params(label_days=0)
        model.fit(frame, *known, groups=np.arange(len(left)), as_of=days)
    half = len(seen) // 2
    judged = slice(3, None) if isinstance(estimator, ChurnClassifier) else slice(None)  # its folds are not forward
    assert seen[:half][judged]
    for first, second in zip(seen[:half][judged], seen[half:][judged], strict=True):
        assert np.array_equal(first, second, equal_nan=True)


@pytest.mark.parametrize("damaged", ["", "{}", "[]", '{"models": ["none"], "facts": {}}'])
def test_a_bundle_that_is_damaged_is_told(damaged, tmp_path):
    (tmp_path / "bundle.json").write_text(damaged, "utf-8")
    with pytest.raises(ChurnmlError, match=r"bundle.json cannot be read.*train again"):
        Bundle.load(tmp_path)

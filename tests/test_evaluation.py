"""Figures of models: by their definitions, in slices, and against what perfect probabilities would show."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from churnml.evaluation.judge import SLICE_DRAWS, judge
from churnml.evaluation.metrics import CHURN_METRICS, VALUE_METRICS, calibration_error, expected_calibration_error
from churnml.evaluation.profit import Retention, expected_maximum_profit, profit_at_bayes_cut


def drawn(seed=0, n=3_000, digits=None):
    """Probabilities that are right, outcomes, weights and what customers are worth."""
    rng = np.random.default_rng(seed)
    risk = rng.beta(1, 6, n)
    risk = risk if digits is None else np.round(risk, digits)
    return (rng.random(n) < risk).astype(float), risk, rng.integers(1, 4, n).astype(float), rng.gamma(2, 100, n)


def churn_rows(seed=0, n=3_000):
    left, risk, _, worth = drawn(seed, n)
    frame = {"customer_id": [f"C{i}" for i in range(n)], "as_of": pd.Timestamp("2024-04-01")}
    return pd.DataFrame({**frame, "observed": left, "predicted": risk, "worth": worth, "recency": risk[::-1]})


@pytest.mark.parametrize("digits", [None, 1])
def test_figures_are_those_of_scikit_learn(digits):
    left, risk, weight, _ = drawn(digits=digits)
    expected = {
        "auc": roc_auc_score(left, risk, sample_weight=weight),
        "pr_auc": average_precision_score(left, risk, sample_weight=weight),
        "log_loss": log_loss(left, risk, sample_weight=weight, labels=[0, 1]),
        "brier": brier_score_loss(left, risk, sample_weight=weight, pos_label=1),
    }
    assert {name: CHURN_METRICS[name](left, risk, weight) for name in expected} == pytest.approx(expected, abs=1e-12)


def test_the_expected_maximum_profit_is_the_best_cut_for_each_gamma_on_average():
    left, risk, weight, worth = drawn(n=800, digits=2)
    gamma = beta.ppf((np.arange(20_000) + 0.5) / 20_000, 6, 14)
    cuts = [risk >= cut for cut in np.unique(risk)]
    gained = np.array([0.0, *(((left * (worth - 10)) * weight)[cut].sum() for cut in cuts)])
    spent = np.array([0.0, *(((1 + (1 - left) * 10) * weight)[cut].sum() for cut in cuts)])
    best = (gamma[:, None] * gained - spent).max(axis=1).mean() / weight.sum()
    assert expected_maximum_profit(left, risk, weight, worth) == pytest.approx(best, rel=1e-4)
    backwards = np.arange(800)[::-1]
    rows = [column[backwards] for column in (left, risk, weight, worth)]
    assert expected_maximum_profit(*rows) == pytest.approx(expected_maximum_profit(left, risk, weight, worth))


def test_nobody_is_contacted_where_nothing_can_be_earned():
    left, risk, weight, worth = drawn(n=500)
    assert expected_maximum_profit(left, risk, weight, np.zeros(500)) == pytest.approx(0, abs=1e-9)
    assert profit_at_bayes_cut(left, risk, weight, np.zeros(500)) == 0
    free = Retention(offer=0, contact=0)
    assert expected_maximum_profit(left, risk, weight, worth, free) == pytest.approx(
        0.3 * np.average(left * worth, weights=weight), rel=1e-6
    )


def test_the_bayes_cut_needs_probabilities_that_are_right():
    left, risk, weight, worth = drawn(n=20_000)
    right, doubled = (profit_at_bayes_cut(left, p, weight, worth) for p in (risk, np.minimum(2 * risk, 1)))
    assert right > doubled
    by_order = [expected_maximum_profit(left, p, weight, worth) for p in (risk, risk / 2)]
    assert by_order[0] == pytest.approx(by_order[1])


def test_the_expected_calibration_error_falls_with_the_root_of_n():
    few, many = (expected_calibration_error(np.full(n, 0.1), np.ones(n), draws=100).mean() for n in (1_000, 16_000))
    assert few == pytest.approx(4 * many, rel=0.25)


def test_right_probabilities_show_the_expected_calibration_error():
    judged = judge(churn_rows(n=10_000), CHURN_METRICS).set_index(["model", "metric"])
    expected = judged.loc[("model", "ece_expected")]
    assert expected["low"] <= judged.loc[("model", "ece"), "value"] <= expected["high"]
    assert expected["low"] < expected["value"] < expected["high"]
    assert ("recency", "ece_expected") not in judged.index


def test_of_few_heavy_rows_more_calibration_error_is_expected():
    rng = np.random.default_rng(0)
    predicted = np.sort(rng.beta(1, 12, 3_000))
    weight = np.where(rng.random(3_000) < 0.06, 10.0, 1.0)
    right = [calibration_error((rng.random(3_000) < predicted).astype(float), predicted, weight) for _ in range(60)]
    told = expected_calibration_error(predicted, weight, draws=100).mean()
    assert np.mean(right) == pytest.approx(told, rel=0.1)
    assert told > 1.3 * expected_calibration_error(predicted, np.ones(3_000), draws=100).mean()


def test_slices_are_measured_like_the_whole_and_those_with_too_few_have_nulls():
    rows = churn_rows()
    plan = np.array(["basic", "plus", "rare"])[np.r_[np.arange(2_985) % 2, np.full(15, 2)]]
    judged = judge(rows, CHURN_METRICS, slices=pd.DataFrame({"plan": plan}))
    assert sorted(judged["slice"].unique()) == ["all", "plan=basic", "plan=plus", "plan=rare"]
    sliced = judged[judged["slice"] != "all"]
    assert set(sliced["model"]) == {"model"}
    rare = sliced[sliced["slice"] == "plan=rare"]
    assert rare[["value", "low", "high"]].isna().all(axis=None)
    assert (rare["n"] == 15).all()
    basic = sliced[sliced["slice"] == "plan=basic"].set_index("metric")
    inside = rows[plan == "basic"]
    assert basic.loc["auc", "value"] == pytest.approx(roc_auc_score(inside["observed"], inside["predicted"]))
    assert basic.loc["auc", "low"] < basic.loc["auc", "value"] < basic.loc["auc", "high"]
    assert np.isnan(basic.loc["emp", "low"])
    assert basic.loc["auc", "positives"] == inside["observed"].sum()
    assert SLICE_DRAWS < 200


def test_customers_are_drawn_and_never_rows():
    rows = churn_rows(n=600)
    doubled = pd.concat([rows, rows.assign(as_of=pd.Timestamp("2024-05-01"))], ignore_index=True)
    spans = [
        figures.loc[figures["metric"] == "auc", ["low", "high"]].diff(axis=1)["high"].iloc[0]
        for figures in (judge(rows, CHURN_METRICS), judge(doubled, CHURN_METRICS))
    ]
    assert spans[0] == pytest.approx(spans[1])  # the same customers again tell nothing new


def test_intervals_that_are_given_are_asked_for_their_coverage():
    rng = np.random.default_rng(0)
    brought = rng.normal(100, 10, 2_000)
    rows = churn_rows(n=2_000).drop(columns=["worth", "recency"]).assign(observed=brought, predicted=100.0)
    judged = judge(rows.assign(predicted_low=100 - 16.45, predicted_high=100 + 16.45), VALUE_METRICS)
    covered = judged.set_index("metric").loc["coverage"]
    assert covered["low"] < 0.9 < covered["high"]
    assert judged.set_index("metric").loc["bias", "value"] == pytest.approx(100 / brought.mean() - 1)
    assert "coverage" not in set(judge(rows, VALUE_METRICS)["metric"])

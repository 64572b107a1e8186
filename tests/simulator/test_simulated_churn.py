"""The figures that make the simulated operator a fair test of churn models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from simulated import newest, panel, read
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

OFFERS = ("call", "call_10off", "sms_10off")


@pytest.fixture(scope="module")
def months(large: Path) -> pd.DataFrame:
    return read(large, "months", kind="truth")


@pytest.fixture(scope="module")
def panels(large: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    learn = pd.concat([panel(large, day) for day in ("2023-07-01", "2023-08-01", "2023-09-01", "2023-10-01")])
    test = panel(large, "2024-01-01")
    return learn[learn["churned"].notna()], test[test["churned"].notna()]


def test_monthly_churn_is_realistic(large: Path, months: pd.DataFrame) -> None:
    gone = read(large, "departures", kind="truth")
    there = months[months["there"]].groupby("month").size()
    rate = gone.groupby(gone["churned_at"].dt.to_period("M").dt.to_timestamp()).size() / there
    assert 0.015 < rate.mean() < 0.03
    assert rate.between(0.011, 0.035).all()
    assert gone["churn_type"].value_counts(normalize=True).between(0.12, 0.6).all()


def test_the_top_fifth_bring_most_of_the_revenue_and_every_tier_occurs(large: Path) -> None:
    bills = newest(read(large, "bills"), "bills")
    spend = bills.groupby("customer_id")["amount"].sum().sort_values(ascending=False)
    assert 0.70 < spend.iloc[: len(spend) // 5].sum() / spend.sum() < 0.87
    recent = bills[bills["billed_at"] >= pd.Timestamp("2024-01-01")].groupby("customer_id")["amount"].sum() / 3
    tiers = pd.cut(recent, [-np.inf, 40, 100, 250, 700, 2_000, np.inf], right=False).value_counts()
    assert (tiers >= 20).all()


def test_a_strong_model_is_good_but_no_oracle(panels: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    learn, test = panels
    columns = [name for name in learn if name not in ("customer_id", "churned")]
    frames = []
    for rows in (learn, test):
        made = rows[columns].copy()
        for name in made.select_dtypes(["object", "string"]):
            made[name] = pd.Categorical(made[name], sorted(learn[name].unique()))
        frames.append(made.astype(dict.fromkeys(made.select_dtypes("number"), float)))
    model = HistGradientBoostingClassifier(
        max_iter=120,
        learning_rate=0.06,
        max_leaf_nodes=15,
        min_samples_leaf=60,
        l2_regularization=5.0,
        random_state=0,
    )
    with threadpool_limits(1):  # spinning threads are slow on a busy machine
        model.fit(frames[0], learn["churned"].astype(int))
        chance = model.predict_proba(frames[1])[:, 1]
    auc = roc_auc_score(test["churned"].astype(int), chance)
    assert 0.75 < auc < 0.85


def test_no_single_feature_gives_churn_away(panels: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    learn, test = panels
    for name in test.columns.drop(["customer_id", "churned"]):
        values = test[name]
        if not pd.api.types.is_numeric_dtype(values):
            values = values.map(learn.groupby(name)["churned"].mean())
        auc = roc_auc_score(test["churned"].astype(int), values.astype(float).fillna(values.astype(float).median()))
        assert max(auc, 1 - auc) < 0.75, name


@pytest.mark.parametrize("offer", OFFERS)
def test_an_offer_helps_a_little_on_average_and_harms_some(months: pd.DataFrame, offer: str) -> None:
    rows = months[months["there"] & months["month"].between(pd.Timestamp("2023-06-01"), pd.Timestamp("2024-01-01"))]
    effect = rows["leaves_span_without"] - rows[f"leaves_span_with_{offer}"]
    assert 0.001 < effect.mean() < 0.04
    likeliest = rows["leaves_span_without"] > rows["leaves_span_without"].quantile(0.8)
    assert 0.005 < effect[likeliest].mean() < 0.04
    assert 0.05 < (effect < -1e-6).mean() < 0.10
    harmed = rows["leaves_at_without"].isna() & rows[f"leaves_at_with_{offer}"].notna()
    saved = rows["leaves_at_without"].notna() & rows[f"leaves_at_with_{offer}"].isna()
    assert 0.0005 < harmed.mean() < 0.01
    assert saved.mean() - harmed.mean() == pytest.approx(effect.mean(), abs=0.002)


def test_campaigns_of_both_kinds_were_run(large: Path) -> None:
    rows = read(large, "contacts")
    kinds = rows.groupby("campaign_id").agg(
        random=("propensity", "count"), rows=("arm", "size"), arms=("arm", "nunique")
    )
    trials = kinds[kinds["random"] > 0]
    desk = kinds[kinds["random"] == 0]
    assert len(trials) >= 3
    assert len(desk) >= 2
    assert (trials["random"] == trials["rows"]).all()
    assert (trials["arms"] == 2).all()
    share = (
        rows[rows["propensity"].notna()]
        .groupby("campaign_id")
        .agg(treated=("arm", lambda arm: (arm == "treated").mean()), propensity=("propensity", "first"))
    )
    assert (share["treated"] - share["propensity"]).abs().max() < 0.05


def test_usage_files_hold_one_row_for_a_customer_and_day(large: Path) -> None:
    usage = pq.read_table(next(large.glob("tables/*/usage.parquet")), columns=["customer_id", "used_at"]).to_pandas()
    assert not usage.duplicated().any()

"""The truth agrees with what happened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated import newest, read
from sklearn.metrics import roc_auc_score

CAUSES = ("voluntary", "port_out", "involuntary")
WANTED = ["voluntary", "port_out"]


@pytest.fixture(scope="module")
def months(large: Path) -> pd.DataFrame:
    return read(large, "months", kind="truth")


@pytest.fixture(scope="module")
def departures(large: Path) -> pd.DataFrame:
    return read(large, "departures", kind="truth")


def test_the_departures_in_the_tables_are_the_true_ones(large: Path, departures: pd.DataFrame) -> None:
    told = read(large, "customers").dropna(subset=["churned_at"])
    columns = ["customer_id", "signed_up_at", "churned_at", "churn_type"]
    known = departures[departures["known_at"] < pd.Timestamp("2024-04-01")]
    pd.testing.assert_frame_equal(
        told[columns].sort_values(columns, ignore_index=True),
        known[columns].sort_values(columns, ignore_index=True),
    )
    assert set(departures["deeper_cause"]) == {
        "price",
        "network",
        "service",
        "moved_away",
        "rival_offer",
        "not_paying",
    }


def test_realised_departures_are_the_potential_ones(
    large: Path, months: pd.DataFrame, departures: pd.DataFrame
) -> None:
    contacts = newest(read(large, "contacts"), "contacts")
    for month in ("2023-03-01", "2023-06-01", "2023-09-01"):
        begin = pd.Timestamp(month)
        end = begin + pd.DateOffset(months=3)
        rows = months[months["there"] & (months["month"] == begin)].set_index("customer_id")
        gone = departures[departures["churned_at"].between(begin, end, inclusive="left")].set_index("customer_id")[
            "churned_at"
        ]
        plan = contacts[contacts["assigned_at"] == begin].set_index("customer_id")
        offer = plan.loc[plan["arm"] == "treated", "offer_id"].reindex(rows.index)
        expected = rows["leaves_at_without"].copy()
        for name in offer.dropna().unique():
            expected = expected.where(offer != name, rows[f"leaves_at_with_{name}"])
        actual = gone.reindex(rows.index)
        assert (actual.isna() == expected.isna()).all()
        assert ((actual - expected).dropna().abs() <= pd.Timedelta(seconds=1)).all()


def test_the_chances_are_calibrated_by_cause(months: pd.DataFrame, departures: pd.DataFrame) -> None:
    rows = months[months["there"]].assign(period=lambda r: r["month"].dt.to_period("M"))
    gone = departures.assign(period=departures["churned_at"].dt.to_period("M"))
    rows = rows.merge(gone[["customer_id", "period", "churn_type"]], on=["customer_id", "period"], how="left")
    days = rows["month"].dt.days_in_month
    total = sum(rows[f"hazard_{cause}"] for cause in CAUSES)
    for cause in CAUSES:
        chance = rows[f"hazard_{cause}"] / total * -np.expm1(-total * days)
        left = rows["churn_type"] == cause
        assert chance.mean() == pytest.approx(left.mean(), rel=0.08)
        high = chance > chance.quantile(0.9)
        assert chance[high].mean() == pytest.approx(left[high].mean(), rel=0.15)


def test_the_labels_chance_is_calibrated_and_the_best_there_is(months: pd.DataFrame, departures: pd.DataFrame) -> None:
    chances, labels = [], []
    for begin in pd.to_datetime(["2023-04-01", "2023-07-01", "2023-10-01", "2024-01-01"]):
        rows = months[months["there"] & (months["month"] == begin)].set_index("customer_id")
        later = departures[departures["churned_at"] >= begin].drop_duplicates("customer_id").set_index("customer_id")
        gone = later.reindex(rows.index)
        opens, closes = begin + pd.Timedelta(days=14), begin + pd.Timedelta(days=74)
        inside = (gone["churned_at"] >= opens) & (gone["churned_at"] < closes)
        there = (inside & gone["churn_type"].isin(WANTED)) | ~(gone["churned_at"] < closes)
        chances.append(rows.loc[there, "churned_without"])
        labels.append(inside[there])
    chance, label = pd.concat(chances), pd.concat(labels)
    assert chance.mean() == pytest.approx(label.mean(), rel=0.12)
    assert 0.82 < roc_auc_score(label, chance) < 0.92


def test_a_day_within_a_month_can_be_computed_from_the_hazards(months: pd.DataFrame, departures: pd.DataFrame) -> None:
    at, closes = pd.Timestamp("2023-09-12"), pd.Timestamp("2023-10-22")
    gone = departures[departures["churned_at"] >= at].drop_duplicates("customer_id").set_index("customer_id")
    hazard = 0.0
    people = months[(months["month"] == pd.Timestamp("2023-10-01"))].set_index("customer_id").index
    before = departures[departures["churned_at"] < at]["customer_id"]
    people = people.difference(before)
    for month, days in (("2023-09-01", 19), ("2023-10-01", 21)):
        rows = months[months["month"] == pd.Timestamp(month)].set_index("customer_id").reindex(people)
        hazard = hazard + days * sum(rows[f"hazard_{cause}"] for cause in CAUSES)
    chance = -np.expm1(-hazard.dropna())
    left = gone["churned_at"].reindex(chance.index) < closes
    assert chance.mean() == pytest.approx(left.mean(), rel=0.1)


def test_sleeping_dogs_leave_because_they_are_contacted(large: Path, months: pd.DataFrame) -> None:
    traits = read(large, "traits", kind="truth").set_index("customer_id")
    assert 0.05 < traits["sleeping_dog"].mean() < 0.10
    assert (traits.loc[traits["sleeping_dog"], "log_effect_call"] > 0).all()
    assert (traits.loc[~traits["sleeping_dog"], "log_effect_call"] <= 0).all()
    rows = months[months["there"]]
    dog = rows["customer_id"].map(traits["sleeping_dog"])
    assert (rows.loc[dog, "leaves_voluntary_with_call"] > rows.loc[dog, "leaves_voluntary_without"]).all()

"""Labels that our own campaigns have changed: who is left out, and who stands for them."""

import datetime as dt
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import churnml
from churnml.asof import Span
from churnml.labels.contacted import contacted
from churnml.labels.outcome import outcome_window
from churnml.tables.histories import open_histories

T = dt.date(2024, 3, 1)
OUTCOME = Span.outcome(T, 14, 60)
COOL_DOWN = 60


@st.composite
def contacts(draw):
    """Draw contacts around the edges of the span that counts."""
    edges = [pd.Timestamp(T) - pd.Timedelta(days=COOL_DOWN), pd.Timestamp(OUTCOME.end), pd.Timestamp(T)]
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "b", "c"]),
                st.sampled_from(edges),
                st.sampled_from([-1, 0, 1]),
                st.sampled_from(["treated", "control"]),
                st.sampled_from([None, 0.0, 0.3, 0.9, 1.0]),
            ),
            min_size=1,
            max_size=8,
        )
    )
    return [
        (customer, edge + pd.Timedelta(microseconds=away), arm, chance) for customer, edge, away, arm, chance in rows
    ]


@settings(max_examples=30, deadline=None)
@given(contacts())
def test_weights_are_those_of_a_slow_reading_of_the_rule(rows):
    expected: dict[str, list] = {}
    for customer, at, arm, chance in rows:
        if not pd.Timestamp(T) - pd.Timedelta(days=COOL_DOWN) <= at < pd.Timestamp(OUTCOME.end):
            continue
        weight, own = expected.setdefault(customer, [1.0, False])
        if chance is None:
            expected[customer][1] = own or arm == "treated"
        elif arm == "treated":
            expected[customer][0] = 0.0
        elif chance < 1:
            expected[customer][0] = weight / (1 - chance)
    frame = pd.DataFrame(rows, columns=["customer_id", "assigned_at", "arm", "propensity"])
    frame = frame.assign(campaign_id=[f"c{number}" for number in range(len(rows))])
    frame["propensity"] = frame["propensity"].astype("float64")
    people = pd.DataFrame({"customer_id": ["a", "b", "c"], "signed_up_at": pd.Timestamp("2020-01-01")})
    config = {
        "tables": {"customers": people, "contacts": frame},
        "label": {"mode": "terminated", "observed_until": "2024-09-01"},
        "campaign": {"cool_down_days": COOL_DOWN},
    }
    with open_histories(churnml.load_config(config), strict=False) as histories:
        found = histories.fetch(contacted(histories, OUTCOME, T)).to_pylist()
    assert {row["customer_id"] for row in found} == set(expected)
    for row in found:
        weight, own = expected[row["customer_id"]]
        assert math.isclose(row["weight"], weight, rel_tol=1e-12)
        assert row["own_call"] == own


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """An operator that contacts half of everyone with an offer that keeps many."""
    folder = tmp_path_factory.mktemp("saved") / "operator"
    churnml.simulate(folder, customers=5_000, months=11, seed=3)
    file = folder / "churnml.yaml"
    kept = yaml.safe_load(file.read_text("utf-8"))
    strong = {
        "id": "free",
        "channel": "account_manager",
        "cost": 15,
        "discount": 1.0,
        "discount_days": 90,
        "assumed_save_rate": 0.5,
    }
    kept["campaign"]["offers"].append(strong)
    kept["campaign"]["capacity"]["account_manager"] = 9_999
    file.write_text(yaml.safe_dump(kept), "utf-8")
    day = dt.date(2023, 12, 1)
    people = churnml.features(file, day)["customer_id"]
    treated = np.random.default_rng(0).random(len(people)) < 0.5
    assigned = pd.DataFrame(
        {
            "campaign_id": "free",
            "assignment_id": people,
            "customer_id": people,
            "arm": np.where(treated, "treated", "control"),
            "offer_id": "free",
            "channel": "account_manager",
            "propensity": 0.5,
        }
    )
    pq.write_table(pa.Table.from_pandas(assigned, preserve_index=False), folder / "a.parquet")
    churnml.simulate(continue_folder=folder, assignments=folder / "a.parquet", months=3)
    return file, day


def test_the_level_is_that_of_a_base_that_nobody_contacted(saved):
    file, day = saved
    with open_histories(churnml.load_config(file)) as histories:
        rows = histories.fetch(contacted(histories, outcome_window(histories, day), day)).to_pandas()
    months = pd.concat(pd.read_parquet(part) for part in sorted(file.parent.glob("truth/*/months.parquet")))
    truth = months[months["month"] == pd.Timestamp(day)].set_index("customer_id")["churned_without"]
    panel = churnml.features(file, day, labels=True)
    panel = panel[panel["churned"].notna()].set_index("customer_id")
    weight = rows.set_index("customer_id")["weight"].reindex(panel.index).fillna(1.0)
    left = panel["churned"].astype(float)
    features = panel.drop(columns=["as_of", "churned", "value"])
    expected = truth.reindex(panel.index).mean()
    model = churnml.ChurnClassifier(effort="fast", random_state=0)
    poisoned = model.fit(features, left).predict_proba(features)[:, 1].mean()
    kept = weight > 0
    model.fit(features[kept], left[kept], sample_weight=weight[kept])
    mended = model.predict_proba(features)[:, 1].mean()
    assert poisoned / expected < 0.8
    left_alone = left[kept].sum()
    assert abs(mended / expected - 1) < 2.5 / np.sqrt(left_alone), left_alone  # what chance allows so few leavers

"""The leakage audit: it finds what looks into the future, and nothing else."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from ibis import _

import churnml
from churnml.feature_extraction.declare import Feature, Measure
from churnml.snapshots import panel as panels
from churnml.snapshots.audit import moving_features
from churnml.snapshots.leaks import leaking_columns
from churnml.snapshots.splits import OutOfTime
from churnml.tables.histories import Histories, open_histories
from churnml.training import dates
from churnml.training.dates import churn_schedule

T = dt.date(2024, 3, 1)


@pytest.fixture(scope="module")
def found(simulated):
    with open_histories(simulated) as histories:
        yield histories


def test_no_feature_of_ours_moves_when_history_after_t_is_rewritten(found):
    assert moving_features(found, T, customers=300) == []


@pytest.mark.parametrize("table", ["usage", "bills", "subscriptions"])
def test_a_gate_that_lets_later_rows_pass_is_found(found, monkeypatch, table):
    known = Histories.known

    def leaking(self, name, instant):
        return self.newest(name) if name == table else known(self, name, instant)

    count = Feature(
        "own_count", table, {"value": Measure("last", _.known_at)}, dtype="timestamp",
        unit="", meaning="m", phrase_en="p", phrase_zh="p", theme="usage",
    )  # fmt: skip
    monkeypatch.setattr(Histories, "known", leaking)
    monkeypatch.setattr(panels, "catalogue_of", lambda *_: [count])
    assert [finding.column for finding in moving_features(found, T, customers=300)] == ["own_count"]


def test_train_dates_that_see_the_test_are_found(simulated, found, monkeypatch):
    schedule = churn_schedule(found)
    assert len(schedule.train) > 1
    assert schedule.overlapping == []

    def careless(days, _outcome_days):
        return OutOfTime(days[:-1], days[-1:], 0)

    monkeypatch.setattr(dates, "out_of_time", careless)
    overlapping = churn_schedule(found).overlapping
    assert overlapping == [day for day in schedule.known[:-1] if day not in schedule.train]
    assert overlapping
    report = churnml.audit(simulated, T)
    assert {finding.facts["model"] for finding in report.findings} == {"churn", "value"}
    assert f"the first {overlapping[0]}, reaches past the test date" in report.to_dict()["findings"][0]["message"]


def test_a_leaking_feature_of_ones_own_is_found_by_command_and_stops_training(simulated, tmp_path):
    files = sorted(simulated.folder.glob(simulated.tables.customers.path))
    customers = pd.concat([pd.read_parquet(file) for file in files])
    customers["left_in_the_end"] = customers.groupby("customer_id")["churned_at"].transform("max").notna() * 1.0
    (tmp_path / "mine.py").write_text(
        "from ibis import _\nfrom churnml.feature_extraction.declare import Feature\n\n\ndef features(layout):\n"
        '    yield Feature("own_leak", "customers", {}, formula=_.left_in_the_end * 2, column="left_in_the_end",\n'
        '                  unit="", meaning="m", phrase_en="p", phrase_zh="p", theme="profile")\n'
    )
    features = simulated.features.model_copy(update={"python": str(tmp_path / "mine.py")})
    table = simulated.tables.customers.model_copy(update={"path": None, "data": customers})
    tables = simulated.tables.model_copy(update={"customers": table})
    config = simulated.model_copy(update={"features": features, "tables": tables})
    report = churnml.audit(config, T)
    assert "left_in_the_end" in {finding.column for finding in report.findings}
    assert not report.passed


def test_a_column_that_is_set_for_some_of_those_who_leave_and_for_nobody_else_is_found():
    draws = np.random.default_rng(0)
    left = (np.arange(5_000) < 150) * 1
    columns = {
        "some": (np.arange(5_000) < 15) * 1.0,  # the AUC of this is .55
        "words": np.where(np.arange(5_000) < 15, "closed", draws.choice(["open", "busy"], 5_000)),
        "few": (np.arange(5_000) < 7) * 1.0,
        "good": left + draws.normal(size=5_000),
    }
    panel = pd.DataFrame(columns | {"churned": left})
    features = [
        Feature(name, "bills", {}, unit="", meaning="m", phrase_en="p", phrase_zh="p", theme="usage")
        for name in columns
    ]
    found = leaking_columns(panel, features, T)
    assert [(finding.column, finding.key) for finding in found] == [
        ("some", "decides_for_some"),
        ("words", "decides_for_some"),
    ]
    assert found[0].facts["left"] == found[0].facts["picked"] == 15

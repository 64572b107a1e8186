"""What users are told who have too little to train on: what is missing, and the best simple rule until then."""

import datetime as dt

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import churnml
from churnml.config import Gates, Table, Training
from churnml.models.baselines import RULES
from churnml.snapshots.readiness import readiness, usable_dates
from churnml.snapshots.splits import out_of_time
from churnml.tables.histories import open_histories
from churnml.training.meanwhile import rule_meanwhile

RICH = Gates(train_churners=100_000, test_churners=10_000)


def found(config, key):
    with open_histories(config) as histories:
        _, findings = readiness(histories)
    return next((finding.facts for finding in findings if finding.key == key), None)


def test_the_best_rule_is_chosen_on_earlier_dates_and_measured_on_later_ones_as_a_model_is(simulated):
    with open_histories(simulated) as histories:
        facts = rule_meanwhile(histories).facts
        dates = out_of_time(usable_dates(histories), simulated.label.lead_days + simulated.label.horizon_days)
    panel = churnml.features(simulated, [*dates.train[-4:], *dates.test], labels=True).dropna(subset="churned")
    later = panel["as_of"].isin(pd.to_datetime(dates.test))

    def auc(rule, rows):
        values, known = rows[rule.column].astype(float), panel.loc[~later, rule.column].astype(float).dropna()
        silent = known.max() + 1 if rule.column == "usage_days_since_last" else known.median()
        risk = values.fillna(silent) * (1 if rule.higher else -1)
        return roc_auc_score(rows["churned"].astype(int), risk)

    best = max((rule for rule in RULES if rule.column in panel), key=lambda rule: auc(rule, panel[~later]))
    assert facts["rule"] == best.column
    assert facts["auc"] == pytest.approx(auc(best, panel[later]), abs=0.02)  # made a probability, it has ties
    assert facts["auc_low"] < facts["auc"] < facts["auc_high"]
    assert facts["left"] == panel.loc[later, "churned"].sum()
    assert facts["lift"] > 1


def test_of_one_date_the_rule_is_chosen_on_other_customers(simulated):
    one = simulated.model_copy(update={"training": Training(first=dt.date(2024, 3, 1), last=dt.date(2024, 3, 1))})
    with open_histories(one) as histories:
        assert "chosen on other customers" in rule_meanwhile(histories).message()


def test_where_nobody_left_no_rule_is_measured(simulated, tmp_path):
    files = simulated.folder.glob(simulated.tables.customers.path)
    people = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    table = Table(data=people.assign(churned_at=pd.Series(pd.NaT, people.index, dtype="datetime64[us]")))
    tables = simulated.tables.model_copy(update={"customers": table})
    report = churnml.check(simulated.model_copy(update={"tables": tables}))
    assert not report.enough_to_train
    assert "no simple rule can be measured" in report.warnings()[-1]["message"]


def test_months_and_customers_that_are_missing_follow_the_rate_so_far(simulated):
    rich = simulated.model_copy(update={"gates": RICH})
    few, months, customers = (found(rich, key) for key in ("few_to_train", "more_months", "more_customers"))
    test = found(rich, "few_to_test")
    with open_histories(rich) as histories:
        dates = usable_dates(histories)
    train = [day for day in dates if (dates[-1] - day).days >= rich.label.lead_days + rich.label.horizon_days]
    apart = (dates[-1] - dates[0]).days / (len(dates) - 1) / 30.4375
    assert months["months"] == pytest.approx(few["missing"] / (few["found"] / len(train)) * apart, abs=1.01)
    most = max(100_000 / few["found"], 10_000 / test["found"])
    assert customers["customers"] == pytest.approx(customers["now"] * most, abs=1)


def test_departures_of_every_type_together_are_proposed_where_they_would_do(simulated):
    one = simulated.label.model_copy(update={"types": ("port_out",)})
    config = simulated.model_copy(update={"label": one})
    facts = found(config, "every_type")
    assert facts["types"] == "port_out"
    assert facts["train"] > found(config, "few_to_test")["found"]
    assert found(config.model_copy(update={"gates": RICH}), "every_type") is None


def test_dates_begin_with_events_and_not_with_the_oldest_plan(simulated):
    everything = simulated.model_copy(update={"training": None})
    with open_histories(everything) as histories:
        first = usable_dates(histories)[0]
        begun = min(report.first for name, report in histories.reports.items() if name in ("usage", "bills"))
        assert histories.reports["subscriptions"].first < begun
    assert begun.date() < first <= (begun + dt.timedelta(days=92)).date()


def test_a_rule_that_is_no_better_than_chance_is_not_recommended(simulated, monkeypatch):
    monkeypatch.setattr("churnml.training.meanwhile._CHANCE", 0.99)
    with open_histories(simulated) as histories:
        told = rule_meanwhile(histories).message()
    assert told.startswith("no simple rule is shown to beat chance")
    assert "call first" not in told


def test_one_date_tells_of_missing_churners_too(simulated):
    day = dt.date(2024, 3, 1)
    one = simulated.model_copy(update={"training": Training(first=day, last=day), "gates": RICH})
    assert found(one, "one_date")["missing"] > 0
    few, more = found(one, "few_to_test"), found(one, "more_customers")
    assert more["customers"] == pytest.approx(more["now"] * few["needed"] / few["found"], abs=1)

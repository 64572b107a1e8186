"""The numbers of the gates come from the configuration; who stands for the champion, by dates."""

import datetime as dt
import types

import pandas as pd
import pytest

from churnml.config import Gates, load_config
from churnml.errors import ChurnmlError
from churnml.evaluation.verdict import Gate
from churnml.training.dates import Schedule
from churnml.training.gates import Evidence, churn_verdict, none_after_all
from churnml.training.rivals import Comparison, Rival

FIGURES = {  # of a model that passes every gate narrowly
    ("model", "auc"): (0.75, 0.7, 0.8),
    ("recency", "auc"): (0.6, 0.5, 0.7),
    ("logistic", "log_loss_gain"): (0.01, -0.01, 0.03),
    ("champion", "log_loss_gain"): (0.01, -0.01, 0.03),
    ("model", "level"): (1.1, 1.05, 1.2),
    ("model", "ece"): (0.0149, 0.01, 0.02),
    ("model", "ece_expected"): (0.005, 0.002, 0.008),
}
SLICES = {"plan=basic": (0.66, 100), "plan=plus": (0.9, 500), "region=north": (0.5, 99), "region=south": (None, 400)}
EVIDENCE = {"out_of_time": True, "leaks": [], "train": 200, "test": 50}


def evaluation(figures=(), slices=()):
    found = FIGURES | dict(figures)
    rows = [(model, metric, "all", *numbers, 900, 9_000) for (model, metric), numbers in found.items()]
    parts = SLICES | dict(slices)
    rows += [("model", "auc", part, auc, None, None, left, 10 * left) for part, (auc, left) in parts.items()]
    columns = ["model", "metric", "slice", "value", "low", "high", "positives", "n"]
    return pd.DataFrame(rows, columns=columns).astype({"value": float})


def refusing(figures=(), slices=(), limits=None, **evidence):
    given = Evidence(**EVIDENCE | {"champion": Comparison("compared", 1)} | evidence)
    return [gate.name for gate in churn_verdict(evaluation(figures, slices), given, limits).refusing]


def test_a_model_may_pass_every_gate_narrowly():
    assert refusing() == []


@pytest.mark.parametrize(
    ("gate", "worsened"),
    [
        ("beats_recency", {"figures": {("recency", "auc"): (0.75, 0.7, 0.8)}}),
        ("not_worse_than", {"figures": {("logistic", "log_loss_gain"): (0.02, 0.001, 0.03)}}),
        ("not_worse_than_champion", {"figures": {("champion", "log_loss_gain"): (0.02, 0.001, 0.03)}}),
        ("level", {"figures": {("model", "level"): (1.11, 1.05, 1.2)}}),
        ("level", {"figures": {("model", "level"): (0.89, 0.8, 0.99)}}),
        ("calibrated", {"figures": {("model", "ece"): (0.0151, 0.01, 0.02)}}),
        ("even_slices", {"slices": {"plan=basic": (0.649, 100)}}),
        ("enough_churners", {"train": 199}),
        ("no_leak", {"leaks": ["status"]}),
        ("out_of_time", {"out_of_time": False}),
    ],
)
def test_a_model_that_fails_one_gate_fails_no_other(gate, worsened):
    assert refusing(**worsened) == [gate]


@pytest.mark.parametrize(
    ("gate", "limits"),
    [
        ("level", {"level_high": 1.05}),
        ("calibrated", {"ece_excess": 0.009}),
        ("even_slices", {"slice_churners": 99}),
        ("even_slices", {"slice_auc": 0.08}),
        ("enough_churners", {"train_churners": 201}),
        ("enough_churners", {"test_churners": 51}),
    ],
)
def test_the_numbers_of_the_gates_can_be_set(gate, limits):
    assert refusing(limits=Gates(**limits)) == [gate]


def test_a_group_that_is_everyone_is_no_group_to_compare_with():
    only = {"plan=basic": (0.66, 10), "plan=plus": (0.9, 20), "region=south": (None, 30), "month=2024-04": (0.75, 900)}
    given = Evidence(**EVIDENCE, champion=Comparison("compared", 1))
    [gate] = [gate for gate in churn_verdict(evaluation(slices=only), given).gates if gate.name == "even_slices"]
    assert gate.passed
    assert gate.message().startswith("no group had 100 churners or more")


def test_a_level_whose_interval_holds_1_passes_however_far_it_is():
    assert refusing({("model", "level"): (1.4, 0.99, 1.9)}) == []


def test_gates_refuse_numbers_that_make_no_sense_and_names_they_do_not_know():
    base = {"tables": {"customers": {"path": "c.csv"}}, "label": {}}
    with pytest.raises(ChurnmlError, match=r"the key gates\.ece_limit is unknown: allowed here: level_low, level_high"):
        load_config(base | {"gates": {"ece_limit": 0.01}})
    with pytest.raises(ChurnmlError, match=r"gates\.level_low"):
        load_config(base | {"gates": {"level_low": 1.2}})
    assert load_config(base | {"gates": {"approval": True}}).gates.approval


def learned_on(*days):
    return types.SimpleNamespace(columns=["a", "b"], facts={"as_of": list(days)})


def schedule(test):
    return Schedule([], [], [dt.date.fromisoformat(test)], 74, True)


SCORES, JUDGED = learned_on("2023-08-01", "2024-04-01"), learned_on("2023-08-01", "2023-12-01")
RIVAL = Rival(Comparison("compared", 3), (SCORES, JUDGED))


@pytest.mark.parametrize(
    ("test", "case", "who"),
    [
        ("2024-06-14", "compared", SCORES),  # 74 days after the last date that the champion learned from
        ("2024-06-13", "compared", JUDGED),
        ("2024-04-01", "compared", JUDGED),
        ("2024-02-12", "favoured", JUDGED),
    ],
)
def test_the_champion_is_compared_where_it_has_not_seen_the_outcomes_of_the_test(test, case, who):
    comparison, bundle = RIVAL.standing_for(schedule(test), ["a", "b", "c"])
    assert comparison == Comparison(case, 3)
    assert bundle is who


def test_a_champion_that_is_favoured_passes_only_who_is_not_worse_even_so():
    favoured = Comparison("favoured", 3)
    assert refusing(champion=favoured) == []
    worse = {("champion", "log_loss_gain"): (0.02, 0.001, 0.03)}
    assert refusing(worse, champion=favoured) == ["not_worse_than_champion"]


def test_only_a_gate_that_could_not_ask_is_answered_later():
    unreachable = Gate("not_worse_than_champion", False, {"case": "unreachable"})
    assert none_after_all(unreachable) == Gate("not_worse_than_champion", True, {"case": "none"})
    for gate in (Gate("level", False, {}), Gate("not_worse_than_champion", False, {"champion": 1})):
        assert none_after_all(gate) is gate


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"gates": {"train_churners": True}}, "gates.train_churners"),
        ({"gates": {"level_high": float("inf")}}, "gates.level_high"),
        ({"sensitive": ["gender", "churned_at"]}, "churned_at is no attribute that groups could be compared by"),
    ],
)
def test_what_is_no_number_or_no_attribute_is_refused(section, message):
    with pytest.raises(ChurnmlError, match=message):
        load_config({"tables": {"customers": {"path": "x.csv"}}, "label": {"mode": "terminated"}, **section})

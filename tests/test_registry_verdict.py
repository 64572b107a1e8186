"""The verdict: what gates say in two languages, and that nothing else is taken for one."""

import json

import pytest

from churnml.errors import ChurnmlError
from churnml.evaluation.verdict import GATES, Gate, Verdict

FACTS = {
    "out_of_time": {},
    "beats_recency": {"auc": 0.81234, "recency_auc": 0.7},
    "not_worse_than": {
        "baseline": "logistic regression",
        "metric": "auc",
        "difference": 0.0123,
        "low": -0.01,
        "high": 1,
    },
    "not_worse_than_champion": {"champion": 3, "metric": "log_loss", "difference": 0.1, "low": 0.0, "high": 0.2},
    "calibrated": {"ece": 0.03, "expected": 0.01, "most": 0.01},
    "even_slices": {"slices": 4, "churners": 100, "most": 0.1, "auc": 0.8, "worst": "plan=basic (0.512)"},
    "level": {"ratio": 1.0512, "low": 0.9, "high": 1.1, "least": 0.95, "most": 1.05},
    "enough_churners": {"train": 1234, "test": 56, "needed_train": 200, "needed_test": 50},
    "no_leak": {"columns": "customers.status, customers.reason"},
}
GOOD, BAD = Gate("no_leak", True, {"columns": ""}), Gate("out_of_time", False, {})


def test_gates_speak_in_both_languages():
    told = {
        (name, passed, lang): Gate(name, passed, facts).message(lang)
        for name, facts in FACTS.items()
        for passed in (True, False)
        for lang in ("en", "zh")
    }
    assert len(set(told.values())) == len(told)
    assert told["beats_recency", False, "en"].endswith("(AUC 0.812 against 0.700)")
    assert told["not_worse_than", True, "en"].endswith("(difference 0.012, 95 % interval -0.010 to 1.000)")
    assert told["level", False, "zh"].startswith("平均预测是实际的 1.051 倍（95% 区间 0.900 至 1.100）")
    assert "1,234 to train on" in told["enough_churners", True, "en"]


def test_a_verdict_that_was_stored_before_limits_could_be_set_is_told_as_it_was():
    stored = Gate("level", False, {"ratio": 1.3, "low": 1.2, "high": 1.4})
    assert "neither within 0.9 to 1.1" in stored.message()
    assert Verdict("churn", (GOOD,)).missing == [name for name in GATES["churn"] if name != "no_leak"]


@pytest.mark.parametrize(
    ("case", "passed"),
    [
        ("none", True),
        ("unusable", True),
        ("other_question", True),
        ("other_columns", True),
        ("unreachable", False),
        ("favoured", True),
        ("favoured", False),
    ],
)
def test_the_gate_of_the_champion_tells_each_case_in_its_own_words(case, passed):
    facts = FACTS["not_worse_than_champion"] | {"case": case}
    told = [Gate("not_worse_than_champion", passed, facts).message(lang) for lang in ("en", "zh")]
    assert not [text for text in told if text.startswith("not_worse_than_champion (")]


@pytest.mark.parametrize(("name", "facts"), [("new_one", {"a": 1}), ("level", {"ratio": None, "low": 0.9, "high": 1})])
def test_a_gate_without_a_sentence_is_told_by_its_name_and_facts(name, facts):
    assert Gate(name, False, facts).message().startswith(f"{name} (")


def test_every_gate_must_let_a_model_pass():
    assert Verdict("churn", (GOOD,)).passed
    assert not Verdict("churn", (GOOD, BAD)).passed
    assert not Verdict("churn", ()).passed
    assert Verdict("churn", (GOOD, BAD)).refusing == [BAD]


def test_a_verdict_comes_back_from_json_as_it_was():
    verdict = Verdict("value", tuple(Gate(name, True, facts) for name, facts in FACTS.items()))
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"model": "churn", "gates": []},
        Verdict("churn", (GOOD,)).to_dict() | {"more": 1},
        Verdict("churn", (GOOD,)).to_dict() | {"passed": "yes"},
        Verdict("churn", (BAD,)).to_dict() | {"passed": True},
        Verdict("churn", (GOOD,)).to_dict() | {"gates": []},
        Verdict("churn", (GOOD,)).to_dict() | {"gates": [{"name": "no_leak", "passed": True}]},
        Verdict("churn", (GOOD,)).to_dict() | {"gates": [{"name": "no_leak", "passed": 1, "facts": {}}]},
        Verdict("churn", (GOOD,)).to_dict() | {"gates": ["no_leak"]},
    ],
)
def test_nothing_else_is_taken_for_a_verdict(content):
    with pytest.raises(ChurnmlError, match="this is no verdict"):
        Verdict.from_dict(content)

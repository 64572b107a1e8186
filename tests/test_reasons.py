"""Reasons: only what is not about as usual is told, in words that fit what it is."""

import json

import numpy as np
import pandas as pd
import pytest

from churnml import ChurnClassifier
from churnml.feature_extraction.catalogue import catalogue
from churnml.feature_extraction.declare import Layout
from churnml.printing import explain_text
from churnml.scoring.drivers import changed
from churnml.scoring.reasons import LEAST, reasons, sayings, sentence_of_change

SAID = [
    {"feature": "silence", "theme": "usage", "unit": "days", "usual": 40.0},
    {"feature": "ends_soon", "theme": "contract", "unit": "0 or 1", "usual": 0.0},
]
SAID = [saying | {"phrase_en": saying["feature"].replace("_", " "), "phrase_zh": "说明"} for saying in SAID]


@pytest.fixture(scope="module")
def model():
    """Leaving depends on silence above 39 days, and on the contract's end."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"silence": rng.integers(0, 80, 4_000), "ends_soon": rng.integers(0, 2, 4_000)})
    odds = -2.0 + 2 * (frame["silence"] >= 39) + 1.5 * frame["ends_soon"]
    return ChurnClassifier(effort="fast", random_state=0).fit(frame, rng.random(4_000) < 1 / (1 + np.exp(-odds)))


def told(model, silence, ends_soon):
    [found] = reasons(model, pd.DataFrame({"silence": [silence], "ends_soon": [ends_soon]}), SAID)
    return [(reason["text_en"], reason["text_zh"]) for reason in found]


def test_what_is_about_as_usual_is_no_reason_though_it_points_to_leaving(model):
    assert told(model, 60, 0) == [("Silence: 60 (usual: 40)", "说明：60（一般客户：40）")]
    assert told(model, 43, 0) == [("Silence: 43 (usual: 40)", "说明：43（一般客户：40）")]
    for silence in (39, 40, 41, 42):
        assert told(model, silence, 0) == []


def test_what_points_the_other_way_is_never_told(model):
    assert told(model, 0, 0) == []


def test_what_is_so_or_is_not_is_told_by_yes_and_no(model):
    assert told(model, 0, 1) == [("Ends soon: yes", "说明：是")]


LAYOUT = Layout(
    (30, 90),
    ("voice_minutes", "sms_count", "data_mb", "roaming_minutes", "dropped_calls", "wifi_mb"),
    {"payment_method": "text", "AgeBand": "text", "region": "text", "segment": "text"},
    frozenset({"customers", "usage", "bills", "complaints", "surveys", "subscriptions", "contacts", "costs"}),
    "元",
)
ROWS = 1_000


class Added:
    """A model of which it is known what each column adds."""

    def __init__(self, **added):
        self.added = added
        self.columns_ = self
        self.kinds = dict.fromkeys(added)

    def contributions(self, rows):
        return pd.DataFrame({name: [added] * len(rows) for name, added in self.added.items()})

    def predict_proba(self, rows):
        return np.full((len(rows), 2), 0.5)


def of(name, column, learned=None):
    """Return what is said of one feature of ours, where its column is this one."""
    [feature] = [feature for feature in catalogue(LAYOUT) if feature.name == name]
    return sayings([feature], pd.DataFrame({name: column}), LAYOUT.currency, learned)


def says(name, column, value, learned=None, effect=0.5, **others):
    """Return the one reason of a customer for whom the feature adds to leaving, in both languages; None without."""
    rows = pd.DataFrame({name: pd.Series([value], dtype=pd.Series(column).dtype)})
    [found] = reasons(Added(**{name: effect}), rows, of(name, column, learned), **others)
    return (found[0]["text_en"], found[0]["text_zh"]) if found else None


def test_usual_is_left_out_where_most_have_nothing():
    name = "complaints_resolution_hours_mean_90d"
    few, many = ([12.0] * have + [np.nan] * (ROWS - have) for have in (499, 500))
    told = "Average hours to resolve customer service cases of the last 90 days: 30"
    assert says(name, few, 30.0)[0] == told
    assert says(name, many, 30.0)[0] == told + " (usual: 12)"
    assert says(name, few, 7.0) is None  # sooner than others who had a case: no reason to leave


def test_nothing_is_no_reason_where_most_have_nothing():
    few, many = ([100.0] * have + [np.nan] * (ROWS - have) for have in (400, 900))
    assert says("account_days_to_contract_end", few, np.nan) is None
    assert says("account_days_to_contract_end", many, np.nan) == ("No contract", "无合约")
    assert says("bills_last_to_mean_365d", few, np.nan) is None
    assert says("bills_last_to_mean_365d", many, np.nan)[0].endswith(": no record")
    assert says("complaints_promise_kept_rate_365d", many, np.nan) is None  # none was broken


@pytest.mark.parametrize(
    ("name", "usual", "worse", "better"),
    [
        ("bills_payment_delay_days_mean_90d", -10.2, -5.0, -16.5),
        ("complaints_count_90d", 1.0, 2.0, 0.0),
        ("complaints_satisfaction_mean_90d", 3.0, 2.0, 4.0),
        ("complaints_first_contact_resolution_rate_90d", 0.5, 0.2, 0.9),
        ("usage_dropped_calls_sum_90d", 5.0, 9.0, 1.0),
        ("usage_active_days_90d", 60.0, 20.0, 90.0),
        ("bills_days_overdue_max", 5.0, 40.0, 0.0),
        ("surveys_score_last", 4.0, 2.0, 5.0),
    ],
)
def test_what_is_plainly_better_than_usual_is_no_reason(name, usual, worse, better):
    assert says(name, [usual] * ROWS, worse)
    assert says(name, [usual] * ROWS, better) is None
    assert says(name, [usual] * ROWS, usual) is None


def test_a_negative_number_of_days_is_told_in_words_of_its_own():
    name = "account_days_to_contract_end"
    assert says(name, [263.0] * ROWS, -66.0) == ("The contract ran out 66 days ago", "合约已于 66 天前到期")
    assert says(name, [263.0] * ROWS, 20.0) == (
        "Days left in the contract: 20 (usual: 263)",
        "合约剩余天数：20（一般客户：263）",
    )
    assert says(name, [-100.0] * ROWS, -66.0)[0] == "The contract ran out 66 days ago (usual: 100)"
    assert says(name, [-100.0] * ROWS, 20.0) == (
        "Days left in the contract: 20 (usual: the contract ran out 100 days ago)",
        "合约剩余天数：20（一般客户：合约已于 100 天前到期）",
    )
    early = says("bills_payment_delay_days_mean_90d", [-10.2] * ROWS, -5.0)
    assert early == (
        "Bills due in the last 90 days paid 5 days early on average (usual: 10.2)",
        "近90天到期的账单平均提前 5 天付款（一般客户：10.2）",
    )


@pytest.mark.parametrize(
    "name",
    ["value_margin_365d", "value_cost_sum_365d", "account_monthly_fee", "bills_amount_last", "bills_unpaid_amount"],
)
def test_money_is_told_with_its_currency_whatever_its_letters(name):
    english, chinese = says(name, [100.0] * ROWS, 1489.0)
    assert english.endswith(": 1,489 元 (usual: 100 元)")
    assert chinese.endswith("：1,489 元（一般客户：100 元）")
    assert "元" not in says("usage_data_mb_sum_90d", [100.0] * ROWS, 1489.0)[0]


def learned(name, left):
    """Return what a model learned from: for each text how many customers had it, and how many of them left."""
    rows = [(text, place < gone) for text, (many, gone) in left.items() for place in range(many)]
    texts, churned = zip(*rows, strict=True)
    return pd.DataFrame({name: texts, "churned": churned, "customer_id": map(str, range(len(rows))), "weight": 1.0})


def test_a_text_is_told_with_how_many_of_such_customers_left():
    name = "account_payment_method"
    rows = learned(name, {"cash": (100, 10), "app": (880, 17), "card": (20, 3)})
    assert says(name, rows[name], "cash", rows) == (
        "Payment method: cash (10.0 % of such customers left, 3.0 % of all)",
        "缴费方式：cash（此类客户流失率 10.0 %，全体 3.0 %）",
    )
    assert says(name, rows[name], "app", rows) is None  # they leave more seldom than all
    assert says(name, rows[name], "card", rows) == ("Payment method: card", "缴费方式：card")  # too few to tell
    [said] = of(name, rows[name], rows)
    assert said["left"] == {"app": pytest.approx(17 / 880), "cash": 0.1}
    assert json.loads(json.dumps(said)) == said


def test_rows_of_few_customers_tell_nothing_of_a_text():
    rows = learned("account_payment_method", {"cash": (60, 10), "app": (880, 17)})
    rows["customer_id"] = [str(int(name) % 20) for name in rows["customer_id"]]  # each at three dates or more
    assert of("account_payment_method", rows["account_payment_method"], rows)[0]["left"] == {}


def test_common_attributes_have_a_name_in_chinese():
    assert says("account_AgeBand", ["x"] * ROWS, "25-34") == ("Age band: 25-34", "年龄段：25-34")


def test_a_sensitive_attribute_is_never_told_nor_counted_in_a_reason():
    name = "account_payment_method"
    assert says(name, ["app"] * ROWS, "cash")
    assert says(name, ["app"] * ROWS, "cash", sensitive=("payment_method",)) is None
    around = "surroundings_churn_rate_region_90d"
    assert says(around, [0.02] * ROWS, 0.05)
    assert says(around, [0.02] * ROWS, 0.05, sensitive=("region",)) is None
    said = [*of(name, ["app"] * ROWS), *of("account_segment", ["mass"] * ROWS)]
    rows = pd.DataFrame({name: ["cash"], "account_segment": ["key"]})
    [[found]] = reasons(Added(**{name: 0.5, "account_segment": 0.2}), rows, said, ["payment_method"])
    assert (found["feature"], found["effect"]) == ("account_segment", 0.2)
    before, now = (pd.DataFrame({name: [way], "customer_id": ["a"]}) for way in ("app", "cash"))
    for sensitive, told in ([], name), (["payment_method"], None):
        model = Added(**{name: 0.0})
        model.contributions = lambda rows: pd.DataFrame({name: (rows[name] == "cash").astype(float)})
        [theme] = changed(model, before, now, of(name, ["app"] * ROWS), sensitive)["themes"]
        assert theme["feature"] == told
        assert (theme["text_en"] is None) == (told is None)


def test_what_adds_next_to_nothing_is_no_reason():
    assert LEAST == 0.05
    assert says("account_tenure_days", [800.0] * ROWS, 20.0, effect=0.051)
    assert says("account_tenure_days", [800.0] * ROWS, 20.0, effect=0.049) is None


def change(name, before, now, many=ROWS):
    [said] = of(name, pd.Series([before[0]] * many))
    return tuple(sentence_of_change(said, pd.Series(before), pd.Series(now), lang) for lang in ("en", "zh"))


def test_a_change_of_one_customer_is_told_by_values_and_of_many_by_means():
    past = "account_contract_past"
    assert change(past, [0], [1]) == ("Contract has run out: yes (before: no)", "合约已到期：是（之前：否）")
    assert change(past, [0, 1, 0], [1, 0, 1])[0] == "Contract has run out: 66.7 % (before: 33.3 %)"
    assert change("account_plan", ["A"], ["B"]) == ("Plan: B (before: A)", "套餐：B（之前：A）")
    assert change("account_plan", ["A"], [None])[0] == "Plan: none (before: A)"
    assert change("account_plan", ["A"], ["A"]) == (None, None)
    assert change("account_plan", ["A", "A"], ["B", "B"]) == (None, None)
    assert change("complaints_count_90d", [1, 2], [2, 3])[0].endswith(": 2.50 (before: 1.50)")
    left = "account_days_to_contract_end"
    assert change(left, [25.0], [-5.0]) == (
        "The contract ran out 5 days ago (before: days left in the contract: 25)",
        "合约已于 5 天前到期（之前：合约剩余天数：25）",
    )
    assert change(left, [25.0], [np.nan])[0] == "No contract (before: 25)"


def test_the_change_that_is_told_is_one_that_can_be_seen():
    names = ["account_plan", "account_monthly_fee"]
    model = Added(**dict.fromkeys(names, 0.0))
    model.contributions = lambda rows: pd.DataFrame({names[0]: rows[names[1]] * 0.02, names[1]: rows[names[1]] * 0.01})
    before, now = (pd.DataFrame({names[0]: ["A"], names[1]: [fee], "customer_id": ["a"]}) for fee in (10.0, 20.0))
    said = [*of(names[0], ["A"] * ROWS), *of(names[1], [10.0] * ROWS)]
    [theme] = changed(model, before, now, said)["themes"]
    assert theme["effect"] == pytest.approx(0.3)
    assert (theme["feature"], theme["text_en"]) == (names[1], "Monthly fee: 20 元 (before: 10 元)")


KINDS_OF_OUR_OWN = ("complaints_complaint_count", "complaints_fault_count", "complaints_enquiry_count")


def test_phrases_do_not_call_every_contact_a_complaint():
    for feature in catalogue(LAYOUT):
        if not feature.name.startswith(KINDS_OF_OUR_OWN):
            english = feature.phrase_en.replace("complaints, faults and enquiries", "")
            assert "complain" not in english.replace("complaint, fault or enquiry", ""), feature.name
            assert "投诉" not in feature.phrase_zh.replace("投诉、报障和咨询", "").replace("投诉、报障或咨询", "")


def test_phrases_begin_and_end_as_the_sentences_need_them():
    for feature in catalogue(LAYOUT):
        for phrase in (feature.phrase_en, feature.phrase_zh):
            assert phrase
            assert not phrase.endswith((".", "。", ":", "："))
        assert not feature.phrase_en.startswith("how much")
        for word in ("phrase_negative", "phrase_nothing"):
            english, chinese = (getattr(feature, f"{word}_{lang}") for lang in ("en", "zh"))
            assert bool(english) == bool(chinese)
            assert english.count("{}") == chinese.count("{}") == (1 if english and word == "phrase_negative" else 0)


def found_of(**score):
    told = {"customer_id": "a", "as_of": "2024-07-01", "churn_probability": 0.454, "risk_band": "high"}
    causes = {"voluntary": 0.346, "staying": 0.654}
    return {
        "score": {**told, "value_if_stays": None, "cause_probabilities": causes, "reasons": [], **score},
        "higher_than": 0.9999,
    }


def test_explain_tells_who_is_below_and_that_causes_are_another_question():
    lines = explain_text(found_of(), "CNY", "en").splitlines()
    assert lines[0] == "a as of 2024-07-01: 45.4% likely to leave (high risk; higher than that of 99 % of customers)"
    assert "another question" in lines[2]
    assert "2024-07-01" in lines[2]
    chinese = explain_text(found_of(), "CNY", "zh").splitlines()
    assert "高于 99% 的客户" in chinese[0]
    assert "另一个问题" in chinese[2]


def test_of_everyone_no_effect_is_printed_for_there_is_none():
    def group(by, effect):
        themes = [{"code": "service", "effect": effect, "first": 0.34}]
        return {"by": by, "group": by and "mass", "customers": 50, "churn_probability": 0.03, "themes": themes}

    text = explain_text({"as_of": "2024-07-01", "drivers": [group(None, None), group("segment", 0.21)]}, "", "en")
    assert "34% complaints and service\n" in text + "\n"
    assert "34% complaints and service (+0.21)" in text
    assert "+0.00" not in text

"""The report: a page and a text that say what the frames say, and nothing that they should not."""

import datetime as dt
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from churnml import wording
from churnml.config import Offer
from churnml.errors import ChurnmlError
from churnml.evaluation.verdict import Gate, Verdict
from churnml.reporting import Proposal, Report, TrainedModel, summary_text, write_report
from churnml.reporting.numbers import call_list, groups, headline, reasons
from churnml.reporting.trust import told_of_test
from churnml.reporting.words import Words

AS_OF = dt.date(2024, 4, 1)
HOSTILE = '"><img src=x onerror=alert(1)>$x$\u202e\x1b[31m\0\n`rm`'
TIERS = ("crystal", "gold", "gem", "platinum", "jade", "diamond")
OFFERS = (
    Offer(id="call", channel="phone", cost=15, assumed_save_rate=0.15),
    Offer(id="call_10off", channel="phone", cost=15, discount=0.1, discount_days=90, assumed_save_rate=0.25),
    Offer(id="sms_10off", channel="sms", cost=0.5, discount=0.1, discount_days=90, assumed_save_rate=0.12),
)
REASONS = (
    ("contract", "account_days_to_contract_end", "Days to the end of the contract", "距合约到期的天数", 240),
    ("usage", "usage_voice_minutes_sum_30d", "Voice minutes in the last 30 days", "最近30天的通话分钟数", 310),
    ("service", "complaints_count_90d", "Complaints in the last 90 days", "最近90天的投诉次数", 0),
    ("payment", "bills_late_count_90d", "Bills not paid in time in the last 90 days", "最近90天未按时付清的账单数", 0),
    ("tenure", "account_tenure_days", "Days since sign-up", "在网天数", 900),
)
GAINS = {"recency": 0.15, "logistic": 0.02}
PHRASES = {reason[1]: (reason[2].lower(), reason[3]) for reason in REASONS[:4]}


def a_report(customers=1_500, *, campaign=True, value=True, seed=0, **changes):
    """Return a report on made-up customers that look like an operator's."""
    rng = np.random.default_rng(seed)
    spend = np.exp(rng.normal(4, 1.2, customers))
    risk = 1 / (1 + np.exp(-rng.normal(-3.7, 1.1, customers)))
    if_stays = spend * 3 * 0.6
    segment = np.where(spend > 900, "key", np.where(spend > 200, "business", "mass"))
    scores = pd.DataFrame(
        {
            "customer_id": [f"C{at:06}" for at in rng.permutation(10 * customers)[:customers]],
            "as_of": AS_OF,
            "status": np.where(np.arange(customers) % 500 == 7, "not_scored", "scored"),
            "status_reason": np.where(np.arange(customers) % 500 == 7, "the model gives no number", None),
            "churn_probability": risk,
            "churn_percentile": pd.Series(risk).rank(pct=True) * 100,
            "expected_value": if_stays * (1 - risk),
            "value_if_stays": if_stays,
            "value_at_risk": if_stays * risk,
            "value_tier": np.array(TIERS)[np.digitize(spend, [40, 100, 250, 700, 2000])],
            "risk_band": np.array(["low", "medium", "high"])[np.digitize(risk, [0.05, 0.15])],
            "reasons": [some_reasons(rng) for _ in range(customers)],
            "churn_model_version": "3",
            "value_model_version": "2",
        }
    )
    numbers = [name for name in scores if name.startswith(("churn_p", "value_", "expected")) and name != "value_tier"]
    scores[numbers] = scores[numbers].mask(scores["status"] == "not_scored")
    if not value:
        scores = scores.assign(expected_value=None, value_if_stays=None, value_at_risk=None, value_model_version=None)
    facts = {
        "project": "simulated",
        "currency": "CNY",
        "as_of": AS_OF,
        "lead_days": 14,
        "horizon_days": 60,
        "value_horizon_days": 90,
        "churn": a_churn_model(rng),
        "scores": scores,
        "value": a_value_model(rng) if value else None,
        "segments": pd.Series(segment, index=scores["customer_id"]),
        "key_tiers": ("jade", "diamond"),
        "campaign": a_campaign(scores, rng) if campaign and value else None,
        "risk_bands": {"low": 0.0, "medium": 0.05, "high": 0.15},
        "phrases": PHRASES,
        "config": "demo/churnml.yaml",
    }
    return Report(**(facts | changes))


def some_reasons(rng):
    chosen = rng.choice(len(REASONS), size=rng.integers(0, 4), replace=False, p=[0.35, 0.25, 0.1, 0.2, 0.1])
    reasons = []
    for at in chosen:
        code, feature, phrase_en, phrase_zh, usual = REASONS[at]
        count = int(rng.integers(1, 60))
        effect = float(rng.gamma(2, 0.2 / (1 + at)))
        texts = {
            "text_en": f"{phrase_en}: {count} (usual: {usual})",
            "text_zh": f"{phrase_zh}：{count}（一般客户：{usual}）",
        }
        reasons.append({"code": code, "feature": feature, "value": float(count), "effect": effect, **texts})
    return reasons


def a_campaign(scores, rng):
    scored = (scores["status"] == "scored").to_numpy()
    profit = (scores["value_at_risk"].astype(float).fillna(0) * 0.25 - 15).to_numpy()
    chosen = np.argsort(-profit)[: max(len(scores) // 60, 1)]
    arm = np.where(scored, "not_selected", "excluded").astype(object)
    arm[chosen] = np.where(rng.random(len(chosen)) < 0.1, "control", "treated")
    offered = np.isin(arm, ["treated", "control"])
    offer = np.array([offer.id for offer in OFFERS])[rng.integers(0, 3, len(scores))]
    cost = pd.Series(offer).map({one.id: one.cost for one in OFFERS}).to_numpy()
    assignments = pd.DataFrame(
        {
            "campaign_id": "2024-04",
            "assignment_id": [f"a{at}" for at in range(len(scores))],
            "customer_id": scores["customer_id"],
            "arm": arm,
            "offer_id": np.where(offered, offer, None),
            "channel": np.where(offered, pd.Series(offer).map({one.id: one.channel for one in OFFERS}), None),
            "expected_profit": np.where(offered, profit, np.nan),
            "churn_probability": scores["churn_probability"],
            "uplift": np.where(offered, scores["churn_probability"] * 0.25, np.nan),
            "uplift_source": np.where(offered, "assumed", None),
            "propensity": np.where(offered, 0.9, np.nan),
            "reason": np.where(offered, "selected", np.where(scored, "no_profitable_offer", "not_scored")),
        }
    )
    treated = arm == "treated"
    summary = {"population": len(scores), "cost": cost[treated].sum(), "expected_profit": profit[treated].sum()}
    return Proposal(assignments, summary, OFFERS)


def a_churn_model(rng, rows=2_500, **changes):
    slope = rng.normal(-3.5, 1.1, rows)
    risk = 1 / (1 + np.exp(-slope))
    tested = pd.DataFrame(
        {
            "customer_id": [f"C{at:06}" for at in range(rows)],
            "as_of": dt.date(2024, 1, 1),
            "observed": (rng.random(rows) < risk).astype(int),
            "predicted": risk,
            "recency": np.round(1 / (1 + np.exp(-slope - rng.normal(0, 2.5, rows))), 1),
            "logistic": 1 / (1 + np.exp(-slope - rng.normal(0, 0.6, rows))),
        }
    )
    figures = [
        (model, metric, part, figure, figure * 0.96, figure * 1.04, rows // (1 if part == "all" else 3))
        for part in ("all", "tier=gold", "tier=gem")
        for model, worse in (("model", 0.0), ("recency", 0.15), ("logistic", 0.02))
        for metric, figure in (("auc", 0.78 - worse), ("top_decile_lift", 3.6 - 6 * worse), ("ece", 0.004 + worse / 50))
        if part == "all" or model == "model"
    ]
    figures += [(model, "auc_gain", "all", gain, gain - 0.03, gain + 0.03, rows) for model, gain in GAINS.items()]
    gates = (
        Gate("out_of_time", True, {}),
        Gate("beats_recency", True, {"auc": 0.78, "recency_auc": 0.63}),
        Gate("level", True, {"ratio": 0.98, "low": 0.8, "high": 1.25}),
    )
    facts = {
        "version": "3",
        "promoted": True,
        "trained_on": tuple(dt.date(2023, month, 1) for month in range(7, 11)),
        "tested_on": (dt.date(2024, 1, 1),),
        "out_of_time": True,
        "tested": tested,
        "evaluation": pd.DataFrame(figures, columns=["model", "metric", "slice", "value", "low", "high", "n"]),
        "verdict": Verdict("churn", gates),
    }
    return TrainedModel(**(facts | changes))


def a_value_model(rng, rows=2_000, **changes):
    brought = np.exp(rng.normal(4.4, 1.1, rows)) - 15
    tested = pd.DataFrame(
        {
            "customer_id": [f"C{at:06}" for at in range(rows)],
            "as_of": dt.date(2024, 1, 1),
            "observed": brought,
            "predicted": np.exp(np.log(brought + 15) + rng.normal(-0.06, 0.35, rows)) - 15,
            "last_year_spend": np.exp(np.log(brought + 15) + rng.normal(-0.1, 0.6, rows)),
        }
    )
    figures = [
        (model, metric, "all", figure, figure * 0.95, figure * 1.05, rows)
        for model, worse in (("model", 1.0), ("last_year_spend", 1.6))
        for metric, figure in (("normalised_gini", 0.94 / worse), ("decile_mape", 0.05 * worse))
    ]
    facts = {
        "version": "2",
        "promoted": True,
        "trained_on": tuple(dt.date(2023, month, 1) for month in range(7, 11)),
        "tested_on": (dt.date(2024, 1, 1),),
        "out_of_time": True,
        "tested": tested,
        "evaluation": pd.DataFrame(figures, columns=["model", "metric", "slice", "value", "low", "high", "n"]),
        "verdict": Verdict("value", (Gate("level", True, {"ratio": 1.02, "low": 0.8, "high": 1.25}),)),
    }
    return TrainedModel(**(facts | changes))


class Page(HTMLParser):
    """A page as a person or a checker sees it."""

    VOID = ("meta", "link", "br", "img")

    def __init__(self, text):
        super().__init__()
        self.text, self.open, self.tags, self.ids, self.attributes, self.words = text, [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and "style" not in self.open:
            self.words.append(" ".join(data.split()))

    @property
    def plain(self):
        return " ".join(self.words)

    def rows(self, kind):
        """Return the cells of the first table of a class, as text."""
        table = re.search(rf'<table class="[^"]*{kind}[^"]*".*?</table>', self.text, re.S)[0]
        return [
            [Page(cell).plain for cell in re.findall(r"<t[dh] [^>]*>.*?</t[dh]>", row, re.S)]
            for row in re.findall(r"<tr.*?</tr>", table.split("<tbody")[1], re.S)
        ]


def written(report, folder, lang="en"):
    write_report(report, folder / "report.html", lang)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def report():
    return a_report()


@pytest.fixture(scope="module")
def pages(report, tmp_path_factory):
    return {lang: written(report, tmp_path_factory.mktemp("report"), lang) for lang in ("en", "zh")}


@pytest.fixture(params=["en", "zh"])
def page(request, pages):
    return request.param, pages[request.param]


VARIANTS = {
    "no campaign": {"campaign": False},
    "no value": {"value": False},
    "no segments, bands, phrases or currency": {"segments": None, "risk_bands": {}, "phrases": {}, "currency": ""},
    "no tiers": {"key_tiers": ()},
    "one customer": {"customers": 1},
    "eleven customers": {"customers": 11},
}


@pytest.mark.parametrize(("name", "lang"), list(zip(VARIANTS, ["en", "zh"] * 3, strict=True)))
def test_whatever_is_missing_the_rest_is_told(name, lang, tmp_path):
    report = a_report(**({"customers": 300} | VARIANTS[name]))
    if name == "no tiers":
        report = replace(report, scores=report.scores.assign(value_tier=None, risk_band=None))
    page = written(report, tmp_path, lang)
    assert page.tags.count("h1") == 1
    for told in ("None", "nan", "NaN", "NaT", "{", "}"):
        assert told not in page.plain
    assert summary_text(report, "zh" if lang == "en" else "en").strip()


def test_the_page_needs_nothing_but_itself(page):
    _, page = page
    assert not re.search(
        r"(?i)https?:|//[a-z]|@import|url\((?!#)|<script|<iframe|<object|<embed|<form|<base", page.text
    )
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "src"]
    assert "default-src 'none'" in page.text
    links = {value for name, value in page.attributes if name in ("href", "xlink:href")}
    assert all(link == "data:," or link.removeprefix("#") in page.ids for link in links)


def test_no_two_things_have_the_same_id_and_whatever_is_referred_to_is_there(page):
    _, page = page
    assert len(page.ids) == len(set(page.ids))
    referred = re.findall(r"url\(#([^)]+)\)", page.text)
    referred += [value for name, value in page.attributes if name == "aria-labelledby"]
    assert referred
    assert set(referred) <= set(page.ids)


def test_the_page_can_be_read_by_everyone(page):
    lang, page = page
    assert ("lang", "zh-CN" if lang == "zh" else "en") in page.attributes
    assert page.tags.count("svg") == page.tags.count("figcaption") == 7
    assert page.text.count('role="img"') == 7
    assert page.tags.count("caption") + page.text.count('scope="col"') > 10
    assert ("name", "viewport") in page.attributes
    assert "@media print" in page.text


def test_no_sentence_is_missing_in_either_language(page):
    lang, page = page
    spoken = {key: texts for key, texts in wording._SENTENCES.items() if re.match("(report|plot|metric|gate)_", key)}
    assert not [key for key, (_, chinese) in spoken.items() if not chinese.strip()]
    other = 0 if lang == "zh" else 1
    parts = {part.strip() for texts in spoken.values() for part in re.split(r"\{[^}]*\}", texts[other])}
    left_over = [part for part in parts if len(part) > 8 and part in page.plain]
    assert not left_over
    if lang == "en":
        assert not re.search(r"[\u4e00-\u9fff]", page.plain)


def test_the_numbers_on_top_are_those_of_the_frames(report, pages):
    scored = report.scores[report.scores["status"] == "scored"]
    arms = report.campaign.assignments
    treated = arms[arms["arm"] == "treated"]
    cards = re.findall(r'class="number">([\d,.]+)', pages["en"].text)
    assert cards == [
        f"{len(scored):,}",
        f"{scored['churn_probability'].sum():,.0f}",
        f"{scored['value_at_risk'].sum():,.0f}",
        f"{len(treated):,}",
        f"{treated['expected_profit'].sum():,.0f}",
        f"{(arms['arm'] == 'control').sum():,}",
    ]
    cost = treated["offer_id"].map({offer.id: offer.cost for offer in OFFERS}).sum()
    assert headline(report).cost == pytest.approx(cost)
    assert headline(report).saved == pytest.approx(treated["uplift"].sum())
    segment = treated["customer_id"].map(report.segments)
    tier = treated.merge(report.scores, on="customer_id")["value_tier"].to_numpy()
    assert headline(report).key == ((segment == "key").to_numpy() | np.isin(tier, ["jade", "diamond"])).sum()


def test_the_list_has_key_accounts_first_then_the_highest_profit(report, pages):
    arms = report.campaign.assignments
    rows = arms[arms["arm"] == "treated"].merge(report.scores, on="customer_id", suffixes=("", "_score"))
    key = rows["value_tier"].isin(["jade", "diamond"]) | (rows["customer_id"].map(report.segments) == "key")
    rows = rows.assign(key=key).sort_values(["key", "expected_profit"], ascending=False).head(10)
    shown = pages["en"].rows("list")
    assert [row[0] for row in shown] == [str(at) for at in range(1, 11)]
    for row, (_, expected) in zip(shown, rows.iterrows(), strict=True):
        assert row[1].startswith(expected["customer_id"])
        assert ("KEY" in row[1]) == expected["key"]
        assert expected["value_tier"] in row[1]
        assert (
            row[2].split("%")[0]
            == f"{100 * expected['churn_probability']:.{0 if expected['churn_probability'] > 0.0995 else 1}f}"
        )
        assert row[3] == f"{expected['value_at_risk']:,.0f} CNY"
        assert row[4].startswith(expected["offer_id"])
        for reason in expected["reasons"]:
            assert reason["text_en"] in row[-1]
    others = arms.loc[~arms["arm"].isin(["treated", "control"]), "reason"].value_counts()
    told = pages["en"].plain
    assert f"no offer would bring more than it costs ({others['no_profitable_offer']:,})" in told
    assert f"without a score ({others['not_scored']})" in told
    control = set(arms.loc[arms["arm"] == "control", "customer_id"])
    assert not control & set(call_list(report)["customer_id"])


def test_without_a_campaign_the_riskiest_tenth_is_listed():
    report = a_report(campaign=False)
    listed = call_list(report)
    assert (listed["churn_percentile"] > 90).all()
    assert len(listed) == pytest.approx(len(report.scored) / 10, abs=2)
    assert listed["key"].is_monotonic_decreasing
    assert listed[~listed["key"]]["value_at_risk"].is_monotonic_decreasing


@pytest.mark.parametrize("column", ["value_tier", "segment", "risk_band"])
def test_groups_add_up_to_everyone(report, column):
    table = groups(report, column)
    assert table["customers"].sum() == len(report.scored)
    assert table["leavers"].sum() == pytest.approx(report.scored["churn_probability"].sum())
    assert table["value_at_risk"].sum() == pytest.approx(report.scored["value_at_risk"].sum())
    assert table["value_at_risk"].is_monotonic_decreasing
    few = groups(report, column, most=2)
    assert len(few) == 2
    assert few["customers"].sum() == len(report.scored)


def test_reasons_are_counted_over_everyone(report):
    flat = pd.DataFrame([reason for listed in report.scored["reasons"] for reason in listed])
    table = reasons(report).set_index("code")
    for code, rows in flat.groupby("code"):
        assert table.loc[code, "effect"] == pytest.approx(rows["effect"].sum() / len(report.scored))
        assert table.loc[code, "share"] == pytest.approx(len(rows) / len(report.scored))
    assert table["effect"].is_monotonic_decreasing


def test_the_test_is_told_in_numbers_that_can_be_counted_again(report, pages):
    tested = report.churn.tested
    top = tested.nlargest(len(tested) // 10, "predicted")
    plain = pages["en"].plain
    assert f"expected {tested['predicted'].sum():,.0f} to leave; {tested['observed'].sum():,} did" in plain
    assert f"held {top['observed'].sum() / tested['observed'].sum():.0%} of all who left" in plain
    assert f"Of 100 customers there {100 * top['observed'].mean():.0f} left" in plain
    assert "Δ +0.150 (+0.120 to +0.180)" in plain
    assert "Tier: gold" in plain
    assert "It finds leavers better than the time since the last activity" in plain


def test_what_is_not_in_use_or_not_well_tested_is_said_before_anything_else(report, tmp_path):
    gates = (Gate("beats_recency", False, {"auc": 0.6, "recency_auc": 0.61}), Gate("no_leak", True, {}))
    model = replace(report.churn, promoted=False, out_of_time=False, verdict=Verdict("churn", gates))
    page = written(replace(report, churn=model), tmp_path)
    before, after = page.plain.split("Whom to contact first")
    assert "The churn model (version 3) is not in use" in before
    assert "not tested on a later time" in before
    assert "✗ refused It finds leavers no better" in after
    waiting = replace(report, churn=replace(report.churn, promoted=False))
    assert "met every gate, but another version is in use" in summary_text(waiting)


def test_few_leavers_in_the_test_are_owned_up_to(report):
    tested = report.churn.tested.head(300)
    told = told_of_test("churn", replace(report.churn, tested=tested), Words("en", ""))
    assert told[-1].startswith(f"Only {tested['observed'].sum()} customers of the test left")
    assert not any("Only" in sentence for sentence in told_of_test("churn", report.churn, Words("en", "")))


def test_what_somebody_else_chose_can_do_no_harm(tmp_path):
    report = a_report(300)
    scores = report.scores.assign(value_tier=HOSTILE, risk_band=HOSTILE, status_reason=HOSTILE)
    names = {name: f"{HOSTILE}{name}" for name in scores["customer_id"]}
    scores = scores.assign(
        customer_id=scores["customer_id"].map(names),
        reasons=[
            [dict.fromkeys(("code", "feature", "text_en", "text_zh"), HOSTILE) | {"value": 1.0, "effect": 1.0}]
        ] * len(scores),
    )  # fmt: skip
    arms = report.campaign.assignments
    arms = arms.assign(
        customer_id=arms["customer_id"].map(names),
        campaign_id=HOSTILE,
        offer_id=HOSTILE,
        channel=HOSTILE,
        reason=HOSTILE,
    )
    tested = report.churn.tested.rename(columns={"recency": HOSTILE})
    figures = report.churn.evaluation.replace({"recency": HOSTILE, "ece": HOSTILE, "tier=gold": HOSTILE})
    verdict = Verdict("churn", (Gate(HOSTILE, False, {HOSTILE: HOSTILE}),))
    model = replace(report.churn, tested=tested, evaluation=figures, verdict=verdict, version=HOSTILE)
    hostile = replace(
        report,
        project=HOSTILE + "\ud800",
        currency=HOSTILE,
        config=HOSTILE,
        churn=model,
        scores=scores,
        segments=pd.Series(HOSTILE, index=list(names.values())),
        campaign=replace(report.campaign, assignments=arms, offers=(OFFERS[0].model_copy(update={"id": HOSTILE}),)),
        phrases={HOSTILE: (HOSTILE, HOSTILE)},
    )
    page = written(hostile, tmp_path, "zh")
    assert "onerror=alert(1)" in page.plain
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search("[\u202e\x1b\0\ud800]", page.text + summary_text(hostile, "en"))


def test_no_column_is_shown_that_was_not_asked_for(tmp_path):
    report = a_report(300)
    secret = {"name": "Zhang Wei", "phone": "13800001111"}
    report = replace(
        report,
        scores=report.scores.assign(**secret),
        churn=replace(report.churn, evaluation=report.churn.evaluation.assign(**secret)),
        campaign=replace(report.campaign, assignments=report.campaign.assignments.assign(**secret)),
    )
    text = written(report, tmp_path).text + summary_text(report)
    assert not [word for word in secret.values() if word in text]


def test_the_same_report_gives_the_same_page_and_changes_nothing_that_it_was_given(report, pages, tmp_path):
    frames = (report.scores, report.campaign.assignments, report.churn.tested)
    before = [frame.copy(deep=True) for frame in frames]
    assert written(report, tmp_path).text == pages["en"].text
    for frame, kept in zip(frames, before, strict=True):
        pd.testing.assert_frame_equal(frame, kept)


def test_scores_in_another_order_and_read_from_a_file_give_the_same_page(report, pages, tmp_path):
    report.scores.sample(frac=1, random_state=1).to_parquet(tmp_path / "scores.parquet")
    again = pd.read_parquet(tmp_path / "scores.parquet")
    assert written(replace(report, scores=again), tmp_path).text == pages["en"].text


def test_with_nobody_scored_the_page_says_so(tmp_path):
    report = a_report(50, campaign=False)
    nobody = report.scores.assign(status="not_scored", status_reason="the model gives no number")
    page = written(replace(report, scores=nobody), tmp_path)
    assert "No customer could be scored" in page.plain
    assert "50 of 50 customers could not be scored: the model gives no number (50)" in page.plain
    assert "There is nobody on the list." in summary_text(replace(report, scores=report.scores.head(0)))


def test_with_nobody_worth_an_offer_the_page_says_so(report, tmp_path):
    arms = report.campaign.assignments.assign(arm="not_selected")
    campaign = replace(report.campaign, assignments=arms, summary={"cost": 0.0, "expected_profit": 0.0})
    page = written(replace(report, campaign=campaign), tmp_path)
    assert "Nobody is proposed to be contacted" in page.plain
    assert "There is nobody on the list." in page.plain


def test_commands_are_those_that_apply(pages, tmp_path):
    def commands(page):
        return re.findall(r"<code[^>]*>churnml ([a-z]+(?: [a-z]+)?) demo", page.text)

    assert commands(pages["en"]) == ["campaign export", "campaign outcomes", "campaign report", "explain"]
    assert "--as-of 2024-06-14" in pages["en"].plain
    only = a_report(100, campaign=False, next_steps=("explain", "open", "report"))
    assert commands(written(only, tmp_path)) == ["explain", "campaign open"]


def test_the_text_for_the_terminal_has_the_headline_and_ten_customers(report):
    text = summary_text(report)
    assert "customers are likely to leave between 15 April and 13 June 2024" in text.splitlines()[0]
    assert len(re.findall(r"^ +\d+  C\d{6}  (?:KEY)?", text, re.M)) == 10
    chinese = summary_text(report, "zh")
    assert "2024年4月15日至6月13日" in chinese
    assert "对照组" in chinese


def test_a_folder_that_is_not_there_is_an_error_and_nothing_half_written_stays(report, tmp_path):
    with pytest.raises(ChurnmlError, match=r"folder .*missing does not exist"):
        write_report(report, tmp_path / "missing" / "report.html")
    assert not list(tmp_path.iterdir())


def test_frames_that_lack_columns_are_refused(report):
    with pytest.raises(ValueError, match="scores lacks risk_band, reasons"):
        replace(report, scores=report.scores.drop(columns=["risk_band", "reasons"]))
    with pytest.raises(ValueError, match="assignments lacks arm"):
        replace(report.campaign, assignments=report.campaign.assignments.drop(columns="arm"))
    with pytest.raises(ValueError, match="tested lacks observed"):
        replace(report.churn, tested=report.churn.tested.drop(columns="observed"))

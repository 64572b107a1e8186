"""Train, gate, score, list: on a simulated operator, through the functions that users call."""

import contextlib
import datetime as dt
import json
import re
import shutil

import numpy as np
import oracle
import pandas as pd
import pyarrow.parquet as pq
import pytest

import churnml
from churnml.api.models import _register
from churnml.columns import CAUSE_PROBABILITIES, CHURN_PROBABILITY
from churnml.config import Gates, Tracking, Training, load_config
from churnml.evaluation.judge import baselines_of, judge
from churnml.evaluation.metrics import CHURN_METRICS, VALUE_METRICS
from churnml.feature_extraction.catalogue import catalogue_of
from churnml.models.bundle import Bundle
from churnml.registry import champions, promotion, store
from churnml.reporting import TrainedModel
from churnml.scoring.drivers import changed
from churnml.scoring.reasons import LEAST, readable
from churnml.scoring.score import SCHEMA
from churnml.tables.histories import describe_tables
from churnml.training.fit import Trained
from churnml.training.gates import Evidence, churn_verdict, value_verdict
from churnml.training.rivals import CHAMPION, Comparison, predicted_by, rival_of
from churnml.training.run import _write

AS_OF = "2024-07-01"
_COMPARED = r" \((usual: |[\d.]+ % of such ).*\)$|（(一般客户：|此类客户).*）$"  # what a reason compares a value with


@pytest.fixture(scope="module")
def operator(simulated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loop")
    tracking = Tracking(uri=f"sqlite:///{folder}/mlflow.db")
    training = Training(first=dt.date(2023, 8, 1), last=dt.date(2024, 4, 1), every="2mo")
    return simulated.model_copy(update={"tracking": tracking, "training": training})


@pytest.fixture(scope="module")
def trained(operator):
    return churnml.train(operator, seed=1)


@pytest.fixture(scope="module")
def scores(operator, trained, tmp_path_factory):
    return churnml.score(operator, AS_OF, out=tmp_path_factory.mktemp("scores") / "scores.parquet")


def test_both_models_pass_their_gates_and_score_from_now_on(operator, trained):
    for name in ("churn", "value"):
        model = trained.models[name]
        assert [gate.name for gate in model.verdict.refusing] == []
        assert model.promoted
        assert promotion.champion(operator, name) == model.version


def test_the_pages_compare_with_nothing_but_simpler_ways_and_the_champion(trained):
    simpler = {"churn": ["recency", "logistic"], "value": ["last_year_spend"]}
    for name, model in trained.training.models.items():
        assert baselines_of(model.tested) == simpler[name]
        shown = TrainedModel("1", True, (), (), True, model.tested, model.evaluation, model.verdict)
        assert shown.baselines == simpler[name]


def test_every_train_date_is_known_at_the_test_date(operator, trained):
    days = {"churn": operator.label.lead_days + operator.label.horizon_days, "value": operator.value.horizon_days}
    for name, model in trained.training.models.items():
        schedule = model.schedule
        assert schedule.out_of_time
        assert max(schedule.train) + dt.timedelta(days=days[name]) <= min(schedule.test)
        assert set(model.tested["as_of"].dt.date) == set(schedule.test)
        assert set(schedule.train) < set(schedule.known)
        assert model.bundle.facts["as_of"] == [str(day) for day in schedule.known]


def test_inner_folds_of_the_churn_model_go_forward_in_time(operator, trained):
    search = trained.training.models["churn"].bundle.models[CHURN_PROBABILITY].search_
    gap = dt.timedelta(days=operator.label.lead_days + operator.label.horizon_days)
    fitted, judged = (sorted(map(dt.date.fromisoformat, search[word])) for word in ("fitted", "judged"))
    assert fitted
    assert fitted[-1] + gap <= judged[0]


def test_scores_have_the_columns_of_the_contract_and_everyone_once(operator, scores):
    population = churnml.features(operator, AS_OF)
    assert list(scores) == SCHEMA.names
    assert sorted(scores["customer_id"]) == sorted(population["customer_id"])
    assert (scores["status"] == "scored").all()
    assert scores["status_reason"].isna().all()
    assert scores[CHURN_PROBABILITY].between(0, 1).all()
    assert np.allclose(scores["value_at_risk"], scores[CHURN_PROBABILITY] * scores["value_if_stays"])
    pairs = zip(scores[CHURN_PROBABILITY], scores["churn_percentile"], strict=True)
    share = scores[CHURN_PROBABILITY].to_numpy()
    for probability, percentile in list(pairs)[:200]:
        assert percentile == pytest.approx(100 * np.mean(share <= probability))


def test_causes_and_staying_sum_to_one_for_everyone(operator, trained, scores):
    model = trained.training.models["churn"].bundle.models[CAUSE_PROBABILITIES]
    assert model.label_days == operator.label.lead_days + operator.label.horizon_days
    causes = pd.DataFrame(scores["cause_probabilities"].tolist())
    assert list(causes) == ["involuntary", "port_out", "voluntary", "staying"]
    assert np.abs(causes.sum(axis=1) - 1).max() < 1e-12
    order = causes[["voluntary", "port_out"]].sum(axis=1).corr(scores[CHURN_PROBABILITY], method="spearman")
    assert order > 0.7


def test_tiers_and_bands_follow_the_configuration(operator, scores):
    spend = churnml.features(operator, AS_OF).set_index("customer_id")["bills_amount_sum_90d"] / 3
    levels = sorted(operator.tiers.first.levels.items(), key=lambda level: level[1])
    for row in scores.itertuples():
        reached = [name for name, amount in levels if max(spend[row.customer_id], 0) >= amount]
        assert row.value_tier == reached[-1]
        bands = [name for name, start in operator.risk_bands.items() if row.churn_probability >= start]
        assert row.risk_band == bands[-1]


def test_the_kept_copy_is_what_was_written(operator, scores):
    kept = pq.read_table(operator.state_folder / "scores" / f"{AS_OF}.parquet")
    assert kept.schema.equals(SCHEMA)
    assert kept.to_pandas()["customer_id"].tolist() == scores["customer_id"].tolist()
    assert kept["reasons"].to_pylist() == scores["reasons"].tolist()
    assert [dict(causes) for causes in kept["cause_probabilities"].to_pylist()] == scores[
        "cause_probabilities"
    ].tolist()


def test_every_number_in_a_reason_is_what_the_raw_rows_give(operator, scores, trained):
    some = scores.sample(40, random_state=0)
    tables = {}
    for name, source in operator.tables.given().items():
        files = sorted(operator.folder.glob(source.path))
        frame = pd.concat([pd.read_parquet(file) for file in files])
        frame = frame[frame["customer_id"].isin(some["customer_id"])]
        columns = {column: frame[column].astype(object).where(frame[column].notna(), None) for column in frame}
        tables[name] = pd.DataFrame(columns).to_dict(orient="records")
    settings = oracle.Settings(
        timezone=operator.timezone,
        personal=operator.personal,
        types=operator.label.types,
        value_horizon_days=operator.value.horizon_days,
        margin_rate=operator.value.margin_rate,
        now=dt.datetime(2026, 1, 1),
    )
    accepted, _ = oracle.read(tables, settings)
    expected = oracle.features(accepted, dt.date.fromisoformat(AS_OF), settings)
    listed = catalogue_of(operator, describe_tables(operator))
    of_everyone = {feature.name for feature in listed if feature.pool or feature.frequent}  # not of 40
    known = {said["feature"]: said for said in trained.training.models["churn"].bundle.facts["features"]}
    told = 0
    for row in some.itertuples():
        effects = [reason["effect"] for reason in row.reasons]
        assert effects == sorted(effects, reverse=True)
        assert all(effect >= LEAST for effect in effects)
        assert len({reason["code"] for reason in row.reasons}) == len(row.reasons) <= 3
        for reason in row.reasons:
            if reason["feature"] in of_everyone:
                continue
            value = expected[row.customer_id][reason["feature"]]
            said = known[reason["feature"]]
            for lang in ("en", "zh"):
                text = re.sub(_COMPARED, "", reason[f"text_{lang}"])
                negative = said[f"phrase_negative_{lang}"]
                if value is None:
                    nothing = said[f"phrase_nothing_{lang}"]
                    assert text.lower() == nothing.lower() or text.endswith((": no record", "：无记录")), reason
                    continue
                if negative and isinstance(value, float | int) and value < 0:
                    assert reason["value"] == pytest.approx(value, rel=1e-9, abs=1e-9)
                    begin, end = negative.lower().split("{}")
                    number = text.lower().removeprefix(begin).removesuffix(end)
                    assert float(number.replace(",", "")) == pytest.approx(-value, rel=0.005, abs=0.005)
                    told += 1
                    continue
                shown = re.split(r"[:：] ?", text, maxsplit=1)[1]
                if shown in ("yes", "no", "是", "否"):
                    assert value == (shown in ("yes", "是"))
                elif isinstance(value, str):
                    assert shown == value, (reason, value)
                else:
                    assert reason["value"] == pytest.approx(value, rel=1e-9, abs=1e-9)
                    number = re.match(r"-?[\d,.]*\d", shown)[0]
                    times = 100 if shown[len(number) :].startswith(" %") else 1
                    assert float(number.replace(",", "")) == pytest.approx(times * value, rel=0.005, abs=0.005)
                    told += 1
    assert told > 50


def test_effects_add_up_to_the_log_odds(operator, trained):
    model = trained.training.models["churn"].bundle.models[CHURN_PROBABILITY]
    rows = churnml.features(operator, AS_OF).head(200)[list(model.columns_.kinds)]
    raw = model.booster_.predict(model.columns_.matrix(rows), raw_score=True)
    added = model.contributions(rows).sum(axis=1).to_numpy()
    assert np.ptp(raw - added) < 1e-9  # what is left is the same for all: the average


def test_explain_shows_the_same_score_and_nothing_personal_or_later(operator, scores):
    one = scores.iloc[7]
    found = churnml.explain(operator, one["customer_id"], AS_OF)
    assert found["score"]["churn_probability"] == one["churn_probability"]
    assert found["score"]["churn_percentile"] == one["churn_percentile"]
    assert found["higher_than"] == np.mean(scores[CHURN_PROBABILITY] < one[CHURN_PROBABILITY])
    assert [reason["text_en"] for reason in found["score"]["reasons"]] == [
        reason["text_en"] for reason in one["reasons"]
    ]
    text = json.dumps(found, default=str)
    names = pd.concat(
        [pd.read_parquet(file) for file in operator.folder.glob(operator.tables.customers.path)]
    ).set_index("customer_id")
    for column in operator.personal:
        assert str(names.loc[[one["customer_id"]], column].iloc[0]) not in text
    moments = re.findall(r"\d{4}-\d\d-\d\dT[\d:]+", json.dumps(found["history"]["bills"]))
    assert moments
    with pytest.raises(churnml.ChurnmlError, match="customer nobody is not at risk at 2024-07-01"):
        churnml.explain(operator, "nobody", AS_OF)


def test_explain_tells_what_drives_departures_by_group(operator, scores):
    found = churnml.explain(operator, as_of=AS_OF)
    everyone, *groups = found["drivers"]
    assert everyone["customers"] == len(scores)
    assert everyone[CHURN_PROBABILITY] == pytest.approx(scores[CHURN_PROBABILITY].mean())
    assert all(theme["effect"] is None for theme in everyone["themes"])
    assert all(theme["effect"] is not None for group in groups for theme in group["themes"])
    first = pd.Series([reasons[0]["code"] if reasons else None for reasons in scores["reasons"]])
    assert {theme["code"]: theme["first"] for theme in everyone["themes"] if theme["first"]} == pytest.approx(
        (first.value_counts() / len(scores)).to_dict()
    )
    assert {group["by"] for group in groups} == {"segment", "tier", "cause"}
    for group in groups:
        shares = sum(theme["first"] for theme in group["themes"])
        assert 0 < shares <= 1 + 1e-9
    sizes = {group["group"]: group["customers"] for group in groups if group["by"] == "tier"}
    assert sizes.items() <= scores["value_tier"].value_counts().to_dict().items()


def test_what_has_changed_is_the_whole_change_of_the_log_odds(operator, trained, monkeypatch):
    monkeypatch.setattr("churnml.scoring.drivers.LEAST", 0.0)
    monkeypatch.setattr("churnml.scoring.drivers.MOST", 99)
    bundle = trained.training.models["churn"].bundle
    model = bundle.models[CHURN_PROBABILITY]
    before, now = (
        churnml.features(operator, day).set_index("customer_id", drop=False) for day in ("2024-05-01", AS_OF)
    )
    both = before.index.intersection(now.index)
    raw = [
        model.booster_.predict(model.columns_.matrix(frame.loc[both, list(model.columns_.kinds)]), raw_score=True)
        for frame in (before, now)
    ]
    found = changed(model, before, now, bundle.facts["features"])
    assert found["customers"] == len(both)
    assert found["gone"] == len(before) - len(both)
    assert sum(theme["effect"] for theme in found["themes"]) == pytest.approx((raw[1] - raw[0]).mean(), abs=1e-9)
    one = churnml.explain(operator, both[0], AS_OF, since="2024-05-01")["changed"]
    assert (one["customers"], one["joined"], one["gone"]) == (1, 0, 0)
    with pytest.raises(churnml.ChurnmlError, match="2024-08-01 is not before 2024-07-01"):
        churnml.explain(operator, both[0], AS_OF, since="2024-08-01")


def test_a_campaign_takes_the_kept_scores(operator, scores):
    opened = churnml.campaign_open(operator, "first", AS_OF, seed=3)
    rows = opened.assignments.set_index("customer_id")
    assert sorted(rows.index) == sorted(scores["customer_id"])
    probability = scores.set_index("customer_id")[CHURN_PROBABILITY]
    told = rows["churn_probability"].dropna()
    assert (told == probability[told.index]).all()
    assert opened.summary["treated"] > 0


def test_the_same_seed_gives_the_same_models_but_for_rounding(operator, trained, tmp_path):
    again = churnml.train(operator.model_copy(update={"tracking": Tracking(uri=f"sqlite:///{tmp_path}/m.db")}), seed=1)
    for name, model in again.training.models.items():  # sums of usage differ in their last bits from run to run
        before = trained.training.models[name]
        assert again.models[name].metrics == pytest.approx(trained.models[name].metrics, rel=1e-6)
        assert model.bundle.facts["panel_hash"] == before.bundle.facts["panel_hash"]


def test_a_bundle_read_back_predicts_the_same_bits(operator, trained, tmp_path):
    rows = churnml.features(operator, AS_OF)
    for model in trained.training.models.values():
        folder = tmp_path / model.model
        folder.mkdir()
        model.bundle.save(folder)
        assert Bundle.load(folder).predict(rows).equals(model.bundle.predict(rows))
        assert not [path for path in folder.rglob("*") if path.suffix not in ("", ".json", ".txt")]


# --- gates ------------------------------------------------------------------------------------------------------------


def churn_tested(seed=0, n=4_000):
    """Rows on which a good model was tested: calibrated, and better than both baselines."""
    rng = np.random.default_rng(seed)
    risk = rng.beta(1, 9, n)
    left = (rng.random(n) < risk).astype(float)
    noisy = np.clip(risk * np.exp(rng.normal(0, 0.8, n)), 1e-6, 0.95)
    frame = {"customer_id": [f"C{i}" for i in range(n)], "as_of": pd.Timestamp("2024-04-01"), "observed": left}
    return pd.DataFrame(
        {**frame, "predicted": risk, "recency": rng.permutation(risk), "logistic": noisy * risk.mean() / noisy.mean()}
    )


def value_tested(seed=0, n=4_000):
    rng = np.random.default_rng(seed)
    worth = rng.gamma(0.5, 200, n)
    frame = {"customer_id": [f"C{i}" for i in range(n)], "as_of": pd.Timestamp("2024-04-01")}
    brought = worth * rng.gamma(4, 0.25, n) * (rng.random(n) < 0.8) / 0.8
    return pd.DataFrame({**frame, "observed": brought, "predicted": worth, "last_year_spend": rng.permutation(worth)})


ENOUGH = {"out_of_time": True, "leaks": [], "train": 200, "test": 50}


def verdict_of(model, tested, **evidence):
    verdict = {"churn": churn_verdict, "value": value_verdict}[model]
    return verdict(judged(model, tested), Evidence(**{**ENOUGH, **evidence}))


def judged(model, tested):
    """Judge rows, by their plan where they have one."""
    metrics = {"churn": CHURN_METRICS, "value": VALUE_METRICS}[model]
    rows = tested.drop(columns="plan", errors="ignore")
    return judge(rows, metrics, slices=tested[["plan"]] if "plan" in tested else None)


def ranked_worse(tested):
    """Swap the order of the model and the rule: by AUC alone, the rule wins."""
    rule = tested["observed"] * 0.02 + tested["predicted"]
    return tested.assign(recency=rule.clip(0, 1))


def overconfident(tested):
    """Exaggerate what is above and below the average, which stays: order and level are right, probabilities wrong."""
    sharp = tested["predicted"] ** 1.6
    scaled = sharp * tested["predicted"].mean() / sharp.mean()
    return tested.assign(predicted=scaled.clip(0, 1), logistic=tested["logistic"].sample(frac=1, random_state=0).values)


def blind_for_one_plan(tested):
    """Know of the customers of one plan no more than how many of them leave."""
    basic = np.arange(len(tested)) % 3 == 0
    blind = tested["predicted"][basic].mean() + np.linspace(-1e-6, 1e-6, len(tested))
    columns = {name: np.where(basic, blind, tested[name]) for name in ("predicted", "logistic")}
    return tested.assign(**columns, plan=np.where(basic, "basic", "plus"))


AGAINST_CHAMPION = {"champion": Comparison("compared", 7)}

FAILING = {
    ("churn", "not_worse_than_champion"): (
        AGAINST_CHAMPION,
        lambda rows: rows.assign(champion=rows["predicted"] * 0.7 + 0.3 * rows["observed"]),
    ),
    ("value", "not_worse_than_champion"): (AGAINST_CHAMPION, lambda rows: rows.assign(champion=rows["observed"])),
    ("churn", "calibrated"): ({}, overconfident),
    ("churn", "even_slices"): ({}, blind_for_one_plan),
    ("churn", "out_of_time"): ({"out_of_time": False}, lambda rows: rows),
    ("churn", "beats_recency"): ({}, ranked_worse),
    ("churn", "not_worse_than"): (
        {},
        lambda rows: rows.assign(logistic=rows["predicted"] * 0.7 + 0.3 * rows["observed"]),
    ),
    ("churn", "level"): ({}, lambda rows: rows.assign(predicted=rows["predicted"] * 1.17)),
    ("churn", "enough_churners"): ({"test": 49}, lambda rows: rows),
    ("churn", "no_leak"): ({"leaks": ["closing_code"]}, lambda rows: rows),
    ("value", "out_of_time"): ({"out_of_time": False}, lambda rows: rows),
    ("value", "not_worse_than"): ({}, lambda rows: rows.assign(last_year_spend=rows["observed"])),
    ("value", "level"): ({}, lambda rows: rows.assign(predicted=rows["predicted"] * 1.3)),
    ("value", "enough_payers"): ({"train": 199}, lambda rows: rows),
    ("value", "no_leak"): ({"leaks": ["closing_code"]}, lambda rows: rows),
}


@pytest.mark.parametrize("model", ["churn", "value"])
def test_a_good_model_passes_every_gate(model):
    tested = {"churn": churn_tested, "value": value_tested}[model]()
    verdict = verdict_of(model, tested)
    assert verdict.passed, [gate.message() for gate in verdict.refusing]


@pytest.fixture(scope="module")
def refusing(trained, operator, tmp_path_factory):
    """A store of its own, with a version for each gate that fails only there."""
    folder = tmp_path_factory.mktemp("refusing")
    config = operator.model_copy(
        update={"tracking": Tracking(uri=f"sqlite:///{folder}/mlflow.db"), "project": "refusing"}
    )
    versions = {}
    for number, ((name, gate), (evidence, worsened)) in enumerate(FAILING.items()):
        tested = worsened({"churn": churn_tested, "value": value_tested}[name]())
        verdict = verdict_of(name, tested, **evidence)
        report = registered(config, folder / str(number), trained, name, tested, verdict)
        assert not report.promoted
        versions[name, gate] = (report.version, verdict)
    return config, versions


def registered(config, folder, trained, name, tested, verdict):
    """Register, as train does, a good bundle with another test."""
    good = trained.training.models[name]
    rows = tested.drop(columns="plan", errors="ignore")
    model = Trained(name, good.bundle, rows, judged(name, tested), verdict, good.schedule)
    _write(folder / name, model, folder.name)
    return _register(config, folder)[name]


@contextlib.contextmanager
def alias_set_by_hand(config, name, version):
    with store.opened(config) as opened:
        opened.client.set_registered_model_alias(name, "champion", str(version))
    yield
    with store.opened(config) as opened:
        opened.client.delete_registered_model_alias(name, "champion")


@pytest.mark.parametrize(("model", "gate"), list(FAILING))
def test_a_model_that_fails_one_gate_only_is_refused_through_every_door(refusing, model, gate, tmp_path):
    config, versions = refusing
    version, verdict = versions[model, gate]
    assert [found.name for found in verdict.refusing] == [gate]
    for door in (churnml.promote, churnml.rollback, promotion.promote, promotion.rollback):
        with pytest.raises(churnml.ChurnmlError, match=r"may not be champion|never been champion|was never"):
            door(config, model, version)
    assert promotion.champion(config, model) is None
    with pytest.raises(churnml.ChurnmlError, match="there is no champion of the churn model: version"):
        churnml.score(config, AS_OF)
    loaded = champions.load(config, model, candidate=True)
    assert not loaded.verdict.passed
    with alias_set_by_hand(config, f"refusing-{model}", version):
        with pytest.raises(
            churnml.ChurnmlError, match=rf"version {version} was made champion of the {model} model outside"
        ):
            champions.load(config, model)
        with pytest.raises(churnml.ChurnmlError, match=r"outside of churnml|no champion"):
            churnml.score(config, AS_OF)
        with pytest.raises(churnml.ChurnmlError, match=r"outside of churnml|no champion"):
            churnml.campaign_open(config, "refused", AS_OF)


@pytest.fixture(scope="module")
def waiting(trained, operator, tmp_path_factory):
    """A store with a version that passed every gate, under a configuration that asks for approval."""
    folder = tmp_path_factory.mktemp("waiting")
    tracking = Tracking(uri=f"sqlite:///{folder}/mlflow.db")
    update = {"tracking": tracking, "project": "waiting", "gates": Gates(approval=True)}
    config = operator.model_copy(update=update)
    tested = churn_tested()
    report = registered(config, folder / "first", trained, "churn", tested, verdict_of("churn", tested))
    return config, report, folder


def test_what_passed_waits_for_a_name_and_a_reason_before_every_door(waiting, trained):
    config, report, folder = waiting
    assert report.verdict.passed
    assert not report.promoted
    for door in (churnml.promote, churnml.rollback):
        for signed in ({}, {"who": "Ann"}, {"why": "agreed"}):
            with pytest.raises(churnml.ChurnmlError, match=r"waits for approval .* --who NAME --why REASON"):
                door(config, "churn", report.version, **signed)
    assert promotion.champion(config, "churn") is None
    with pytest.raises(churnml.ChurnmlError, match="version 1 of the churn model passed its gates and waits for"):
        churnml.score(config, AS_OF)
    with (
        alias_set_by_hand(config, "waiting-churn", 1),
        pytest.raises(churnml.ChurnmlError, match="waits for approval"),
    ):
        churnml.score(config, AS_OF)
    change = churnml.promote(config, "churn", report.version, who="Ann", why="agreed with the retention team")
    assert (change["version"], change["who"]) == (1, "Ann")
    tested = churn_tested(seed=1)
    second = registered(config, folder / "second", trained, "churn", tested, verdict_of("churn", tested))
    assert promotion.champion(config, "churn") == 1
    churnml.promote(config, "churn", second.version, who="Bo", why="better calls")
    assert churnml.rollback(config, "churn")["version"] == 1  # was approved once: back at once, whoever asks


# --- the champion as a rival ------------------------------------------------------------------------------------------


def test_the_champion_is_stood_for_by_the_model_that_was_judged_where_it_has_seen_the_test(operator, trained):
    for name, output in (("churn", CHURN_PROBABILITY), ("value", "expected_value")):
        model = trained.training.models[name]
        rival = rival_of(operator, name)
        assert rival.comparison == Comparison("compared", trained.models[name].version)
        rows = churnml.features(operator, str(model.schedule.test[0]))
        comparison, bundle = rival.standing_for(model.schedule, list(rows))
        assert comparison.case == "compared"
        assert bundle.facts["as_of"] == [str(day) for day in model.schedule.train]
        predicted = dict(zip(rows["customer_id"], predicted_by(bundle, output, rows), strict=True))
        again = model.tested["customer_id"].map(predicted)
        assert np.allclose(again, model.tested["predicted"], rtol=1e-6)


def test_why_there_is_no_comparison_with_the_champion(operator, trained, tmp_path):
    model = trained.training.models["churn"]
    rival = rival_of(operator, "churn")
    assert rival.standing_for(model.schedule, ["usage"])[0].case == "other_columns"
    none = operator.model_copy(update={"tracking": Tracking(uri=f"sqlite:///{tmp_path}/none.db")})
    assert rival_of(none, "churn").comparison.case == "none"
    assert not (tmp_path / "none.db").exists()
    down = operator.model_copy(update={"tracking": Tracking(uri="http://127.0.0.1:9")})
    assert rival_of(down, "churn").comparison.case == "unreachable"
    label = operator.label.model_copy(update={"lead_days": 0})
    other = operator.model_copy(update={"label": label})
    assert rival_of(other, "churn").comparison.case == "other_question"
    verdict = verdict_of("churn", churn_tested(), champion=Comparison("unreachable"))
    assert [gate.name for gate in verdict.refusing] == ["not_worse_than_champion"]
    for case in ("none", "unusable", "other_question", "other_columns"):
        assert verdict_of("churn", churn_tested(), champion=Comparison(case, 1)).passed


def test_a_second_training_is_tested_beside_the_champion(operator, trained):
    config = operator.model_copy(update={"sensitive": ("region",)})
    again = churnml.train(config, seed=2)
    for name, model in again.training.models.items():
        assert CHAMPION in model.tested
        [gate] = [gate for gate in model.verdict.gates if gate.name == "not_worse_than_champion"]
        assert gate.facts["champion"] == trained.models[name].version
        assert "case" not in gate.facts
        slices = {part.partition("=")[0] for part in model.evaluation["slice"]}
        assert {"all", "segment", "tier", "tenure", "region", "plan", "month"} <= slices
    with store.opened(config) as opened:
        run = opened.client.get_model_version(f"{config.project}-churn", str(again.models["churn"].version)).run_id
        names = {file.path for file in opened.client.list_artifacts(run)}
        pages = [
            path.read_text(encoding="utf-8")
            for name in ("report.html", "report.zh.html", "model_card.html", "model_card.zh.html")
            for path in store.address_of(config).artifacts.rglob(name)
            if run in str(path)
        ]
    assert {"report.html", "report.zh.html", "model_card.html", "model_card.zh.html"} <= names
    assert len(pages) == 4
    customers = trained.training.models["churn"].tested["customer_id"]
    for page in pages:
        assert not any(customer in page for customer in customers[:200])
    assert "the version in use" in pages[0]
    assert "局限" in pages[3]
    churnml.rollback(config, "churn", trained.models["churn"].version)
    churnml.rollback(config, "value", trained.models["value"].version)


def test_a_sensitive_column_that_is_not_there_is_told(operator):
    with pytest.raises(churnml.ChurnmlError, match="sensitive: the table customers has no column shoe_size"):
        churnml.train(operator.model_copy(update={"sensitive": ("shoe_size",)}))


def test_scores_of_candidates_are_not_kept(refusing):
    config, _ = refusing
    state = config.state.model_copy(update={"folder": f"{config.state.folder}-candidates"})
    config = config.model_copy(update={"state": state})
    scores = churnml.score(config, AS_OF, candidate=True)
    assert (scores["status"] == "scored").all()
    assert not (config.state_folder / "scores").exists()


# --- what training refuses --------------------------------------------------------------------------------------------


def test_a_date_whose_outcome_is_not_known_is_named_with_the_day_it_will_be(operator):
    with pytest.raises(churnml.ChurnmlError, match=r"the outcome of 2024-06-01 is not known yet.*on 2024-08-28"):
        churnml.train(operator, ["2023-09-01", "2024-06-01"])


def test_dates_too_close_together_tell_how_many_days_are_missing(operator):
    with pytest.raises(churnml.ChurnmlError, match="13 days are missing"):
        churnml.train(operator, ["2024-01-01", "2024-03-02"])


def test_histories_that_are_too_short_for_the_value_say_so(operator):
    longer = operator.model_copy(update={"value": operator.value.model_copy(update={"horizon_days": 365})})
    with pytest.raises(
        churnml.ChurnmlError, match=r"gap of 365 days .* of the value model.*shorten value.horizon_days"
    ):
        churnml.train(longer)


def test_one_class_is_refused_before_anything_is_trained(operator):
    label = operator.label.model_copy(update={"types": ("moved to the moon",)})
    with pytest.raises(churnml.ChurnmlError, match=r"one class only: of .* customers at the train dates .* 0 left"):
        churnml.train(operator.model_copy(update={"label": label}))


def test_without_bills_there_is_no_value_and_no_campaign(operator, tmp_path):
    tables = operator.tables.model_copy(update={"bills": None})
    config = operator.model_copy(
        update={
            "tables": tables,
            "project": "no bills",
            "state": operator.state.model_copy(update={"folder": str(tmp_path / "state")}),
        }
    )
    report = churnml.train(config)
    assert list(report.models) == ["churn"]
    scores = churnml.score(config, AS_OF, candidate=True)
    nothing = scores[["expected_value", "value_if_stays", "value_at_risk", "value_tier", "value_model_version"]]
    assert nothing.isna().all(axis=None)
    assert scores[CHURN_PROBABILITY].notna().all()


def test_what_cannot_be_registered_is_kept_and_registered_later(operator, tmp_path):
    state = operator.state.model_copy(update={"folder": str(tmp_path / "state")})
    down = operator.model_copy(update={"tracking": Tracking(uri="http://127.0.0.1:9"), "state": state})
    with pytest.raises(churnml.ChurnmlError, match=r"what was trained is kept in .*trained.*--resume registers it"):
        churnml.train(down)
    (kept,) = (down.state_folder / "trained").iterdir()
    copy = kept.with_name(f"{kept.name}-again")
    shutil.copytree(kept, copy)
    up = down.model_copy(update={"tracking": Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db")})
    other = up.model_copy(update={"label": up.label.model_copy(update={"lead_days": 0})})
    with pytest.raises(
        churnml.ChurnmlError, match=r"answers another question than is asked now \(label\.lead_days was 14"
    ):
        churnml.train(other, resume=True)
    with pytest.raises(churnml.ChurnmlError, match="an earlier training has its dates"):
        churnml.train(up, AS_OF, resume=True)
    report = churnml.train(up, resume=True)
    assert set(report.models) == {"churn", "value"}
    for model in report.models.values():  # nobody could be asked for the champion then; now it is known there is none
        [gate] = [gate for gate in model.verdict.gates if gate.name == "not_worse_than_champion"]
        assert gate.facts == {"case": "none"}
        assert model.promoted
    assert not copy.exists()
    with record_of_later_training(up, "churn"), pytest.raises(churnml.ChurnmlError, match="is older than version 1 of"):
        churnml.train(up, resume=True)
    shutil.rmtree(kept)
    with pytest.raises(churnml.ChurnmlError, match="no training waits"):
        churnml.train(up, resume=True)


@contextlib.contextmanager
def record_of_later_training(config, model):
    """Let the first version of a model be one that was trained in the year 2100."""
    with store.opened(config) as opened:
        opened.client.set_model_version_tag(f"{config.project}-{model}", "1", "trained_at", "2100-01-01T00:00:00+00:00")
    yield


def test_what_could_not_be_registered_anyhow_is_told_before_training(operator):
    nameless = operator.model_copy(update={"project": "a/b"})
    with pytest.raises(churnml.ChurnmlError, match="cannot name a model"):
        churnml.train(nameless, "1999-01-01")


def test_a_score_before_any_training_is_refused(operator, tmp_path):
    config = operator.model_copy(update={"tracking": Tracking(uri=f"sqlite:///{tmp_path}/empty.db")})
    with pytest.raises(churnml.ChurnmlError, match="no churn model was trained yet: run churnml train"):
        churnml.score(config, AS_OF)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (5.0, "5"), (1234567.0, "1,234,567"), (0.03456, "0.0346"), (12.345, "12.3"), (-570.4, "-570")],
)
def test_numbers_are_written_as_people_write_them(number, text):
    assert readable(number) == text


def test_configurations_with_tiers_that_do_not_exist_are_refused():
    base = {"tables": {"customers": {"path": "c.csv"}}, "label": {}}
    scheme = {"levels": {"low": 0}}
    with pytest.raises(churnml.ChurnmlError, match="the primary scheme gold is none of the schemes"):
        load_config({**base, "tiers": {"primary": "gold", "schemes": {"spend": scheme}}})
    with pytest.raises(churnml.ChurnmlError, match="the key level gem is none of the levels"):
        load_config({**base, "tiers": {"primary": "spend", "schemes": {"spend": {**scheme, "key": ["gem"]}}}})


def test_customers_who_all_bring_the_same_are_refused_and_not_drawn_for_ever(operator, tmp_path):
    value = operator.value.model_copy(update={"margin_rate": 0.0})
    tables = operator.tables.model_copy(update={"costs": None})
    config = operator.model_copy(update={"value": value, "tables": tables})
    with pytest.raises(churnml.ChurnmlError, match=r"one value only: all .* customers at the train dates .* bring 0"):
        churnml.train(config)


def test_one_outcome_only_can_be_judged():
    rows = value_tested(n=50).assign(observed=3.0)
    assert judge(rows, VALUE_METRICS)["n"].eq(50).all()


def test_a_model_that_answers_another_question_does_not_score(operator, trained):
    label = operator.label.model_copy(update={"lead_days": 0})
    with pytest.raises(churnml.ChurnmlError, match=r"label\.lead_days was 14, is 0"):
        churnml.score(operator.model_copy(update={"label": label}), AS_OF)
    value = operator.value.model_copy(update={"horizon_days": 30})
    with pytest.raises(churnml.ChurnmlError, match=r"value\.horizon_days was 90, is 30"):
        churnml.score(operator.model_copy(update={"value": value}), AS_OF)


def test_kept_scores_that_were_cut_are_made_again(operator, scores):
    file = operator.state_folder / "scores" / f"{AS_OF}.parquet"
    kept = pq.read_table(file)
    pq.write_table(kept.slice(0, 100), file)
    opened = churnml.campaign_open(operator, "after-a-cut", AS_OF)
    assert len(opened.assignments) == len(scores)
    assert pq.read_table(file).num_rows == len(scores)


def test_what_explain_tells_is_valid_json(operator, scores):
    found = churnml.explain(operator, scores["customer_id"].iloc[0], AS_OF)
    told = json.loads(json.dumps(found, allow_nan=False))
    assert told["score"]["as_of"] == AS_OF
    assert told["score"]["status_reason"] is None


def test_a_date_at_which_everyone_seems_silent_is_told(operator, trained):
    with pytest.warns(churnml.ChurnmlWarning, match="the last row of usage and bills .* before 2025-06-01"):
        churnml.score(operator, "2025-06-01", candidate=True)

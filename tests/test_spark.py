"""Spark gives what the embedded engine gives: on a simulated operator, on awkward ones, for any declaration."""

import datetime as dt
import importlib.util
import os
import random
import shutil
import sys
import tempfile
from contextlib import contextmanager
from unittest import mock

import comparing
import histories
import numpy as np
import oracle
import pandas as pd
import pytest
from declarations import drawn
from hypothesis import given, settings

import churnml
from churnml.api import models as api_models
from churnml.columns import CAUSE_PROBABILITIES, CHURN_PROBABILITY, EXPECTED_VALUE, VALUE_IF_STAYS
from churnml.config import Config, State, load_config
from churnml.errors import ChurnmlError
from churnml.feature_extraction.embedded import Embedded
from churnml.models.bundle import Bundle
from churnml.models.churn import ChurnClassifier
from churnml.models.hazard import HazardModel
from churnml.models.value import ValueRegressor
from churnml.population import at_risk, customers_lately
from churnml.scoring.reasons import sayings
from churnml.scoring.score import Model
from churnml.simulator import simulate
from churnml.snapshots.panel import Panel
from churnml.tables.histories import open_histories

if importlib.util.find_spec("pyspark") is None:
    pytest.skip("PySpark is not installed: pip install churnml[spark]", allow_module_level=True)
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("there is no Java: PySpark needs 17", allow_module_level=True)

from churnml.feature_extraction.on_spark import OnSpark
from churnml.tables.spark import open_on_spark

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*[Pp]yspark.*", "ignore:.*is_categorical_dtype.*", "ignore::ResourceWarning"),
]
AS_OF = dt.date(2023, 10, 1)
FEW = settings(comparing.EXAMPLES, max_examples=int(os.environ.get("SPARK_EXAMPLES", "1")))


@pytest.fixture(scope="module", autouse=True)
def session(tmp_path_factory):
    """Two cores. Small data take longer to compile than to read, so nothing is compiled or planned twice."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[2]").config("spark.driver.memory", "2g")
    chosen = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        "spark.sql.session.timeZone": "America/Havana",  # the user's own; ours must not depend on it
    }
    for key, value in chosen.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    gateway = session.sparkContext._gateway
    session.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()  # ends Java, which holds gigabytes, before the tests of other modules
    gateway.proc.wait(60)


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spark")
    simulate(folder / "operator", customers=600, months=16, seed=5)
    config = load_config(folder / "operator" / "churnml.yaml")
    return config.model_copy(update={"state": State(folder=str(folder / "state"))})


@pytest.fixture(scope="module")
def expected(operator):
    with open_histories(operator) as found:
        panel = Panel(found, [AS_OF], labels=True)
        return panel.to_pandas().set_index("customer_id"), panel.features, found.reports


@pytest.fixture(scope="module")
def written(operator, expected, tmp_path_factory):
    out = tmp_path_factory.mktemp("panel") / "panel"
    found = churnml.features(operator, AS_OF, labels=True, out=out, engine="spark")
    return out, found


def read(folder):
    return pd.read_parquet(folder).set_index("customer_id").sort_index()


def same(got, expected):
    """Compare two frames by customer: nulls, numbers to 1e-9."""
    assert sorted(got.index) == sorted(expected.index)
    got = got.loc[expected.index]
    names = [name for name in expected if name != "as_of"]
    pairs = ((customer, name) for name in names for customer in expected.index)
    differ = [
        (customer, name, got.loc[customer, name], expected.loc[customer, name])
        for customer, name in pairs
        if not comparing.agrees(got.loc[customer, name], expected.loc[customer, name])
    ]
    assert not differ, differ[:10]


def test_every_feature_and_label_equals_the_embedded_engine(written, expected):
    out, found = written
    panel, features, _reports = expected
    assert found["rows"] == len(panel)
    assert found["columns"] == len(panel.columns) + 1
    assert [path.name for path in out.iterdir()] == [f"as_of={AS_OF}"]
    got = read(out)
    assert list(got) == [*(feature.name for feature in features), "churned", "value", "as_of"]
    same(got, panel)


def test_the_session_is_left_as_it_was(session, written):
    assert session.conf.get("spark.sql.session.timeZone") == "America/Havana"
    assert not [view for view in session.catalog.listTables() if view.name.startswith("churnml_")]


def test_a_table_and_a_view_and_a_frame_of_spark_are_read(session, operator, expected, tmp_path):
    given = operator.tables.given()
    frames = {name: session.read.parquet(str(operator.folder / source.path)) for name, source in given.items()}
    frames["customers"].createOrReplaceTempView("our_customers")
    frames["bills"].withColumnRenamed("amount", "Betrag €").write.saveAsTable("billing")
    tables = {
        **frames,
        "customers": {"table": "our_customers"},
        "bills": {"table": "billing", "columns": {"amount": "Betrag €"}},
    }
    frame_config = load_config(
        {**_plain(operator), "tables": tables, "state": {"folder": str(tmp_path)}, "features": {"windows": [30]}}
    )
    out = tmp_path / "panel"
    churnml.features(frame_config, AS_OF, out=out, engine="spark")
    got = read(out)
    same(got[["bills_amount_sum_30d"]], expected[0][["bills_amount_sum_30d"]])
    with pytest.raises(ChurnmlError, match=r"our_customers is a table of Spark.*--engine spark"):
        churnml.features(frame_config.model_copy(), AS_OF)


def _plain(config):
    kept = config.model_dump(include={"timezone", "label", "value", "personal", "tiers", "risk_bands"}, by_alias=True)
    return {name: value for name, value in kept.items() if value is not None}


@contextmanager
def opened(tables, configured, folder, opener):
    now = mock.patch.object(Config, "now", return_value=configured.now)
    with now, opener(comparing.config_of(tables, configured, folder)) as found:
        yield found


def compare(tables, configured, dates):
    """Compare rows judged, features and labels of the first date on both engines."""
    accepted, _bad = oracle.read(tables, configured)
    if not accepted["customers"]:
        return
    from churnml.snapshots.spark_panel import SparkPanel

    with tempfile.TemporaryDirectory() as folder:
        with opened(tables, configured, folder, open_histories) as found:
            reports = dict(found.reports)
            if not oracle.population(accepted, dates[0], configured):
                return
            panel = comparing.panel(found, dates[0])
        with opened(tables, configured, folder, open_on_spark) as found:
            assert found.reports == reports
            frame, count = SparkPanel(found, [dates[0]], labels=True).frame_at(dates[0])
            got = frame.toArrow().to_pandas().set_index("customer_id")
            assert count == len(got)
        same(got, panel)


@FEW
@given(histories.operators())
def test_awkward_operators_have_the_same_features_and_labels(operator):
    compare(*operator)


@FEW
@given(histories.bad_operators())
def test_the_same_rows_go_to_quarantine(operator):
    compare(*operator)


def test_new_declarations_give_the_same_on_both_engines(operator):
    rng = random.Random(int(os.environ.get("SEED", "7")))
    declared = [drawn(number, rng) for number in range(30)]
    with open_histories(operator) as found:
        populations = {"at_risk": at_risk(found, AS_OF), "lately": customers_lately(found, AS_OF)}
        sql, _frozen = Embedded(found, declared, {}).at(AS_OF, populations)
        embedded = found.con.con.execute(sql).df().set_index("customer_id")
    with open_on_spark(operator) as found:
        populations = {"at_risk": at_risk(found, AS_OF), "lately": customers_lately(found, AS_OF)}
        frame, _frozen = OnSpark(found, declared, {}).at(AS_OF, populations)
        got = frame.toArrow().to_pandas().set_index("customer_id")
    assert embedded.notna().any().mean() > 0.8
    same(got, embedded)


@pytest.fixture(scope="module")
def scorers(expected):
    """Models of a minute: what matters is that both engines ask the same ones."""
    panel, features, _reports = expected
    rows = panel[[feature.name for feature in features]]
    rng = np.random.default_rng(1)
    left = (rows["usage_active_days_30d"].rank(pct=True) + rng.normal(0, 0.3, len(rows)) < 0.4).to_numpy()
    facts = {"features": sayings(features, rows), "has_value": True}
    model = ChurnClassifier(effort="fast", random_state=1).fit(rows, left)
    cause = np.where(left, np.where(rng.random(len(rows)) < 0.5, "voluntary", "port_out"), None)
    hazard = HazardModel(random_state=1).fit(rows, np.where(left, rng.uniform(0, 300, len(rows)), 300), cause)
    churn = Bundle({CHURN_PROBABILITY: model, CAUSE_PROBABILITIES: hazard}, facts)
    money = rows["bills_amount_sum_90d"].fillna(0).to_numpy() + rng.normal(0, 1, len(rows))
    value = ValueRegressor(random_state=1).fit(rows, money)
    return Model(churn, 3), Model(Bundle({EXPECTED_VALUE: value, VALUE_IF_STAYS: value}, {}), 4)


def test_scores_on_spark_equal_the_embedded_ones(operator, scorers, tmp_path):
    with mock.patch.object(api_models, "scorers", return_value=scorers):
        embedded = churnml.score(operator, AS_OF, candidate=True).set_index("customer_id")
        counts = churnml.score(operator, AS_OF, out=tmp_path / "scores", engine="spark")
    got = read(tmp_path / "scores")
    assert counts == {
        "population": len(embedded),
        "scored": len(embedded),
        "not_scored": 0,
        "out": str(tmp_path / "scores"),
    }
    assert list(got) == [name for name in embedded if name != "as_of"] + ["as_of"]
    plain = [name for name in embedded if name not in ("reasons", CAUSE_PROBABILITIES)]
    same(got[plain], embedded[plain])
    causes = [pd.DataFrame(found[CAUSE_PROBABILITIES].map(dict).tolist(), found.index) for found in (got, embedded)]
    assert list(causes[0]) == ["port_out", "voluntary", "staying"]
    same(*causes)
    for customer, reasons in embedded["reasons"].items():
        for ours, theirs in zip(got.loc[customer, "reasons"], reasons, strict=True):
            # the last digit of a sum may decide how a sentence rounds it
            words = set() if ours["value"] == theirs["value"] else {"text_en", "text_zh"}
            assert {name for name in theirs if not comparing.agrees(ours[name], theirs[name])} <= words
    kept = pd.read_parquet(operator.state_folder / "scores" / f"{AS_OF}.parquet")
    assert len(kept) == len(embedded)


def refused(operator, tables, folder, match):
    config = load_config({**_plain(operator), "tables": tables, "state": {"folder": str(folder / "state")}})
    with pytest.raises(ChurnmlError, match=match):
        churnml.features(config, AS_OF, out=folder / "panel", engine="spark")
    assert not (folder / "panel").exists()


def test_a_table_without_a_required_column_is_told_as_everywhere(session, operator, tmp_path):
    session.sql("SELECT 'a' AS customer_id, current_timestamp() AS signed_at").createOrReplaceTempView("half")
    match = r"table customers has no column signed_up_at: did you mean signed_at\? it has customer_id, signed_at;"
    refused(operator, {"customers": {"table": "half"}}, tmp_path, match)
    columns = {"signed_up_at": "since"}
    refused(operator, {"customers": {"table": "half", "columns": columns}}, tmp_path, "has no column since")


def test_what_spark_cannot_read_is_told(session, operator, tmp_path):
    refused(operator, {"customers": {"table": "nobody"}}, tmp_path, "table customers: there is no .*nobody")
    missing = str(tmp_path / "missing.parquet")
    refused(operator, {"customers": {"path": missing}}, tmp_path, r"table customers: there is no file .*missing")
    refused(operator, {"customers": {"path": "a.csv"}}, tmp_path, "tables.customers: Spark reads .*Parquet")
    session.sql("SELECT 'a' AS customer_id, true AS signed_up_at").createOrReplaceTempView("odd")
    refused(operator, {"customers": {"table": "odd"}}, tmp_path, "signed_up_at holds boolean, a time is needed")
    session.sql("SELECT 'a' AS customer_id, 'soon' AS signed_up_at").createOrReplaceTempView("bad")
    refused(operator, {"customers": {"table": "bad"}}, tmp_path, "none of its 1 rows can be used .*unreadable signed")
    kept = pd.read_parquet(tmp_path / "state" / "quarantine" / "customers.parquet")
    assert kept.to_dict("records") == [
        {"reason": "unreadable signed_up_at", "customer_id": "a", "signed_up_at": "soon"}
    ]


def test_a_date_with_nobody_at_risk_leaves_nothing(session, operator, tmp_path):
    session.sql("SELECT 'a' AS customer_id, timestamp '2024-01-01' AS signed_up_at").createOrReplaceTempView("one")
    refused(operator, {"customers": {"table": "one"}}, tmp_path, f"nobody is at risk at {AS_OF}")


def test_without_pyspark_the_remedy_is_told(operator, tmp_path):
    with (
        mock.patch.object(importlib.util, "find_spec", return_value=None),
        pytest.raises(ChurnmlError, match=r"PySpark, which is not installed: pip install churnml\[spark\]"),
    ):
        churnml.features(operator, AS_OF, out=tmp_path / "panel", engine="spark")
    with pytest.raises(ChurnmlError, match="writes a folder and returns no rows: give out"):
        churnml.features(operator, AS_OF, engine="spark")


def _write_and_fail(session, part):
    session.range(3).write.parquet(f"{part}/as_of=2024-01-01")
    raise ChurnmlError("no more")


def test_an_address_of_hadoop_appears_whole_or_not_at_all(session, tmp_path):
    from churnml.tables.spark_out import appearing_folder

    out = (tmp_path / "out").as_uri()
    with appearing_folder(session, out) as part:
        session.range(3).write.parquet(f"{part}/as_of=2024-01-01")
        assert not (tmp_path / "out").exists()
    assert len(pd.read_parquet(tmp_path / "out")) == 3
    with pytest.raises(ChurnmlError, match="exists and is not empty"), appearing_folder(session, out):
        pass
    with pytest.raises(ChurnmlError, match="no more"), appearing_folder(session, f"{out}2") as part:
        _write_and_fail(session, part)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

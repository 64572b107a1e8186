"""The database, the same on SQLite and on PostgreSQL: migrations, campaigns, an audit that only grows, forgetting."""

import contextlib
import csv
import datetime as dt
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import campaign_cases as cases
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import churnml
from churnml.campaigns import store
from churnml.campaigns.assignments import summary_of
from churnml.campaigns.targets import targets
from churnml.config import Campaign, State, load_config
from churnml.errors import ChurnmlError
from churnml.state import database as db
from churnml.state.audit import AuditRow, write_audit
from churnml.state.forget import forget_in_state
from churnml.state.tables import ASSIGNMENTS, AUDIT, AUDIT_CUSTOMERS, FORGOTTEN, METADATA

NOON = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
PEOPLE = [
    cases.customer(number, probability=0.2 + number / 1_000, value=1_000.0 + number, tier=("gold", "gem")[number == 4])
    for number in range(40)
]


def configured(state, **settings):
    customers = pd.DataFrame({"customer_id": ["a"], "signed_up_at": [pd.Timestamp("2020-01-01")]})
    settings = {"tables": {"customers": customers}, "label": {}, "timezone": "Asia/Shanghai"} | settings
    return load_config(settings).model_copy(update={"state": state})


@pytest.fixture
def config(state):
    return configured(state)


def opened(config, name="spring", people=PEOPLE, key_accounts=("C00003", "C00004"), **settings):
    """Keep a campaign; return its assignments."""
    settings = {"control_share": 0.25, "capacity": {"phone": 10, "sms": 10}} | settings
    assignments = cases.drawn_up(people, settings, name=name).copy()
    campaign = Campaign.model_validate(cases.SETTINGS | settings)
    record = store.CampaignRecord(
        id=name,
        as_of=cases.T,
        seed=0,
        **campaign.model_dump(),
        churn_model_version="3",
        value_model_version="4",
        config_hash=config.hash,
        opened_at=NOON,
        summary=summary_of(assignments, campaign.offers),
    )
    store.keep(config, record, assignments, cases.scores_of(people), key_accounts)
    return assignments


def row(*customers, at=NOON, request="r1", who="crm", columns=("churn_probability", "reasons")):
    return AuditRow(at, request, who, "crm", "/v1/score", customers, columns)


def everything(config, table):
    with db.reading(config) as connection:
        return connection.execute(sa.select(table)).mappings().all()


# --- migrations -------------------------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_that_the_code_knows(config):
    engine = db.database(config)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "churnml_version"})
        assert context.get_current_revision()
        found = compare_metadata(context, METADATA)
    assert [difference for difference in found if getattr(difference[1], "name", "") != "churnml_version"] == []


def test_what_is_up_to_date_is_left_alone(config):
    opened(config)
    db.migrated(db.database(config))
    db.close()
    assert [kept.id for kept in store.campaigns(config)] == ["spring"]
    assert db.database(config) is db.database(config)


def test_a_database_of_a_newer_churnml_is_refused(config):
    with db.writing(config) as connection:
        connection.exec_driver_sql("UPDATE churnml_version SET version_num = '9999'")
    db.close()
    with pytest.raises(ChurnmlError, match=r"was made by a newer churnml.*9999.*: install that churnml"):
        db.database(config)


def test_mlflow_s_own_versions_in_the_database_are_no_matter(state):
    config = configured(state)
    with db.writing(config) as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('of mlflow')")
    db.close()
    assert store.campaigns(config) == []


STARTER = """
import sys
from churnml.config import load_config
from churnml.state.keys import create_key, list_keys

config = load_config(sys.argv[1])
create_key(config, f"key{sys.argv[2]}", "crm")
print(len(list_keys(config)) > 0)
"""


def test_processes_that_start_at_once_make_one_database(state, tmp_path):
    (tmp_path / "customers.csv").write_text("customer_id,signed_up_at\na,2020-01-01\n")
    address = f"\n  url: {state.url!r}" if state.url else ""
    text = f"tables: {{customers: {{path: customers.csv}}}}\nlabel: {{}}\nstate:\n  folder: state{address}\n"
    (tmp_path / "churnml.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", STARTER, str(tmp_path / "churnml.yaml")]
    started = [subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(4)]
    assert [process.communicate(timeout=120)[0] for process in started] == ["True\n"] * 4
    assert len(churnml.keys_list(tmp_path / "churnml.yaml")) == 4


# --- where it is ------------------------------------------------------------------------------------------------------


def test_a_relative_address_lies_beside_the_configuration(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "customers.csv").write_text("customer_id,signed_up_at\na,2020-01-01\n")
    text = "tables: {customers: {path: customers.csv}}\nlabel: {}\nstate: {url: 'sqlite:///mine%1.db'}\n"
    (tmp_path / "churnml.yaml").write_text(text)
    monkeypatch.chdir(tmp_path / "here")
    churnml.keys_create("../churnml.yaml", "crm", "crm")
    assert (tmp_path / "mine%1.db").exists()
    assert not (tmp_path / "state").exists()
    db.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://root:geheim@db/state", "no address of a database.*sqlite:///state.db or postgresql://"),
        ("postgresql://root:geheim@db:port/state", "no address of a database"),
        ("sqlite://", "no address of a database"),
        ("sqlite:///:memory:", "no address of a database"),
        ("sqlite:///no/such/folder/state.db", "the folder .* does not exist: make it first"),
        ("postgresql://root:geheim@/state?host=/no/such/socket", "database of state.url fails.*start it, or mend"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_without_its_password(tmp_path, url, told):
    config = configured(State(folder=str(tmp_path / "state"), url=url))
    with pytest.raises(ChurnmlError, match=told) as caught:
        db.database(config)
    assert "geheim" not in str(caught.value) + str(caught.value.details) + repr(config)
    assert caught.value.__cause__ is None


def test_a_password_makes_no_other_configuration(tmp_path):
    one, other = (
        configured(State(folder=str(tmp_path), url=f"postgresql://churnml:{password}@db/state"))
        for password in ("geheim", "secret")
    )
    assert one.hash == other.hash
    assert "geheim" not in one.model_dump_json()


def test_a_wrong_password_is_told_by_its_remedy(postgres, tmp_path):
    url = postgres.url(password="geheim")
    with pytest.raises(db.StateError, match=r"password authentication failed.*its password goes in as \$\{NAME\}"):
        db.database(configured(State(folder=str(tmp_path), url=url)))


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "state.db").write_bytes(b"PAR1" * 1_000)
    with pytest.raises(db.StateError, match=r"state\.db fails \(file is not a database\): put it back from a backup"):
        db.database(configured(State(folder=str(tmp_path))))


def test_a_database_that_another_holds_is_told_and_used_again_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(db, "_PATIENCE_SECONDS", 0.1)
    config = configured(State(folder=str(tmp_path)))
    engine = db.database(config)
    with db.writing(config) as other:
        other.execute(sa.insert(FORGOTTEN), [{"token": "t", "at": NOON, "who": "me"}])
        with pytest.raises(db.StateError, match=r"locked.*another process is writing to it: try again when it is done"):
            write_audit(engine, [row("a")])
        assert everything(config, AUDIT) == []
    write_audit(engine, [row("a")])
    assert len(everything(config, AUDIT)) == 1


def test_a_file_that_was_replaced_is_the_database_from_then_on_and_one_that_is_gone_is_none(tmp_path):
    config = configured(State(folder=str(tmp_path / "one")))
    engine = db.database(config)
    write_audit(engine, [row("a")])
    file = tmp_path / "one" / "state.db"
    other = configured(State(folder=str(tmp_path / "two")))
    db.database(other)
    with engine.connect():
        for part in file.parent.glob("state.db*"):
            part.unlink()
    with pytest.raises(db.StateError, match=r"state\.db is gone"):
        write_audit(engine, [row("b")])
    assert not file.exists()
    with contextlib.closing(sqlite3.connect(tmp_path / "two" / "state.db")) as backed_up:
        backed_up.execute("VACUUM INTO ?", [str(file)])
    write_audit(engine, [row("c")])
    assert len(everything(config, AUDIT)) == 1


def test_a_connection_that_broke_is_replaced(postgres, tmp_path):
    config = configured(State(folder=str(tmp_path), url=postgres.url()))
    try:
        with postgres.connect() as owner:
            owner.execute("GRANT CREATE ON SCHEMA public TO churnml")
            write_audit(db.database(config), [row("a")])
            owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'churnml'")
        write_audit(db.database(config), [row("a")])
        assert len(everything(config, AUDIT)) == 2
    finally:
        db.close()
        postgres.run("DROP OWNED BY churnml CASCADE")


# --- campaigns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [7, 20_000])
def test_a_campaign_comes_back_as_it_was_kept(config, batch, monkeypatch):
    monkeypatch.setattr(store, "_BATCH", batch)
    assignments = opened(config)
    pd.testing.assert_frame_equal(store.assignments_of(config, "spring"), assignments)
    treated = assignments[assignments["arm"] == "treated"].reset_index(drop=True)
    pd.testing.assert_frame_equal(store.assignments_of(config, "spring", arms=["treated"]), treated)
    drawn = assignments[assignments["arm"].isin(["treated", "control"])]
    given = (
        cases.scores_of(PEOPLE).set_index("customer_id").loc[drawn["customer_id"]].reset_index().assign(as_of=cases.T)
    )
    kept = store.scores_of(config, "spring")
    assert kept["as_of"].tolist() == [cases.T] * len(drawn)
    assert kept.pop("reasons").map(list).tolist() == given.pop("reasons").tolist()
    kept, given = (rows.astype(object).where(rows.notna(), None) for rows in (kept, given[list(kept)]))
    assert kept.to_dict("records") == given.to_dict("records")


def test_causes_of_scores_are_kept(config):
    people = PEOPLE[:3]
    causes = {"voluntary": 0.1, "port_out": 0.2, "stay": 0.7}
    scores = cases.scores_of(people).assign(cause_probabilities=[causes] * 3)
    opened(config, people=people, control_share=0.0)
    record = store.campaign(config, "spring").model_copy(update={"id": "summer"})
    assignments = store.assignments_of(config, "spring").assign(campaign_id="summer")
    store.keep(config, record, assignments, scores)
    assert store.scores_of(config, "summer")["cause_probabilities"].tolist() == [causes] * 3


def test_two_who_open_a_campaign_of_one_name_at_once_get_one(config):
    db.database(config)

    def attempt(name):
        try:
            return len(opened(config, name))
        except ChurnmlError as error:
            return error.remedy

    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(attempt, ["Spring", "sPRING"]))
    assert sorted(got, key=str) == [40, "choose another name"]
    assert len(everything(config, ASSIGNMENTS)) == 40


def test_targets_are_the_treated_key_accounts_first_then_what_brings_most(config):
    assignments = opened(config).set_index("customer_id")
    listed = targets(config, "spring", limit=100)
    treated = assignments[assignments["arm"] == "treated"]
    expected = sorted(
        treated.index, key=lambda name: (name not in ("C00003", "C00004"), -treated.loc[name, "expected_profit"], name)
    )
    assert [target["customer_id"] for target in listed] == expected
    assert [target["rank"] for target in listed] == list(range(1, len(treated) + 1))
    assert {name for target in listed if target["key_account"] for name in [target["customer_id"]]} <= {
        "C00003",
        "C00004",
    }
    scores = cases.scores_of(PEOPLE).set_index("customer_id")
    for target in listed:
        assert list(target) == [
            *("rank", "assignment_id", "customer_id", "key_account", "offer_id", "channel", "churn_probability"),
            *("expected_profit", "value_tier", "risk_band", "value_at_risk", "reasons"),
        ]
        for name in ("assignment_id", "offer_id", "channel", "churn_probability", "expected_profit"):
            assert target[name] == treated.loc[target["customer_id"], name]
        for name in ("value_tier", "risk_band", "value_at_risk", "reasons"):
            assert target[name] == scores.loc[target["customer_id"], name]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_of_targets_make_the_list(config, limit):
    opened(config)
    opened(config, "other")
    whole, pages, after = targets(config, "spring", limit=100), [], 0
    while page := targets(config, "spring", after=after, limit=limit):
        pages += page
        after = page[-1]["rank"]
    assert pages == whole
    few = [target["customer_id"] for target in whole[1::3]]
    own = [target for target in whole if target["customer_id"] in few]
    assert targets(config, "spring", limit=100, manager_customers=[*few, "'; DROP TABLE keys", "中文"]) == own
    assert targets(config, "spring", after=own[0]["rank"], limit=1, manager_customers=set(few)) == own[1:2]
    assert targets(config, "spring", limit=100, manager_customers=[]) == []


@pytest.mark.parametrize("name", ["winter", "SPRING", "", "x\0", "'; --"])
def test_a_campaign_that_is_not_there_is_told_from_everything_else_that_goes_wrong(config, name):
    opened(config)
    for ask in (store.campaign, store.assignments_of, store.scores_of):
        with pytest.raises(store.NoCampaignError, match=r"there is no campaign .*: there are spring"):
            ask(config, name)
    with pytest.raises(store.NoCampaignError, match=r"there is no campaign .*: there are spring"):
        targets(config, name, limit=1)


# --- the audit --------------------------------------------------------------------------------------------------------


def test_rows_of_the_audit_are_written_together(config):
    rows = [row("a", "b"), row(request="r2", at=NOON + HOUR), row("a", request="r3", who="王")]
    write_audit(db.database(config), rows)
    write_audit(db.database(config), [])
    kept = everything(config, AUDIT)
    assert sorted((read["request_id"], read["who"], read["at"]) for read in kept) == [
        ("r1", "crm", NOON),
        ("r2", "crm", NOON + HOUR),
        ("r3", "王", NOON),
    ]
    numbers = {read["id"]: read["request_id"] for read in kept}
    customers = [(numbers[read["audit_id"]], read["customer_id"]) for read in everything(config, AUDIT_CUSTOMERS)]
    assert sorted(customers) == [("r1", "a"), ("r1", "b"), ("r3", "a")]


def test_rows_go_with_the_transaction_of_a_connection(config):
    def failing():
        with db.writing(config) as connection:
            write_audit(connection, [row("a")])
            raise RuntimeError("afterwards")

    with pytest.raises(RuntimeError, match="afterwards"):
        failing()
    assert everything(config, AUDIT) == everything(config, AUDIT_CUSTOMERS) == []


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "=1+1", "'; DROP TABLE audit; --", "x" * 10_000, "中文/ü"])
def test_whatever_a_client_asked_for_can_be_written(config, odd, tmp_path):
    write_audit(db.database(config), [row(odd, request=odd)])
    assert len(everything(config, AUDIT_CUSTOMERS)) == 1
    for ending in ("csv", "parquet"):
        assert churnml.keys_audit(config, tmp_path / f"audit.{ending}")["rows"] == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit",
        "DELETE FROM audit_customers",
        "DELETE FROM forgotten",
        "UPDATE audit SET who = 'somebody else'",
        "UPDATE audit_customers SET customer_id = 'b'",
        "UPDATE audit_customers SET customer_id = 'token', position = 7",
        "UPDATE forgotten SET who = 'nobody'",
        "INSERT INTO audit SELECT * FROM audit",
        "INSERT OR REPLACE INTO audit SELECT id, at, request_id, 'nobody', role, route, columns FROM audit",
        "INSERT OR REPLACE INTO audit_customers SELECT audit_id, position, 'b' FROM audit_customers",
        "INSERT OR REPLACE INTO forgotten SELECT token, at, 'nobody' FROM forgotten",
        "TRUNCATE audit CASCADE",
    ],
)
def test_the_audit_only_grows(config, statement):
    with db.writing(config) as connection:
        connection.execute(sa.insert(FORGOTTEN), [{"token": "token", "at": NOON, "who": "me"}])
    write_audit(db.database(config), [row("a")])
    before = [everything(config, table) for table in (AUDIT, AUDIT_CUSTOMERS, FORGOTTEN)]
    with pytest.raises(db.StateError, match=r"can only grow|UNIQUE|unique|syntax"), db.writing(config) as connection:
        connection.exec_driver_sql(statement)
    assert [everything(config, table) for table in (AUDIT, AUDIT_CUSTOMERS, FORGOTTEN)] == before


def test_the_audit_is_exported_in_the_order_of_time_with_formulas_defused(config, tmp_path):
    write_audit(db.database(config), [row("=1+1", "b", at=NOON + HOUR, request="@r2"), row(at=NOON)])
    write_audit(db.database(config), [row("c", at=NOON - HOUR, columns=()), row("d", at=NOON + 5 * HOUR)])
    told = churnml.keys_audit(config, tmp_path / "audit.csv", until="2024-03-02")
    assert told == {"rows": 4, "out": str(tmp_path / "audit.csv")}  # the day ends at 16:00 UTC
    with (tmp_path / "audit.csv").open(encoding="utf-8-sig", newline="") as file:
        read = list(csv.DictReader(file))
    assert [(line["request_id"], line["customer_id"], line["columns"]) for line in read] == [
        ("r1", "c", ""),
        ("r1", "", "churn_probability reasons"),
        ("'@r2", "'=1+1", "churn_probability reasons"),
        ("'@r2", "b", "churn_probability reasons"),
    ]
    assert read[0]["at"] == "2024-03-01T11:00:00+00:00"
    churnml.keys_audit(config, tmp_path / "audit.parquet", since=NOON + HOUR)
    kept = pq.read_table(tmp_path / "audit.parquet")
    assert kept.column("customer_id").to_pylist() == ["=1+1", "b", "d"]
    assert kept.column("at").to_pylist()[0] == NOON + HOUR
    with pytest.raises(ChurnmlError, match=r"audit\.xlsx has no ending of an audit: use one of \.csv, \.parquet"):
        churnml.keys_audit(config, tmp_path / "audit.xlsx")


def test_an_audit_that_holds_nothing_is_exported(config, tmp_path):
    for ending in ("csv", "parquet"):
        assert churnml.keys_audit(config, tmp_path / f"audit.{ending}")["rows"] == 0
    assert pq.read_table(tmp_path / "audit.parquet").num_rows == 0


# --- forgetting -------------------------------------------------------------------------------------------------------


def test_a_person_becomes_a_token_wherever_something_must_stay(config):
    before = opened(config)
    opened(config, "summer", control_share=0.0)
    whole = targets(config, "spring", limit=100)
    person = whole[2]["customer_id"]
    write_audit(db.database(config), [row(person, "b"), row("b", person), row(person)])
    token = forget_in_state(config, person, who="dpo")
    assert everything(config, FORGOTTEN)[0]["who"] == "dpo"
    assert [entry["token"] for entry in everything(config, FORGOTTEN)] == [token]
    customers = sorted(entry["customer_id"] for entry in everything(config, AUDIT_CUSTOMERS))
    assert customers == sorted(["b", "b", token, token, token])
    after = store.assignments_of(config, "spring")
    changed = after["customer_id"] == token
    assert changed.sum() == 1
    assert (
        after[changed]
        .drop(columns=["customer_id", "assignment_id"])
        .equals(before[changed].drop(columns=["customer_id", "assignment_id"]))
    )
    pd.testing.assert_frame_equal(after[~changed], before[~changed])
    numbers = set(before["assignment_id"])
    assert after.loc[changed, "assignment_id"].item() not in numbers
    assert targets(config, "spring", limit=100) == [target for target in whole if target["customer_id"] != person]
    assert len(store.scores_of(config, "spring")) == before["arm"].isin(["treated", "control"]).sum() - 1
    assert {"customer_id": token} not in store.scores_of(config, "spring")[["customer_id"]].to_dict("records")
    assert forget_in_state(config, person) is None


def test_who_is_nowhere_is_not_recorded_unless_found_elsewhere(config):
    assert forget_in_state(config, "nobody") is None
    assert everything(config, FORGOTTEN) == []
    assert forget_in_state(config, "nobody", elsewhere=True).startswith("forgotten_")
    assert len(everything(config, FORGOTTEN)) == 1


def test_nothing_of_the_person_is_left_in_the_file(tmp_path):
    config = configured(State(folder=str(tmp_path)))
    person = "customer-to-forget"
    opened(config, people=[PEOPLE[0] | {"customer_id": person}, *PEOPLE[1:]])
    write_audit(db.database(config), [row(person)])

    def traces():
        return [file.name for file in Path(tmp_path).iterdir() if person.encode() in file.read_bytes()]

    assert traces()
    forget_in_state(config, person)
    assert traces() == []
    db.close()

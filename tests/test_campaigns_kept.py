"""Campaigns over an operator's tables: who is left alone, what is kept, and the lists that people open."""

import contextlib
import csv
import datetime as dt
import json
import math
import sqlite3

import campaign_oracle as oracle
import pandas as pd
import pyarrow.parquet as pq
import pytest
import python_calamine
import sqlalchemy
from campaign_cases import CALL, SETTINGS, T, customer, scores_of, spend_of
from sqlalchemy import select, update

from churnml.campaigns import store
from churnml.campaigns.call_list import call_list
from churnml.campaigns.export import export_assignments, export_campaign, write_list
from churnml.campaigns.opening import open_campaign
from churnml.config import load_config
from churnml.errors import ChurnmlError
from churnml.state.bulk import append
from churnml.state.database import StateError, reading, writing
from churnml.state.tables import CAMPAIGNS
from churnml.tables.histories import open_histories

DAY = dt.timedelta(days=1)
PEOPLE = [customer(number, probability=0.2 + number / 100, value=1_000.0 + number) for number in range(12)]
LISTED = [
    *("rank", "assignment_id", "customer_id", "key_account", "value_tier", "segment", "offer_id", "channel"),
    *("churn_probability", "risk_band", "value_at_risk", "expected_profit", "reasons", "account_manager"),
]


def customers_table(people=PEOPLE):
    """Customer 3 is a key account, 5 is by grade; who is even has the manager 王, the others m1."""
    rows = [
        {
            "customer_id": row["customer_id"],
            "signed_up_at": pd.Timestamp("2022-01-01"),
            "segment": "key" if row["customer_id"] == "C00003" else "mass",
            "account_manager": ("王", "m1")[int(row["customer_id"][1:]) % 2],
            "name": f"=cmd|'{row['customer_id']}'!A0",
            "phone": 13_800_000_000 + int(row["customer_id"][1:]),
            "reasons": "客户自己的",
        }
        for row in people
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def operator(tmp_path):
    """Opens an operator: tables and settings may be given; the state is the same every time."""

    @contextlib.contextmanager
    def opened(people=PEOPLE, customers=None, contacts=None, personal=("name", "phone", "reasons"), **settings):
        tables = {"customers": customers_table(people) if customers is None else customers}
        if contacts is not None:
            tables["contacts"] = contacts
        config = load_config(
            {
                "tables": tables,
                "timezone": "Asia/Shanghai",
                "label": {},
                "personal": list(personal),
                "state": {"folder": str(tmp_path / "state")},
                "tiers": {"primary": "spend", "schemes": {"spend": {"levels": {"gold": 0, "gem": 9}, "key": ["gem"]}}},
                "campaign": SETTINGS | {"control_share": 0.0} | settings,
            }
        )
        with open_histories(config) as histories:
            yield histories

    return opened


def opened_campaign(histories, people=PEOPLE, name="spring", as_of=T, **options):
    return open_campaign(histories, scores_of(people, as_of), spend_of(people), name=name, as_of=as_of, **options)


# --- who is left alone ------------------------------------------------------------------------------------------------


def contacts_table(rows):
    columns = ["customer_id", "arm", "assigned_at", "known_at"]
    return pd.DataFrame([(*row, None)[:4] for row in rows], columns=columns).assign(campaign_id="autumn", row_id=None)


@pytest.mark.parametrize("days", [0, 1, 60])
def test_exclusions_are_those_of_the_oracle(operator, days):
    people = [row | {} for row in PEOPLE]
    people[0] |= {"status": "not_scored", "churn_probability": None, "value_if_stays": None}
    people[1] |= {"value_if_stays": None}
    rows = [
        ("C00000", "treated", T - DAY),
        ("C00002", "treated", T - DAY),
        ("C00003", "control", T - 60 * DAY),
        ("C00004", "control", T - 61 * DAY),
        ("C00005", "treated", T),
        ("C00006", "not_selected", T - DAY),
    ]
    earlier = {"early": T - 60 * DAY, "recent": T - 59 * DAY, "later": T + 59 * DAY}
    members = {"early": [people[7], people[8]], "recent": [people[8], people[9]], "later": [people[10]]}
    drawn = []
    for name, day in earlier.items():
        with operator(cool_down_days=0) as histories:
            got = opened_campaign(histories, [row | {"value_if_stays": 900.0} for row in members[name]], name, day)
        drawn += [(row.customer_id, row.arm, day) for row in got.assignments.itertuples()]
    with operator(contacts=contacts_table(rows), cool_down_days=days) as histories:
        got = opened_campaign(histories, people).assignments.set_index("customer_id")
    for person in people:
        expected = oracle.exclusion(person, rows, drawn, T, days)
        row = got.loc[person["customer_id"]]
        assert (row["arm"] == "excluded", row["reason"] if expected else None) == (expected is not None, expected)
    assert {arm for _, arm, _ in drawn} == {"treated"}


def test_a_contact_that_was_not_known_yet_excludes_nobody(operator):
    late = contacts_table([("C00002", "treated", T - 5 * DAY, T), ("C00003", "treated", T - 5 * DAY, T - DAY)])
    with operator(contacts=late) as histories:
        got = opened_campaign(histories).assignments
    assert got.loc[got["arm"] == "excluded", "customer_id"].tolist() == ["C00003"]


def test_controls_of_a_campaign_are_left_alone_by_the_next(operator):
    with operator(control_share=0.5, capacity={"phone": 2, "sms": 0}) as histories:
        first = opened_campaign(histories).assignments
        second = opened_campaign(histories, name="summer", as_of=T + 30 * DAY).assignments
    drawn = first.loc[first["arm"].isin(["treated", "control"]), "customer_id"]
    assert first["arm"].value_counts().to_dict() == {"not_selected": 8, "treated": 2, "control": 2}
    assert set(second.loc[second["reason"] == "in_campaign", "customer_id"]) == set(drawn)


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_what_is_kept_is_what_was_drawn_up(operator):
    with operator(control_share=0.25, capacity={"phone": 4}) as histories:
        got = opened_campaign(histories, budget=90, seed=5)
        config = histories.config
    kept = store.campaign(config, "spring")
    pd.testing.assert_frame_equal(store.assignments_of(config, "spring"), got.assignments)
    with reading(config) as connection:
        told = json.loads(connection.scalar(select(CAMPAIGNS.c.record)))
    assert (told["id"], told["as_of"], told["seed"], told["budget"]) == ("spring", "2024-03-01", 5, 90)
    assert [offer["id"] for offer in told["offers"]] == ["call", "sms"]
    assert (told["churn_model_version"], told["value_model_version"]) == ("3", "4")
    assert told["config_hash"] == config.hash
    assert dt.datetime.fromisoformat(told["opened_at"]).utcoffset() == dt.timedelta(hours=8)
    assert told["summary"] == got.summary == kept.summary
    assert (got.summary["population"], got.summary["control"]) == (12, 4)
    drawn = got.assignments[got.assignments["arm"].isin(["treated", "control"])]
    assert set(store.scores_of(config, "spring")["customer_id"]) == set(drawn["customer_id"])
    assert [record.id for record in store.campaigns(config)] == ["spring"]


def test_assignments_have_the_columns_that_the_simulator_reads(operator, tmp_path):
    with operator() as histories:
        opened_campaign(histories)
        written = export_assignments(histories.config, tmp_path / "plan.parquet", name="spring")
    assert written == {"rows": 12, "out": str(tmp_path / "plan.parquet")}
    table = pq.read_table(tmp_path / "plan.parquet")
    assert {table.schema.field(name).type for name in ("campaign_id", "customer_id", "arm", "offer_id")} <= {
        table.schema.field("campaign_id").type
    }
    assert set(table.column("arm").to_pylist()) == {"treated"}


def test_a_name_is_used_once_whatever_its_case(operator):
    with operator() as histories:
        opened_campaign(histories, name="Spring")
        with pytest.raises(ChurnmlError, match="there is a campaign Spring already: choose another name"):
            opened_campaign(histories, name="sPRING")


@pytest.mark.parametrize("name", ["", "../x", ".hidden", "a b", "春", "x" * 65, "a/b", "-x"])
def test_a_name_that_makes_no_folder_is_refused(operator, name):
    with operator() as histories, pytest.raises(ChurnmlError, match="cannot be the name of a campaign"):
        opened_campaign(histories, name=name)


def test_an_unknown_campaign_tells_which_there_are(operator):
    with operator() as histories:
        with pytest.raises(ChurnmlError, match="no campaign 'winter': open one"):
            call_list(histories, "winter")
        opened_campaign(histories)
        opened_campaign(histories, name="summer", as_of=T + 90 * DAY)
        with pytest.raises(ChurnmlError, match="no campaign 'winter': there are spring, summer"):
            call_list(histories, "winter")


def test_a_campaign_that_fails_leaves_nothing(operator, monkeypatch):
    def full(connection, table, batches):
        append(connection, table, batches)
        raise sqlalchemy.exc.OperationalError("INSERT", None, sqlite3.OperationalError("database or disk is full"))

    with operator() as histories:
        monkeypatch.setattr(store, "append", full)
        with pytest.raises(StateError, match=r"disk is full\): free space"):
            opened_campaign(histories)
        monkeypatch.setattr(store, "append", append)
        assert store.campaigns(histories.config) == []
        assert opened_campaign(histories).summary["population"] == 12


def test_a_broken_campaign_is_named(operator):
    with operator() as histories:
        opened_campaign(histories)
        with writing(histories.config) as connection:
            connection.execute(update(CAMPAIGNS).values(record="{"))
        with pytest.raises(ChurnmlError, match="campaign spring cannot be read as it was written"):
            opened_campaign(histories, name="summer")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda scores: pd.concat([scores, scores.head(2)]), "2 customers twice"),
        (lambda scores: scores.assign(as_of=pd.Timestamp("2024-02-01")), "of 2024-02-01, not of 2024-03-01"),
        (lambda scores: scores.assign(as_of=dt.date(2024, 2, 1)), "of 2024-02-01, not of 2024-03-01"),
        (lambda scores: scores.drop(columns="value_if_stays"), "no column value_if_stays"),
        (lambda scores: scores.assign(churn_probability=1.2), "12 scores have no churn_probability from 0 to 1"),
        (lambda scores: scores.assign(churn_probability=math.nan), "12 scores have no churn_probability"),
        (lambda scores: scores.assign(value_if_stays=math.nan), "no score has a value_if_stays.*give the table bills"),
    ],
)
def test_scores_that_make_no_campaign_are_refused(operator, spoil, told):
    with operator() as histories, pytest.raises(ChurnmlError, match=told):
        open_campaign(histories, spoil(scores_of(PEOPLE)), spend_of(PEOPLE), name="spring", as_of=T)


def test_a_budget_that_is_given_takes_the_place_of_the_configured_one(operator):
    with operator(budget=1e9, offers=[CALL]) as histories:
        assert opened_campaign(histories, budget=45).summary["cost"] == 45
        with pytest.raises(ChurnmlError, match="the budget is 0, but every offer costs something"):
            opened_campaign(histories, name="summer", budget=0)


# --- the call list ----------------------------------------------------------------------------------------------------


@pytest.fixture
def listed(operator):
    """Opens an operator that has a campaign."""

    @contextlib.contextmanager
    def opened(**settings):
        people = [row | {"value_tier": "gem" if row["customer_id"] == "C00005" else "gold"} for row in PEOPLE]
        with operator(people, **settings) as histories:
            opened_campaign(histories, people)
            yield histories

    return opened


def test_the_list_has_key_accounts_first_then_what_brings_most(listed):
    with listed(control_share=0.2) as histories:
        rows = call_list(histories, "spring")
        assignments = store.assignments_of(histories.config, "spring", arms=["treated"])
    assert rows.columns.tolist() == LISTED
    assert set(rows["assignment_id"]) == set(assignments["assignment_id"])
    assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
    key = rows["customer_id"].isin(["C00003", "C00005"])
    assert rows["key_account"].tolist() == key.tolist() == sorted(key, reverse=True)
    for _, part in rows.groupby("key_account"):
        assert part["expected_profit"].is_monotonic_decreasing
    first = rows.iloc[-1]
    assert first["value_at_risk"] == pytest.approx(first["churn_probability"] * (1_000 + int(first["customer_id"][1:])))


@pytest.mark.parametrize(("lang", "joint", "told"), [("en", "; ", "reason of {}"), ("zh", "；", "{} 的原因")])
def test_reasons_are_sentences_in_the_language_asked(listed, lang, joint, told):
    with listed() as histories:
        rows = call_list(histories, "spring", lang=lang)
    assert rows["reasons"].tolist() == [joint.join([told.format(name)] * 2) for name in rows["customer_id"]]


def test_personal_columns_are_for_an_admin_and_for_the_account_manager_with_own_customers(listed):
    with listed() as histories:
        retention = call_list(histories, "spring")
        admin = call_list(histories, "spring", role="admin")
        own = call_list(histories, "spring", role="account_manager", manager="王")
    assert retention.columns.tolist() == LISTED
    assert admin.columns.tolist() == own.columns.tolist() == [*LISTED, "name", "phone", "personal_reasons"]
    assert len(admin) == 12
    assert admin["phone"].tolist() == [f"138000{name[1:]}" for name in admin["customer_id"]]
    assert set(admin["personal_reasons"]) == {"客户自己的"}
    assert set(own["account_manager"]) == {"王"}
    assert sorted(own["customer_id"]) == [f"C{number:05d}" for number in range(0, 12, 2)]
    assert own["rank"].tolist() == [1, 2, 3, 4, 5, 6]


def test_a_personal_column_of_the_list_itself_is_empty_for_the_retention_team(listed):
    with listed(personal=("account_manager", "segment", "customer_id", "not_there")) as histories:
        retention = call_list(histories, "spring")
        admin = call_list(histories, "spring", role="admin")
    assert retention[["account_manager", "segment"]].isna().all(axis=None)
    assert retention["key_account"].sum() == 2
    assert admin.columns.tolist() == retention.columns.tolist() == LISTED
    assert admin[["customer_id", "account_manager", "segment"]].notna().all(axis=None)


def test_the_list_shows_the_newest_version_of_the_latest_spell(operator):
    table = customers_table().assign(known_at=pd.NaT)
    newer = table.head(1).assign(account_manager="m9", known_at=pd.Timestamp("2024-06-01"))
    ended = table.head(2).assign(
        signed_up_at=pd.Timestamp("2020-01-01"), churned_at=pd.Timestamp("2021-01-01"), account_manager="m0"
    )
    with operator(customers=pd.concat([ended, newer, table])) as histories:
        opened_campaign(histories)
        rows = call_list(histories, "spring").set_index("customer_id")
    assert rows.loc["C00000", "account_manager"] == "m9"
    assert rows.loc["C00001", "account_manager"] == "m1"
    assert len(rows) == 12


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"role": "account_manager"}, "say whose with --manager ID"),
        ({"role": "account_manager", "manager": "m7"}, "table customers: no customer has the account_manager m7"),
        ({"role": "crm"}, "the role crm has no call list: use one of retention, account_manager, admin"),
        ({"role": "admin", "manager": "m1"}, "the role admin has no manager"),
    ],
)
def test_who_has_no_right_to_a_list_gets_none(listed, tmp_path, arguments, told):
    with listed() as histories, pytest.raises(ChurnmlError, match=told):
        export_campaign(histories, tmp_path / "list.csv", name="spring", **arguments)
    assert not (tmp_path / "list.csv").exists()


def test_a_campaign_that_treats_nobody_has_an_empty_list(operator, tmp_path):
    people = [row | {"value_if_stays": 0.0} for row in PEOPLE]
    with operator() as histories:
        assert opened_campaign(histories, people).summary["treated"] == 0
        for ending in ("csv", "xlsx", "parquet"):
            written = export_campaign(histories, tmp_path / f"list.{ending}", name="spring", role="admin")
            assert written["rows"] == 0
    assert (tmp_path / "list.csv").read_text(encoding="utf-8-sig").startswith("rank,assignment_id")


# --- files ------------------------------------------------------------------------------------------------------------


def test_csv_and_excel_hold_what_parquet_holds_with_formulas_defused(listed, tmp_path):
    with listed() as histories:
        for ending in ("csv", "XLSX", "parquet"):
            export_campaign(histories, tmp_path / f"list.{ending}", name="spring", role="admin", lang="zh")
    whole = pq.read_table(tmp_path / "list.parquet").to_pandas()
    assert whole["name"].str.startswith("=cmd").all()
    assert (tmp_path / "list.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "list.csv").open(encoding="utf-8-sig", newline="") as file:
        texts = list(csv.DictReader(file))
    sheet = python_calamine.CalamineWorkbook.from_path(str(tmp_path / "list.XLSX")).get_sheet_by_index(0)
    heading, *cells = sheet.to_python()
    assert heading == list(texts[0]) == whole.columns.tolist()
    assert len(cells) == len(texts) == len(whole) == 12
    for text, row, kept in zip(texts, cells, whole.to_dict("records"), strict=True):
        excel = dict(zip(heading, row, strict=True))
        assert excel["name"] == text["name"] == "'" + kept["name"]
        for name in ("assignment_id", "customer_id", "channel", "reasons", "account_manager", "phone"):
            assert excel[name] == text[name] == kept[name]
        for name in ("rank", "churn_probability", "value_at_risk", "expected_profit"):
            assert excel[name] == pytest.approx(float(text[name])) == pytest.approx(kept[name])
        assert (excel["key_account"], text["key_account"]) == (kept["key_account"], str(kept["key_account"]))
    assert {row["reasons"][-3:] for row in texts} == {"的原因"}


def test_only_texts_are_defused(tmp_path):
    odd = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1", " =1", "x=1", "", None, "中文"]
    safe = ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx", "'＝1", "' =1", "x=1", None, None, "中文"]
    rows = pd.DataFrame({"text": pd.Series(odd, dtype="str"), "=number": [-1.5] * 12, "flag": [True] * 12})
    write_list(rows, tmp_path / "odd.csv")
    write_list(rows, tmp_path / "odd.xlsx")
    back = pd.read_csv(tmp_path / "odd.csv")
    excel = pd.read_excel(tmp_path / "odd.xlsx", engine="calamine")
    for got in (back, excel):
        assert got.columns.tolist() == ["text", "'=number", "flag"]
        assert got["'=number"].tolist() == [-1.5] * 12
        assert got["text"].astype(object).where(got["text"].notna(), None).tolist() == safe
        assert got["flag"].tolist() == [True] * 12


@pytest.mark.parametrize("name", ["list", "list.xls", "list.json"])
def test_an_ending_that_is_no_format_is_refused_with_those_there_are(listed, tmp_path, name):
    with listed() as histories, pytest.raises(ChurnmlError, match=r"use one of \.csv, \.xlsx, \.parquet"):
        export_campaign(histories, tmp_path / name, name="spring")


def test_a_list_in_a_folder_that_is_not_there_is_refused(listed, tmp_path):
    with listed() as histories, pytest.raises(ChurnmlError, match="does not exist: make it first"):
        export_campaign(histories, tmp_path / "none" / "list.csv", name="spring")


def test_more_rows_than_excel_holds_are_refused(tmp_path):
    rows = pd.DataFrame({"rank": range(1_048_576)})
    with pytest.raises(ChurnmlError, match=r"Excel holds 1,048,575 rows, not 1,048,576: use one of \.csv, \.parquet"):
        write_list(rows, tmp_path / "list.xlsx")

"""Lists of an operator whose every text is awkward: formulas, HTML, SQL, Chinese, slashes; all columns personal."""

import csv
import io
import json
import sqlite3
import time
from contextlib import closing
from urllib.parse import quote

import pandas as pd
import pytest
import yaml
from serving import AS_OF, CAMPAIGN, served

import churnml
from churnml.api.release import publish
from churnml.campaigns.targets import targets
from churnml.client import Client
from churnml.state.keys import create_key

SIGNS = ("=", "+", "-", "@", "\t", "\r")
IDS = [
    "=cmd|'/C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "<script>alert(1)</script>",
    "'; DROP TABLE customers; --",
    "张伟/一号",
    "a/b",
    "../../model",
    "..",
    "a%2Fb?c=d#e f",
    "é\u0301 \U0001f600",
    'a"b,c\r\nd',
]
MANAGERS = ["=HYPERLINK(A1)", "王/芳"]
LISTED = "awkward"


@pytest.fixture(scope="module")
def here(operator, tmp_path_factory):
    """The operator, whose best customers have such ids, managers, segments, names, and whose offers are such texts."""
    here = operator.copy(tmp_path_factory.mktemp("awkward") / "operator")
    best = [row["customer_id"] for row in targets(here.settings(), CAMPAIGN, limit=60)]
    new = dict(zip(best, IDS, strict=False))
    for file in here.folder.glob("tables/*/*.parquet"):
        rows = pd.read_parquet(file)
        if file.stem == "customers":
            listed = rows["customer_id"].isin(best)
            rows.loc[listed, "account_manager"] = [MANAGERS[place % 2] for place in range(listed.sum())]
            rows.loc[listed, "segment"] = "@segment"
            rows["phone"] = "+86 " + rows["phone"].astype(str)
            rows["=note"] = "-1+1"
        rows["customer_id"] = rows["customer_id"].replace(new)
        rows.to_parquet(file, index=False)
    content = yaml.safe_load(here.config.read_text(encoding="utf-8"))
    content["personal"] = ["name", "phone", "=note", "account_manager"]
    content["risk_bands"] = {"=low": 0.0, "+medium": 0.05, "@high": 0.15}
    content["tiers"]["schemes"]["spend"] |= {"levels": {"-crystal": 0, "=jade": 700}, "key": ["=jade"]}
    offers = [
        offer | {"id": f"={offer['id']}", "channel": f"@{offer['channel']}"} for offer in content["campaign"]["offers"]
    ]
    content["campaign"] = {"offers": offers, "control_share": 0.0, "cool_down_days": 0}
    here.config.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    publish(here.config, AS_OF)
    churnml.campaign_open(here.config, LISTED, AS_OF)
    content["personal"].append("segment")  # of which the models here are made: personal only to those who are served
    (here.folder / "served.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return here


@pytest.fixture(scope="module")
def managers(here):
    return {
        manager: create_key(here.settings(), f"manager{place}", "account_manager", manager=manager)[0]
        for place, manager in enumerate(MANAGERS)
    }


@pytest.fixture(scope="module")
def service(bento, here, managers):
    with served(bento, here.folder / "served.yaml") as running:
        yield running


def page(service, key, name=LISTED, **query):
    answer = service.ask("GET", f"/v1/campaigns/{name}/targets", key, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def whole(service, key, name=LISTED, limit=1000):
    rows, cursor = [], {}
    while True:
        found = page(service, key, name, limit=limit, **cursor)
        rows += found["targets"]
        if found["next_cursor"] is None:
            return rows
        cursor = {"cursor": found["next_cursor"]}


def columns_in_audit(here, answer):
    with closing(sqlite3.connect(here.folder / "state" / "state.db")) as state:
        [[columns]] = state.execute(
            "SELECT columns FROM audit WHERE request_id = ?", (answer.headers["x-request-id"],)
        ).fetchall()
    return set(columns.split())


def test_every_text_of_a_list_is_defused_in_csv_and_as_it_is_in_json(service, here):
    key = here.keys["admin"]
    answer = service.ask("GET", f"/v1/campaigns/{LISTED}/targets?format=csv&limit=1000", key)
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    listed = page(service, key, limit=1000)["targets"]
    assert len(rows) == len(listed) + 1
    assert {"segment", "account_manager", "customer_id", "'=note", "name", "phone", "reasons_zh"} <= set(rows[0])
    for cells, row in zip(rows[1:], listed, strict=True):
        cell = dict(zip(rows[0], cells, strict=True))
        for name in ("customer_id", "value_tier", "risk_band", "segment", "account_manager", "offer_id", "channel"):
            text = row[name] or ""
            assert cell[name] == (f"'{text}" if text.startswith(SIGNS) else text)
        assert cell["'=note"] == "'-1+1"
        assert cell["phone"].startswith("'+86 ")
        for name, text in cell.items():
            number = name in ("expected_profit", "value_at_risk")
            assert number or not text.startswith(SIGNS), (name, text)
    assert set(IDS) <= {row["customer_id"] for row in listed}
    for name in ("value_tier", "risk_band", "offer_id", "channel"):
        assert all(row[name].startswith(SIGNS) for row in listed)


@pytest.mark.parametrize("customer", IDS)
def test_an_id_of_any_kind_is_found_by_its_encoded_address(service, here, customer):
    answer = service.ask("GET", f"/v1/customers/{encoded(customer)}", here.keys["admin"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["score"]["customer_id"] == customer
    with Client(service.url, here.keys["admin"], retries=0) as client:
        assert client.customer(customer) == answer.json()
        [row] = client.score([customer], reasons=True)["scores"]
    assert (row["customer_id"], row["status"]) == (customer, "scored")
    assert row == answer.json()["score"]


def encoded(customer):
    return quote(customer, safe="").replace(".", "%2E")


def test_segment_and_manager_are_masked_where_they_are_personal(service, here):
    retention, admin = here.keys["retention"], here.keys["admin"]
    hidden = dict.fromkeys(["name", "phone", "=note"], "***")
    for row, open_row in zip(whole(service, retention), whole(service, admin), strict=True):
        assert (row["segment"], row["account_manager"], row["personal"]) == (
            "***",
            "***" if open_row["account_manager"] else None,
            hidden,
        )
        kept = ("segment", "account_manager", "personal")
        assert {name: row[name] for name in row if name not in kept} == {
            name: open_row[name] for name in open_row if name not in kept
        }
    found = service.ask("GET", f"/v1/customers/{encoded(IDS[0])}", retention)
    told = found.json()["profile"]
    assert (told["segment"], told["account_manager"], told["personal"]) == ("***", "***", hidden)
    text = service.ask("GET", f"/v1/campaigns/{LISTED}/targets?format=csv&limit=1000", retention).text
    for secret in ("HYPERLINK", "王/芳", "+86", "-1+1", "calc'!A0 "):
        assert secret not in text + found.text, secret
    assert "'@segment" not in text
    assert not {"segment", "account_manager"} & set(found.json()["history"]["customers"][0])
    assert '"segment"' not in json.dumps(found.json()["history"])
    opened = service.ask("GET", f"/v1/customers/{encoded(IDS[0])}", admin).json()["profile"]
    assert opened["segment"] == "@segment"
    assert opened["account_manager"] in MANAGERS
    assert opened["personal"]["phone"].startswith("+86 ")


def test_account_managers_of_any_name_see_their_own_where_managers_are_personal(service, here, managers):
    everybody = whole(service, here.keys["admin"])
    for manager, key in managers.items():
        own = [row for row in everybody if row["account_manager"] == manager]
        assert own
        assert whole(service, key, limit=3) == own
        other = next(row["customer_id"] for row in everybody if row["account_manager"] != manager)
        assert service.ask("GET", f"/v1/customers/{encoded(other)}", key).status_code == 404
        assert service.ask("GET", f"/v1/customers/{encoded(own[0]['customer_id'])}", key).status_code == 200


def test_the_audit_names_every_column_that_was_shown(service, here):
    answer = service.ask("GET", f"/v1/campaigns/{LISTED}/targets?limit=5", here.keys["admin"])
    rows = answer.json()["targets"]
    assert columns_in_audit(here, answer) == {*rows[0], "name", "phone", "=note"}
    answer = service.ask("GET", f"/v1/customers/{encoded(IDS[0])}", here.keys["admin"])
    told = answer.json()
    shown = {*told["profile"], *told["profile"]["personal"], *(f"history.{table}" for table in told["history"])}
    assert columns_in_audit(here, answer) - {"score"} == shown - {"personal"}


def test_pages_stay_what_they_are_while_a_campaign_is_opened_between_them(service, here):
    key = here.keys["admin"]
    before = whole(service, key)
    first = page(service, key, limit=5)
    churnml.campaign_open(here.config, "later", AS_OF, seed=7)
    rows, cursor = first["targets"], first["next_cursor"]
    while cursor is not None:
        following = page(service, key, limit=50, cursor=cursor)
        rows, cursor = rows + following["targets"], following["next_cursor"]
    assert rows == before == whole(service, key)
    listed = service.ask("GET", "/v1/campaigns", key).json()["campaigns"]
    assert [campaign["id"] for campaign in listed] == [LISTED, "later", CAMPAIGN]  # of one day, by name
    later = whole(service, key, "later")
    assert [row["rank"] for row in later] == list(range(1, len(later) + 1))
    cursor = page(service, key, "later", limit=2)["next_cursor"]
    for name, status in (("later", 200), (LISTED, 422), (CAMPAIGN, 422)):
        answer = service.ask("GET", f"/v1/campaigns/{name}/targets", key, params={"cursor": cursor})
        assert answer.status_code == status
    assert answer.json()["error"]["details"]["problems"][0]["place"] == "cursor"


def test_a_cursor_is_of_one_manager_and_of_one_list(service, here, managers):
    path = f"/v1/campaigns/{LISTED}/targets"
    cursors = {who: page(service, key, limit=2)["next_cursor"] for who, key in managers.items()}
    cursors["everybody"] = page(service, here.keys["admin"], limit=2)["next_cursor"]
    keys = {**managers, "everybody": here.keys["retention"]}
    for who, key in keys.items():
        for whose, cursor in cursors.items():
            answer = service.ask("GET", path, key, params={"cursor": cursor})
            assert answer.status_code == (200 if who == whose else 422), (who, whose)


def test_who_has_left_the_release_is_still_listed_and_every_page_has_the_same_columns(service, here):
    """Whoever heads the list has left by the next release, in which nothing more is known of them."""
    key, path = here.keys["admin"], f"/v1/campaigns/{LISTED}/targets"
    gone = page(service, key, limit=1)["targets"][0]["customer_id"]
    for file in here.folder.glob("tables/*/customers.parquet"):
        rows = pd.read_parquet(file)
        rows[rows["customer_id"] != gone].to_parquet(file, index=False)
    release = publish(here.config, AS_OF).release
    until = time.monotonic() + 30
    while service.score(key, ["a"]).json()["release"] != release:
        assert time.monotonic() < until
        time.sleep(0.2)
    answer = service.ask("GET", f"{path}?limit=2", key)
    first, second = answer.json()["targets"]
    assert first["customer_id"] == gone
    assert (first["segment"], first["account_manager"], first["personal"]) == (None, None, {})
    assert second["personal"]["phone"].startswith("+86 ")
    assert {"phone", "name", "=note"} <= columns_in_audit(here, answer)
    heads = [service.ask("GET", f"{path}?limit={limit}&format=csv", key).text.splitlines()[0] for limit in (1, 2)]
    assert heads[0] == heads[1]
    assert json.loads(service.ask("GET", f"/v1/customers/{encoded(gone)}", key).text)["error"]["code"] == "not_found"

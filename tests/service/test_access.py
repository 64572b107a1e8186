"""Who may see what."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import pandas as pd
import pytest
import yaml
from serving import AS_OF, CAMPAIGN, ODD_ID, REPOSITORY, Operator, served

import churnml
from churnml.client import Client
from churnml.errors import ChurnmlError
from churnml.state.keys import create_key, list_keys, revoke_key

ROUTES = {
    "/v1/model": "crm",
    "/v1/campaigns": "retention",
    f"/v1/campaigns/{CAMPAIGN}": "retention",
    f"/v1/campaigns/{CAMPAIGN}/targets": "retention",
    f"/v1/customers/{quote(ODD_ID, safe='')}": "retention",
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept(request, operator, tmp_path_factory):
    """The operator, with keys and campaign in either database."""
    if request.param == "sqlite":
        return operator
    here = operator.copy(tmp_path_factory.mktemp("postgresql") / "operator")
    server = request.getfixturevalue("postgres")
    server.run("CREATE DATABASE serving OWNER churnml")
    content = yaml.safe_load(here.config.read_text(encoding="utf-8"))
    content["state"] = {"folder": "state", "url": server.url(database="serving")}
    here.config.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    config = here.settings()
    churnml.campaign_open(config, CAMPAIGN, AS_OF)
    [manager] = [key.manager for key in list_keys(operator.settings()) if key.name == "account_manager"]
    keys = {
        role: create_key(config, role, role, manager=manager if role == "account_manager" else None)[0]
        for role in operator.keys
    }
    return Operator(here.folder, keys, here.managers)


@pytest.fixture(scope="module")
def reached(request, bento, kept, operator):
    """A service of either database that no test harms."""
    if kept is operator:
        yield request.getfixturevalue("service")
    else:
        with served(bento, kept.config) as running:
            yield running


def test_without_a_key_there_is_nothing(service):
    for path in (*ROUTES, "/openapi.json", "/v1/nothing"):
        answer = service.ask("GET", path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "unauthorized"
    assert service.ask("POST", "/v1/score", json={"customer_ids": ["a"]}).status_code == 401


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "bearer  wrong", "Bearer \u00e9".encode()])
def test_what_is_no_key_is_refused(service, header):
    assert service.ask("GET", "/v1/model", headers={"Authorization": header}).status_code in (401, 429)


def test_two_keys_are_none(service, operator):
    both = [("Authorization", f"Bearer {operator.keys[role]}") for role in ("crm", "admin")]
    assert service.http.get("/v1/model", headers=both).status_code == 401


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("role", ["crm", "retention", "admin"])
def test_a_role_may_do_what_those_below_it_may(reached, kept, path, role):
    ladder = ["crm", "retention", "account_manager", "admin"]
    may = ladder.index(role) >= ladder.index(ROUTES[path])
    answer = reached.ask("GET", path, kept.keys[role])
    assert answer.status_code == (200 if may else 403)


def test_an_account_manager_sees_own_customers_unmasked_and_no_others(reached, kept):
    key = kept.keys["account_manager"]
    scored = reached.score(kept.keys["admin"], kept.managers["mine"] + kept.managers["other"]).json()
    known = {row["customer_id"] for row in scored["scores"] if row["status"] == "scored"}
    mine = next(one for one in kept.managers["mine"] if one in known)
    other = next(one for one in kept.managers["other"] if one in known)
    found = reached.ask("GET", f"/v1/customers/{mine}", key)
    assert found.json()["profile"]["personal"]["phone"] != "***"
    hidden, unknown = (reached.ask("GET", f"/v1/customers/{one}", key) for one in (other, "nobody"))
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.json() == unknown.json()
    rows = reached.score(key, [mine, other]).json()["scores"]
    assert [row["status"] for row in rows] == ["scored", "not_scored"]
    assert rows[1]["churn_probability"] is None
    targets = reached.ask("GET", f"/v1/campaigns/{CAMPAIGN}/targets?limit=1000", key).json()["targets"]
    assert {row["customer_id"] for row in targets} <= set(kept.managers["mine"])


def test_the_cursor_of_one_reader_is_of_no_use_to_another_list(reached, kept):
    path = f"/v1/campaigns/{CAMPAIGN}/targets"
    cursor = reached.ask("GET", f"{path}?limit=2", kept.keys["admin"]).json()["next_cursor"]
    assert reached.ask("GET", f"{path}?cursor={cursor}", kept.keys["retention"]).status_code == 200
    assert reached.ask("GET", f"{path}?cursor={cursor}", kept.keys["account_manager"]).status_code == 422


def test_keys_work_until_they_expire_or_are_revoked(reached, kept):
    import datetime as dt

    config, stamp = kept.settings(), time.time_ns()
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=4)
    short, _ = create_key(config, f"short-{stamp}", "crm", expires=soon)
    revoked, _ = create_key(config, f"revoked-{stamp}", "crm")
    time.sleep(2.5)  # keys are looked up every second
    for key in (short, revoked):
        assert reached.ask("GET", "/v1/model", key).status_code == 200
    revoke_key(config, f"revoked-{stamp}")
    time.sleep(2.5)
    for key in (short, revoked):
        answer = reached.ask("GET", "/v1/model", key)
        assert answer.status_code in (401, 429)
        assert key not in answer.text


def test_after_five_wrong_keys_in_a_row_wrong_ones_wait_and_right_ones_do_not(bento, operator, tmp_path):
    here = operator.copy(tmp_path / "operator")
    with served(bento, here.config) as service:
        wrong = [service.ask("GET", "/v1/model", f"churnml_wrong{number}") for number in range(7)]
        assert [answer.status_code for answer in wrong] == [401] * 5 + [429] * 2
        assert int(wrong[5].headers["retry-after"]) >= 1
        with ThreadPoolExecutor(4) as threads:
            right = list(threads.map(lambda _: service.ask("GET", "/v1/model", here.keys["crm"]), range(20)))
        assert {answer.status_code for answer in right} == {200}
        again = service.ask("GET", "/v1/model", "churnml_wrong")
        assert again.status_code == 401  # a right one ends the row


def test_a_header_does_not_make_another_address_where_no_proxy_is_trusted(bento, operator, tmp_path):
    with served(bento, operator.copy(tmp_path / "operator").config) as service:
        found = [
            service.ask("GET", "/v1/model", "wrong", headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code
            for number in range(8)
        ]
    assert found[:5] == [401] * 5
    assert 429 in found[5:]


def test_a_key_that_asks_too_often_is_told_when_to_ask_again(bento, operator, tmp_path):
    here = operator.copy(tmp_path / "operator", rate_limit=5)
    with served(bento, here.config) as service:
        answers = [service.ask("GET", "/v1/model", here.keys["crm"]) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 12
        assert service.ask("GET", "/v1/model", here.keys["admin"]).status_code == 200


def test_addresses_are_those_of_clients_behind_a_proxy_that_is_trusted(bento, operator, tmp_path):
    here = operator.copy(tmp_path / "operator", trust_proxy=True)
    with served(bento, here.config) as service:
        for _ in range(6):
            last = service.ask("GET", "/v1/model", "churnml_x", headers={"X-Forwarded-For": "10.0.0.1, 10.0.0.2"})
        assert last.status_code == 429
        other = service.ask("GET", "/v1/model", "churnml_x", headers={"X-Forwarded-For": "10.0.0.1, 10.0.0.3"})
        assert other.status_code == 401


def test_the_service_loads_neither_mlflow_nor_duckdb():
    heavy = ("mlflow", "duckdb", "ibis", "matplotlib", "pyspark")
    code = f"import sys, churnml.service.app; print([name for name in {heavy} if name in sys.modules])"
    environment = {"PYTHONPATH": str(REPOSITORY / "src"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_two_workers_are_one_service(bento, operator, tmp_path):
    here = operator.copy(tmp_path / "operator", workers=2)
    with served(bento, here.config) as service:
        wait = time.monotonic() + 60
        while len(service.workers()) < 2 and time.monotonic() < wait:
            time.sleep(0.2)
        time.sleep(8)
        for _ in range(30):  # each over a connection of its own
            asked = httpx.post(
                f"{service.url}/v1/score",
                json={"customer_ids": ["a"]},
                headers={"Authorization": f"Bearer {here.keys['crm']}"},
            )
            assert asked.status_code == 200
        counted = {
            httpx.get(f"{service.url}/metrics").text.count('route="/v1/score",status="200"} 30.0') for _ in range(5)
        }
        assert counted == {1}
        assert len(service.workers()) == 2


def test_every_read_is_in_the_audit_of_either_database(reached, kept, tmp_path):
    answer = reached.score(kept.keys["crm"], [ODD_ID, "nobody"])
    assert [row["status"] for row in answer.json()["scores"]] == ["scored", "not_scored"]
    churnml.keys_audit(kept.config, tmp_path / "audit.parquet")
    rows = pd.read_parquet(tmp_path / "audit.parquet")
    rows = rows[rows["request_id"] == answer.headers["x-request-id"]]
    assert rows[["who", "role", "route", "customer_id"]].to_numpy().tolist() == [["crm", "crm", "/v1/score", ODD_ID]]


def test_the_client_tells_a_refusal_in_the_service_s_words(service, operator):
    for key, ask, status, told in (
        ("churnml_wrong", lambda client: client.model(), 401, "the key is unknown, expired or revoked"),
        (
            operator.keys["crm"],
            lambda client: client.campaigns(),
            403,
            "this needs a key of the role retention or above",
        ),
        (operator.keys["admin"], lambda client: client.customer("nobody"), 404, "there is no such customer"),
        (operator.keys["admin"], lambda client: client.campaign("no/where"), 404, "there is no such"),
        (operator.keys["crm"], lambda client: client.score([]), 422, "customer_ids: List should have at least 1 item"),
    ):
        with (
            Client(service.url, key) as client,
            pytest.raises(ChurnmlError, match=f"refuses with {status}: {told}") as raised,
        ):
            ask(client)
        assert raised.value.details["status"] == status
        assert key not in str(raised.value)

"""What the service answers to those who ask rightly."""

import csv
import io
import sqlite3
from contextlib import closing
from urllib.parse import quote

import pandas as pd
import pytest
from serving import AS_OF, CAMPAIGN, ODD_ID

import churnml
from churnml.client import Client
from churnml.publishing.files import releases_folder
from churnml.publishing.release import Current
from churnml.scoring.score import SCHEMA
from churnml.service.answers import Score


@pytest.fixture(scope="module")
def release(operator):
    current = Current(releases_folder(operator.settings()))
    current.refresh()
    return current.release


@pytest.fixture(scope="module")
def scored(operator):
    """The day's scores as they were kept."""
    scores = churnml.score(operator.config, AS_OF)
    return scores.set_index("customer_id")


@pytest.fixture(scope="module")
def client(service, operator):
    with Client(service.url, operator.keys["admin"], retries=0) as client:
        yield client


def audited(operator, request_id):
    with closing(sqlite3.connect(operator.folder / "state" / "state.db")) as state:
        rows = state.execute(
            "SELECT who, role, route, columns, customer_id FROM audit LEFT JOIN audit_customers"
            " ON audit_id = audit.id WHERE request_id = ? ORDER BY position",
            (request_id,),
        )
        return rows.fetchall()


def test_a_row_has_the_columns_of_a_score():
    assert list(Score.model_fields) == SCHEMA.names


def test_scores_are_those_of_the_day_in_the_order_asked(client, scored):
    ids = [*scored.index[:700][::-1], "nobody", ODD_ID, scored.index[3], scored.index[3]]
    found = client.score(ids, reasons=True)
    assert found["as_of"] == str(AS_OF)
    assert [row["customer_id"] for row in found["scores"]] == ids
    for row in found["scores"]:
        assert list(Score.model_fields) == sorted(row, key=list(Score.model_fields).index)
        if row["customer_id"] == "nobody":
            assert (row["status"], row["churn_probability"], row["reasons"]) == ("not_scored", None, [])
            continue
        kept = scored.loc[row["customer_id"]]
        assert row["churn_probability"] == pytest.approx(kept["churn_probability"], rel=1e-12)
        assert row["risk_band"] == kept["risk_band"]
        assert [reason["code"] for reason in row["reasons"]] == [reason["code"] for reason in kept["reasons"]]


def test_every_answer_names_its_release_and_models(client, release):
    for answer in (client.score(["x"]), client.model(), client.customer(ODD_ID)):
        assert answer["release"] == release.name
        assert answer["models"] == {"churn": release.churn_version, "value": release.value_version}


def test_reasons_are_told_when_asked_for(client, scored):
    customer = scored.index[scored["status"] == "scored"][0]
    assert client.score([customer])["scores"][0]["reasons"] == []
    assert client.score([customer], reasons=True)["scores"][0]["reasons"]


def test_histories_give_the_same_score_as_the_batch(client, operator, scored):
    config = operator.settings()
    ids = [ODD_ID, *scored.index[:24]]
    sent = histories_of(config, ids)
    found = client.score_histories(str(AS_OF), sent, reasons=True)
    for row, customer in zip(found["scores"], ids, strict=True):
        kept = scored.loc[customer]
        assert row["status"] == kept["status"]
        for name in ("churn_probability", "expected_value", "value_if_stays", "value_at_risk", "churn_percentile"):
            assert row[name] == pytest.approx(kept[name], rel=1e-9), name
        assert [reason["code"] for reason in row["reasons"]] == [reason["code"] for reason in kept["reasons"]]


def histories_of(config, ids):
    sent = {customer: {"customer": None} for customer in ids}
    for table, source in config.tables.given().items():
        files = sorted(config.folder.glob(source.path))
        rows = pd.concat([pd.read_parquet(file) for file in files])
        rows = rows[rows["customer_id"].isin(ids)]
        for row in rows.to_dict(orient="records"):
            plain = {name: text_of(value) for name, value in row.items() if not pd.isna(value)}
            if table == "customers":
                sent[row["customer_id"]]["customer"] = plain
            else:
                sent[row["customer_id"]].setdefault(table, []).append(plain)
    return list(sent.values())


def text_of(value):
    return value.isoformat() if hasattr(value, "isoformat") else value.item() if hasattr(value, "item") else value


def test_what_is_wrong_in_a_history_is_named_by_its_place_in_the_whole(service, operator):
    good = {"customer": {"customer_id": "a", "signed_up_at": "2023-01-01"}}
    bad = {"customer": {"customer_id": "b", "signed_up_at": "soon"}}
    sent = {"as_of": str(AS_OF), "customers": [*[good] * 30, bad]}
    answer = service.ask("POST", "/v1/score_histories", operator.keys["crm"], json=sent)
    assert answer.status_code == 422
    [problem] = answer.json()["error"]["details"]["problems"]
    assert problem["place"].startswith("customers.30.customer")
    assert "soon" not in answer.text


def test_a_customer_is_told_of_by_an_encoded_id(client, service, operator):
    found = client.customer(ODD_ID)
    assert found["score"]["customer_id"] == ODD_ID
    assert {"bills", "usage"} <= found["history"].keys()
    assert set(found["profile"]["personal"]) == {"name", "phone"}
    answer = service.ask("GET", f"/v1/customers/{quote(ODD_ID, safe='')}", operator.keys["retention"])
    assert answer.json()["profile"]["personal"] == {"name": "***", "phone": "***"}


def test_campaigns_are_listed(client):
    [found] = client.campaigns()
    assert found["id"] == CAMPAIGN
    assert found == client.campaign(CAMPAIGN)
    assert found["summary"]["treated"] > 0


def test_targets_come_in_order_and_pages_do_not_overlap(client, service, operator):
    everybody = list(client.targets(CAMPAIGN))
    assert [row["rank"] for row in everybody] == sorted({row["rank"] for row in everybody})
    assert len(everybody) == client.campaign(CAMPAIGN)["summary"]["treated"]
    paged, cursor = [], None
    while True:
        query = {"limit": 7} | ({"cursor": cursor} if cursor else {})
        page = service.ask("GET", f"/v1/campaigns/{CAMPAIGN}/targets", operator.keys["admin"], params=query).json()
        paged += page["targets"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert paged == everybody


def test_csv_has_the_rows_of_json_with_formulas_defused(service, operator, client):
    answer = service.ask("GET", f"/v1/campaigns/{CAMPAIGN}/targets?format=csv&limit=5", operator.keys["admin"])
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    listed = list(client.targets(CAMPAIGN))[:5]
    assert [row["customer_id"] for row in rows] == [row["customer_id"] for row in listed]
    assert all(row["name"].startswith("'=cmd|") for row in rows)
    following = f"/v1/campaigns/{CAMPAIGN}/targets?cursor={answer.headers['x-next-cursor']}"
    more = service.ask("GET", following, operator.keys["admin"]).json()["targets"]
    assert more[0]["rank"] > listed[-1]["rank"]


def test_every_read_of_a_customer_is_in_the_audit_before_it_is_answered(service, operator, scored):
    known = list(scored.index[:3])
    answer = service.score(operator.keys["crm"], [*known, "nobody"], reasons=True)
    rows = audited(operator, answer.headers["x-request-id"])
    assert [row[4] for row in rows] == known
    assert {row[:3] for row in rows} == {("crm", "crm", "/v1/score")}
    assert "reasons" in rows[0][3].split()
    answer = service.ask("GET", f"/v1/campaigns/{CAMPAIGN}/targets?limit=3", operator.keys["retention"])
    rows = audited(operator, answer.headers["x-request-id"])
    assert [row[4] for row in rows] == [row["customer_id"] for row in answer.json()["targets"]]
    assert "name" in rows[0][3].split()
    answer = service.ask("GET", f"/v1/customers/{known[0]}", operator.keys["admin"])
    assert [row[4] for row in audited(operator, answer.headers["x-request-id"])] == [known[0]]
    answer = service.ask("GET", "/v1/customers/nobody", operator.keys["admin"])
    assert audited(operator, answer.headers["x-request-id"]) == []


def test_a_request_keeps_a_sane_number_and_gets_one_otherwise(service, operator):
    for given, kept in (("abc-1.2_3", True), ("x" * 65, False), ("a b", False)):
        answer = service.ask("GET", "/v1/model", operator.keys["crm"], headers={"X-Request-ID": given})
        assert (answer.headers["x-request-id"] == given) == kept


def test_logs_and_figures_hold_nothing_personal(service, operator, client):
    customer = client.score(["C00000011"])["scores"][0]["customer_id"]
    client.customer(customer)
    told = service.log() + service.metrics()
    for secret in (customer, quote(ODD_ID, safe=""), ODD_ID, *operator.keys.values(), "=cmd"):
        assert secret not in told
    logged = service.requests_logged()[-1]
    assert {"request_id", "route", "method", "status", "ms", "key"} <= logged.keys()
    assert logged["route"] == "/v1/customers/{customer_id}"


def test_figures_tell_of_requests_scores_age_and_models(service, client, release):
    client.score(["C00000011"])
    text = service.metrics()
    for part in (
        'churnml_requests_total{method="POST",route="/v1/score",status="200"}',
        'churnml_request_seconds_bucket{le="0.005",route="/v1/score"}',
        "churnml_churn_probability_bucket",
        "churnml_audit_rows_total",
        "churnml_release_age_days",
        f'release="{release.name}"',
    ):
        assert part in text


@pytest.mark.parametrize("path", ["/", "/docs.json", "/schema.json", "/healthz", "/static_content/index.css", "/docs"])
def test_nothing_of_bentoml_is_open(service, path):
    answer = service.ask("GET", path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_it_lives_and_is_ready(service):
    assert service.ask("GET", "/livez").json() == {"status": "alive"}
    assert service.ask("GET", "/readyz").json() == {"status": "ready"}

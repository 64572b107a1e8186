"""Time and rate: what a request that takes too long, a body that never ends, and a client that asks too often get."""

import json
import socket
import sqlite3
import time
from contextlib import closing
from itertools import count

import pytest
from serving import AS_OF, CAMPAIGN, served

from churnml.client import Client
from churnml.errors import ChurnmlError

KNOWN = "C00000011"


@pytest.fixture(scope="module")
def here(operator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits") / "operator"
    return operator.copy(folder, timeout_seconds=1, rate_limit=60)


@pytest.fixture(scope="module")
def service(bento, here):
    with served(bento, here.config) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/score", {"customer_ids": [KNOWN]}),
        ("GET", f"/v1/customers/{KNOWN}", None),
        ("GET", f"/v1/campaigns/{CAMPAIGN}/targets", None),
    ],
)
def test_a_request_that_takes_too_long_is_told_to_come_again(service, here, method, path, body):
    """The audit waits up to 5 seconds for whoever writes to the database; the request waits for 1."""
    with closing(sqlite3.connect(here.folder / "state" / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        answer = service.ask(method, path, here.keys["admin"], json=body)
        assert 0.9 < time.monotonic() - begun < 3
        other.execute("ROLLBACK")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["code"] == "timeout"
    assert KNOWN not in answer.text
    assert service.ask(method, path, here.keys["admin"], json=body).status_code == 200
    assert service.requests_logged()[-2]["status"] == 503


def test_histories_that_take_too_long_are_given_up(service, here):
    usage = [{"used_at": f"2024-0{1 + day // 28}-{1 + day % 28:02}", "data_mb": day} for day in range(160)]
    customer = {"customer_id": "a", "signed_up_at": "2023-01-01"}
    body = {"as_of": str(AS_OF), "customers": [{"customer": customer, "usage": usage}] * 1_000, "reasons": True}
    content = json.dumps(body).encode()
    assert len(content) < 16 * 1024 * 1024
    begun = time.monotonic()
    headers = {"Content-Type": "application/json"}
    answer = service.ask("POST", "/v1/score_histories", here.keys["crm"], content=content, headers=headers)
    assert time.monotonic() - begun < 4
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "timeout"
    begun = time.monotonic()
    assert service.score(here.keys["crm"], [KNOWN]).status_code == 200
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_that_never_ends_is_not_waited_for(service, here, chunked):
    lines = ["POST /v1/score HTTP/1.1", "Host: x", f"Authorization: Bearer {here.keys['retention']}"]
    lines += ["Content-Type: application/json", "Transfer-Encoding: chunked" if chunked else "Content-Length: 99999"]
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=0.2) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + (b"1\r\n{\r\n" if chunked else b"{"))
        told = b""
        for _ in count():
            assert time.monotonic() - begun < 5
            try:
                told += connection.recv(65_536)
                if b"}}" in told:
                    break
            except TimeoutError:
                connection.sendall(b"1\r\n \r\n" if chunked else b" ")
    assert time.monotonic() - begun > 0.9
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in told.lower()
    assert json.loads(told.partition(b"\r\n\r\n")[2])["error"]["code"] == "timeout"
    assert service.score(here.keys["crm"], [KNOWN]).status_code == 200


def test_a_client_that_asks_too_often_waits_as_long_as_it_is_told(service, here):
    key = here.keys["account_manager"]
    with Client(service.url, key, retries=0) as client:
        told = "^the service refuses with 429: this key has sent too many requests"
        with pytest.raises(ChurnmlError, match=told) as raised:
            [client.model() for _ in range(80)]
        assert (raised.value.details["status"], raised.value.details["code"]) == (429, "too_many_requests")
    with Client(service.url, key, retries=3) as client:
        begun = time.monotonic()
        assert client.score([KNOWN])["scores"][0]["customer_id"] == KNOWN
        assert 0.5 < time.monotonic() - begun < 5

"""What the service answers to what nobody should send."""

import contextlib
import json
import socket
import time
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import AS_OF, CAMPAIGN, served

from churnml.service.cursors import cursor_of

DAY = str(AS_OF)
ONE = {"customer": {"customer_id": "a", "signed_up_at": "2023-01-01"}}
NASTY = [
    "'; DROP TABLE customers; --",
    "<script>alert(1)</script>",
    "=cmd|'/C calc'!A0",
    "../../etc/passwd",
    "\u0000",
    "客户/一 é",
]


def helps(answer, status):
    """Tell whether an answer is one of the contract's errors, with a message and without a traceback."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["message"]
    assert "Traceback" not in answer.text
    assert answer.headers["x-request-id"]
    return error


def sent(service, operator, content, path="/v1/score", **headers):
    headers = {"Content-Type": "application/json"} | headers
    return service.ask("POST", path, operator.keys["crm"], content=content, headers=headers)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"customer_ids": ["\\ud800"]}', 400),
        (b"[" * 100_000, 400),
        (b'{"customer_ids": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"customer_ids": [NaN]}', 400),
        (b'{"customer_ids": ["a"], "reasons": Infinity}', 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b"{}", 422),
        (b'{"customer_ids": []}', 422),
        (b'{"customer_ids": "a"}', 422),
        (b'{"customer_ids": null}', 422),
        (b'{"customer_ids": [1]}', 422),
        (b'{"customer_ids": [null]}', 422),
        (b'{"customer_ids": [1e400]}', 422),
        (b'{"customer_ids": [["a"]]}', 422),
        (b'{"customer_ids": ["a"], "reasons": "yes"}', 422),
        (b'{"customer_ids": ["a"], "reasons": 1}', 422),
        (b'{"customer_ids": ["a"], "more": 1}', 422),
        (b'{"customer_ids": ["' + b"a" * 1_001 + b'"]}', 422),
        (json.dumps({"customer_ids": ["a"] * 1_001}).encode(), 413),
        (json.dumps({"customer_ids": ["a"] * 500_000}).encode(), 413),
    ],
)  # fmt: skip
def test_a_bad_body_gets_its_status_and_a_message(service, operator, body, status):
    helps(sent(service, operator, body), status)


def histories(**changes):
    return {"as_of": DAY, "customers": [ONE]} | changes


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        (histories(as_of="soon"), 422, "as_of"),
        (histories(as_of=20240701), 422, "as_of"),
        (histories(as_of="0001-01-01"), 422, "as_of"),
        (histories(as_of=None), 422, "as_of"),
        (histories(customers=[]), 422, "customers"),
        (histories(customers={}), 422, "customers"),
        (histories(customers=[ONE] * 1_001), 413, None),
        (histories(customers=[{}]), 422, "customers.0.customer"),
        (histories(customers=[{"customer": {}}]), 422, "customers.0.customer"),
        (histories(customers=[{"customer": {"customer_id": 7, "signed_up_at": DAY}}]), 422, "customers.0.customer"),
        (histories(customers=[ONE, {**ONE, "calls": []}]), 422, "customers.1.calls"),
        (histories(customers=[{**ONE, "usage": {}}]), 422, "customers.0.usage"),
        (histories(customers=[{**ONE, "usage": [7]}]), 422, "customers.0.usage.0"),
        (
            histories(customers=[{**ONE, "usage": [{"used_at": "2024-01-01", "data_mb": "much"}]}]),
            422,
            "customers.0.usage",
        ),
        (histories(customers=[{**ONE, "usage": [{"used_at": "never"}]}]), 422, "customers.0.usage"),
        *(
            (histories(customers=[{**ONE, "usage": [{"used_at": DAY}, row]}]), 422, "customers.0.usage.1")
            for row in ({"used_at": "2024-01-01", "data_mb": "1000"}, {"used_at": "2024-01-01", "data_mb": "١٠"})
        ),
        (histories(customers=[{**ONE, "bills": [{"bill_id": "b"}]}]), 422, "customers.0.bills"),
    ],
)
def test_bad_histories_are_named_by_their_place(service, operator, body, status, place):
    error = helps(sent(service, operator, json.dumps(body).encode(), "/v1/score_histories"), status)
    if place is not None:
        first = error["details"]["problems"][0]
        assert first["place"].startswith(place), error
        assert error["message"].count(first["place"]) == 1, error


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 5_000])
def test_numbers_beyond_all_bounds_are_refused(service, operator, number):
    body = json.dumps(histories(customers=[{**ONE, "usage": [{"used_at": "2024-06-01", "data_mb": "NUMBER"}]}]))
    answer = sent(service, operator, body.replace('"NUMBER"', number).encode(), "/v1/score_histories")
    assert answer.status_code in (400, 422)
    helps(answer, answer.status_code)


@pytest.mark.parametrize("text", NASTY)
def test_texts_of_all_kinds_are_texts(service, operator, text):
    found = service.score(operator.keys["crm"], [text]).json()["scores"]
    assert [(row["customer_id"], row["status"]) for row in found] == [(text, "not_scored")]
    row = {"customer_id": text, "signed_up_at": "2023-01-01", "segment": text, "name": text}
    bills = [{"bill_id": text, "billed_at": "2024-06-01", "amount": 3.5}]
    body = histories(customers=[{"customer": row, "bills": bills}])
    answer = sent(service, operator, json.dumps(body).encode(), "/v1/score_histories")
    assert answer.status_code == 200, answer.text
    assert answer.json()["scores"][0]["customer_id"] == text
    for path in (f"/v1/customers/{quote(text, safe='')}", f"/v1/campaigns/{quote(text, safe='')}"):
        answer = service.ask("GET", path, operator.keys["admin"])
        helps(answer, 404)
        assert text not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=ten",
        "limit=1e1",
        "limit=",
        "limit=%D9%A1",
        "limit=1&limit=2",
        "format=xml",
        "cursor=",
        "cursor=AAAA",
        "cursor=" + "A" * 10_000,
        "cursor=%00",
        "cursor=%E5%AE%A2",
        "more=1",
    ],
)
def test_bad_queries_are_refused(service, operator, query):
    helps(service.ask("GET", f"/v1/campaigns/{CAMPAIGN}/targets?{query}", operator.keys["admin"]), 422)


def test_a_cursor_of_a_rank_beyond_all_lists_is_refused(service, operator):
    cursor = cursor_of(json.dumps([CAMPAIGN, None]), 2**63)
    answer = service.ask("GET", f"/v1/campaigns/{CAMPAIGN}/targets?cursor={cursor}", operator.keys["retention"])
    helps(answer, 422)


@pytest.mark.parametrize("rows", [[1] * 1_000_000, ["x" * 10] * 300_000])
def test_a_million_things_that_are_wrong_are_told_by_the_first(service, operator, rows):
    asked = {"as_of": "2024-07-01", "customers": [{"customer": {"customer_id": "a"}, "usage": rows}]}
    began = time.monotonic()
    answer = service.ask("POST", "/v1/score_histories", operator.keys["crm"], json=asked)
    assert answer.status_code == 422
    assert time.monotonic() - began < 5


def test_thousands_of_members_are_refused_at_once(service, operator):
    asked = {"customer_ids": ["a"], **{f"member_{number}": 1 for number in range(100_000)}}
    answer = service.ask("POST", "/v1/score", operator.keys["crm"], json=asked)
    assert answer.status_code == 422
    assert "100,001 members" in answer.json()["error"]["message"]


@pytest.mark.parametrize("day", ["20240701", "2024-W27-1", "2024-07-01T00:00"])
def test_a_date_is_written_as_a_date(service, operator, day):
    asked = {"as_of": day, "customers": [{"customer": {"customer_id": "a", "signed_up_at": "2020-01-01"}}]}
    assert service.ask("POST", "/v1/score_histories", operator.keys["crm"], json=asked).status_code == 422


def test_queries_that_nobody_knows_are_refused_everywhere(service, operator):
    for method, path in (("POST", "/v1/score?x=1"), ("GET", "/openapi.json?x=1"), ("GET", "/v1/model?x=1")):
        more = {"json": {"customer_ids": ["a"]}} if method == "POST" else {}
        assert service.ask(method, path, operator.keys["admin"], **more).status_code == 422


def test_a_cursor_that_was_tampered_with_is_refused(service, operator):
    path = f"/v1/campaigns/{CAMPAIGN}/targets"
    cursor = service.ask("GET", f"{path}?limit=2", operator.keys["admin"]).json()["next_cursor"]
    for place in range(len(cursor)):
        other = "A" if cursor[place] != "A" else "B"
        changed = cursor[:place] + other + cursor[place + 1 :]
        helps(service.ask("GET", f"{path}?cursor={changed}", operator.keys["admin"]), 422)


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "application/vnd.bentoml+pickle",
     "application/json; charset=utf-16", "application/json, text/plain", "application/jsonx", ""],
)  # fmt: skip
def test_only_json_is_taken(service, operator, kind):
    helps(sent(service, operator, b'{"customer_ids": ["a"]}', **{"Content-Type": kind}), 400)


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_is_taken_however_it_is_called(service, operator, kind):
    assert sent(service, operator, b'{"customer_ids": ["a"]}', **{"Content-Type": kind}).status_code == 200


def test_two_content_types_are_none(service, operator):
    headers = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    headers.append(("Authorization", f"Bearer {operator.keys['crm']}"))
    helps(service.http.post("/v1/score", content=b'{"customer_ids": ["a"]}', headers=headers), 400)


def test_a_packed_body_is_refused(service, operator):
    helps(sent(service, operator, b"x", **{"Content-Encoding": "gzip"}), 400)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_and_the_client_hears_it(service, operator, chunked):
    size = 17 * 1024 * 1024
    content = (b" " * 1024 * 1024 for _ in range(17)) if chunked else b" " * size
    helps(sent(service, operator, content), 413)


def test_other_methods_are_named_as_such(service, operator):
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
        answer = service.ask(method, "/v1/score", operator.keys["crm"])
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
    helps(service.ask("POST", "/v1/model", operator.keys["crm"], json={}), 405)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/",
        "/v1/score/",
        "/v2/score",
        "//v1/score",
        "/v1/customers/",
        "/%00",
        "/v1/\u5ba2",
        "/v1/model%0A",
        "/openapi.json%0A",
    ],
)
def test_unknown_routes_are_not_found(service, operator, path):
    helps(service.ask("GET", path, operator.keys["admin"]), 404)


def raw(service, content, seconds=20):
    """Send bytes as they are, and return what comes back."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=seconds) as connection:
        connection.sendall(content)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
            if b"\r\n\r\n" in part:
                break
        return b"".join(parts)


def head(operator, *lines):
    first = ["POST /v1/score HTTP/1.1", "Host: x", f"Authorization: Bearer {operator.keys['crm']}"]
    return "\r\n".join([*first, *lines, "", ""]).encode()


def test_half_a_body_holds_nobody_up(bento, operator, tmp_path):
    here = operator.copy(tmp_path / "operator", timeout_seconds=1, max_concurrency=2)
    with served(bento, here.config) as service:
        slow = []
        for _ in range(5):
            connection = socket.create_connection(("127.0.0.1", service.port))
            connection.sendall(head(here, "Content-Type: application/json", "Content-Length: 100") + b'{"customer')
            slow.append(connection)
        assert service.score(here.keys["crm"], ["a"]).status_code == 200
        begun = time.monotonic()
        assert slow[0].recv(65_536).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - begun < 5
        for connection in slow:
            connection.close()
        left = socket.create_connection(("127.0.0.1", service.port))
        left.sendall(head(here, "Content-Type: application/json", "Content-Length: 100") + b'{"customer')
        left.close()
        assert service.score(here.keys["crm"], ["a"]).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/model HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_without_harm(service, operator, content):
    assert raw(service, content).startswith(b"HTTP/1.1 4")
    assert service.score(operator.keys["crm"], ["a"]).status_code == 200


def test_two_lengths_of_one_body_are_refused_and_nothing_behind_it_is_answered(service, operator):
    both = head(operator, "Content-Type: application/json", "Content-Length: 5", "Transfer-Encoding: chunked")
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(both + b"0\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        came = b""
        while part := connection.recv(65_536):
            came += part
    assert came.startswith(b"HTTP/1.1 400 ")
    assert came.count(b"HTTP/1.1") == 1


def test_a_body_that_nobody_reads_is_not_read_for_ever(bento, operator, tmp_path):
    here = operator.copy(tmp_path / "operator", max_body_mib=1)
    with served(bento, here.config) as service:
        for key, path in (("wrong", "POST /v1/score"), (here.keys["crm"], "GET /v1/model")):
            lines = [f"{path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", f"Content-Length: {10**10}", "", ""]
            sent = 0
            with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
                connection.sendall("\r\n".join(lines).encode())
                with contextlib.suppress(ConnectionError):
                    while sent < 100:
                        connection.sendall(bytes(2**20))
                        sent += 1
            assert sent < 60, path
        assert service.score(here.keys["crm"], ["a"]).status_code == 200


def test_a_name_that_is_none_of_ours_is_not_said_again(service, operator):
    body = {"customer_ids": ["a"], "Zhang Wei 13800138000": 1}
    error = helps(service.ask("POST", "/v1/score", operator.keys["crm"], json=body), 422)
    assert "Zhang" not in str(error)


def test_an_address_may_be_whole(service, operator):
    asked = head(operator, "Connection: close").replace(b"POST /v1/score", b"GET HTTP://churn.example:80/v1/model")
    assert raw(service, asked).startswith(b"HTTP/1.1 200 ")


def test_a_websocket_is_closed(service):
    ask = b"GET /v1/model HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    ask += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    assert raw(service, ask)[:12] in (b"HTTP/1.1 401", b"HTTP/1.1 403", b"HTTP/1.1 400")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
anything = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
rows = st.lists(
    st.dictionaries(st.sampled_from(["customer_id", "used_at", "data_mb", "amount", "billed_at"]), anything)
)
sent_customers = st.fixed_dictionaries(
    {"customer": st.fixed_dictionaries({"customer_id": st.text() | anything, "signed_up_at": anything})},
    optional={"usage": rows, "bills": rows, "complaints": rows, "contacts": rows},
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.fixed_dictionaries({"as_of": st.just(DAY) | anything, "customers": st.lists(sent_customers, max_size=3)})
)
def test_no_history_is_a_fault(service, operator, body):
    answer = sent(service, operator, json.dumps(body).encode(), "/v1/score_histories")
    assert answer.status_code in (200, 400, 422), answer.text
    assert "Traceback" not in answer.text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=anything | st.fixed_dictionaries({"customer_ids": anything}, optional={"reasons": anything}))
def test_no_body_is_a_fault(service, operator, body):
    answer = sent(service, operator, json.dumps(body).encode())
    assert answer.status_code in (200, 400, 413, 422), answer.text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["X-Request-ID", "Accept", "Content-Type", "X-Forwarded-For", "Content-Encoding", "Range"]),
    value=st.binary(max_size=200).map(lambda raw: bytes(c for c in raw if c >= 32 and c != 127).strip()),
)
def test_no_header_is_a_fault(service, operator, name, value):
    headers = {"Content-Type": b"application/json", name: value}
    content = b'{"customer_ids": ["a"]}'
    answer = service.ask("POST", "/v1/score", operator.keys["crm"], content=content, headers=headers)
    assert answer.status_code in (200, 400), answer.text

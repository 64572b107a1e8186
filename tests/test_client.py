"""The client against a server that overloads, hangs, breaks off or refuses; tests/service has the real one."""

import http.server
import json
import threading
import time
from contextlib import contextmanager

import pytest

from churnml.client import Client
from churnml.errors import ChurnmlError

SCORES = {"as_of": "2024-07-01", "scores": []}


def answer(status=200, content=SCORES, **headers):
    """Return what a server does with one request: answer like this."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()

    def does(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return does


def refusal(status, code="overloaded", message="try again", details=None, **headers):
    error = {"code": code, "message": message, "details": details or {}}
    return answer(status, {"error": error}, **headers)


def break_off(handler):
    handler.close_connection = True
    handler.connection.close()


def break_off_in_the_middle(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    break_off(handler)


def hang(_handler):
    time.sleep(1.0)


@contextmanager
def serving(*script):
    """Run a server that does one thing after another, the last one again and again; yield it and what it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            length = int(self.headers.get("Content-Length", 0))
            asked.append((self.path, self.headers, self.rfile.read(length)))
            script[min(len(asked), len(script)) - 1](self)

        do_GET = do_POST  # noqa: N815 - its base class calls it so

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            """Say nothing of connections that were broken off."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def waits(monkeypatch):
    """How long the client has waited, without waiting."""
    waited = []
    monkeypatch.setattr("churnml.client.sleep", waited.append)
    return waited


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("told", "waited"), [("1", 1.0), ("7", 7.0), ("30", 30.0), ("31", 30.0), ("86400", 30.0)])
def test_the_client_waits_as_long_as_it_is_told_and_no_longer_than_30_seconds(waits, status, told, waited):
    with serving(refusal(status, Retry_After=told), answer()) as (url, asked), Client(url, "key") as client:
        assert client.score(["a"]) == SCORES
    assert waits == [waited]
    assert [json.loads(body) for _, _, body in asked] == [{"customer_ids": ["a"], "reasons": False}] * 2
    assert {headers["Authorization"] for _, headers, _ in asked} == {"Bearer key"}


@pytest.mark.parametrize("told", [None, "", "soon", "-5", "1.5", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_where_no_number_of_seconds_is_told_it_waits_longer_each_time(waits, told):
    headers = {} if told is None else {"Retry_After": told}
    busy = refusal(503, **headers)
    with serving(busy, busy, busy, answer()) as (url, _), Client(url, "key") as client:
        assert client.score(["a"]) == SCORES
    assert len(waits) == 3
    for attempt, waited in enumerate(waits):
        assert 0.1 * 2**attempt <= waited <= 0.2 * 2**attempt


@pytest.mark.parametrize(("url", "key"), [("localhost:3000", "key"), ("", "key"), ("http://localhost", "schlüssel")])
def test_what_can_be_no_address_and_no_key_is_told_at_once(url, key):
    with pytest.raises(ChurnmlError, match=r"is no address of the service|the key is none that churnml makes"):
        Client(url, key)


@pytest.mark.parametrize("status", [429, 503])
def test_an_overload_that_lasts_is_told_with_the_service_s_own_words(waits, status):
    busy = refusal(status, "overloaded", "too many requests are being answered", Retry_After="2")
    told = f"refuses with {status}: too many requests are being answered"
    with serving(busy) as (url, asked), Client(url, "key", retries=2) as client:
        with pytest.raises(ChurnmlError, match=told) as raised:
            client.model()
        assert len(asked) == 3
    assert waits == [2.0, 2.0]
    assert (raised.value.details["status"], raised.value.details["code"]) == (status, "overloaded")


@pytest.mark.parametrize("breaks", [break_off, break_off_in_the_middle])
def test_a_broken_connection_is_tried_again(waits, breaks):
    with serving(breaks, breaks, answer()) as (url, asked), Client(url, "key") as client:
        assert client.score(["a"]) == SCORES
        assert len(asked) == 3
    assert len(waits) == 2


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_the_time_out(waits):
    with serving(hang, answer()) as (url, asked), Client(url, "key", timeout=0.2) as client:
        begun = time.monotonic()
        assert client.score(["a"]) == SCORES
        assert time.monotonic() - begun < 0.9
        assert len(asked) == 2
    with serving(hang) as (url, asked), Client(url, "key", timeout=0.1, retries=1) as client:
        with pytest.raises(ChurnmlError, match=r"^http://127\.0\.0\.1:\d+/ does not answer \(ReadTimeout\)"):
            client.customer("a")
        assert len(asked) == 2


def test_a_service_that_is_not_there_is_told_by_its_address_and_never_by_the_customer(waits):
    with serving(answer()) as (url, _):
        pass
    told = r"does not answer \(ConnectError\).*see whether the service runs"
    with Client(url, "secret-key", retries=2) as client, pytest.raises(ChurnmlError, match=told) as raised:
        client.customer("C00000007")
    assert len(waits) == 2
    assert "C00000007" not in str(raised.value)
    assert "secret-key" not in str(raised.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500])
def test_a_refusal_is_told_at_once_with_the_service_s_message(waits, status):
    problems = {"problems": [{"place": "customer_ids", "problem": "is wrong"}]}
    with (
        serving(refusal(status, "some_code", "what is wrong here", problems)) as (url, asked),
        Client(url, "k") as client,
    ):
        with pytest.raises(ChurnmlError, match=f"^the service refuses with {status}: what is wrong here") as raised:
            client.campaigns()
        assert len(asked) == 1
    assert waits == []
    assert raised.value.details == {"status": status, "code": "some_code", "problems": problems}


@pytest.mark.parametrize(
    ("status", "content"),
    [(200, b"<html>a proxy</html>"), (200, b"[]"), (502, b""), (404, b'"no"'), (302, b""), (503, b'{"error": 7}')],
)
def test_what_no_service_of_ours_answers_is_told(waits, status, content):
    told = f"refuses with {status}: an answer that is none of the service"
    with serving(answer(status, content)) as (url, _), Client(url, "key", retries=0) as client:
        for ask in (client.model, client.campaigns):
            with pytest.raises(ChurnmlError, match=told):
                ask()


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.score(["\ud800"]),
        lambda client: client.score([object()]),
        lambda client: client.score_histories(
            "2024-07-01", [{"customer": {"customer_id": "a"}, "usage": [float("nan")]}]
        ),
    ],
)
def test_what_is_no_json_is_not_sent(ask):
    with serving(answer()) as (url, asked), Client(url, "key") as client:
        with pytest.raises(ChurnmlError, match="cannot be sent as JSON"):
            ask(client)
        assert asked == []


@pytest.mark.parametrize(
    ("customer", "path"),
    [
        ("a/b", "/v1/customers/a%2Fb"),
        ("..", "/v1/customers/%2E%2E"),
        (".", "/v1/customers/%2E"),
        ("../model", "/v1/customers/..%2Fmodel"),
        ("客户", "/v1/customers/%E5%AE%A2%E6%88%B7"),
        ("a%2Fb?c#d e", "/v1/customers/a%252Fb%3Fc%23d%20e"),
        ("<b>'; --", "/v1/customers/%3Cb%3E%27%3B%20--"),
    ],
)
def test_an_id_is_one_part_of_the_address_whatever_is_in_it(customer, path):
    with serving(answer()) as (url, asked), Client(url, "key") as client:
        client.customer(customer)
        assert [place for place, _, _ in asked] == [path]


def test_targets_are_fetched_a_page_at_a_time_when_they_are_needed():
    pages = [
        answer(content={"targets": [{"rank": 1}, {"rank": 2}], "next_cursor": "a b"}),
        answer(content={"targets": [], "next_cursor": "c"}),
        answer(content={"targets": [{"rank": 3}], "next_cursor": None}),
    ]
    with serving(*pages) as (url, asked), Client(url, "key") as client:
        listed = client.targets("夏/季")
        assert asked == []
        assert [next(listed)["rank"], next(listed)["rank"]] == [1, 2]
        assert len(asked) == 1
        assert [target["rank"] for target in listed] == [3]
        path = "/v1/campaigns/%E5%A4%8F%2F%E5%AD%A3/targets?limit=1000"
        assert [place for place, _, _ in asked] == [path, f"{path}&cursor=a+b", f"{path}&cursor=c"]

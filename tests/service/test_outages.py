"""What a client sees while something breaks: an answer, or 503 with Retry-After; and every answer is in the audit."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import postgres_server
import psycopg
import pytest
import yaml
from serving import AS_OF, CAMPAIGN, clean_environment, free_port, served

from churnml.api.release import publish
from churnml.client import Client
from churnml.errors import ChurnmlError
from churnml.publishing.files import current_name, releases_folder
from churnml.state.keys import create_key

KNOWN = "C00000011"


@pytest.fixture
def here(operator, tmp_path):
    return operator.copy(tmp_path / "operator")


def database_of(operator):
    return operator.folder / "state" / "state.db"


def audited(operator):
    with closing(sqlite3.connect(database_of(operator))) as state:
        return {row[0] for row in state.execute("SELECT request_id FROM audit")}


def is_busy(answer):
    """Tell whether an answer is one that may come while something is broken."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert set(answer.json()["error"]) == {"code", "message", "details"}
    assert "Traceback" not in answer.text


@contextmanager
def asking(service, key, *, threads=4, most=None):
    """Ask all the time from several threads; yield the answers, and what went wrong with the connection."""
    answers, broken, over = [], [], threading.Event()

    def ask():
        with httpx.Client(base_url=service.url, timeout=20, headers={"Authorization": f"Bearer {key}"}) as http:
            while not over.is_set():
                try:
                    answers.append(http.post("/v1/score", json={"customer_ids": [KNOWN]}))
                except httpx.TransportError as error:
                    broken.append(error)
                    time.sleep(0.02)

    running = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield answers, broken
    finally:
        over.set()
        for thread in running:
            thread.join()


def wait_for(condition, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.1)


def test_it_starts_at_once_and_ends_when_it_is_asked_to(bento, here):
    begun = time.monotonic()
    with served(bento, here.config) as service:
        assert time.monotonic() - begun < 45  # 10 s where nothing else runs: benchmarks/service.py
        with asking(service, here.keys["crm"]) as (answers, _):
            wait_for(lambda: len(answers) > 20)
            begun = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            service.process.wait(15)
            assert time.monotonic() - begun < 15
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.headers["x-request-id"] for answer in answers} <= audited(here)


def test_a_killed_worker_comes_back_and_no_audit_row_is_lost(bento, here):
    with served(bento, here.config) as service:
        with asking(service, here.keys["crm"]) as (answers, broken):
            wait_for(lambda: len(answers) > 50)
            [worker] = service.workers()
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda: broken)
            before = len(answers)
            wait_for(lambda: len(answers) > before + 50, 60)
        assert {answer.status_code for answer in answers} <= {200, 503}
        answered = {answer.headers["x-request-id"] for answer in answers if answer.status_code == 200}
        assert answered <= audited(here)
        assert service.workers() != [worker]


def test_a_client_that_tries_again_sees_nothing_of_it(bento, here):
    with served(bento, here.config) as service, Client(service.url, here.keys["crm"], retries=8) as client:
        client.score([KNOWN])
        os.kill(service.workers()[0], signal.SIGKILL)
        assert client.score([KNOWN])["scores"][0]["status"] == "scored"


def test_a_new_release_takes_over_without_a_failed_request(bento, here):
    with served(bento, here.config) as service:
        with asking(service, here.keys["crm"]) as (answers, broken):
            names = [current_name(releases_folder(here.settings()))]
            for _ in range(3):
                names.append(publish(here.config, AS_OF).release)
                wait_for(lambda: answers and answers[-1].json()["release"] == names[-1])
        assert not broken
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["release"] for answer in answers} == set(names)


def test_a_damaged_release_is_refused_and_the_old_one_stays(bento, here):
    folder = releases_folder(here.settings())
    old = current_name(folder)
    with served(bento, here.config) as service:
        new = folder / publish(here.config, AS_OF).release
        wait_for(lambda: service.score(here.keys["crm"], [KNOWN]).json()["release"] == new.name)
        broken = folder / "20990101T000000Z-00000bad"
        shutil.copytree(new, broken)
        store = next(broken.glob("customers.sqlite"))
        store.write_bytes(store.read_bytes()[:-4096] + b"x" * 4096)
        (folder / "CURRENT").write_text(broken.name, encoding="utf-8")
        wait_for(lambda: "churnml_releases_refused_total 1.0" in service.metrics())
        assert service.score(here.keys["crm"], [KNOWN]).json()["release"] == new.name
        assert service.ask("GET", "/readyz").status_code == 200
        assert "churnml_release_refused 1.0" in service.metrics()
        [refused] = [line for line in service.log().splitlines() if '"release_refused"' in line]
        assert store.name in refused
        (folder / "CURRENT").write_text(old, encoding="utf-8")
        wait_for(lambda: service.score(here.keys["crm"], [KNOWN]).json()["release"] == old)


def test_a_damaged_release_alone_leaves_the_service_not_ready(bento, here):
    folder = releases_folder(here.settings())
    for file in (folder / current_name(folder)).rglob("*.sqlite"):
        file.write_bytes(b"no database")
    with served(bento, here.config, ready=False) as service:
        wait_for(lambda: answers_at_all(service), 60)
        time.sleep(2)
        is_busy(service.ask("GET", "/readyz"))
        is_busy(service.score(here.keys["crm"], [KNOWN]))
        assert service.ask("GET", "/livez").status_code == 200
        publish(here.config, AS_OF)
        wait_for(lambda: service.ask("GET", "/readyz").status_code == 200)


def answers_at_all(service):
    try:
        return service.ask("GET", "/livez").status_code == 200
    except httpx.TransportError:
        return False


def test_while_the_database_is_locked_nothing_is_told(bento, here):
    with served(bento, here.config) as service, closing(sqlite3.connect(database_of(here))) as other:
        assert service.score(here.keys["crm"], [KNOWN]).status_code == 200
        other.execute("BEGIN IMMEDIATE")
        answer = service.score(here.keys["crm"], [KNOWN])
        is_busy(answer)
        assert KNOWN not in answer.text
        assert service.ask("GET", "/livez").status_code == 200
        other.rollback()
        wait_for(lambda: service.score(here.keys["crm"], [KNOWN]).status_code == 200)


def test_on_a_full_disk_nothing_is_told(bento, here):
    most = 3 * 1024 * 1024  # of a file; the log of the database is the first to reach it

    def on_a_small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    with served(bento, here.config, preexec_fn=on_a_small_disk) as service:
        ids = [f"C{number:08}" for number in range(1_000)]
        answers = []
        with closing(sqlite3.connect(database_of(here))) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM audit").fetchone()  # the log cannot be folded in while this reads
            for _ in range(200):
                answers.append(service.score(here.keys["crm"], ids))
                if answers[-1].status_code != 200:
                    break
        is_busy(answers[-1])
        assert KNOWN not in answers[-1].text
        for path in (f"/v1/customers/{KNOWN}", f"/v1/campaigns/{CAMPAIGN}/targets?limit=1000"):
            wait_for(lambda path=path: service.ask("GET", path, here.keys["admin"]).status_code == 503)
        answered = {answer.headers["x-request-id"] for answer in answers[:-1]}
        assert answered <= audited(here)
        assert answers[-1].headers["x-request-id"] not in audited(here)
        assert service.ask("GET", "/livez").status_code == 200
        for worker in service.workers():  # there is room again
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_for(lambda: service.score(here.keys["crm"], ids).status_code == 200)
        answer = service.score(here.keys["crm"], [KNOWN])
        assert answer.json()["scores"][0]["status"] == "scored"
        assert answer.headers["x-request-id"] in audited(here)


# In front of everything that the service imports: MLflow cannot be, and nobody but this machine is reached.
CUT_OFF = """
import ipaddress, os, socket, sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"mlflow", "duckdb", "ibis", "sqlglot", "matplotlib", "pyspark"}:
            note(f"import {name}")
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def note(text):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(text + "\\n")

def refuse_others(event, arguments):
    if event == "socket.getaddrinfo" and arguments[0] not in (None, "localhost", b"localhost"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    try:
        near = ipaddress.ip_address(host if isinstance(host, str) else host.decode())
    except ValueError:
        near = None
    if near is None or not (near.is_loopback or near.is_unspecified):
        note(f"{event} {host}")
        raise OSError("the network is down")

sys.meta_path.insert(0, Refused())
sys.addaudithook(refuse_others)
note("cut off")
"""


def test_with_no_mlflow_no_tables_and_no_network_it_serves(bento, here, tmp_path):
    for path in [*here.folder.glob("ml*"), *(here.folder / name for name in ("tables", "truth", "state/trained"))]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    left = {path.relative_to(here.folder).parts[0] for path in here.folder.rglob("*") if path.is_file()}
    assert left <= {"churnml.yaml", "simulation.json", "state"}
    (tmp_path / "sitecustomize.py").write_text(CUT_OFF, encoding="utf-8")
    notes = tmp_path / "notes"
    environment = {"PYTHONPATH": str(tmp_path), "NOTES": str(notes)}
    customer = {"customer_id": "new", "signed_up_at": "2023-01-01"}
    with served(bento, here.config, environment=environment) as service:
        key = here.keys["admin"]
        assert service.score(key, [KNOWN], reasons=True).json()["scores"][0]["status"] == "scored"
        sent = {"as_of": str(AS_OF), "customers": [{"customer": customer}], "reasons": True}
        answer = service.ask("POST", "/v1/score_histories", key, json=sent)
        assert answer.json()["scores"][0]["status"] == "scored"
        for path in (f"/v1/customers/{KNOWN}", f"/v1/campaigns/{CAMPAIGN}/targets", "/v1/campaigns", "/v1/model"):
            assert service.ask("GET", path, key).status_code == 200
    assert set(notes.read_text().splitlines()) == {"cut off"}


def test_a_store_that_is_gone_while_it_is_served_is_told_or_still_read(bento, here):
    folder = releases_folder(here.settings())
    with served(bento, here.config) as service:
        shutil.rmtree(folder / current_name(folder))
        answer = service.score(here.keys["crm"], [KNOWN])
        assert answer.status_code == 200  # the file is open
        assert answer.json()["scores"][0]["status"] == "scored"


@pytest.mark.parametrize("shorter", [False, True])
def test_a_store_that_breaks_while_it_is_open_is_answered_from_or_told(bento, here, shorter):
    folder = releases_folder(here.settings())
    store = folder / current_name(folder) / "customers.sqlite"
    with served(bento, here.config) as service:
        assert service.score(here.keys["crm"], [KNOWN]).status_code == 200
        with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as opened:
            known = [row[0] for row in opened.execute("SELECT customer_id FROM customers ORDER BY customer_id")]
        content = store.read_bytes()
        with store.open("r+b") as opened:  # in place: the service has it open
            if shorter:
                opened.truncate(len(content) // 2)
            else:
                opened.seek(8192)
                opened.write(bytes(255 - byte for byte in content[8192:]))
        statuses = set()
        for customer in known[:: len(known) // 60]:
            for answer in (
                service.score(here.keys["crm"], [customer], reasons=True),
                service.ask("GET", f"/v1/customers/{quote(customer, safe='')}", here.keys["admin"]),
            ):
                statuses.add(answer.status_code)
                if answer.status_code == 200:
                    assert customer in answer.json().get("scores", [answer.json().get("score")])[0].values()
                else:
                    is_busy(answer)
        assert 503 in statuses
        assert service.ask("GET", "/livez").status_code == 200
        assert '"fault"' not in service.log()
        new = publish(here.config, AS_OF).release
        wait_for(lambda: service.score(here.keys["crm"], [KNOWN]).json().get("release") == new)


def test_rows_of_a_store_that_are_spoilt_where_nobody_looks_are_not_answered(bento, here):
    """The file is a database still: what is stored in some rows is not what was."""
    folder = releases_folder(here.settings())
    store = folder / current_name(folder) / "customers.sqlite"
    spoilt = {}
    with served(bento, here.config) as service:
        content = bytearray(store.read_bytes())
        with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as opened:
            for number, column in enumerate(("score", "reasons", "profile", "history"), 100):
                sql = f"SELECT customer_id, score, {column} FROM customers ORDER BY customer_id LIMIT 1 OFFSET {number}"
                [(spoilt[column], score, value)] = opened.execute(sql).fetchall()
                place = content.find(value[:60], content.find(score[:60]))
                assert place > 0
                content[place : place + 40] = b"\0" * 40
        with store.open("r+b") as opened:
            opened.write(content)
        for customer in spoilt.values():
            is_busy(service.ask("GET", f"/v1/customers/{customer}", here.keys["admin"]))
        for column in ("score", "reasons"):
            is_busy(service.score(here.keys["crm"], [spoilt[column]], reasons=True))
        assert service.score(here.keys["crm"], [spoilt["history"]]).status_code == 200
        assert '"fault"' not in service.log()


def test_overload_is_refused_and_over_at_once(bento, operator, tmp_path):
    here = operator.copy(tmp_path / "operator", max_concurrency=2)
    with served(bento, here.config) as service:
        with asking(service, here.keys["crm"], threads=16) as (answers, broken):
            wait_for(lambda: len(answers) > 300, 60)
        assert not broken
        assert {answer.status_code for answer in answers} == {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                is_busy(answer)
        assert service.score(here.keys["crm"], [KNOWN]).status_code == 200


def test_old_scores_come_with_a_warning_and_older_ones_not_at_all(bento, operator, tmp_path):
    stale = operator.copy(tmp_path / "stale", stale_after_days=7, expires_after_days=36_500)
    with served(bento, stale.config) as service:
        found = service.score(stale.keys["crm"], [KNOWN]).json()
        assert found["scores"][0]["status"] == "scored"
        assert found["age_days"] > 7
        [warning] = found["warnings"]
        assert "churnml publish" in warning
    expired = operator.copy(tmp_path / "expired", stale_after_days=7, expires_after_days=31)
    with served(bento, expired.config) as service:
        [row] = service.score(expired.keys["crm"], [KNOWN], reasons=True).json()["scores"]
        assert (row["status"], row["churn_probability"], row["reasons"]) == ("not_scored", None, [])
        assert "days old" in row["status_reason"]
        told = service.ask("GET", f"/v1/customers/{KNOWN}", expired.keys["admin"]).json()
        assert told["score"]["status"] == "not_scored"


@pytest.fixture
def on_postgres(here, monkeypatch):
    """The operator with its state in a PostgreSQL that can be stopped; with the server and a key."""
    if postgres_server.programs() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with postgres_server.running() as server:
        server.run("CREATE DATABASE state OWNER churnml")
        content = yaml.safe_load(here.config.read_text(encoding="utf-8"))
        content["state"] = {"folder": "state", "url": server.url(password="${PASSWORD}", database="state")}
        here.config.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        monkeypatch.setenv("PASSWORD", server.url().split(":", 2)[2].split("@/")[0])
        key, _ = create_key(here.settings(), "pg", "crm")
        with stoppable(server) as control:
            yield here, server, control, key


@contextmanager
def stoppable(server):
    """Yield what stops and starts a server; leave it stopped where it was started again."""
    data = server.socket / "data"
    options = (data / "postmaster.opts").read_text().split(" ", 1)[1].replace('"', "'").strip()
    who = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    command = [str(postgres_server.programs() / "pg_ctl"), "-D", str(data), "-w"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", "check": True, **who}
    stop = [*command, "stop", "-m", "fast"]
    actions = {"stop": stop, "start": [*command, "start", "-o", options.split(" ", 2)[2]]}
    done = []

    def control(action):
        subprocess.run(actions[action], **quiet)
        done.append(action)

    try:
        yield control
    finally:
        if done and done[-1] == "start":
            control("stop")


def test_postgresql_may_be_restarted(bento, on_postgres):
    here, server, control, key = on_postgres
    with served(bento, here.config) as service:
        with asking(service, key) as (answers, broken):
            wait_for(lambda: len(answers) > 20)
            control("stop")
            wait_for(lambda: answers[-1].status_code == 503)
            control("start")
            wait_for(lambda: answers[-1].status_code == 200)
        assert not broken
        assert {answer.status_code for answer in answers} == {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                is_busy(answer)
        answered = {answer.headers["x-request-id"] for answer in answers if answer.status_code == 200}
        assert answered <= audited_on(server)


def test_postgresql_may_be_gone_when_the_service_starts(bento, on_postgres):
    here, server, control, key = on_postgres
    control("stop")
    with served(bento, here.config, ready=False) as service:
        wait_for(lambda: answers_at_all(service), 60)
        is_busy(service.ask("GET", "/readyz"))
        is_busy(service.score(key, [KNOWN]))
        assert "database" in service.ask("GET", "/readyz").json()["error"]["message"]
        control("start")
        wait_for(lambda: service.ask("GET", "/readyz").status_code == 200)
        answer = service.score(key, [KNOWN])
        assert answer.json()["scores"][0]["status"] == "scored"
        assert answer.headers["x-request-id"] in audited_on(server)
        os.kill(service.workers()[0], signal.SIGKILL)
        assert answer.headers["x-request-id"] in audited_on(server)
        assert postgres_server.PASSWORD not in service.log()


def audited_on(server):
    with psycopg.connect(
        host=str(server.socket), user="owner", password=postgres_server.PASSWORD, dbname="state"
    ) as state:
        return {row[0] for row in state.execute("SELECT request_id FROM audit").fetchall()}


def test_churnml_serve_becomes_the_service(here, tmp_path):
    port = free_port()
    command = [shutil.which("churnml", path=str(Path(os.sys.executable).parent)), "serve", str(here.config)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.sys.path)}
    with subprocess.Popen(
        [*command, "--port", str(port)], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
    ) as one:
        with Client(f"http://127.0.0.1:{port}", here.keys["crm"], retries=60) as client:
            wait_for(lambda: answered(client), 90)
        taken = subprocess.run(
            [*command, "--port", str(port)], env=environment, capture_output=True, text=True, check=False
        )
        assert taken.returncode == 2
        assert taken.stderr.startswith("error: ")
        begun = time.monotonic()
        one.send_signal(signal.SIGTERM)
        assert one.wait(15) in (0, -signal.SIGTERM)
        assert time.monotonic() - begun < 15


def answered(client):
    try:
        return client.score([KNOWN])["scores"][0]["status"] == "scored"
    except ChurnmlError:
        return False


def test_without_a_configuration_bentoml_serve_ends_with_2(bento, tmp_path):
    command = [os.sys.executable, "-m", "bentoml", "serve", str(bento), "--port", str(free_port())]
    environment = clean_environment() | {"BENTOML_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "CHURNML_CONFIG" in done.stderr

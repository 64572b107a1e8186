"""A customer who is forgotten while the service runs: gone from every answer, and from every file that is kept."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing, contextmanager
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from serving import CAMPAIGN, ODD_ID, REPOSITORY, served

from churnml.campaigns.store import assignments_of
from churnml.campaigns.targets import targets

PATH = f"/v1/campaigns/{CAMPAIGN}/targets"


def forget(operator, customer):
    command = [sys.executable, "-m", "churnml.cli", "forget", str(operator.config), "--customer", customer, "--json"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def state_of(operator):
    with closing(sqlite3.connect(operator.folder / "state" / "state.db")) as state:
        yield state


def audited(operator):
    """Everybody of whom something was read, by request, in their order."""
    with state_of(operator) as state:
        return state.execute(
            "SELECT request_id, position, customer_id FROM audit JOIN audit_customers ON audit_id = audit.id"
            " ORDER BY audit.at, audit.id, position"
        ).fetchall()


def traces(folder, customer):
    """Return where a customer is still found: in bytes, and in what is packed in Parquet and in rows of databases."""
    forms = {customer, json.dumps(customer)[1:-1], quote(customer, safe="")}
    wanted = [form.encode() for form in forms]
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if any(form in part for part in _parts(file) for form in wanted):
            found.append(str(file.relative_to(folder)))
    return found


def _parts(file):
    content = file.read_bytes()
    yield content
    if content.startswith(b"PAR1"):
        for batch in pq.ParquetFile(file).iter_batches():
            for column in batch.columns:
                yield "\0".join(map(str, column.to_pylist())).encode()
    if content.startswith(b"SQLite format 3\0"):
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                for row in database.execute(f'SELECT * FROM "{name}"'):
                    yield from map(_unpacked, row)


def _unpacked(value):
    if isinstance(value, bytes):
        try:
            return zlib.decompress(value)
        except zlib.error:
            return value
    return str(value).encode()


def test_whoever_looks_for_traces_finds_them(operator):
    found = traces(operator.folder / "state", ODD_ID)
    assert "scores/2024-07-01.parquet" in found
    assert any(name.endswith("customers.sqlite") for name in found)


@pytest.mark.parametrize("target", [True, False])
def test_who_is_forgotten_is_in_no_answer_and_in_no_file(bento, operator, tmp_path, target):
    here = operator.copy(tmp_path / "operator")
    settings, keys = here.settings(), here.keys
    person = targets(settings, CAMPAIGN, limit=3)[1]["customer_id"] if target else ODD_ID
    with served(bento, here.config) as service:
        answers = [
            service.score(keys["crm"], ["C00000011", person, person], reasons=True),
            service.ask("GET", f"/v1/customers/{quote(person, safe='')}", keys["admin"]),
            service.ask("GET", f"{PATH}?limit=3", keys["retention"]),
        ]
        assert [answer.status_code for answer in answers] == [200] * 3
        listed = service.ask("GET", f"{PATH}?limit=1000", keys["admin"]).json()["targets"]
        campaigns = service.ask("GET", "/v1/campaigns", keys["admin"]).json()
        before, arms = audited(here), assignments_of(settings, CAMPAIGN)["arm"].value_counts()
        assert traces(settings.state_folder, person)

        told = forget(here, person)
        token = told["token"]
        until = time.monotonic() + 10
        while service.score(keys["crm"], ["a"]).json()["release"] != told["release"]:
            assert time.monotonic() < until, "the service goes over to it within seconds"
            time.sleep(0.1)

        [row] = service.score(keys["crm"], [person], reasons=True).json()["scores"]
        assert (row["status"], row["churn_probability"], row["reasons"]) == ("not_scored", None, [])
        for one in (person, token):
            answer = service.ask("GET", f"/v1/customers/{quote(one, safe='')}", keys["admin"])
            assert answer.status_code == 404
        left = service.ask("GET", f"{PATH}?limit=1000", keys["admin"])
        assert left.json()["targets"] == [row for row in listed if row["customer_id"] != person]
        table = service.ask("GET", f"{PATH}?limit=1000&format=csv", keys["admin"])
        for text in (left.text, table.text):
            assert person not in text
            assert token not in text
        assert service.ask("GET", "/v1/campaigns", keys["admin"]).json() == campaigns

        after = audited(here)
        replaced = [(number, place, token if who == person else who) for number, place, who in before]
        assert after[: len(before)] == replaced
        assert sum(who == token for _, _, who in replaced) >= 5  # three times by id, twice in lists
        assert not [who for _, _, who in after if who == person]
        assignments = assignments_of(settings, CAMPAIGN)
        assert assignments["arm"].value_counts().equals(arms)
        assert (assignments["customer_id"] == token).sum() == 1
        with state_of(here) as state:
            assert state.execute("SELECT token FROM forgotten").fetchall() == [(token,)]
        assert traces(settings.state_folder, person) == []
        assert person not in service.log() + service.metrics()
        assert service.ask("GET", "/readyz").status_code == 200
    assert traces(settings.state_folder, person) == []
    assert forget(here, person)["token"] is None

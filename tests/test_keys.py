"""Keys to the service, on SQLite and on PostgreSQL: kept as hashes, shown once, listed, expired, revoked."""

import datetime as dt
import hashlib
import json

import pandas as pd
import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

import churnml
from churnml.cli import churnml as command
from churnml.cli import main
from churnml.config import load_config
from churnml.errors import ChurnmlError
from churnml.state import database
from churnml.state.database import reading, writing
from churnml.state.keys import create_key, hash_of, list_keys, revoke_key, valid_keys
from churnml.state.tables import KEYS

SOON = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


@pytest.fixture
def config(state):
    customers = pd.DataFrame({"customer_id": ["a"], "signed_up_at": [pd.Timestamp("2020-01-01")]})
    settings = {"tables": {"customers": customers}, "label": {}, "timezone": "Asia/Shanghai"}
    return load_config(settings).model_copy(update={"state": state})


def valid(config):
    with reading(config) as connection:
        return valid_keys(connection)


def test_a_key_is_shown_once_and_kept_as_its_hash(config):
    secret, key = create_key(config, "呼叫中心.1", "account_manager", manager="王", expires=SOON)
    assert secret.startswith("churnml_")
    assert len(secret) == 8 + 43  # 256 bits
    assert list_keys(config) == [key]
    assert valid(config) == {hashlib.sha256(secret.encode()).hexdigest(): key}
    assert (key.manager, key.expires_at, key.revoked_at) == ("王", SOON, None)
    assert key.created_at.tzinfo is dt.UTC
    with reading(config) as connection:
        assert secret not in repr(connection.execute(select(KEYS)).all())


def test_two_keys_are_never_the_same(config):
    made = {create_key(config, f"key{number}", "crm")[0] for number in range(20)}
    assert len(made) == len(valid(config)) == 20


def test_a_key_that_expired_opens_nothing_from_that_instant_on(config):
    _, key = create_key(config, "crm", "crm", expires=SOON)
    assert key.is_valid(SOON - dt.timedelta(microseconds=1))
    assert not key.is_valid(SOON)
    _, endless = create_key(config, "endless", "crm")
    assert endless.is_valid(SOON + dt.timedelta(days=100_000))


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        ("2099-07-01", "2099-06-30T16:00+00:00"),
        (dt.date(2099, 7, 1), "2099-06-30T16:00+00:00"),
        ("2099-07-01T12:00", "2099-07-01T04:00+00:00"),
        ("2099-07-01T12:00+02:00", "2099-07-01T10:00+00:00"),
    ],
)
def test_a_date_of_expiry_is_the_start_of_its_day_in_the_project_s_zone(config, given, instant):
    _, key = create_key(config, "crm", "crm", expires=given)
    assert key.expires_at == dt.datetime.fromisoformat(instant)
    assert list_keys(config) == [key]


def test_a_key_that_was_revoked_is_listed_and_opens_nothing(config):
    create_key(config, "crm", "crm")
    other, _ = create_key(config, "other", "admin")
    revoked = revoke_key(config, "crm")
    assert not revoked.is_valid(revoked.revoked_at)
    assert revoke_key(config, "crm") == revoked
    assert [key.name for key in list_keys(config)] == ["crm", "other"]
    assert set(valid(config)) == {hash_of(other)}
    with pytest.raises(ChurnmlError, match="there is no key crm2: churnml keys list shows them"):
        revoke_key(config, "crm2")


@pytest.mark.parametrize("revoked", [True, False])
def test_a_name_is_used_once_also_after_the_key_was_revoked(config, revoked):
    create_key(config, "crm", "crm")
    if revoked:
        revoke_key(config, "crm")
    with pytest.raises(ChurnmlError, match="there is or was a key crm already: choose another name"):
        create_key(config, "crm", "admin")
    assert [key.role for key in list_keys(config)] == ["crm"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name": ""}, "cannot be the name of a key"),
        ({"name": "=cmd"}, "cannot be the name of a key"),
        ({"name": "a b"}, "cannot be the name of a key"),
        ({"name": "a\n"}, "cannot be the name of a key"),
        ({"name": "x" * 65}, "cannot be the name of a key"),
        ({"role": "root"}, "there is no role root: use one of crm, retention, account_manager, admin"),
        ({"role": "account_manager"}, "own customers only: say whose with --manager ID"),
        ({"role": "account_manager", "manager": ""}, "own customers only: say whose with --manager ID"),
        ({"role": "admin", "manager": "m1"}, "the role admin has no manager"),
        ({"expires": "2024-01-01"}, r"expires at 2023-12-31T16:00:00\+00:00 opens nothing: give a later date"),
        ({"expires": "soon"}, "'soon' is no date or time: write it like 2024-03-01"),
        ({"expires": "9999-12-31"}, "out of reach"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(config, arguments, told):
    with pytest.raises(ChurnmlError, match=told):
        create_key(config, **({"name": "crm", "role": "crm"} | arguments))
    assert list_keys(config) == []


def test_whatever_is_given_as_a_key_has_a_hash():
    assert len({hash_of(text) for text in ("", "é", "\udc80", "x" * 1_000_000, "中文\0")}) == 5


def test_functions_tell_what_they_did_as_data(config):
    made = churnml.keys_create(config, "crm", "crm", expires="2099-01-01")
    key = made.pop("key")
    assert churnml.keys_list(config) == [made]
    assert (made["status"], made["expires_at"], made["manager"]) == ("valid", "2098-12-31T16:00:00+00:00", None)
    with writing(config) as connection:
        connection.execute(update(KEYS).values(expires_at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)))
    assert [row["status"] for row in churnml.keys_list(config)] == ["expired"]
    assert churnml.keys_revoke(config, "crm")["status"] == "revoked"
    assert key not in json.dumps(churnml.keys_list(config))


def test_commands_print_the_key_alone_and_what_there_is(tmp_path):
    (tmp_path / "churnml.yaml").write_text("tables: {customers: {path: none.csv}}\nlabel: {}\n")
    config = str(tmp_path / "churnml.yaml")

    def run(*words):
        ended = CliRunner().invoke(command, ["keys", words[0], config, *words[1:]], catch_exceptions=False)
        return ended.stdout, ended.stderr

    key, note = run("create", "--name", "crm", "--role", "crm")
    assert key.startswith("churnml_")
    assert note.startswith("The key crm (crm).")
    told, note = run("create", "--name", "w", "--role", "account_manager", "--manager", "王", "--json", "--lang", "zh")
    made = json.loads(told)
    assert (made["manager"], made["status"]) == ("王", "valid")
    assert note.startswith("密钥 w")
    assert run("revoke", "--name", "crm")[0].startswith("crm is revoked since 20")
    listed = json.loads(run("list", "--json")[0])["keys"]
    assert [(row["name"], row["status"]) for row in listed] == [("crm", "revoked"), ("w", "valid")]
    shown = run("list")[0]
    assert "王" in shown
    assert key.strip() not in shown + json.dumps(listed)
    assert run("audit", "--out", str(tmp_path / "audit.csv"), "--since", "2024-01-01")[0].startswith("0 rows")
    database.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["create", "--name", "crm"], "Missing option '--role'"),
        (["create", "--role", "crm"], "Missing option '--name'"),
        (
            ["create", "--name", "crm", "--role", "root"],
            "'root' is not one of 'crm', 'retention', 'account_manager', 'admin'",
        ),
        (["create", "--name", "=cmd", "--role", "crm"], "'=cmd' cannot be the name of a key"),
        (["create", "--name", "taken", "--role", "crm"], "there is or was a key taken already: choose another name"),
        (["create", "--name", "w", "--role", "account_manager"], "say whose with --manager ID"),
        (["create", "--name", "w", "--role", "crm", "--manager", "王"], "the role crm has no manager"),
        (["create", "--name", "w", "--role", "crm", "--expires", "2020-01-01"], "opens nothing: give a later date"),
        (["create", "--name", "w", "--role", "crm", "--expires", "soon"], "'soon' is no date or time"),
        (["revoke", "--name", "nobody's"], "there is no key nobody's: churnml keys list shows them"),
        (["revoke"], "Missing option '--name'"),
        (["audit"], "Missing option '--out'"),
        (["audit", "--out", "audit.xlsx"], "audit.xlsx has no ending of an audit"),
        (["audit", "--out", "nowhere/audit.csv"], "does not exist: make it first"),
        (["audit", "--out", "audit.csv", "--since", "soon"], "'soon' is no date or time"),
        (["lend"], "No such command 'lend'"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "churnml.yaml").write_text("tables: {customers: {path: none.csv}}\nlabel: {}\n")
    churnml.keys_create(tmp_path / "churnml.yaml", "taken", "crm")
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["keys", words[0], "churnml.yaml", *words[1:]])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert told in err
    assert [row["name"] for row in churnml.keys_list(tmp_path / "churnml.yaml")] == ["taken"]
    assert not list(tmp_path.glob("audit*"))
    database.close()


@pytest.mark.parametrize(
    "words", [["list", "nowhere.yaml"], ["create", "nowhere.yaml", "--name", "a", "--role", "crm"]]
)
def test_a_configuration_that_is_not_there_is_told(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["keys", *words])
    assert capsys.readouterr().err.startswith("error: the configuration nowhere.yaml does not exist")
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_expired_is_listed_as_such_by_the_command(tmp_path, capsys):
    config = tmp_path / "churnml.yaml"
    config.write_text("tables: {customers: {path: none.csv}}\nlabel: {}\ntimezone: Asia/Shanghai\n")
    for words in (["create", "--expires", "2099-07-01", "--json"], ["create", "--json"]):
        name = f"key{len(words)}"
        with pytest.raises(SystemExit, match=r"^0$"):
            main(["keys", words[0], str(config), "--name", name, "--role", "retention", *words[1:]])
        made = json.loads(capsys.readouterr().out)
        assert made["expires_at"] == ("2099-06-30T16:00:00+00:00" if "--expires" in words else None)
    with writing(load_config(config)) as connection:
        past = {"expires_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}
        connection.execute(update(KEYS).where(KEYS.c.name == "key4").values(past))
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["keys", "list", str(config), "--json"])
    listed = json.loads(capsys.readouterr().out)["keys"]
    assert [(row["name"], row["status"]) for row in listed] == [("key4", "expired"), ("key2", "valid")]
    assert all("key" not in row and "hash" not in row for row in listed)
    database.close()

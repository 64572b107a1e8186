"""Releases: published, opened, asked by id and by histories, swapped, and forgotten from."""

import datetime as dt
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import churnml
from churnml.cli import churnml as commands
from churnml.config import Gates, State, Tracking, Training, load_config
from churnml.errors import ChurnmlError
from churnml.population import at_risk
from churnml.publishing import files
from churnml.publishing.release import Current, open_release
from churnml.scoring.score import SCHEMA
from churnml.scoring.timeline import timeline
from churnml.simulator import simulate
from churnml.tables.histories import open_histories

T = dt.date(2024, 7, 1)
CLOSE = {"rel": 1e-9, "abs": 1e-9}


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("operator") / "operator"
    simulate(folder, customers=1_200, months=18, seed=5)
    changes = {
        "tracking": Tracking(uri=f"sqlite:///{folder}/mlflow.db"),
        "training": Training(first=dt.date(2023, 9, 1), last=dt.date(2024, 3, 1), every="2mo"),
        "gates": Gates(level_low=0, level_high=100, ece_excess=1, train_churners=0, test_churners=0),
    }
    config = load_config(folder / "churnml.yaml").model_copy(update=changes)
    report = churnml.train(config, seed=1)
    assert [model.promoted for model in report.models.values()] == [True, True]
    return config


@pytest.fixture(scope="module")
def published(operator):
    return churnml.publish(operator, T)


@pytest.fixture(scope="module")
def release(operator, published):
    return open_release(files.releases_folder(operator) / published.release)


@pytest.fixture(scope="module")
def scores(operator, published):
    file = operator.state_folder / "scores" / f"{T}.parquet"
    return pq.read_table(file).to_pylist(maps_as_pydicts="strict")


@pytest.fixture
def copied(operator, release, tmp_path):
    """The configuration with a state folder of its own, in which the release and its scores are."""
    state = tmp_path / "state"
    shutil.copytree(operator.state_folder, state)
    folder = state / "releases"
    for other in files.releases_in(folder):
        if other.name != release.name:
            shutil.rmtree(other)
    files.make_current(folder, release.name)
    return operator.model_copy(update={"state": State(folder=str(state))})


@pytest.fixture(scope="module")
def sent(operator):
    """What a customer's own system would send: the row as known at T, every row of the other tables."""
    with open_histories(operator) as histories:
        people = at_risk(histories, T).to_pyarrow().to_pylist()
        found = {row["customer_id"]: {"customer": plain(row)} for row in people}
        for table in set(histories.reports) - {"customers"}:
            for row in histories.con.table(f"accepted_{table}").to_pyarrow().to_pylist():
                if row["customer_id"] in found:
                    found[row["customer_id"]].setdefault(table, []).append(plain(row))
    return found


def plain(row):
    return {
        name: value.isoformat() if isinstance(value, dt.datetime) else value
        for name, value in row.items()
        if value is not None
    }


def refuse(word):
    raise AssertionError(f"{word} is no JSON")


def parsed(row):
    return json.loads(row, parse_constant=refuse)


def alike(first, second):
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(alike(first[name], second[name]) for name in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(alike, first, second))
    return first == (pytest.approx(second, **CLOSE) if isinstance(second, float) else second)


def test_what_was_published_is_told(operator, published, scores):
    assert published.as_of == T
    assert published.customers == len(scores)
    assert published.scored == sum(row["status"] == "scored" for row in scores)
    assert (published.churn_model_version, published.value_model_version) == ("1", "1")
    assert files.current_name(files.releases_folder(operator)) == published.release


def test_a_release_tells_what_it_is(release, published):
    assert (release.name, release.as_of) == (published.release, T)
    assert (release.churn_version, release.value_version) == ("1", "1")
    assert release.published_at.tzinfo is not None
    assert abs(release.published_at - dt.datetime.now(dt.UTC)) < dt.timedelta(hours=1)
    told = release.facts["models"]["churn"]
    assert told["train_dates"][0] == "2023-09-01"
    assert 0.5 < told["metrics"]["auc"] < 1
    assert json.loads(json.dumps(release.facts)) == release.facts


def test_scores_by_id_are_those_of_the_day(release, scores):
    ids = [row["customer_id"] for row in scores]
    for row, answer in zip(scores, release.scores(ids, reasons=True), strict=True):
        assert parsed(answer) == row | {"as_of": str(T)}
        assert set(parsed(answer)) == set(SCHEMA.names)


def test_reasons_are_told_only_where_they_are_asked_for(release, scores):
    [answer] = release.scores([scores[0]["customer_id"]], reasons=False)
    assert parsed(answer) == scores[0] | {"as_of": str(T), "reasons": []}


def test_ids_are_answered_in_the_order_asked_also_twice_and_unknown_ones_by_none(release, scores):
    first, second = (row["customer_id"] for row in scores[:2])
    asked = [second, "nobody", first, second, "", "';--", "客户", "\ud800", "a\0b"]
    found = release.scores(asked, reasons=True)
    assert [answer and parsed(answer)["customer_id"] for answer in found] == [second, None, first, second, *[None] * 5]
    many = [*(f"nobody {number}" for number in range(1_500)), first]
    assert [answer is None for answer in release.scores(many, reasons=False)] == [True] * 1_500 + [False]
    assert release.profiles(["nobody"]) == [None]
    assert (release.history("nobody"), release.features("nobody")) == (None, None)


def test_the_history_is_what_explain_shows_without_personal_columns(operator, release, scores):
    with open_histories(operator) as histories:
        for row in scores[:: len(scores) // 10]:
            history = release.history(row["customer_id"])
            assert history == timeline(histories, row["customer_id"], T)
            assert all(len(rows) <= 12 for rows in history.values())
            shown = {name for rows in history.values() for one in rows for name in one}
            assert not shown & {*operator.personal, "customer_id", "churned_at"}


def test_features_are_those_of_the_panel(operator, release):
    panel = churnml.features(operator, T).set_index("customer_id").drop(columns="as_of")
    for customer in panel.index[:: len(panel) // 20]:
        expected = {name: None if pd.isna(value) else value for name, value in panel.loc[customer].to_dict().items()}
        assert alike(release.features(customer), expected)


def test_profiles_say_whose_a_customer_is_and_what_is_personal(operator, release, scores):
    ids = [row["customer_id"] for row in scores]
    profiles = dict(zip(ids, release.profiles(ids), strict=True))
    assert {tuple(profile) for profile in profiles.values()} == {
        ("segment", "account_manager", "key_account", "personal")
    }
    assert set(next(iter(profiles.values()))["personal"]) == set(operator.personal) == set(release.personal)
    keys = operator.tiers.first.key
    for row in scores:
        is_key = profiles[row["customer_id"]]["segment"] == "key" or row["value_tier"] in keys
        assert profiles[row["customer_id"]]["key_account"] == is_key
    managers = {profile["account_manager"] for profile in profiles.values()} - {None}
    assert managers
    for manager in managers:
        own = [customer for customer in ids if profiles[customer]["account_manager"] == manager]
        assert release.customers_of(manager) == sorted(own)
    assert release.managers(ids) == [profiles[customer]["account_manager"] for customer in ids]
    assert release.customers_of("nobody") == []


def test_histories_that_are_sent_give_the_scores_of_the_day(release, scores, sent):
    found = release.score_histories(T, [sent[row["customer_id"]] for row in scores], reasons=True)
    for row, answer in zip(scores, found, strict=True):
        assert list(answer) == list(SCHEMA.names)
        assert alike(answer, row | {"as_of": str(T)}), row["customer_id"]
    [one] = release.score_histories(T, [sent[scores[0]["customer_id"]]], reasons=False)
    assert alike(one, scores[0] | {"as_of": str(T), "reasons": []})


def test_a_new_customer_has_a_score_and_a_percentile_among_all(release):
    customer = {"customer_id": "new", "signed_up_at": "2024-06-01T10:00:00+08:00"}
    [row] = release.score_histories(T, [{"customer": customer, "usage": None, "bills": []}], reasons=True)
    assert row["status"] == "scored"
    assert 0 < row["churn_percentile"] <= 100
    assert row["value_at_risk"] == row["churn_probability"] * row["value_if_stays"]
    assert sum(row["cause_probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"customer": {"signed_up_at": "2024-07-01"}}, "had not signed up at 2024-07-01"),
        ({"customer": {"known_at": "2024-08-01"}}, "was not known yet at 2024-07-01"),
        ({"customer": {"churned_at": "2024-06-30"}}, "had left at 2024-07-01"),
        (
            {"bills": [{"bill_id": "1", "billed_at": "2024-06-02", "amount": 1, "paid_at": "2024-06-01"}]},
            "paid_at lies",
        ),
        ({"surveys": [{"answered_at": "2024-06-02", "score": 6}]}, "score lies outside 1-5"),
    ],
)
def test_who_cannot_be_scored_is_told_and_stops_nobody_else(release, scores, sent, changed, why):
    other = sent[scores[0]["customer_id"]]
    customer = {"customer_id": "new", "signed_up_at": "2024-06-01", **changed.get("customer", {})}
    odd, row = release.score_histories(T, [{**changed, "customer": customer}, other], reasons=True)
    assert odd["status"] == "not_scored"
    assert why in odd["status_reason"]
    assert (odd["customer_id"], odd["churn_probability"], odd["reasons"]) == ("new", None, [])
    assert row["status"] == "scored"


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ([], "customers.1.customer"),
        ({}, "customers.1.customer"),
        ({"customer": {}}, "customers.1.customer.customer_id"),
        ({"customer": {"customer_id": 5}}, "customers.1.customer.customer_id"),
        ({"customer": {"customer_id": "a"}}, "customers.1.customer.signed_up_at"),
        ({"customer": {"customer_id": "a", "signed_up_at": "soon"}}, "customers.1.customer.signed_up_at"),
        ({"customer": {"customer_id": "a", "signed_up_at": "2024-01-01"}, "rows": []}, "customers.1.rows"),
        ({"customer": {"customer_id": "a", "signed_up_at": "2024-01-01"}, "usage": {}}, "customers.1.usage"),
        ({"customer": {"customer_id": "a", "signed_up_at": "2024-01-01"}, "usage": "no"}, "customers.1.usage"),
        (
            {"customer": {"customer_id": "a", "signed_up_at": "2024-01-01"}, "usage": [{"used_at": "2024-01-01"}, {}]},
            "customers.1.usage.1.used_at",
        ),
        (
            {
                "customer": {"customer_id": "a", "signed_up_at": "2024-01-01"},
                "bills": [{"bill_id": "1", "billed_at": "2024-02-01", "amount": 10**400}],
            },
            "customers.1.bills.0.amount",
        ),
        (
            {
                "customer": {"customer_id": "a", "signed_up_at": "2024-01-01"},
                "usage": [{"customer_id": "b", "used_at": "2024-02-01"}],
            },
            "customers.1.usage",
        ),
    ],
)
def test_what_is_of_no_shape_is_refused_with_its_place(release, wrong, place):
    right = {"customer": {"customer_id": "new", "signed_up_at": "2024-06-01"}}
    with pytest.raises(ChurnmlError, match=r"^customers\.1") as raised:
        release.score_histories(T, [right, wrong], reasons=False)
    assert raised.value.details["place"] == place


def altered(release_folder, edit):
    """Change what is kept of features, and let the manifest be true again."""
    file = release_folder / files.FEATURES
    kept = json.loads(file.read_text(encoding="utf-8"))
    edit(kept)
    file.write_text(json.dumps(kept), encoding="utf-8")
    manifest = json.loads((release_folder / files.MANIFEST).read_text(encoding="utf-8"))
    (release_folder / files.MANIFEST).unlink()
    files.write_manifest(release_folder, {word: told for word, told in manifest.items() if word != "files"})


def test_where_the_silent_have_left_activity_tells_who_is_at_risk(copied, release):
    folder = files.releases_folder(copied) / release.name
    altered(folder, lambda kept: kept["label"].update(mode="inactive", activity="surveys", active_days=30))
    inactive = open_release(folder)
    customer = {"customer_id": "new", "signed_up_at": "2024-01-01", "churned_at": "2024-02-01"}
    answers = [{"answered_at": "2024-06-01", "score": 3}], [{"answered_at": "2024-05-31T23:59:59", "score": 3}]
    lately, before = inactive.score_histories(
        T, [{"customer": customer, "surveys": rows} for rows in answers], reasons=False
    )
    assert (lately["status"], before["status"]) == ("scored", "not_scored")
    assert before["status_reason"] == "the customer had no surveys in the 30 days before 2024-07-01"


def test_serving_loads_neither_mlflow_nor_an_engine(operator, published):
    folder = files.releases_folder(operator)
    code = (
        "import sys, json, pathlib; from churnml.publishing.release import Current\n"
        f"current = Current(pathlib.Path({str(folder)!r})); current.refresh()\n"
        "assert current.refused is None, current.refused\n"
        "heavy = {'mlflow', 'duckdb', 'ibis', 'sqlglot', 'matplotlib', 'pyspark', 'sqlalchemy'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == []


def damage(folder, name):
    file = folder / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "name", [files.STORE, files.FEATURES, files.SPREAD, "models/churn/bundle.json", "models/value/bundle.json"]
)
def test_a_changed_file_is_refused_by_name(copied, release, name):
    folder = files.releases_folder(copied) / release.name
    damage(folder, name)
    with pytest.raises(ChurnmlError, match=f"{name} .its content is not what was published"):
        open_release(folder)
    (folder / name).write_bytes(b"")
    with pytest.raises(ChurnmlError, match=f"{name} .it has 0 bytes"):
        open_release(folder, verify=False)
    (folder / name).unlink()
    with pytest.raises(ChurnmlError, match=f"{name} .No such file"):
        open_release(folder, verify=False)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"files": []}', '{"files": {}, "format": 1}', '{"files": {}, "format": 9}']
)
def test_a_manifest_that_tells_nothing_is_refused(copied, release, text):
    folder = files.releases_folder(copied) / release.name
    (folder / files.MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(ChurnmlError, match=f"{files.MANIFEST}|has the format 9"):
        open_release(folder)


def test_a_file_that_the_manifest_does_not_list_is_refused(copied, release):
    folder = files.releases_folder(copied) / release.name
    manifest = json.loads((folder / files.MANIFEST).read_text(encoding="utf-8"))
    manifest["files"] = {name: one for name, one in manifest["files"].items() if not name.startswith("models/")}
    (folder / files.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ChurnmlError, match=r"models/.*the manifest does not list it"):
        open_release(folder, verify=False)


def test_a_store_that_breaks_while_it_is_read_is_an_error_that_names_it(copied, release):
    folder = files.releases_folder(copied) / release.name
    with (folder / files.STORE).open("r+b") as content:
        content.seek(100)
        content.write(b"\xff" * 8_000)
    with pytest.raises(ChurnmlError, match=files.STORE):
        open_release(folder, verify=False).scores(["C00000001"], reasons=True)


def test_a_new_release_takes_over_and_a_bad_one_does_not(copied, release, scores):
    folder = files.releases_folder(copied)
    empty = Current(folder / "nowhere")
    empty.refresh()
    assert (empty.release, empty.refused) == (None, None)
    current = Current(folder)
    current.refresh()
    held = current.release
    assert held.name == release.name
    good, bad = "20991231T000000Z-00000001", "20991231T000000Z-00000002"
    shutil.copytree(folder / release.name, folder / good)
    shutil.copytree(folder / release.name, folder / bad)
    damage(folder / bad, files.STORE)
    files.make_current(folder, bad)
    current.refresh()
    assert current.release is held
    assert files.STORE in current.refused
    shutil.copyfile(folder / good / files.STORE, folder / bad / files.STORE)
    current.refresh()
    assert current.release is held, "a release that was refused is not tried again at once"
    files.make_current(folder, good)
    current.refresh()
    assert (current.release.name, current.refused) == (good, None)
    [answer] = held.scores([scores[0]["customer_id"]], reasons=True)
    assert parsed(answer)["customer_id"] == scores[0]["customer_id"]
    (folder / files.CURRENT).write_text("../elsewhere", encoding="utf-8")
    current.refresh()
    assert current.release.name == good
    assert "names no release" in current.refused


def test_where_the_newest_is_damaged_from_the_start_the_one_before_answers_until_it_is_put_right(
    copied, release, monkeypatch
):
    folder = files.releases_folder(copied)
    bad = "20991231T000000Z-00000003"
    shutil.copytree(folder / release.name, folder / bad)
    damage(folder / bad, files.STORE)
    files.make_current(folder, bad)
    current = Current(folder)
    current.refresh()
    assert current.release.name == release.name
    assert files.STORE in current.refused
    shutil.copyfile(folder / release.name / files.STORE, folder / bad / files.STORE)
    monkeypatch.setattr("churnml.publishing.release._AGAIN_SECONDS", 0.0)
    current.refresh()
    assert (current.release.name, current.refused) == (bad, None)


def test_progress_tells_nothing_of_any_customer(copied, capfd):
    churnml.publish(copied, T, progress=True)
    told = capfd.readouterr().err
    assert "customers 1:" in told
    assert "C0000" not in told
    assert "personal" not in told


def test_the_newest_three_releases_are_kept(copied, release):
    folder = files.releases_folder(copied)
    old = [f"2000010{number}T000000Z-00000000" for number in (1, 2, 3)]
    for name in old:
        (folder / name).mkdir()
    made = churnml.publish(copied, str(T)).release
    assert [one.name for one in files.releases_in(folder)] == [old[2], release.name, made]
    assert not list(folder.glob(".*"))


def test_scores_that_are_kept_are_taken_unless_they_are_of_others(operator, published):
    file = operator.state_folder / "scores" / f"{T}.parquet"
    before = file.stat().st_mtime_ns
    churnml.publish(operator, T)
    assert file.stat().st_mtime_ns == before
    rows = pq.read_table(file)
    pq.write_table(rows.slice(1), file)
    assert churnml.publish(operator, T).customers == rows.num_rows
    assert pq.read_table(file)["customer_id"].equals(rows["customer_id"])


def test_a_customer_is_forgotten_everywhere(copied, release, scores):
    who, other = (row["customer_id"] for row in scores[:2])
    folder = files.releases_folder(copied)
    quarantine = copied.state_folder / "quarantine" / "bills.parquet"
    rows = {"reason": ["x", "y", "z"], "bill_id": ["1", who, "3"], "customer_id": [who, other, other]}
    pq.write_table(pa.table(rows), quarantine)
    older = folder / "20000101T000000Z-00000000"
    shutil.copytree(folder / release.name, older)
    current = Current(folder)
    current.refresh()
    forgotten = churnml.forget(copied, who)
    assert forgotten.token.startswith("forgotten_")
    assert (forgotten.releases, forgotten.rows) == (2, 3)
    assert [one.name for one in files.releases_in(folder)] == [forgotten.release]
    current.refresh()
    assert current.release.name == forgotten.release
    answers = current.release.scores([who, other], reasons=True)
    assert answers[0] is None
    assert parsed(answers[1]) == scores[1] | {"as_of": str(T)}
    assert (current.release.customers, current.release.scored) == (release.customers - 1, release.scored - 1)
    assert pq.read_table(quarantine).to_pydict() == {"reason": ["z"], "bill_id": ["3"], "customer_id": [other]}
    kept = pq.read_table(copied.state_folder / "scores" / f"{T}.parquet")
    assert kept["customer_id"].to_pylist() == [row["customer_id"] for row in scores[1:]]
    assert kept.schema.equals(SCHEMA)
    files_left = [file for file in copied.state_folder.rglob("*") if file.is_file() and "trained" not in file.parts]
    assert not [file for file in files_left if who.encode() in file.read_bytes()]
    assert churnml.forget(copied, who).token is None


def test_someone_who_is_nowhere_changes_nothing(copied, release):
    forgotten = churnml.forget(copied, "nobody")
    assert (forgotten.token, forgotten.rows, forgotten.releases, forgotten.release) == (None, 0, 0, None)
    assert files.current_name(files.releases_folder(copied)) == release.name


def test_commands_print_what_was_done(operator, release):
    config = str(operator.folder / "churnml.yaml")
    ran = CliRunner().invoke(commands, ["forget", config, "--customer", "nobody", "--json"])
    assert json.loads(ran.stdout) == {"token": None, "rows": 0, "releases": 0, "release": None}
    ran = CliRunner().invoke(commands, ["forget", config, "--customer", "nobody"])
    assert ran.stdout == "nothing of this customer is kept\n"


def test_a_day_without_a_champion_is_not_published(simulated):
    with pytest.raises(ChurnmlError, match="run churnml train CONFIG first"):
        churnml.publish(simulated.model_copy(update={"tracking": Tracking(uri="sqlite:///never.db")}), T)


def test_probabilities_are_spread_as_the_base_is(operator, release, scores):
    spread = np.load(files.releases_folder(operator) / release.name / files.SPREAD)
    assert spread.tolist() == sorted(row["churn_probability"] for row in scores)


def test_the_store_has_an_index_for_managers(operator, release):
    file = files.releases_folder(operator) / release.name / files.STORE
    with closing(sqlite3.connect(file)) as store:
        plan = store.execute(
            "EXPLAIN QUERY PLAN SELECT customer_id FROM customers WHERE account_manager = 'x' ORDER BY customer_id"
        ).fetchall()
    assert "by_manager" in plan[0][3]

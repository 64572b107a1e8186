"""Releases as the running service takes them: published by the command line, killed half-way, old, without bills."""

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from serving import AS_OF, REPOSITORY, served

import churnml
from churnml.publishing import files
from churnml.state.keys import create_key

KNOWN = "C00000011"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}


@pytest.fixture(scope="module")
def here(operator, tmp_path_factory):
    """The operator with the defaults for scores that are old."""
    here = operator.copy(tmp_path_factory.mktemp("publishing") / "operator")
    content = yaml.safe_load(here.config.read_text(encoding="utf-8"))
    content["service"] = {"rate_limit": content["service"]["rate_limit"]}
    here.config.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return here


@pytest.fixture(scope="module")
def service(bento, here):
    with served(bento, here.config) as running:
        yield running


def command_of(here, *words):
    return [sys.executable, "-m", "churnml.cli", words[0], str(here.config), *words[1:]]


def run(here, *words):
    return subprocess.run(command_of(here, *words), env=ENVIRONMENT, capture_output=True, text=True, check=False)


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


def served_release(service, here):
    return service.score(here.keys["crm"], [KNOWN]).json()["release"]


def folder_of(here):
    return files.releases_folder(here.settings())


def aged(here, days, number):
    """Let the service answer from a release of so many days ago; return its name."""
    folder = folder_of(here)
    old, name = files.current_name(folder), f"20990101T000000Z-{number:08x}"
    shutil.copytree(folder / old, folder / name)
    manifest = json.loads((folder / name / files.MANIFEST).read_text(encoding="utf-8"))
    (folder / name / files.MANIFEST).unlink()
    as_of = here.settings().now().date() - dt.timedelta(days=days)
    facts = {word: told for word, told in manifest.items() if word not in ("files", "format")}
    files.write_manifest(folder / name, facts | {"as_of": str(as_of)})
    files.make_current(folder, name)
    return name


def test_scores_never_expire_by_default_and_are_warned_of_beyond_seven_days(service, here):
    old = files.current_name(folder_of(here))
    found = service.score(here.keys["crm"], [KNOWN]).json()
    assert found["age_days"] > 800
    assert found["scores"][0]["status"] == "scored"
    assert found["warnings"] == [
        f"these scores are {found['age_days']} days old, more than 7: churnml publish makes new ones"
    ]
    made = []
    for number, (days, warned) in enumerate([(0, False), (7, False), (8, True), (5_000, True)]):
        made.append(aged(here, days, number))
        wait_for(lambda: served_release(service, here) == made[-1])
        found = service.score(here.keys["crm"], [KNOWN]).json()
        told = service.ask("GET", f"/v1/customers/{KNOWN}", here.keys["admin"]).json()
        for one, row in ((found, found["scores"][0]), (told, told["score"])):
            assert (one["age_days"], bool(one["warnings"]), row["status"]) == (days, warned, "scored")
        assert f"churnml_release_age_days {days}.0" in service.metrics()
    files.make_current(folder_of(here), old)
    wait_for(lambda: served_release(service, here) == old)
    for name in made:
        shutil.rmtree(folder_of(here) / name)


def test_publish_killed_half_way_leaves_the_old_release_and_the_next_takes_over(service, here):
    folder = folder_of(here)
    old = files.current_name(folder)
    with subprocess.Popen(
        command_of(here, "publish", "--as-of", str(AS_OF), "--json"), env=ENVIRONMENT, stderr=subprocess.DEVNULL
    ) as publishing:
        wait_for(lambda: list(folder.glob(".*.part/customers.sqlite")) or publishing.poll() is not None)
        publishing.send_signal(signal.SIGKILL)
    assert publishing.returncode == -signal.SIGKILL
    assert list(folder.glob(".*.part"))
    assert [one.name for one in files.releases_in(folder)] == [old]
    assert files.current_name(folder) == old
    time.sleep(1.5)
    assert served_release(service, here) == old
    assert "churnml_release_refused 0.0" in service.metrics()
    done = run(here, "publish", "--as-of", str(AS_OF), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == {
        "release",
        "as_of",
        "customers",
        "scored",
        "churn_model_version",
        "value_model_version",
    }
    assert (told["as_of"], told["churn_model_version"], told["value_model_version"]) == (str(AS_OF), "1", "1")
    assert told["scored"] == told["customers"] > 2_000
    wait_for(lambda: served_release(service, here) == told["release"])
    assert sorted(path.name for path in folder.iterdir()) == sorted([old, told["release"], "CURRENT"])


def test_three_releases_are_kept_and_the_service_follows(service, here):
    folder = folder_of(here)
    assert len(files.releases_in(folder)) == 2
    for _ in range(2):
        told = json.loads(run(here, "publish", "--as-of", str(AS_OF), "--json").stdout)
        wait_for(lambda told=told: served_release(service, here) == told["release"])
        last = told["release"]
    kept = [one.name for one in files.releases_in(folder)]
    assert len(kept) == 3
    assert kept[-1] == last == files.current_name(folder)
    files.make_current(folder, kept[0])  # back to an older one
    wait_for(lambda: served_release(service, here) == kept[0])


def test_what_a_killed_publish_has_left_of_a_person_is_forgotten(here):
    folder = folder_of(here)
    name = files.current_name(folder)
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        pass
    for left in (folder / f".{name}.{gone.pid}.0badc0de.part", here.folder / "state" / f".x.{gone.pid}.0badc0de.part"):
        shutil.copytree(folder / name, left)
    assert run(here, "forget", "--customer", "C00000012", "--json").returncode == 0
    assert not list((here.folder / "state").rglob("*.part"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("publish",), "Missing option '--as-of'"),
        (("publish", "--as-of", "soon"), "'soon' is no date"),
        (("publish", "--as-of", "1999-01-01"), "1999-01-01"),
        (("publish", "--as-of", str(AS_OF), "--out", "x"), "No such option '--out'"),
        (("forget",), "Missing option '--customer'"),
        (("serve", "--host", "nowhere.example"), "the host nowhere.example is no address"),
        (("serve", "--port", "0"), "Invalid value for '--port'"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_2(here, words, told):
    before = files.current_name(folder_of(here))
    done = run(here, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert told in last
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    assert files.current_name(folder_of(here)) == before


def test_without_bills_there_is_no_value_and_everything_else(bento, operator, tmp_path):
    here = operator.copy(tmp_path / "operator")
    content = yaml.safe_load(here.config.read_text(encoding="utf-8"))
    for name in ("bills", "costs"):
        del content["tables"][name]
    for name in ("value", "tiers", "campaign"):
        content.pop(name, None)
    content["tracking"] = {"uri": "sqlite:///other.db"}
    content["state"] = {"folder": "other"}
    content["training"] = {"first": "2023-12-01", "last": "2024-03-01", "every": "3mo"}
    content["gates"] = {"level_low": 0, "level_high": 100, "ece_excess": 1, "train_churners": 0, "test_churners": 0}
    here.config.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    trained = churnml.train(here.config, seed=1)
    assert list(trained.models) == ["churn"]
    assert trained.models["churn"].promoted
    done = run(here, "publish", "--as-of", str(AS_OF), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["value_model_version"] is None
    key, _ = create_key(here.settings(), "admin", "admin")
    with served(bento, here.config) as service:
        answer = service.score(key, [KNOWN], reasons=True).json()
        assert answer["models"] == {"churn": "1", "value": None}
        [row] = answer["scores"]
        assert 0 < row["churn_probability"] < 1
        nothing = ("expected_value", "value_if_stays", "value_at_risk", "value_tier", "value_model_version")
        assert [row[name] for name in nothing] == [None] * 5
        sent = {"as_of": str(AS_OF), "customers": [{"customer": {"customer_id": "a", "signed_up_at": "2023-01-01"}}]}
        [row] = service.ask("POST", "/v1/score_histories", key, json=sent).json()["scores"]
        assert (row["status"], row["expected_value"]) == ("scored", None)
        assert service.ask("GET", f"/v1/customers/{KNOWN}", key).json()["score"]["value_tier"] is None
        assert service.ask("GET", "/v1/model", key).json()["models"]["value"] is None
        assert 'value_model_version=""' in service.metrics()
        assert service.ask("GET", "/v1/campaigns", key).json() == {"campaigns": []}

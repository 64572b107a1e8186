"""The door to MLflow: what is recorded, what may be promoted, what is loaded, and what goes wrong in words."""

import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pandas as pd
import pytest

from churnml.config import load_config
from churnml.errors import ChurnmlError
from churnml.evaluation.verdict import GATES, Gate, Verdict
from churnml.registry import champions, promotion, store
from churnml.registry.names import registered_name, versions_of
from churnml.registry.record import Recorded, record

GOOD = Gate("beats_recency", True, {"auc": 0.81234, "recency_auc": 0.7})
BAD = Gate("out_of_time", False, {})
FRAME = pd.DataFrame(
    {
        "days": pd.array([1, 2, 3], dtype="int64"),
        "usage": [0.5, None, 0.25],
        "plan": pd.array(["a", None, "b"], dtype="str"),
        "paid": pd.Series([True, None, False], dtype=object),
        "seen": pd.to_datetime(["2024-01-01", None, "2024-02-01"]).astype("datetime64[us]"),
    }
)
COLUMNS = {"days": "int64", "usage": "float64", "plan": "string", "paid": "boolean", "seen": "timestamp"}
DATA = {
    "name": "demo panel",
    "digest": "abc" * 20,
    "tables": {"usage": {"rows": 900, "first": "2023-01-01", "last": "2024-06-30"}},
    "uses": {"training": {"dates": ["2024-01-01"]}, "evaluation": {"dates": ["2024-03-01"], "rows": 300}},
}


class Bundle:
    """Stands in for what is trained elsewhere: days times a weight."""

    def __init__(self, weight):
        self.weight = weight

    @classmethod
    def load(cls, folder):
        return cls(json.loads((folder / "bundle.json").read_text())["weight"])

    def predict(self, frame):
        return pd.DataFrame({"churn_probability": frame["days"] * self.weight}, index=frame.index)


@pytest.fixture(autouse=True)
def bundle_module(monkeypatch):
    module = types.ModuleType("churnml.models.bundle")
    module.Bundle = Bundle
    monkeypatch.setitem(sys.modules, "churnml.models.bundle", module)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An SQLite store without runs; making one takes seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    with store.opened(configured(path.parent, f"sqlite:///{path}")):
        return path


@pytest.fixture
def config(tmp_path, empty_store):
    """A project with a store of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    return configured(folder, "sqlite:///mlflow.db")


@pytest.fixture(scope="session")
def four_versions(tmp_path_factory, empty_store):
    """A store with four versions of the churn model, of which the gates refuse the last, and no champion."""
    folder = tmp_path_factory.mktemp("four")
    shutil.copy(empty_store, folder / "mlflow.db")
    config = configured(folder, "sqlite:///mlflow.db")
    for number in (1, 2, 3, 4):
        gates = (GOOD, BAD) if number == 4 else (GOOD,)
        record(config, trained(folder / f"t{number}", f"t{number}", weight=number / 10, gates=gates))
    return folder / "mlflow.db"


@pytest.fixture
def stocked(tmp_path, four_versions):
    """A project with such a store of its own; the artefacts are shared."""
    shutil.copy(four_versions, tmp_path / "mlflow.db")
    return configured(tmp_path, "sqlite:///mlflow.db")


def configured(folder, uri, **more):
    content = {"tables": {"customers": {"path": "c.csv"}}, "label": {}, "tracking": {"uri": uri}, "project": "demo"}
    return load_config(content | more).model_copy(update={"folder": Path(folder)})


def trained(folder, training_id="first", *, gates=(GOOD,), models=("churn",), weight=0.1):
    """Write what training hands over."""
    for model in models:
        place = folder / model
        (place / "model" / "part").mkdir(parents=True)
        (place / "model" / "bundle.json").write_text(json.dumps({"weight": weight}))
        (place / "model" / "part" / "model.txt").write_text("tree\n")
        facts = {
            "parameters": {"rounds": 20, "rate": 0.1, "monotone": None},
            "metrics": {"auc": 0.8, "lift_10": 3, "unknown": None},
            "tags": {"training_id": training_id, "panel_hash": "abc", "config_hash": "cafe"},
            "columns": COLUMNS,
            "outputs": {"churn_probability": "float64"},
            "data": DATA,
            "example": {"days": 2, "usage": None, "plan": "unknown", "paid": False, "seen": "2024-01-01"},
        }
        (place / "facts.json").write_text(json.dumps(facts))
        (place / "verdict.json").write_text(json.dumps(judged(model, *gates).to_dict()))
        (place / "evaluation.csv").write_text("metric,value\nauc,0.8\n")
        (place / "plots").mkdir()
        (place / "plots" / "gain.svg").write_text("<svg/>")
    return folder


def judged(model, *gates):
    """Return a verdict with these gates; all others pass."""
    given = {gate.name: gate for gate in gates}
    return Verdict(model, tuple(given.get(name, Gate(name, True, {})) for name in GATES[model]))


def recorded(config, tmp_path, training_id, **more):
    """Record a training and return the version of its churn model."""
    return record(config, trained(tmp_path / training_id, training_id, **more))["churn"].version


def killed(*args, **kwargs):
    raise KeyboardInterrupt


@contextlib.contextmanager
def seconds_at_most(limit):
    start = time.monotonic()
    yield
    assert time.monotonic() - start < limit


# What is recorded


def test_a_run_has_all_that_was_handed_over_and_a_version_its_verdict_from_the_start(config, tmp_path):
    found = record(config, trained(tmp_path / "t", models=("churn", "value")))
    assert list(found) == ["churn", "value"]
    with store.opened(config) as opened:
        run = opened.client.get_run(found["churn"].run_id)
        artefacts = {file.path for file in opened.client.list_artifacts(run.info.run_id)}
        version = versions_of(opened, "demo-churn")[1]
        [model] = opened.client.search_logged_models([run.info.experiment_id], f"source_run_id='{run.info.run_id}'")
    assert found["churn"] == Recorded(1, version.run_id) == Recorded(1, run.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name.startswith("churn 20")
    assert run.data.params == {"rounds": "20", "rate": "0.1", "monotone": "None"}
    assert run.data.metrics == {"auc": 0.8, "lift_10": 3.0}
    assert {metric.key for metric in model.metrics} == {"auc", "lift_10"}
    assert model.status == "READY"
    assert artefacts == {"facts.json", "verdict.json", "evaluation.csv", "plots"}
    lineage = {use.tags[0].value: use.dataset for use in run.inputs.dataset_inputs}
    assert [json.loads(lineage[use].profile) for use in DATA["uses"]] == list(DATA["uses"].values())
    for used in lineage.values():
        assert used.name.startswith("demo panel, ")
        assert DATA["digest"].startswith(used.digest)
        assert json.loads(used.source)["tags"]["tables"] == DATA["tables"]
        assert [column["name"] for column in json.loads(used.schema)["mlflow_colspec"]] == list(COLUMNS)
    for tags in (run.data.tags, version.tags):
        assert Verdict.from_dict(json.loads(tags["verdict"])) == judged("churn", GOOD)
        assert tags["passed"] == "yes"
        assert tags["config_hash"] == "cafe"  # of the training, whatever the configuration is by now
        assert tags["panel_hash"] == "abc"
        assert tags["training_id"] == "first"
        assert tags["recorded_by"]
        assert tags["recorded_at"].endswith("+00:00")


def loaded_by_mlflow(config, monkeypatch):
    import mlflow
    from mlflow.tracking._tracking_service import utils

    monkeypatch.setattr(utils, "_tracking_uri", f"sqlite:///{config.folder}/mlflow.db")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    return mlflow.pyfunc.load_model("models:/demo-churn@champion")


def test_mlflow_itself_loads_a_model_without_pickle_and_predicts_as_the_bundle_does(config, tmp_path, monkeypatch):
    recorded(config, tmp_path, "a")
    promotion.promote(config, "churn")
    model = loaded_by_mlflow(config, monkeypatch)
    expected = champions.load(config, "churn").bundle.predict(FRAME)
    pd.testing.assert_frame_equal(model.predict(FRAME), expected)
    pd.testing.assert_frame_equal(model.predict(FRAME, params={"any": 1}), expected)
    example = model.input_example
    assert example[["days", "plan", "paid"]].to_dict("records") == [{"days": 2, "plan": "unknown", "paid": False}]
    assert example["usage"].isna().all()
    assert model.predict(example)["churn_probability"].tolist() == [2 * 0.1]
    with pytest.raises(Exception, match=r"missing inputs \['days'\]"):
        model.predict(FRAME.drop(columns="days"))
    required = {column.name: column.required for column in model.metadata.signature.inputs}
    assert required == {"days": True, "usage": True, "plan": False, "paid": False, "seen": False}


def test_what_is_trained_is_loaded_by_mlflow_as_by_us(config, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "churnml.models.bundle")
    from churnml.models.bundle import Bundle as RealBundle
    from churnml.models.churn import ChurnClassifier

    frame = pd.concat([FRAME] * 100, ignore_index=True).assign(days=range(300))
    churned = [day % 7 < day / 60 for day in range(300)]
    bundle = RealBundle({"churn_probability": ChurnClassifier(random_state=1).fit(frame, churned)}, {})
    folder = trained(tmp_path / "t")
    shutil.rmtree(folder / "churn" / "model")
    (folder / "churn" / "model").mkdir()
    bundle.save(folder / "churn" / "model")
    record(config, folder)
    promotion.promote(config, "churn")
    expected = bundle.predict(frame)
    pd.testing.assert_frame_equal(champions.load(config, "churn").bundle.predict(frame), expected)
    pd.testing.assert_frame_equal(loaded_by_mlflow(config, monkeypatch).predict(frame), expected)


def test_artefacts_hold_no_pickle_and_name_their_requirements(config, tmp_path):
    recorded(config, tmp_path, "a")
    files = [file for file in (config.folder / "mlartifacts").rglob("*") if file.is_file()]
    assert "MLmodel" in {file.name for file in files}
    assert not [
        file for file in files if file.suffix in (".pkl", ".pickle", ".joblib") or file.read_bytes()[:1] == b"\x80"
    ]
    [needed] = [file.read_text().split() for file in files if file.name == "requirements.txt"]
    assert {name.split("==")[0] for name in needed} == {
        "mlflow",
        "churnml",
        "lightgbm",
        "numpy",
        "pandas",
        "scikit-learn",
    }


def test_the_same_training_is_recorded_once_and_the_next_is_the_next_version(config, tmp_path):
    folder = trained(tmp_path / "t", models=("churn", "value"))
    assert record(config, folder) == record(config, folder)
    assert recorded(config, tmp_path, "second") == 2


def test_the_working_folder_never_matters(config, tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "a")
    recorded(config, tmp_path / "handed", "a")
    monkeypatch.chdir(tmp_path / "b")
    promotion.promote(config, "churn")
    monkeypatch.chdir(tmp_path / "c")
    assert champions.load(config, "churn").version == 1
    assert not [file for name in ("a", "b", "c") for file in (tmp_path / name).iterdir()]
    assert {path.name for path in config.folder.iterdir()} == {"mlflow.db", "mlartifacts"}


@pytest.mark.parametrize(
    "call",
    [
        "create_run",
        "log_batch",
        "log_model_artifacts",
        "set_terminated",
        "create_registered_model",
        "create_model_version",
    ],
)
def test_a_run_that_was_killed_is_in_nobodys_way(config, tmp_path, monkeypatch, call):
    folder = trained(tmp_path / "t")
    with monkeypatch.context() as patched:
        patched.setattr(f"mlflow.MlflowClient.{call}", killed)
        patched.setattr("mlflow.MlflowClient.set_terminated", killed)
        with pytest.raises(KeyboardInterrupt):
            record(config, folder)
    with pytest.raises(ChurnmlError, match="no churn model was trained yet"):
        champions.load(config, "churn")
    assert record(config, folder)["churn"].version == 1
    assert promotion.promote(config, "churn").version == 1


def test_an_interrupted_run_is_marked_as_failed(config, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setattr(
        MlflowClient, "log_artifacts", lambda *args: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(ChurnmlError, match=r"mlflow\.db fails: No space left: free space"):
        record(config, trained(tmp_path / "t"))
    with store.opened(config) as opened:
        [run] = opened.client.search_runs([store.experiment_id(opened, "churnml")])
    assert run.info.status == "FAILED"


def spoiled(file, content):
    def spoil(folder):
        if content is None:
            (folder / "churn" / file).unlink()
        elif isinstance(content, str):
            (folder / "churn" / file).write_text(content)
        else:
            facts = json.loads((folder / "churn" / file).read_text())
            (folder / "churn" / file).write_text(json.dumps(facts | content))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoiled("facts.json", None), "facts.json is missing"),
        (spoiled("facts.json", "{"), "facts.json cannot be read"),
        (spoiled("facts.json", "[]"), "facts.json has no metrics"),
        (spoiled("facts.json", {"metrics": {"auc": "high"}}), "a metric that is no number"),
        (spoiled("facts.json", {"tags": {}}), "with a training_id"),
        (spoiled("facts.json", {"outputs": {}}), "columns of other types"),
        (spoiled("facts.json", {"columns": {"a": "int32"}}), "columns of other types"),
        (spoiled("verdict.json", None), "verdict.json is missing"),
        (spoiled("verdict.json", {"model": "value"}), "is the verdict of value"),
        (spoiled("verdict.json", {"more": 1}), "this is no verdict"),
        (lambda folder: shutil.rmtree(folder / "churn" / "model"), "model has no files"),
        (lambda folder: shutil.rmtree(folder / "churn"), "holds no trained model"),
    ],
)
def test_what_is_damaged_does_not_get_in(config, tmp_path, spoil, message):
    folder = trained(tmp_path / "t")
    spoil(folder)
    with pytest.raises(ChurnmlError, match=message):
        record(config, folder)
    assert promotion.champion(config, "churn") is None


@pytest.mark.parametrize("project", ["演示 项目", "a.b-c_d 1"])
def test_a_project_may_have_any_name_that_mlflow_can_address(config, tmp_path, project):
    config = config.model_copy(update={"project": project})
    recorded(config, tmp_path, "a")
    promotion.promote(config, "churn")
    assert champions.load(config, "churn").version == 1


@pytest.mark.parametrize("project", ["a/b", "a:b", "it's", 'a"b', "a`b", "..", ".hidden", "a%b", "x" * 201, "a\nb"])
def test_a_project_that_mlflow_cannot_address_is_refused(config, project):
    with pytest.raises(ChurnmlError, match="cannot name a model in MLflow"):
        registered_name(config.model_copy(update={"project": project}), "churn")


# What may be champion


def test_only_a_passing_verdict_makes_a_champion(stocked):
    with pytest.raises(ChurnmlError, match=r"version 4 .* by cross-validation only, .* train again") as refused:
        promotion.promote(stocked, "churn")
    assert refused.value.details["gates"] == ["out_of_time"]
    with pytest.raises(ChurnmlError, match="cross-validation"):
        promotion.promote(stocked, "churn", 4)
    with pytest.raises(ChurnmlError, match="cross-validation"):
        promotion.rollback(stocked, "churn", 4)
    assert promotion.champion(stocked, "churn") is None
    assert promotion.history(stocked, "churn") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has no verdict"),
        ("{", "a verdict that cannot be read"),
        ('{"model": "churn", "passed": true, "gates": []}', "a verdict that cannot be read"),
        (json.dumps(Verdict("value", (GOOD,)).to_dict()), r"the verdict of another model \(value\)"),
        (json.dumps(Verdict("churn", ()).to_dict()), "no gate was asked"),
        (
            json.dumps(judged("churn", GOOD).to_dict() | {"gates": judged("churn", GOOD).to_dict()["gates"][::-1]}),
            "or its verdict are not those that were recorded",
        ),
    ],
)
def test_a_version_whose_verdict_is_not_the_recorded_one_does_not_pass_by_any_door(stocked, text, message):
    with store.opened(stocked) as opened:
        if text is None:
            opened.client.delete_model_version_tag("demo-churn", "3", "verdict")
        else:
            opened.client.set_model_version_tag("demo-churn", "3", "verdict", text)
    with pytest.raises(ChurnmlError, match=message):
        promotion.promote(stocked, "churn", 3)
    with pytest.raises(ChurnmlError, match=message):
        promotion.rollback(stocked, "churn", 3)
    with store.opened(stocked) as opened:
        opened.client.set_registered_model_alias("demo-churn", "champion", "3")
    with pytest.raises(ChurnmlError, match=message):
        promotion.promote(stocked, "churn", 3)
    with pytest.raises(ChurnmlError, match=message):
        champions.load(stocked, "churn")


def test_an_alias_that_was_set_past_the_gates_does_not_score(stocked):
    with store.opened(stocked) as opened:
        opened.client.set_registered_model_alias("demo-churn", "champion", "4")
    with pytest.raises(ChurnmlError, match="made champion of the churn model outside of churnml"):
        champions.load(stocked, "churn")


def test_a_promotion_says_who_when_and_why(stocked, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    done = promotion.promote(stocked, "churn", 1)
    assert (done.version, done.previous, done.who, done.why, done.changed) == (1, None, "unknown", None, True)
    done = promotion.promote(stocked, "churn", 2, who="Ann", why="每月一次 " * 900)
    assert (done.version, done.previous) == (2, 1)
    first, second = promotion.history(stocked, "churn")
    assert first["who"] == "unknown"
    assert (second["version"], second["previous"], second["who"], second["when"]) == (2, 1, "Ann", done.when)
    assert (second["action"], second["completed"], len(second["why"])) == ("promote", True, 1000)


def test_promoting_the_champion_changes_nothing(stocked):
    promotion.promote(stocked, "churn", 1)
    assert not promotion.promote(stocked, "churn", 1).changed
    assert not promotion.rollback(stocked, "churn", 1).changed
    assert len(promotion.history(stocked, "churn")) == 1


def test_an_alias_that_was_moved_by_hand_can_be_signed_for_and_rolled_back(stocked):
    promotion.promote(stocked, "churn", 1)
    promotion.promote(stocked, "churn", 2)
    with store.opened(stocked) as opened:
        opened.client.set_registered_model_alias("demo-churn", "champion", "3")
    done = promotion.promote(stocked, "churn", 3, who="Ann", why="agreed")
    last = promotion.history(stocked, "churn")[-1]
    assert (last["version"], last["who"], last["why"]) == (3, "Ann", "agreed")
    assert not done.changed
    assert promotion.rollback(stocked, "churn").version == 2
    with store.opened(stocked) as opened:
        opened.client.set_registered_model_alias("demo-churn", "champion", "3")
    assert promotion.rollback(stocked, "churn").version == 2


def test_rolling_back_twice_goes_back_two_steps(stocked):
    for number in (1, 2, 3):
        promotion.promote(stocked, "churn", number)
    assert promotion.rollback(stocked, "churn").version == 2
    done = promotion.rollback(stocked, "churn", who="Bo", why="too many calls")
    assert (done.action, done.version, done.previous) == ("rollback", 1, 2)
    with pytest.raises(ChurnmlError, match=r"cannot be rolled back: version 1 is the first champion: churnml promote"):
        promotion.rollback(stocked, "churn")
    promotion.promote(stocked, "churn", 3)
    assert promotion.rollback(stocked, "churn").version == 1
    assert [event["version"] for event in promotion.history(stocked, "churn")] == [1, 2, 3, 2, 1, 3, 1]


def test_a_version_that_was_champion_twice_is_two_steps(stocked):
    for number in (1, 2, 1, 3):
        promotion.promote(stocked, "churn", number)
    assert [promotion.rollback(stocked, "churn").version for _ in range(3)] == [1, 2, 1]


def test_one_may_roll_back_to_a_version_and_from_there_further(stocked):
    promotion.promote(stocked, "churn", 1)
    promotion.promote(stocked, "churn", 2)
    assert promotion.rollback(stocked, "churn", 1).version == 1
    assert promotion.rollback(stocked, "churn", 3).version == 3  # was never champion, but its verdict passes
    assert promotion.rollback(stocked, "churn").version == 1
    with pytest.raises(ChurnmlError, match="the first champion"):
        promotion.rollback(stocked, "churn")


def test_a_rollback_passes_over_versions_that_were_deleted(stocked):
    for number in (1, 2, 3):
        promotion.promote(stocked, "churn", number)
    with store.opened(stocked) as opened:
        opened.client.delete_model_version("demo-churn", "2")
    assert promotion.rollback(stocked, "churn").version == 1


def test_a_promotion_that_was_killed_halfway_counts_for_nothing(stocked, monkeypatch):
    promotion.promote(stocked, "churn", 1)
    with monkeypatch.context() as patched:
        patched.setattr("mlflow.MlflowClient.set_registered_model_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            promotion.promote(stocked, "churn", 2)
    assert promotion.champion(stocked, "churn") == 1
    assert [event["completed"] for event in promotion.history(stocked, "churn")] == [True, False]
    with pytest.raises(ChurnmlError, match="the first champion"):
        promotion.rollback(stocked, "churn")
    assert promotion.promote(stocked, "churn", 2).version == 2
    assert [event["completed"] for event in promotion.history(stocked, "churn")] == [True, False, True]
    assert promotion.rollback(stocked, "churn").version == 1


def test_unknown_models_and_versions_are_told_with_those_there_are(config, stocked):
    with pytest.raises(ChurnmlError, match="no churn model was trained yet: run churnml train CONFIG first"):
        promotion.promote(config, "churn")
    with pytest.raises(ChurnmlError, match="cannot be rolled back: there is no champion"):
        promotion.rollback(config, "churn")
    for call in (promotion.promote, promotion.rollback):
        with pytest.raises(ChurnmlError, match="the churn model has no version 7: there are: 1, 2, 3, 4"):
            call(stocked, "churn", 7)
    for call in (promotion.promote, promotion.rollback, promotion.champion, promotion.history, champions.load):
        with pytest.raises(ChurnmlError, match="there is no model chrun: name one of churn, value"):
            call(stocked, "chrun")


# What is loaded


def test_the_champion_is_loaded_or_the_newest_to_look_at(stocked):
    promotion.promote(stocked, "churn", 1)
    loaded, candidate = champions.load(stocked, "churn"), champions.load(stocked, "churn", candidate=True)
    assert (loaded.version, loaded.bundle.weight, loaded.verdict.passed) == (1, 0.1, True)
    assert (candidate.version, candidate.bundle.weight, candidate.verdict.passed) == (4, 0.4, False)
    assert loaded.trained_at < candidate.trained_at
    assert loaded.trained_at.tzinfo


def test_why_there_is_no_champion(config, stocked):
    for candidate in (False, True):
        with pytest.raises(ChurnmlError, match="no churn model was trained yet: run churnml train CONFIG first"):
            champions.load(config, "churn", candidate=candidate)
    with pytest.raises(ChurnmlError, match=r"version 4 was refused: it was tested by .* score --candidate") as told:
        champions.load(stocked, "churn")
    assert told.value.details["gates"] == ["out_of_time"]
    with store.opened(stocked) as opened:
        opened.client.delete_model_version("demo-churn", "4")
    with pytest.raises(
        ChurnmlError, match=r"version 3 passed .*, but was not promoted: churnml promote CONFIG churn 3"
    ):
        champions.load(stocked, "churn")
    promotion.promote(stocked, "churn")
    with store.opened(stocked) as opened:
        opened.client.delete_model_version("demo-churn", "3")
    with pytest.raises(ChurnmlError, match="version 2 passed its gates, but was not promoted"):
        champions.load(stocked, "churn")


def test_a_champion_whose_files_are_damaged_or_missing_is_told(config, tmp_path):
    recorded(config, tmp_path, "a")
    promotion.promote(config, "churn")
    [file] = (config.folder / "mlartifacts").rglob("bundle.json")
    content = file.read_text()
    file.write_text(content + " ")
    with pytest.raises(ChurnmlError, match=r"version 1 .* or its verdict are not those that were recorded.*rollback"):
        champions.load(config, "churn")
    file.write_text(content)
    assert champions.load(config, "churn").version == 1
    shutil.rmtree(file.parent)
    for door in (champions.load, promotion.promote):
        with pytest.raises(ChurnmlError, match="the files of version 1 of the churn model are missing"):
            door(config, "churn")


def test_a_store_that_was_moved_with_its_artefacts_still_scores(config, tmp_path):
    recorded(config, tmp_path, "a")
    promotion.promote(config, "churn")
    config.folder.rename(tmp_path / "moved")
    moved = config.model_copy(update={"folder": tmp_path / "moved"})
    assert champions.load(moved, "churn").version == 1
    assert recorded(moved, tmp_path, "b") == 2
    assert champions.load(moved, "churn", candidate=True).version == 2
    (tmp_path / "moved").rename(tmp_path / "again")
    again = config.model_copy(update={"folder": tmp_path / "again"})
    assert [champions.load(again, "churn", candidate=newest).version for newest in (False, True)] == [1, 2]


# Where the store is, and what goes wrong with it


@pytest.mark.parametrize("name", ["plain", "with space", "hash#tag", "中文 é", "it's"])
def test_a_store_may_lie_in_any_folder(tmp_path, empty_store, name):
    folder = tmp_path / name
    (folder / "deeper").mkdir(parents=True)
    shutil.copy(empty_store, folder / "deeper" / "ml.db")
    config = configured(folder, "sqlite:///deeper/ml.db")
    recorded(config, tmp_path, "a")
    promotion.promote(config, "churn")
    assert champions.load(config, "churn").version == 1
    assert [path.name for path in folder.iterdir()] == ["deeper"]
    assert {path.name for path in (folder / "deeper").iterdir()} == {"ml.db", "mlartifacts"}


def test_a_new_store_is_made_whole_and_without_a_word(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    config = configured(tmp_path, f"sqlite:////{tmp_path}/new.db")
    assert recorded(config, tmp_path / "handed", "a") == 1
    assert promotion.promote(config, "churn").version == 1
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in tmp_path.iterdir()} == {"new.db", "mlartifacts", "handed"}
    assert dict(os.environ) == before


def test_a_file_store_works_too(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = configured(tmp_path, "file:my%20runs")
    for number in (1, 2):
        recorded(config, tmp_path / "handed", f"t{number}")
        promotion.promote(config, "churn")
    assert promotion.rollback(config, "churn").version == 1
    assert champions.load(config, "churn").version == 1
    assert champions.load(config, "churn", candidate=True).version == 2
    assert {path.name for path in tmp_path.iterdir()} == {"my runs", "mlartifacts", "handed", "elsewhere"}
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://host/x",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "databricks",
        "http://",
        "http://host:port",
        "file:",
        "file://host/x",
    ],
)
def test_what_is_no_address_is_told_with_those_that_are(tmp_path, uri):
    with pytest.raises(
        ChurnmlError, match=r"is no address of an MLflow store: write sqlite:///mlflow\.db, file:mlruns, http"
    ):
        promotion.champion(configured(tmp_path, uri), "churn")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite:///no/such/mlflow.db", "no/such does not exist: make it first"),
        ("file:no/such/runs", "no/such does not exist: make it first"),
        ("sqlite:///folder", "folder is a folder"),
        ("sqlite:////proc/mlflow.db", "unable to open database file: give the user who runs churnml the right"),
        ("sqlite:///what%3F/mlflow.db", "a \\? or %"),
    ],
)
def test_a_store_that_cannot_be_there_is_told(tmp_path, uri, message):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ChurnmlError, match=message):
        promotion.champion(configured(tmp_path, uri), "churn")


@pytest.mark.parametrize("name", ["why?", "100%"])
def test_a_folder_that_no_sqlite_address_can_name_is_told(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ChurnmlError, match=r"a \? or %"):
        promotion.champion(configured(tmp_path / name, "sqlite:///mlflow.db"), "churn")


def test_a_damaged_or_foreign_database_is_told_at_once(config):
    path = config.folder / "mlflow.db"
    path.write_bytes(b"this is no database, " * 100)
    with seconds_at_most(5), pytest.raises(ChurnmlError, match=r"mlflow\.db fails: .*not a database: put it back"):
        promotion.champion(config, "churn")
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE bills (amount)")
    with pytest.raises(ChurnmlError, match=r"mlflow\.db is a database, but none of MLflow's: name another"):
        promotion.champion(config, "churn")


def test_a_database_that_is_written_to_is_told(config, monkeypatch):
    monkeypatch.setattr(store, "_PATIENCE", 0.1)
    with contextlib.closing(sqlite3.connect(config.folder / "mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ChurnmlError, match="database is locked: another process is writing to it"):
            promotion.champion(config, "churn")


def test_a_database_that_may_not_be_written_is_told(config):
    path = config.folder / "mlflow.db"
    path.chmod(0o444)
    with contextlib.closing(sqlite3.connect(path)) as other:
        writable = True
        with contextlib.suppress(sqlite3.OperationalError):
            writable = bool(other.execute("PRAGMA user_version = 1"))
    if not writable:  # the superuser may write anything
        with pytest.raises(ChurnmlError, match="give the user who runs churnml the right"):
            promotion.promote(config, "churn")
    read_only = configured(config.folder, f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(ChurnmlError, match="file:"):
        promotion.champion(read_only, "churn")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("90e64c465722", r"an older MLflow than 3.* make a backup, then run mlflow db upgrade sqlite:///.*/mlflow.db"),
        ("ffffffffffff", "has the schema ffffffffffff, which MLflow 3.* does not know: use the newer MLflow"),
    ],
)
def test_a_database_of_another_mlflow_is_told_and_left_as_it_is(config, schema, message):
    path = config.folder / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", [schema])
        database.execute("DROP TABLE registered_model_aliases")  # MLflow itself would make it again, without asking
        database.commit()
    content = path.read_bytes()
    with pytest.raises(ChurnmlError, match=message):
        promotion.champion(config, "churn")
    assert path.read_bytes() == content


def test_a_deleted_experiment_is_told(config, tmp_path):
    recorded(config, tmp_path, "a")
    with store.opened(config) as opened:
        experiment = store.experiment_id(opened, "churnml")
        opened.client.delete_experiment(experiment)
    with pytest.raises(ChurnmlError, match=f"churnml was deleted in MLflow: restore it .*--experiment-id {experiment}"):
        recorded(config, tmp_path, "b")


def test_an_experiment_whose_folder_is_gone_is_told(config, tmp_path):
    with store.opened(config) as opened:
        opened.client.create_experiment("moved", (tmp_path / "before").as_uri())
    config = config.model_copy(update={"tracking": config.tracking.model_copy(update={"experiment": "moved"})})
    with pytest.raises(ChurnmlError, match="before, which does not exist: put the folder back"):
        recorded(config, tmp_path, "a")


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = self.server.answer
        time.sleep(5 if status == 0 else 0)
        self.send_response(status or 200)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args):
        pass


@pytest.fixture
def answering():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, b"You are not authenticated"), "set MLFLOW_TRACKING_USERNAME"),
        ((403, b"Forbidden"), "the right to read and write there"),
        ((404, b"<html>not here</html>"), "look at the store, and at tracking.uri"),
        ((200, b"<html>Welcome</html>"), "look at the store, and at tracking.uri"),
        ((500, b"oops"), "start it, or mend tracking.uri"),
        ((0, b"{}"), "start it, or mend tracking.uri"),
    ],
)
def test_a_server_that_answers_wrongly_is_told(tmp_path, monkeypatch, answering, answer, message):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # what the user sets is kept
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    answering.answer = answer
    config = configured(tmp_path, f"http://ann:s3cret@127.0.0.1:{answering.server_port}")
    with seconds_at_most(20), pytest.raises(ChurnmlError, match=message) as told:
        promotion.champion(config, "churn")
    assert "s3cret" not in str(told.value)
    assert "ann:***@127.0.0.1" in str(told.value)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "1"


@pytest.mark.parametrize(
    "uri",
    [
        "http://ann:s3cret%40x@127.0.0.1:9",
        "postgresql://ann:s3cret%40x@127.0.0.1:9/mlflow",
        "mysql+pymysql://ann:s3cret%40x@127.0.0.1:9/mlflow",
    ],
)
def test_a_server_that_is_down_is_told_soon_and_without_its_password(tmp_path, uri):
    with seconds_at_most(20), pytest.raises(ChurnmlError, match=r"fails: .*: (start it|install that package)") as told:
        promotion.champion(configured(tmp_path, uri), "churn")
    shown = str(told.value) + json.dumps(told.value.details)
    assert "s3cret" not in shown
    assert told.value.__cause__ is None
    assert "***" in shown


def test_calls_that_mlflow_refuses_as_wrong_stay_what_they_are(config):
    from mlflow import MlflowException

    with pytest.raises(MlflowException, match="Invalid"), store.opened(config) as opened:
        opened.client.create_registered_model("a/b")


def test_nothing_of_mlflow_is_imported_before_it_is_used_and_nobody_is_told_of_it(config):
    modules = "churnml, churnml.registry.champions, churnml.registry.loading, churnml.registry.promotion"
    program = f"import sys, {modules}; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    with store.opened(config):
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "true"


@pytest.fixture
def server(tmp_path, empty_store):
    """A real MLflow server; it takes its time to start."""
    shutil.copy(empty_store, tmp_path / "server.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # what `mlflow server` runs in the end; its own command takes twice as long to import MLflow a second time
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "mlflow.server.fastapi_app:app"]
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{tmp_path}/server.db",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(tmp_path / "kept"),
    }
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def test_a_server_keeps_models_as_a_file_does(server, tmp_path, capfd):
    config = configured(tmp_path, server)
    folder = trained(tmp_path / "t", models=("churn", "value"))
    found = record(config, folder)
    assert found == record(config, folder)
    assert found["churn"].version == 1
    assert promotion.promote(config, "churn", why="first").changed
    loaded = champions.load(config, "churn")
    assert (loaded.version, loaded.bundle.weight, loaded.verdict.passed) == (1, 0.1, True)
    assert [event["why"] for event in promotion.history(config, "churn")] == ["first"]
    with pytest.raises(ChurnmlError, match="the first champion"):
        promotion.rollback(config, "churn")
    with pytest.raises(ChurnmlError, match="there are: 1"):
        promotion.promote(config, "churn", 2)
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "kept").rglob("bundle.json"))


def test_a_copied_store_leaves_the_artefacts_of_the_first_alone(config, tmp_path):
    recorded(config, tmp_path, "a")
    shutil.copytree(config.folder, tmp_path / "copy")
    copy = config.model_copy(update={"folder": tmp_path / "copy"})
    before = sorted(config.folder.rglob("*"))
    assert recorded(copy, tmp_path, "b") == 2
    assert sorted(config.folder.rglob("*")) == before
    shutil.rmtree(config.folder)
    assert champions.load(copy, "churn", candidate=True).version == 2
    assert promotion.promote(copy, "churn", 1).version == 1
    assert champions.load(copy, "churn").version == 1


def test_a_verdict_that_leaves_a_gate_out_is_none(config, tmp_path):
    folder = trained(tmp_path / "t", "t")
    (folder / "churn" / "verdict.json").write_text(json.dumps(Verdict("churn", (GOOD,)).to_dict()))
    with pytest.raises(
        ChurnmlError, match=r"lacks the gates out_of_time, not_worse_than, not_worse_than_champion, level"
    ):
        record(config, folder)


def test_what_somebody_else_writes_into_the_history_is_left_out(stocked):
    with store.opened(stocked) as opened:
        for number, text in enumerate(("garbage", "[]", '{"version": 1}')):
            opened.client.set_registered_model_tag("demo-churn", f"churnml.champion.00000{number}.x", text)
    promotion.promote(stocked, "churn", 1)
    promotion.promote(stocked, "churn", 2)
    assert promotion.rollback(stocked, "churn").version == 1
    assert len(promotion.history(stocked, "churn")) == 3


def test_the_run_of_a_killed_process_is_ended(config, tmp_path):
    folder = trained(tmp_path / "t", "t")
    with store.opened(config) as opened:
        experiment = store.experiment_id(opened, "churnml")
        left = opened.client.create_run(experiment, run_name="churn then", tags={"training_id": "t"})
    record(config, folder)
    with store.opened(config) as opened:
        assert opened.client.get_run(left.info.run_id).info.status == "KILLED"

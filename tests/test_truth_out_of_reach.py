"""The simulator's truth is out of reach of every room, and no feature alone gives churn away."""

import ast
import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import churnml
from churnml.config import State, load_config
from churnml.snapshots.panel import Panel
from churnml.tables.histories import open_histories

SOURCE = Path(churnml.__file__).parent


def texts_of(path):
    """Return the string constants of a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    docstrings = {
        id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and ast.get_docstring(node)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def test_no_room_but_the_simulator_knows_where_the_truth_lies():
    rooms = [path for path in SOURCE.rglob("*.py") if "simulator" not in path.parts]
    assert len(rooms) > 20
    assert not [(path.name, text) for path in rooms for text in texts_of(path) if "truth" in text.lower()]


def test_only_the_commands_may_import_the_simulator():
    importing = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if "simulator" not in path.parts and "churnml.simulator" in path.read_text(encoding="utf-8")
    }
    assert importing == {"api/histories.py"}


def test_everything_works_as_before_without_the_truth(simulated, tmp_path):
    folder = tmp_path / "operator"
    shutil.copytree(simulated.folder, folder)
    as_of = dt.date(2023, 10, 1)
    with_truth = churnml.features(folder / "churnml.yaml", as_of, labels=True)
    for path in (folder / "truth").rglob("*.parquet"):
        path.write_bytes(b"nobody may read this")
    report = churnml.check(folder / "churnml.yaml")
    pd.testing.assert_frame_equal(with_truth, churnml.features(folder / "churnml.yaml", as_of, labels=True))
    shutil.rmtree(folder / "truth")
    assert churnml.check(folder / "churnml.yaml").to_dict() == report.to_dict()
    pd.testing.assert_frame_equal(with_truth, churnml.features(folder / "churnml.yaml", as_of, labels=True))


@pytest.fixture(scope="module")
def labelled(simulated):
    dates = [dt.date(2023, 8, 1), dt.date(2023, 11, 1), dt.date(2024, 2, 1)]
    with open_histories(simulated) as histories:
        panel = Panel(histories, dates, labels=True)
        frame = panel.to_pandas()
    frame = frame[frame["churned"].notna()]
    assert frame["churned"].sum() > 150
    return frame, [feature.name for feature in panel.features]


def auc_of(column, churned):
    """Return how well a column ranks churn, in whichever direction; text by its levels' rates on other rows."""
    if column.dtype.kind not in "ifb":
        half = np.arange(len(column)) % 2 == 0
        rates = pd.Series(churned[half]).groupby(column[half].fillna("").to_numpy()).mean()
        column, churned = column[~half].fillna("").map(rates), churned[~half]
    best = 0.5
    for filled in (-1e300, 1e300):
        numbers = np.nan_to_num(column.to_numpy(dtype=float), nan=filled)
        auc = roc_auc_score(churned, numbers)
        best = max(best, auc, 1 - auc)
    return best


def test_no_feature_alone_ranks_churn_above_085(labelled):
    frame, names = labelled
    churned = frame["churned"].to_numpy(dtype=int)
    aucs = {name: auc_of(frame[name], churned) for name in names}
    assert max(aucs.values()) > 0.55, "nothing tells anything: the panel or the simulator is broken"
    assert {name: auc for name, auc in aucs.items() if auc > 0.85} == {}


def test_a_feature_made_of_the_outcome_would_be_caught(labelled):
    frame, _ = labelled
    churned = frame["churned"].to_numpy(dtype=int)
    leak = frame["churned"].astype(float) + np.random.default_rng(0).normal(0, 0.5, len(frame))
    assert auc_of(leak, churned) > 0.85


def test_the_state_folder_is_the_only_place_that_is_written_to(simulated, tmp_path):
    folder = tmp_path / "operator"
    shutil.copytree(simulated.folder, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    config = load_config(folder / "churnml.yaml").model_copy(update={"state": State(folder=str(tmp_path / "state"))})
    churnml.check(config)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before

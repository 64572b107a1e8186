"""One operator with models, a release, a campaign and keys, and one bento, for all tests of the service."""

import datetime as dt
import fcntl
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))  # `serving` is imported by name

AS_OF = dt.date(2024, 7, 1)
CAMPAIGN = "spring"
PLAIN_ID, ODD_ID = "C00000007", "客户/7 <b>é%2F"
MANY = 1_000_000  # requests a minute


@dataclass(frozen=True)
class Operator:
    """An operator who serves: a folder with a configuration, and a key of each role."""

    folder: Path
    keys: dict
    managers: dict

    @property
    def config(self):
        return self.folder / "churnml.yaml"

    def settings(self):
        from churnml.config import load_config

        return load_config(self.config)

    def copy(self, target, **service):
        """Return the same operator elsewhere, with other settings of the service."""
        shutil.copytree(self.folder, target)
        content = yaml.safe_load((target / "churnml.yaml").read_text(encoding="utf-8"))
        content["service"] = {**content["service"], **service}
        (target / "churnml.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return Operator(target, self.keys, self.managers)


def _shared(tmp_path_factory, name, make):
    """Make a folder once for all processes that run tests."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if root.name.startswith("popen-") else root
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        target = root / name
        if not (target / "made").exists():
            target.mkdir()
            make(target)
            (target / "made").touch()
        return target


@pytest.fixture(scope="session")
def bento(tmp_path_factory):
    from serving import built

    folder = _shared(tmp_path_factory, "bento", built)
    [found] = (folder / "home" / "bentos" / "churnml").glob("*/bento.yaml")
    return found.parent


@pytest.fixture(scope="session")
def operator(tmp_path_factory):
    folder = _shared(tmp_path_factory, "serving", _serving)
    kept = json.loads((folder / "keys.json").read_text(encoding="utf-8"))
    return Operator(folder / "operator", kept["keys"], kept["managers"])


@pytest.fixture(scope="session")
def service(bento, operator):
    """A service that no test harms."""
    from serving import served

    with served(bento, operator.config) as running:
        yield running


def _serving(folder):
    from churnml.models.boosting import Candidate

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("churnml.models.boosting.MAX_ROUNDS", 120)
        patched.setattr("churnml.models.hazard._CANDIDATES", (Candidate(4),))
        patched.setattr("churnml.models.value._CANDIDATES", (Candidate(15),))
        patched.setattr("churnml.evaluation.judge.DRAWS", 80)
        patched.setattr("churnml.evaluation.judge.SLICE_DRAWS", 10)
        _made(folder)


def _made(folder):
    import churnml
    from churnml.simulator import simulate
    from churnml.state.keys import create_key

    home = folder / "operator"
    simulate(home, customers=3_000, months=18, seed=3)
    _spoil(home)
    content = yaml.safe_load((home / "churnml.yaml").read_text(encoding="utf-8"))
    content["training"] = {"first": "2023-08-01", "last": "2024-04-01", "every": "2mo"}
    content["service"] = {"rate_limit": MANY, "stale_after_days": 36_500, "expires_after_days": 36_500}
    (home / "churnml.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    config = churnml.load_config(home / "churnml.yaml")
    churnml.train(config, seed=1)
    churnml.publish(config, AS_OF)
    churnml.campaign_open(config, CAMPAIGN, AS_OF)
    managers = _managers(config)
    keys = {
        role: create_key(config, role, role, manager=managers["mine"] if role == "account_manager" else None)[0]
        for role in ("crm", "retention", "account_manager", "admin")
    }
    (folder / "keys.json").write_text(json.dumps({"keys": keys, "managers": managers}), encoding="utf-8")


def _spoil(home):
    """Give one customer an id that has to be encoded, and everybody a name that a spreadsheet would compute."""
    import pandas as pd

    for file in home.glob("tables/*/*.parquet"):
        rows = pd.read_parquet(file)
        if file.stem == "customers":
            rows["name"] = "=cmd|' /C calc'!A0 " + rows["name"].astype(str)
        rows["customer_id"] = rows["customer_id"].replace(PLAIN_ID, ODD_ID)
        rows.to_parquet(file, index=False)


def _managers(config):
    """Return two account managers, and customers of theirs."""
    import pandas as pd

    customers = pd.read_parquet(config.path(config.tables.customers.path))
    by = customers.dropna(subset=["account_manager"]).groupby("account_manager")["customer_id"].agg(list)
    mine, other = by.index[:2]
    return {"mine": mine, "other": other}

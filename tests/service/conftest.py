"""One operator with models, a release, a campaign and keys, and one bento, for all tests of the service."""

import fcntl
import json
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

import modest
from serving import AS_OF, CAMPAIGN, MANY, ODD_ID, PLAIN_ID, Operator, built, served


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
    with served(bento, operator.config) as running:
        yield running


def _serving(folder):
    with pytest.MonkeyPatch.context() as patched:
        modest.make(patched.setattr)
        _made(folder)


def _made(folder):
    import churnml
    from churnml.api.release import publish
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
    publish(config, AS_OF)
    churnml.campaign_open(config, CAMPAIGN, AS_OF)
    manager, managers = _managers(config)
    keys = {
        role: create_key(config, role, role, manager=manager if role == "account_manager" else None)[0]
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
    """Return an account manager, and the customers of that one and of another."""
    import pandas as pd

    files = sorted(config.folder.glob(config.tables.customers.path))
    customers = pd.concat([pd.read_parquet(file) for file in files])
    by = customers.dropna(subset=["account_manager"]).groupby("account_manager")["customer_id"].agg(list)
    return by.index[0], {"mine": by.iloc[0], "other": by.iloc[1]}

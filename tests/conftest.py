"""What all tests share."""

import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the oracle and what draws histories are imported by name

import modest

REPOSITORY = Path(__file__).parent.parent


# Files that take long, the longest first: a worker takes a file as a whole, so that what it makes is made once.
LONG = [
    "test_loop",
    "test_notebooks",
    "test_spark",
    "test_against_oracle",
    "test_no_future",
    "test_online",
    "test_real_models",
]


def pytest_collection_modifyitems(items):
    """Begin with the files that take long, so that no worker ends with one."""
    items.sort(key=lambda item: LONG.index(item.module.__name__) if item.module.__name__ in LONG else len(LONG))


ABOUT_MODELS = {
    "test_churn_classifier",
    "test_hazard",
    "test_value",
    "test_real_value",
    "test_evaluation",
    "test_estimators",
}


@pytest.fixture(scope="module", autouse=True)
def _modest_models(request):
    """Let models be small where a test is not about them."""
    with pytest.MonkeyPatch.context() as patched:
        if request.module.__name__ not in ABOUT_MODELS:
            modest.make(patched.setattr)
        yield


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """A small simulated operator: 3,000 customers, 18 months. Its configuration, with a state folder of its own."""
    from churnml.config import State, load_config
    from churnml.simulator import simulate

    folder = tmp_path_factory.mktemp("simulated") / "operator"
    simulate(folder, customers=3_000, months=18, seed=3)
    state = State(folder=str(tmp_path_factory.mktemp("state")))
    return load_config(folder / "churnml.yaml").model_copy(update={"state": state})


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request, tmp_path):
    """Where a test keeps its state: in SQLite, and again in a PostgreSQL database of its own."""
    from churnml.config import State
    from churnml.state import database

    url = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        name = f"state_{uuid.uuid4().hex}"
        server.run(f"CREATE DATABASE {name} OWNER churnml")
        url = server.url(database=name)
    yield State(folder=str(tmp_path / "state"), url=url)
    database.close()


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server with a database ``billing`` and a user ``churnml`` who may read what is granted."""
    import postgres_server

    if postgres_server.programs() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with postgres_server.running() as server:
        yield server

"""The service against its peers, and under load: ``python benchmarks/service.py``; writes results/service.md.

One published release of a simulated operator. Servers are processes of their own, started as their users start them; what
they cost is the CPU time of all their processes. Peers take turns. ``--folder`` keeps what was trained for another run.
"""

import argparse
import asyncio
import datetime as dt
import hashlib
import itertools
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import pandas as pd
import psutil
import yaml

RESULTS = Path(__file__).parent / "results" / "service.md"
AS_OF = dt.date(2024, 7, 1)
HISTORY = 365  # usage rows
UNLIMITED = 1_000_000_000  # requests a minute
STEADY, BURST, EVERY, BURST_SECONDS = 4, 200, 15.0, 5.0  # connections, and seconds of the overload
SOAK_RATE = 6_000  # requests a minute by one key: a burst spends them
STARTUP = 300  # seconds: machines may be busy


# Making what is served


def prepare(folder: Path, customers: int) -> None:
    """Simulate, train, publish, make a key, and keep what the measurements send."""
    import churnml
    from churnml.api.release import publish
    from churnml.simulator import simulate
    from churnml.snapshots.panel import Panel
    from churnml.state.keys import create_key
    from churnml.tables.histories import open_histories
    from churnml.tiering.spend import SPEND

    home = folder / "operator"
    simulate(home, customers=customers, months=18, seed=0)
    set_service(home, "churnml.yaml", rate_limit=UNLIMITED)
    set_service(home, "soak.yaml", rate_limit=SOAK_RATE)
    config = churnml.load_config(home / "churnml.yaml")
    churnml.train(config, seed=1)
    publish(config, AS_OF)
    with open_histories(config) as histories:
        Panel(histories, [AS_OF], also=SPEND).to_pandas().to_parquet(folder / "panel.parquet")
    keys = {name: create_key(config, name, "crm")[0] for name in ("steady", "burst")}
    sent = histories_of(home, 200)
    (folder / "made.json").write_text(json.dumps({"keys": keys, "sent": sent}), encoding="utf-8")


def set_service(home: Path, name: str, **service: Any) -> None:
    """Write the configuration with other limits of the service."""
    content = yaml.safe_load((home / "churnml.yaml").read_text(encoding="utf-8"))
    content["service"] = {"stale_after_days": 36_500, "workers": 1, **service}
    (home / name).write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def histories_of(home: Path, most: int) -> list[dict[str, Any]]:
    """Return what somebody would send of customers: their rows, the last 365 of usage among them, as JSON has them."""
    from churnml.config import load_config

    config = load_config(home / "churnml.yaml")
    tables = {
        name: pd.concat(pd.read_parquet(file) for file in sorted(home.glob(source.path)))
        for name, source in config.tables.given().items()
    }
    people = tables.pop("customers")[lambda rows: rows["churned_at"].isna()].set_index("customer_id", drop=False)
    usage = tables["usage"] = tables["usage"][lambda rows: rows["used_at"] < pd.Timestamp(AS_OF)]
    counts = usage["customer_id"].value_counts()
    who = [one for one in counts[counts >= HISTORY].index if one in people.index][:most]
    rows = {
        name: dict(iter(table[table["customer_id"].isin(who)].groupby("customer_id"))) for name, table in tables.items()
    }
    rows["usage"] = {one: found.sort_values("used_at").tail(HISTORY) for one, found in rows["usage"].items()}

    def plain(table: pd.DataFrame) -> list[dict[str, Any]]:
        return json.loads(table.to_json(orient="records", date_format="iso"))

    return [
        {"customer": plain(people.loc[[one]])[0]}
        | {name: plain(found[one]) for name, found in rows.items() if one in found}
        for one in who
    ]


# Servers


class Server:
    """A server and all its processes."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.port, self._process = port, process

    def processes(self) -> list[psutil.Process]:
        """Return what runs of it."""
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def cpu(self) -> float:
        """Return the CPU seconds of all that runs of it."""
        return sum(sum(one.cpu_times()[:2]) for one in self.processes())

    def memory(self) -> float:
        """Return the MB that its processes hold for themselves."""
        return sum(one.memory_full_info().uss for one in self.processes()) / 2**20

    def stop(self) -> None:
        """Ask it to stop, and see that nothing of it is left."""
        left = self.processes()
        self._process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(left, 20)
        for one in alive:
            one.kill()
        self._process.wait(20)


@contextmanager
def started(command: list[str], ready: str, scratch: Path, port: int, **environment: str) -> Iterator[Server]:
    """Run a server until the block ends; it begins when the server is ready."""
    with (scratch / f"{port}.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=scratch, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT
        )
    server = Server(process, port)
    try:
        until = time.monotonic() + STARTUP
        while not answers(f"http://127.0.0.1:{port}{ready}"):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command} did not start:\n{(scratch / f'{port}.log').read_text()[-3000:]}")
            time.sleep(0.05)
        yield server
    finally:
        if process.poll() is None:
            server.stop()


def answers(url: str) -> bool:
    """Tell whether there is a good answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


def ours(folder: Path, scratch: Path, configuration: str = "churnml.yaml", **environment: str) -> Any:
    """Start the service as `docs/service.md` says."""
    port = free_port()
    command = [sys.executable, "-m", "churnml.cli", "serve", str(folder / "operator" / configuration)]
    return started([*command, "--port", str(port)], "/readyz", scratch, port, **environment)


def twins(folder: Path, scratch: Path) -> Any:
    """Start the FastAPI twin; uvicorn chooses loop and parser as it does for BentoML, and logs no request."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"{Path(__file__).stem}:twin", "--factory", "--port", str(port)]
    command += ["--app-dir", str(Path(__file__).parent), "--no-access-log", "--log-level", "warning"]
    return started(command, "/ready", scratch, port, CHURNML_CONFIG=str(folder / "operator" / "churnml.yaml"))


def mlflows(folder: Path, scratch: Path) -> Any:
    """Start `mlflow models serve` of the champion."""
    import churnml
    from churnml.registry.names import champion_of, registered, registered_name, versions_of
    from churnml.registry.store import opened

    config = churnml.load_config(folder / "operator" / "churnml.yaml")
    name = registered_name(config, "churn")
    with opened(config) as store:
        version = versions_of(store, name)[champion_of(registered(store, name))]
        address = store.address.uri
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", f"models:/{name}/{version.version}"]
    command += ["--env-manager", "local", "--port", str(port), "--workers", "1"]
    # one thread, as ours: more of them spin for a single row
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it starts uvicorn by name
    return started(command, "/ping", scratch, port, MLFLOW_TRACKING_URI=address, PATH=beside, OMP_NUM_THREADS="1")


def twin() -> Any:
    """Return what a FastAPI developer would write in place of the service's scores by id: no limits, logs or figures."""
    from fastapi import Depends, FastAPI, Header, HTTPException, Response
    from pydantic import BaseModel, Field

    from churnml.config import load_config
    from churnml.publishing.files import current_name, releases_folder
    from churnml.publishing.release import open_release
    from churnml.scoring.score import SCHEMA
    from churnml.service.audit import Audit
    from churnml.state.audit import AuditRow, write_audit
    from churnml.state.database import database
    from churnml.state.keys import Key, valid_keys

    config = load_config(os.environ["CHURNML_CONFIG"])
    folder = releases_folder(config)
    release = open_release(folder / str(current_name(folder)))
    audit = Audit(lambda rows: write_audit(database(config), rows))
    columns = tuple(SCHEMA.names)
    with database(config).connect() as connection:
        keys = valid_keys(connection)
    app = FastAPI(openapi_url=None)

    class Asked(BaseModel):
        customer_ids: list[str] = Field(min_length=1, max_length=1_000)
        reasons: bool = False

    async def caller(authorization: Annotated[str, Header()]) -> Key:
        secret = authorization.removeprefix("Bearer ")
        key = keys.get(hashlib.sha256(secret.encode()).hexdigest())
        if key is None or not key.is_valid(dt.datetime.now(dt.UTC)):
            raise HTTPException(401)
        return key

    @app.get("/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/score")
    async def score(asked: Asked, key: Annotated[Key, Depends(caller)]) -> Response:
        rows = release.scores(asked.customer_ids, reasons=asked.reasons)
        now, number, seen = dt.datetime.now(dt.UTC), secrets.token_hex(16), tuple(asked.customer_ids)
        await audit.record(AuditRow(now, number, key.name, key.role, "/v1/score", seen, columns))
        models = {"churn": release.churn_version, "value": release.value_version}
        head = {"as_of": str(release.as_of), "release": release.name, "models": models}
        scores = b", ".join(row or b"null" for row in rows)
        return Response(
            b'%s, "scores": [%s]}' % (json.dumps(head)[:-1].encode(), scores), media_type="application/json"
        )

    return app


# The load


class Tally:
    """What came back."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()  # 0: the connection broke
        self.seconds: list[float] = []
        self.releases: Counter[str] = Counter()

    @property
    def failed(self) -> int:
        """How many were not answered with 200."""
        return self.statuses.total() - self.statuses[200]

    def ms(self, percentile: float) -> float:
        """Return how long it took."""
        return 1000 * float(np.percentile(self.seconds, percentile))


class Connection(asyncio.Protocol):
    """Sends one request after another over one connection."""

    def __init__(self, requests: Iterator[bytes], tally: Tally, pause: float) -> None:
        self._requests, self._tally, self._pause = requests, tally, pause
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[bool] = self._loop.create_future()  # whether there was nothing left to send
        self._buffer, self._wanted, self._sent = b"", 0, 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        request = next(self._requests, None)
        if self.ended.done():
            return
        if request is None:
            self.ended.set_result(True)
            self._transport.close()
            return
        self._buffer, self._wanted, self._sent = b"", 0, time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._wanted:
            head, found, _ = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._wanted = len(head) + 4 + int(re.search(rb"content-length: *(\d+)", head.lower())[1])
        if len(self._buffer) >= self._wanted:
            self._tally.statuses[int(self._buffer[9:12])] += 1
            self._tally.seconds.append(time.perf_counter() - self._sent)
            named = re.search(rb'"release": "([^"]+)"', self._buffer[:600])
            if named:
                self._tally.releases[named[1].decode()] += 1
            self._sent = 0.0
            if self._pause:
                self._loop.call_later(self._pause, self._next)
            else:
                self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.ended.done():
            if self._sent:
                self._tally.statuses[0] += 1
            self.ended.set_result(False)


async def driven(port: int, requests: Iterator[bytes], connections: int, tally: Tally, pause: float = 0.0) -> Tally:
    """Send requests over some connections, each waiting for its answer, until there are no more."""

    async def one() -> None:
        ended = False
        while not ended:
            try:
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(requests, tally, pause), "127.0.0.1", port
                )
            except OSError:
                tally.statuses[0] += 1
                await asyncio.sleep(0.1)
                ended = next(requests, None) is None
                continue
            ended = await connection.ended

    await asyncio.wait_for(asyncio.gather(*(one() for _ in range(connections))), 7200)
    return tally


def drive(server: Server, requests: list[bytes], count: int, connections: int) -> Tally:
    """Send so many requests, over and over the same."""
    some = itertools.islice(itertools.cycle(requests), count)
    return asyncio.run(driven(server.port, some, connections, Tally()))


def request(path: str, body: Any, key: str = "") -> bytes:
    """Return the bytes of a request."""
    content = json.dumps(body, ensure_ascii=False).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {key}\r\n" if key else ""
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


class Sent:
    """The requests of all measurements."""

    def __init__(self, folder: Path) -> None:
        made = json.loads((folder / "made.json").read_text(encoding="utf-8"))
        self.keys, self.histories = made["keys"], made["sent"]
        self.panel = pd.read_parquet(folder / "panel.parquet")
        self.ids = self.panel["customer_id"].sample(frac=1, random_state=0).tolist()

    def one(self, key: str = "steady") -> list[bytes]:
        """One id each."""
        return [request("/v1/score", {"customer_ids": [one]}, self.keys[key]) for one in self.ids[:2_000]]

    def hundred(self, key: str = "steady") -> list[bytes]:
        """A hundred ids each, with reasons."""
        parts = [self.ids[start : start + 100] for start in range(0, min(len(self.ids) - 100, 2_000), 100)]
        return [request("/v1/score", {"customer_ids": ids, "reasons": True}, self.keys[key]) for ids in parts]

    def history(self, *, reasons: bool, key: str = "steady") -> list[bytes]:
        """A customer's history each."""
        about = {"as_of": str(AS_OF), "reasons": reasons}
        return [request("/v1/score_histories", {**about, "customers": [one]}, self.keys[key]) for one in self.histories]

    def rows(self, columns: list[str]) -> list[bytes]:
        """A row of features each, as MLflow takes it."""
        found = json.loads(self.panel[columns].head(200).to_json(orient="split", date_format="iso", index=False))
        one = {"columns": found["columns"]}
        return [request("/invocations", {"dataframe_split": {**one, "data": [row]}}) for row in found["data"]]


def cpu_ms(server: Server, requests: list[bytes], count: int, connections: int) -> float:
    """Return the CPU milliseconds of a request."""
    before = server.cpu()
    tally = drive(server, requests, count, connections)
    if tally.failed:
        raise SystemExit(f"refused: {tally.statuses}")
    return 1000 * (server.cpu() - before) / count


# In process


def raw(folder: Path) -> dict[str, float]:
    """Return the CPU milliseconds of work in this process: 100 rows from a frame, one customer from a history."""
    import churnml
    from churnml.models.bundle import Bundle
    from churnml.publishing import files
    from churnml.publishing.release import open_release
    from churnml.scoring.reasons import reasons
    from churnml.service.bodies import HistoriesRequest, read

    config = churnml.load_config(folder / "operator" / "churnml.yaml")
    released = files.releases_folder(config)
    release = open_release(released / str(files.current_name(released)))
    bundles = [Bundle.load(one) for one in sorted((released / release.name / "models").iterdir())]
    churn = bundles[0]
    sent = Sent(folder)
    frames = [sent.panel.iloc[start : start + 100] for start in range(0, 2_000, 100)]
    model: Any = churn.models["churn_probability"]

    def hundred(frame: pd.DataFrame) -> None:
        for bundle in bundles:
            bundle.predict(frame)
        reasons(model, frame[churn.columns], churn.facts["features"], config.sensitive)

    def history(content: bytes) -> bytes:
        asked = read(HistoriesRequest, content, 1_000)
        found = release.score_histories(asked.day, [dict(one) for one in asked.customers], reasons=asked.reasons)
        return json.dumps(found, default=str).encode()

    def measured(work: Callable[[Any], Any], given: list[Any], times: int) -> float:
        for one in given[:5]:
            work(one)
        before = time.process_time()
        for one in itertools.islice(itertools.cycle(given), times):
            work(one)
        return 1000 * (time.process_time() - before) / times

    bodies = {one: [whole.partition(b"\r\n\r\n")[2] for whole in sent.history(reasons=one)] for one in (False, True)}
    return {
        "hundred": measured(hundred, frames, 60),
        "history": measured(history, bodies[False], 300),
        "history_reasons": measured(history, bodies[True], 300),
    }


def in_child(folder: Path) -> dict[str, float]:
    """Do the same in a process of its own, on one thread."""
    command = [sys.executable, "-W", "ignore", __file__, "--raw", "--folder", str(folder)]
    one = {**os.environ, "OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=one).stdout)


# The measurements


def starts(folder: Path, scratch: Path) -> dict[str, tuple[float, float]]:
    """Return seconds from the command to ready, and CPU seconds: without byte code of any library, and with it."""
    found = {}
    for word in ("cold", "warm", "warm again"):
        cache = {"PYTHONPYCACHEPREFIX": str(scratch / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
        before = time.perf_counter()
        with ours(folder, scratch, **cache) as server:
            found[word] = time.perf_counter() - before, server.cpu()
    return {"cold": found["cold"], "warm": min(found["warm"], found["warm again"])}


def peers(server: Server, folder: Path, scratch: Path, sent: Sent, rounds: int) -> dict[str, list[float]]:
    """Return CPU milliseconds of one score, in turns."""
    columns = row_columns(folder)
    found: dict[str, list[float]] = {name: [] for name in ("ours_1", "twin_1", "ours_16", "twin_16", "mlflow_16")}
    with twins(folder, scratch) as twin_, mlflows(folder, scratch) as mlflow_:
        ids, rows = sent.one(), sent.rows(columns)
        for one in (server, twin_):
            drive(one, ids, 2_000, 16)
        cpu_ms(mlflow_, rows, 100, 4)
        for _ in range(rounds):
            for connections, count in ((16, 2_000), (1, 400)):
                for name, one in (("ours", server), ("twin", twin_)):
                    found[f"{name}_{connections}"].append(cpu_ms(one, ids, count, connections))
            found["mlflow_16"].append(cpu_ms(mlflow_, rows, 100, 16))
            say(found)
    return found


def row_columns(folder: Path) -> list[str]:
    """Return the features that the churn model reads."""
    from churnml.models.bundle import Bundle

    [models] = (folder / "operator" / "state" / "releases").glob("*/models/churn")
    return Bundle.load(models).columns


def lists(server: Server, folder: Path, sent: Sent, rounds: int) -> dict[str, list[float]]:
    """Return CPU milliseconds of lists and histories, over HTTP and in process, in turns."""
    over = {
        "http_hundred": (sent.hundred(), 300),
        "http_history": (sent.history(reasons=False), 300),
        "http_history_reasons": (sent.history(reasons=True), 300),
    }
    found: dict[str, list[float]] = {name: [] for name in (*over, "hundred", "history", "history_reasons")}
    for requests, _ in over.values():
        drive(server, requests, 100, 4)
    for _ in range(rounds):
        for name, (requests, count) in over.items():
            found[name].append(cpu_ms(server, requests, count, 4))
        for name, value in in_child(folder).items():
            found[name].append(value)
        say(found)
    return found


def swaps(server: Server, folder: Path, sent: Sent, times: int) -> Tally:
    """Change the release under load, and see that answers follow."""
    from churnml.publishing.files import current_name, make_current

    releases = folder / "operator" / "state" / "releases"
    first = str(current_name(releases))
    second = f"{first.partition('-')[0]}-{secrets.token_hex(4)}"
    shutil.copytree(releases / first, releases / second)

    async def run() -> Tally:
        tally, on = Tally(), True
        load = itertools.takewhile(lambda _: on, itertools.cycle(sent.one()))
        driving = asyncio.create_task(driven(server.port, load, 16, tally))
        for name in itertools.islice(itertools.cycle((second, first)), times):
            await asyncio.sleep(0.5)
            make_current(releases, name)
            before, until = tally.releases[name], time.monotonic() + 60
            while tally.releases[name] == before and time.monotonic() < until:
                await asyncio.sleep(0.05)
            if tally.releases[name] == before:
                raise SystemExit(f"nothing was answered from {name}")
        on = False
        return await driving

    try:
        return asyncio.run(run())
    finally:
        make_current(releases, first)
        shutil.rmtree(releases / second)


def soak(folder: Path, scratch: Path, sent: Sent, minutes: float) -> dict[str, Any]:
    """Send a steady load and bursts beyond every limit for some minutes; memory is sampled between bursts."""
    mixed = [*sent.one()[:200], *sent.hundred(), *sent.history(reasons=True)[:20]]
    beyond = [*sent.one("burst")[:200], *sent.hundred("burst"), *sent.history(reasons=True, key="burst")[:20]]
    tallies = {"steady": Tally(), "burst": Tally()}
    samples: list[tuple[float, float]] = []

    async def run(server: Server) -> None:
        begun = time.monotonic()
        until = begun + 60 * minutes
        shuffled = [mixed[place] for place in np.random.default_rng(0).permutation(len(mixed))]
        load = itertools.takewhile(lambda _: time.monotonic() < until, itertools.cycle(shuffled))
        steady = asyncio.create_task(driven(server.port, load, STEADY, tallies["steady"], 0.05))
        all_beyond = itertools.cycle(beyond[place] for place in np.random.default_rng(1).permutation(len(beyond)))
        while time.monotonic() < until:
            over = time.monotonic() + BURST_SECONDS
            burst = itertools.takewhile(lambda _, over=over: time.monotonic() < over, all_beyond)
            await driven(server.port, burst, BURST, tallies["burst"])
            for _ in range(3):
                await asyncio.sleep((EVERY - BURST_SECONDS) / 3)
                samples.append((time.monotonic() - begun, server.memory()))
        await steady

    with ours(folder, scratch, "soak.yaml") as server:
        asyncio.run(run(server))
    third = 60 * minutes / 10
    parts = [[mb for at, mb in samples if low <= at / third < high] for low, high in ((2, 4), (8, 99))]
    first, last = (median(part) for part in parts)
    return {**tallies, "first": first, "last": last, "growth": last / first - 1, "peak": max(mb for _, mb in samples)}


def say(found: Any) -> None:
    """Show how far it is."""
    if isinstance(found, dict):
        found = {
            name: round(values[-1], 3) if isinstance(values, list) and values else values
            for name, values in found.items()
        }
    print(time.strftime("%H:%M:%S"), found, file=sys.stderr, flush=True)


# The table


def report(told: dict[str, Any]) -> str:
    """Write the table."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("bentoml", "uvicorn", "fastapi", "mlflow", "lightgbm")
    )
    one, more = told["peers"], told["lists"]
    at = {name: median(values) for name, values in {**one, **more}.items()}

    def ratio(mine: str, peer: str, among: dict[str, list[float]] = one) -> float:
        return median(a / b for a, b in zip(among[mine], among[peer], strict=True))

    many, swap, soaked = told["many"], told["swaps"], told["soak"]
    refusals = {
        status: count
        for tally in (soaked["steady"], soaked["burst"])
        for status, count in tally.statuses.items()
        if status not in (200, 429, 503)
    }
    (cold, cold_cpu), (warm, warm_cpu) = told["starts"]["cold"], told["starts"]["warm"]
    raw_ratio = ratio("http_hundred", "hundred", more)
    lines = [
        "# The service",
        "",
        f"One release of a simulated operator, {told['customers']:,} customers, {told['columns']} features; one worker, SQLite; {os.cpu_count()} cores, {memory:.0f} GB,"
        f" Python {platform.python_version()}, {versions}. Load average meanwhile {told['load'][0]:.1f} to {told['load'][1]:.1f}, the load"
        " itself among it: far above the number of cores, other work ran beside it. Ratios are of turns within this run.",
        "",
        "CPU is that of all processes of a server, in milliseconds a request; medians of"
        f" {told['rounds']} turns after 2,000 requests to warm up. In brackets: requests at the same time.",
        "",
        "| what | found | goal | |",
        "|---|---|---|---|",
    ]

    def line(what: str, found: str, goal: str = "", held: bool | None = None) -> None:
        lines.append(f"| {what} | {found} | {goal} | {'' if held is None else 'held' if held else 'missed'} |")

    worse = {count: ratio(f"ours_{count}", f"twin_{count}") for count in (16, 1)}
    for count in (16, 1):
        line(f"one score by id (x {count}), the service", f"{at[f'ours_{count}']:.2f} ms")
        line("the same, FastAPI twin", f"{at[f'twin_{count}']:.2f} ms")
        line("the service against the twin", f"{worse[count]:.2f}", "at most 1.5", worse[count] <= 1.5)
    line("a row of features (x 16), `mlflow models serve`, churn only", f"{at['mlflow_16']:.1f} ms")
    against = ratio("ours_16", "mlflow_16")
    line("the service against it", f"1/{1 / against:.0f}", "at most 1/10", against <= 0.1)
    line(
        f"{many.statuses.total():,} requests (x 16): errors; p50, p99; requests a second",
        f"{many.failed}; {many.ms(50):.0f} ms, {many.ms(99):.0f} ms; {told['rate']:,.0f}",
        "0 errors",
        many.failed == 0,
    )
    line("100 ids with reasons (x 4)", f"{at['http_hundred']:.1f} ms")
    line("100 rows in process: `Bundle.predict` (churn, value) and `reasons`", f"{at['hundred']:.1f} ms")
    line("the former against the latter", f"{raw_ratio:.2f}", "at most 1.3", raw_ratio <= 1.3)
    for word, also in (("", "no reasons"), ("_reasons", "with reasons")):
        held = at[f"http_history{word}"] <= 5
        line(
            f"a history of {HISTORY} usage rows (x 4), {also}",
            f"{at[f'http_history{word}']:.1f} ms",
            "at most 5 ms",
            held,
        )
        line("the same in process, from its bytes to JSON", f"{at[f'history{word}']:.1f} ms")
    line(
        f"release swapped {told['swapped']} times under load (x 16): requests, failed",
        f"{swap.statuses.total():,}, {swap.failed}",
        "0 failed",
        swap.failed == 0,
    )
    line(
        f"{told['minutes']:g} minutes, bursts of {BURST_SECONDS:g} s (x {BURST}) every {EVERY:g} s beside a steady load: memory",
        f"{soaked['first']:.0f} MB, then {soaked['last']:.0f} MB ({soaked['growth']:+.1%})",
        "under +5 %",
        soaked["growth"] < 0.05,
    )
    counts = soaked["steady"].statuses + soaked["burst"].statuses
    line(
        "answers meanwhile, by status",
        ", ".join(f"{status}: {count:,}" for status, count in sorted(counts.items())),
        "200, 429, 503",
        not refusals,
    )
    line("start to ready, byte code cached", f"{warm:.1f} s ({warm_cpu:.1f} s CPU)", "under 10 s", warm < 10)
    line("start to ready, no library's byte code there", f"{cold:.1f} s ({cold_cpu:.1f} s CPU)")
    lines += [
        "",
        "The twin checks the key by its SHA-256, reads the same store, and writes the same audit rows in groups before it answers; it has no"
        " limits, log, figures or rate limit. Memory: what the processes hold for themselves, between bursts, medians of minutes"
        f" {0.2 * told['minutes']:g} to {0.4 * told['minutes']:g} and of the last fifth.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.raw:
        print(json.dumps(raw(given.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="churnml-bench-") as name:
        scratch = Path(name)
        folder = given.folder or scratch
        if not (folder / "made.json").exists():
            prepare(folder, given.customers)
        sent, load = Sent(folder), []
        told: dict[str, Any] = {"rounds": given.rounds, "swapped": given.swaps, "minutes": given.minutes}
        told |= {"customers": len(sent.ids), "columns": len(row_columns(folder))}
        load.append(os.getloadavg()[0])
        told["starts"] = starts(folder, scratch)
        say(told["starts"])
        with ours(folder, scratch) as server:
            told["peers"] = peers(server, folder, scratch, sent, given.rounds)
            load.append(os.getloadavg()[0])
            told["lists"] = lists(server, folder, sent, given.rounds)
            load.append(os.getloadavg()[0])
            before = time.perf_counter()
            told["many"] = drive(server, sent.one(), given.requests, 16)
            told["rate"] = given.requests / (time.perf_counter() - before)
            say(told["many"].statuses)
            load.append(os.getloadavg()[0])
            told["swaps"] = swaps(server, folder, sent, given.swaps)
            say(told["swaps"].statuses)
        told["soak"] = soak(folder, scratch, sent, given.minutes)
        load.append(os.getloadavg()[0])
        text = report(told | {"load": (min(load), max(load))})
    given.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

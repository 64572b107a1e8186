"""The service as its users run it: a process, started by bentoml from a built bento in an empty folder."""

import datetime as dt
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import yaml

REPOSITORY = Path(__file__).parents[2]
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


def built(folder):
    """Build the bento, and return where it lies."""
    environment = clean_environment() | {"BENTOML_HOME": str(made(folder / "home")), "BENTOML_DO_NOT_TRACK": "true"}
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [bento] = (folder / "home" / "bentos" / "churnml").glob("*/bento.yaml")
    return bento.parent


def clean_environment():
    """Return an environment in which churnml is found in the bento alone."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CHURNML_CONFIG")}


def made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def free_port():
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


class Served:
    """A running service."""

    def __init__(self, process, port, log):
        self.process, self.port, self.log_file = process, port, log
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def ask(self, method, path, key=None, **options):
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {key}"} if key else {})
        return self.http.request(method, path, headers=headers, **options)

    def score(self, key, ids, **more):
        return self.ask("POST", "/v1/score", key, json={"customer_ids": ids, **more})

    def log(self):
        return self.log_file.read_text(encoding="utf-8")

    def requests_logged(self):
        lines = [line for line in self.log().splitlines() if line.startswith('{"at"')]
        return [line for line in map(json.loads, lines) if line["event"] == "request"]

    def metrics(self):
        return self.http.get("/metrics").text

    def wait_ready(self, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log()
            try:
                if self.http.get("/readyz").status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"not ready after {seconds} s:\n{self.log()}")

    def workers(self):
        parent = psutil.Process(self.process.pid)
        return [one.pid for one in parent.children(recursive=True) if "_bentoml_impl.worker.service" in one.cmdline()]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        self.http.close()


@contextmanager
def served(bento, config, *, ready=True, environment=None, **options):
    """Run the bento for a configuration, in an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        home = made(folder / "home")
        environment = clean_environment() | (environment or {})
        environment |= {"CHURNML_CONFIG": str(config), "BENTOML_HOME": str(home)}
        where = ["--host", "127.0.0.1", "--port", str(port), "--timeout-graceful-shutdown", "13"]
        where += ["--timeout-keep-alive", "65"]
        command = [sys.executable, "-m", "bentoml", "serve", str(bento), *where]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=made(folder / "empty"), env=environment, stdout=log, stderr=subprocess.STDOUT, **options
            )
        running = Served(process, port, folder / "log")
        try:
            yield running.wait_ready() if ready else running
        finally:
            running.stop()

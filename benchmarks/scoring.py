"""Scoring a million rows against LightGBM's own predict: ``python benchmarks/scoring.py``; writes results/scoring.md.

The same boosters, the same rows. Every measurement is in a process of its own, in turns; a side has what it asks for in
memory when its clock starts (for LightGBM that is a frame whose text columns are categories already, or the finished matrix).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results" / "scoring.md"
AS_OF = "2024-07-01"
SIDES = {
    "churnml": "churnml, `score_panel`: churn, value, tiers, bands; no reasons",
    "pandas": "LightGBM, the frame handed to each booster",
    "pandas_once": "LightGBM, the frame made a matrix once",
    "numpy": "LightGBM, the matrix ready",
    "churnml_churn": "churnml, `score_panel`, churn only",
    "pandas_churn": "LightGBM, the frame handed to the churn booster",
    "numpy_churn": "LightGBM, the matrix ready, churn booster",
}
PEERS = {"churnml": ("pandas", "pandas_once", "numpy"), "churnml_churn": ("pandas_churn", "numpy_churn")}


def prepare(folder: Path, customers: int) -> None:
    """Simulate, train, and keep the panel and both bundles."""
    import churnml
    from churnml.registry import champions
    from churnml.simulator import simulate
    from churnml.snapshots.panel import Panel
    from churnml.tables.histories import open_histories
    from churnml.tiering.spend import QUARTER

    simulate(folder / "operator", customers=customers, months=18, seed=0)
    config = churnml.load_config(folder / "operator" / "churnml.yaml")
    churnml.train(config)
    with open_histories(config) as histories:
        panel = Panel(histories, [pd.Timestamp(AS_OF).date()], also=[QUARTER]).to_pandas()
    panel.to_parquet(folder / "panel.parquet")
    for name in ("churn", "value"):
        (folder / name).mkdir()
        champions.load(config, name, candidate=True).bundle.save(folder / name)


def many(folder: Path, rows: int) -> pd.DataFrame:
    """Return the panel, repeated."""
    panel = pd.read_parquet(folder / "panel.parquet")
    times = -(-rows // len(panel))
    return pd.concat([panel] * times, ignore_index=True).iloc[:rows].copy()


def work(side: str, folder: Path, rows: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what a side does, and the same on a few rows to warm it up."""
    import lightgbm as lgb

    from churnml import load_config
    from churnml.models.bundle import Bundle
    from churnml.models.churn import ChurnClassifier
    from churnml.scoring.score import Model, score_panel

    bundles = {name: Bundle.load(folder / name) for name in ("churn", "value")}
    panel = many(folder, rows)
    if side.startswith("churnml"):
        config = load_config(folder / "operator" / "churnml.yaml")
        churn = Model(bundles["churn"], 1)
        value = Model(bundles["value"], 1) if side == "churnml" else None
        return tuple(  # type: ignore[return-value]
            lambda frame=frame: score_panel(frame, config, churn, value, with_reasons=False)
            for frame in (panel, panel.head(2_000))
        )
    columns = bundles["churn"].models["churn_probability"].columns_
    boosters: list[lgb.Booster] = []
    for bundle in bundles.values():
        for model in bundle.models.values():
            assert model.columns_ == columns
            boosters += [model.booster_] if isinstance(model, ChurnClassifier) else model.boosters_.values()
    if side.endswith("_churn"):
        boosters = boosters[:1]
    if side.startswith("numpy"):
        inputs = [columns.matrix(frame[list(columns.kinds)]) for frame in (panel, panel.head(2_000))]
        del panel
    else:
        levels = {name: [*found, "any other"] for name, found in columns.levels.items()}
        for booster in boosters:
            booster.pandas_categorical = list(levels.values())
        frame = panel[list(columns.kinds)].assign(
            **{
                name: pd.Categorical(
                    panel[name].where(panel[name].isna() | panel[name].isin(found), "any other"), found
                )
                for name, found in levels.items()
            }
        )
        del panel
        inputs = [frame, frame.head(2_000)]
    once = side.startswith("pandas_once")

    def predict(given: Any) -> list[Any]:
        matrix = columns_as_matrix(given) if once else given
        return [booster.predict(matrix, num_threads=0) for booster in boosters]

    return lambda: predict(inputs[0]), lambda: predict(inputs[1])


def columns_as_matrix(frame: pd.DataFrame) -> Any:
    """Do once what LightGBM does with a frame: codes for categories, all as one array."""
    codes = {name: frame[name].cat.codes.astype(float).replace(-1, np.nan) for name in frame.select_dtypes("category")}
    return frame.assign(**codes).to_numpy(dtype=np.float64, na_value=np.nan)


def peak(*, reset: bool = False) -> float:
    """Return the peak resident memory in GB since it was last reset (Linux only)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 2**20


def measured(side: str, folder: Path, rows: int) -> dict[str, float]:
    """Measure a side in this process: seconds, and GB on top of what was there."""
    run, warm_up = work(side, folder, rows)
    warm_up()
    before_memory = peak(reset=True)
    before, started = time.process_time(), time.perf_counter()
    run()
    cpu, wall = time.process_time() - before, time.perf_counter() - started
    return {"cpu": cpu, "wall": wall, "gb": peak() - before_memory, "input": before_memory}


def measured_reasons(folder: Path, rows: int) -> dict[str, float]:
    """Measure the reasons of some rows, and LightGBM's contributions among them."""
    from churnml.models.bundle import Bundle
    from churnml.scoring.reasons import reasons

    bundle = Bundle.load(folder / "churn")
    panel = many(folder, rows)[bundle.columns]
    model: Any = bundle.models["churn_probability"]
    reasons(model, panel.head(200), bundle.facts["features"])
    matrix = model.columns_.matrix(panel)
    found = {}
    for name, run in (
        ("reasons", lambda: reasons(model, panel, bundle.facts["features"])),
        ("contributions", lambda: model.booster_.predict(matrix, pred_contrib=True, num_threads=0)),
    ):
        before, started = time.process_time(), time.perf_counter()
        run()
        found[f"{name}_cpu"] = time.process_time() - before
        found[f"{name}_wall"] = time.perf_counter() - started
    return found


def in_child(side: str, folder: Path, rows: int) -> dict[str, float]:
    """Run one side in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--side", side, "--folder", str(folder), "--rows", str(rows)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def agree(folder: Path) -> float:
    """Return the largest relative difference of the churn scores from what LightGBM's numbers come to."""
    from churnml.models.bundle import Bundle

    scores, _ = (part() for part in work("churnml", folder, 30_000))
    raw, *_ = work("pandas", folder, 30_000)[0]()
    model: Any = Bundle.load(folder / "churn").models["churn_probability"]
    return float((np.abs(scores["churn_probability"] / model.calibrator_(raw) - 1)).max())


def report(runs: dict[str, list[dict[str, float]]], told: dict[str, Any]) -> str:
    """Write the table."""
    middle = {side: {key: median(run[key] for run in found) for key in found[0]} for side, found in runs.items()}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("lightgbm", "pandas", "numpy"))
    lines = [
        "# Scoring",
        "",
        f"{told['rows']:,} rows, {told['columns']} features ({told['panel']:,} customers of a simulated operator, repeated); {told['boosters']}."
        f" Medians of {told['repeats']} runs in turns, each in a process of its own; {os.cpu_count()} shared cores, {memory:.0f} GB,"
        f" Python {platform.python_version()}, {versions}. Largest relative difference of a probability: {told['difference']:.0e}.",
        "",
        "*Peak*: memory on top of the input. Ratios are medians of churnml over the peer, run by run.",
        "",
        "| | CPU s | wall s | peak GB | CPU of churnml against it | wall of churnml against it |",
        "|---|---|---|---|---|---|",
    ]
    ratios = {}
    for side, text in SIDES.items():
        found = middle[side]
        ours = next((name for name, peers in PEERS.items() if side in peers), None)
        cells = ["", ""]
        if ours:
            pairs = list(zip(runs[ours], runs[side], strict=True))
            ratios[side] = [median(mine[key] / peer[key] for mine, peer in pairs) for key in ("cpu", "wall")]
            cells = [f"{ratio:.2f}" for ratio in ratios[side]]
        lines.append(
            f"| {text} | {found['cpu']:.1f} | {found['wall']:.1f} | {found['gb']:.2f} | {cells[0]} | {cells[1]} |"
        )
    goal = max(ratios["pandas"])
    lines += [
        "",
        f"Goal {'held' if goal <= 1.2 else 'missed'}: at most 1.2 times LightGBM given the same frame ({goal:.2f}).",
    ]
    few = told["reasons"]
    each = {key: median(run[key] for run in few) / told["reasons_rows"] * 1_000 for key in few[0]}
    lines += [
        "",
        f"Reasons of {told['reasons_rows']:,} rows, seconds per 1,000 rows: {each['reasons_cpu']:.2f} CPU, {each['reasons_wall']:.2f} wall; of"
        f" these LightGBM's own contributions {each['contributions_cpu']:.2f} CPU, {each['contributions_wall']:.2f} wall.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every side some times, in turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--reasons-rows", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    if given.side:
        call = measured_reasons if given.side == "reasons" else lambda *rest: measured(given.side, *rest)
        print(json.dumps(call(given.folder, given.rows)))
        return
    with tempfile.TemporaryDirectory(prefix="churnml-bench-") as scratch:
        folder = given.folder or Path(scratch)
        if not (folder / "panel.parquet").exists():
            prepare(folder, given.customers)
        runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        few = []
        for number in range(given.repeats):
            for side, found in runs.items():
                found.append(in_child(side, folder, given.rows))
            few.append(in_child("reasons", folder, given.reasons_rows))
            print(number, {side: found[-1] for side, found in runs.items()}, few[-1], flush=True)
        told = {"rows": given.rows, "repeats": given.repeats, "reasons": few, "reasons_rows": given.reasons_rows}
        text = report(runs, told | shape(folder) | {"difference": agree(folder)})
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


def shape(folder: Path) -> dict[str, Any]:
    """Tell how large panel and boosters are."""
    from churnml.models.bundle import Bundle

    bundles = [Bundle.load(folder / name) for name in ("churn", "value")]
    models: Any = [model for bundle in bundles for model in bundle.models.values()]
    boosters = {"churn": models[0].booster_}
    for name, model in zip(("expected value", "value if stays"), models[1:], strict=True):
        boosters |= {f"{name}, {part}": booster for part, booster in model.boosters_.items()}
    told = [f"{name} {found.num_trees()} trees" for name, found in boosters.items()]
    panel = pd.read_parquet(folder / "panel.parquet", columns=["customer_id"])
    return {"panel": len(panel), "columns": len(bundles[0].columns), "boosters": "; ".join(told)}


if __name__ == "__main__":
    main()

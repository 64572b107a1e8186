"""Core features on Spark: churnml against two-stage PySpark written by hand, on one and on two cores.

``python benchmarks/spark.py`` writes benchmarks/results/spark.md. Every run has a process and a session of its own; both
are started before the clock. CPU is that of Python and of the JVM. Both sides read the same Parquet files, compute
the same columns as of one date and write Parquet. The first run of churnml reads every row once more, to check it;
later runs find the files unchanged. The whole catalogue of the same two tables is stated beside it.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from statistics import median
from unittest import mock

import features as core

SIDES = {
    "first": "churnml, first run: every row is checked",
    "churnml": "churnml, files unchanged since",
    "engine": "churnml, tables opened before the clock",
    "hand": "PySpark by hand",
    "all": "churnml, whole catalogue",
}


def by_hand(session, folder: Path, out: Path) -> None:
    """Compute the core in two stages: rows into (customer, interval), intervals into windows."""
    from pyspark.sql import functions as F  # noqa: N812

    end = F.lit(core.AS_OF).cast("timestamp_ntz")
    edges = (7, 30, 90, 152, 180, 730)  # 152: days are bits of a bigint
    usage = session.read.parquet(str(folder / "usage.parquet"))
    usage = usage.where((F.col("used_at") < end) & (F.col("used_at") >= end - F.expr("INTERVAL 730 DAY")))
    interval = F.lit(None)
    for number, edge in reversed(list(enumerate(edges))):
        interval = F.when(F.col("used_at") >= end - F.expr(f"INTERVAL {edge} DAY"), number).otherwise(interval)
    day = F.unix_date(F.col("used_at").cast("date"))
    stage = usage.groupBy("customer_id", interval.alias("k")).agg(
        *(F.sum(name).alias(name) for name in core.MEASURES),
        F.bit_or(F.expr("shiftleft(1L, unix_date(cast(used_at as date)) % 62)")).alias("d"),
        F.max(day).alias("last"),
    )
    k = {days: F.col("k") <= edges.index(days) for days in core.WINDOWS}

    def summed(name: str, days: int):
        return F.sum(F.when(k[days], F.col(name)))

    merged = stage.groupBy("customer_id").agg(
        *(
            F.coalesce(summed(n, w), F.lit(0)).cast("double").alias(f"usage_{n}_sum_{w}d")
            for n in core.MEASURES
            for w in k
        ),
        *(
            F.when(summed(n, 90) > 1e-6, F.coalesce(summed(n, 30), F.lit(0)) / 30 / (summed(n, 90) / 90)).alias(
                f"usage_{n}_trend_30d_90d"
            )
            for n in core.MEASURES
        ),
        *(F.coalesce(F.sum(F.when(k[w], F.bit_count("d"))), F.lit(0)).alias(f"usage_active_days_{w}d") for w in k),
        (F.unix_date(F.lit(core.AS_OF).cast("date")) - F.max("last")).alias("usage_days_since_last"),
    )
    customers = session.read.parquet(str(folder / "customers.parquet"))
    there = (F.col("signed_up_at") < end) & (F.col("churned_at").isNull() | (F.col("churned_at") >= end))
    joined = customers.where(there).select("customer_id").join(merged, "customer_id", "left")
    joined.write.mode("overwrite").parquet(str(out))


def measured(side: str, cores: int, folder: Path) -> dict[str, float]:
    """Run one side in this process; return CPU and wall seconds once the session is there."""
    import psutil
    from pyspark.sql import SparkSession

    import churnml
    from churnml.api import histories  # noqa: F401 - imports are left out of both
    from churnml.config import load_config
    from churnml.feature_extraction.catalogue import catalogue_of
    from churnml.snapshots.spark_panel import SparkPanel
    from churnml.tables.spark import open_on_spark

    builder = SparkSession.builder.master(f"local[{cores}]").config("spark.driver.memory", "4g")
    for key, value in {
        "ui.enabled": "false",
        "sql.shuffle.partitions": 2 * cores,
        "ui.showConsoleProgress": "false",
    }.items():
        builder = builder.config(f"spark.{key}", value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    session.range(10).count()
    out = folder / f"{side}.panel"
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    wanted = set(core.core())
    chosen = (
        catalogue_of if side == "all" else lambda *given: [one for one in catalogue_of(*given) if one.name in wanted]
    )
    config = load_config(folder / "churnml.yaml")
    with mock.patch("churnml.snapshots.panel.catalogue_of", chosen), ExitStack() as stack:
        if side == "engine":
            panel = SparkPanel(stack.enter_context(open_on_spark(config)), [date.fromisoformat(core.AS_OF)])
        else:
            shutil.rmtree(out, ignore_errors=True)
        before, started = cpu_of(processes), time.perf_counter()
        if side == "hand":
            by_hand(session, folder, out)
        elif side == "engine":
            panel.frame_at(panel.dates[0])[0].write.mode("overwrite").parquet(str(out))
        else:
            churnml.features(config, core.AS_OF, out=out, engine="spark")
        cpu, wall = cpu_of(processes) - before, time.perf_counter() - started
    session.stop()
    return {"cpu": cpu, "wall": wall}


def cpu_of(processes: list) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def in_child(side: str, cores: int, folder: Path) -> dict[str, float]:
    """Run one side in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--side", side, "--cores", str(cores), "--folder", str(folder)]
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable}
    shown = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    return json.loads(shown.stdout.splitlines()[-1])


def largest_difference(folder: Path) -> float:
    """Return the largest relative difference between the two sides' numbers; raise where their nulls differ."""
    import pandas as pd

    ours, theirs = (
        pd.read_parquet(folder / f"{side}.panel").set_index("customer_id")[core.core()].astype(float)
        for side in ("churnml", "hand")
    )
    ours = ours.loc[theirs.index]
    if not (ours.isna() == theirs.isna()).all(axis=None):
        raise SystemExit("the two sides differ in nulls")
    return float(((ours - theirs).abs() / theirs.abs().clip(lower=1)).max(axis=None))


def main() -> None:
    """Measure every side some times, in turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--cores", type=int)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--size", choices=list(core.SIZES), default="whole")
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measured(arguments.side, arguments.cores, arguments.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="churnml-bench-") as scratch:
        folder = arguments.folder or Path(scratch)
        if not (folder / "usage.parquet").exists():
            core.generate(folder, *core.SIZES[arguments.size])
        runs = {(cores, side): [] for cores in (1, 2) for side in SIDES}
        for _ in range(arguments.repeats):
            for (cores, side), found in runs.items():
                if side == "first":
                    (folder / "state" / "unchanged.json").unlink(missing_ok=True)
                found.append(in_child(side, cores, folder))
                print(cores, side, found[-1], file=sys.stderr, flush=True)
        report(runs, largest_difference(folder), *core.SIZES[arguments.size])


def report(runs: dict, difference: float, customers: int, rows: int) -> None:
    """Write the results table."""
    middle = {
        key: {what: median(run[what] for run in found) for what in ("cpu", "wall")} for key, found in runs.items()
    }
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    lines = [
        "# Core features on Spark, one date",
        "",
        f"{customers:,} customers, {rows:,} usage rows, {len(core.core())} columns, medians of"
        f" {len(runs[1, 'hand'])} runs in turns; {os.cpu_count()} cores shared with other work, {memory:.0f} GB, Python"
        f" {platform.python_version()}. Largest relative difference of any number: {difference:.0e}.",
        "",
        "| | local | CPU s | wall s | CPU against hand | wall against hand | wall, one core against two |",
        "|---|---|---|---|---|---|---|",
    ]
    for (cores, side), found in middle.items():
        hand, one, two = middle[cores, "hand"], middle[1, side], middle[2, side]
        lines.append(
            f"| {SIDES[side]} | [{cores}] | {found['cpu']:.1f} | {found['wall']:.1f} | {found['cpu'] / hand['cpu']:.2f} |"
            f" {found['wall'] / hand['wall']:.2f} | {one['wall'] / two['wall']:.2f} |"
        )
    target = Path(__file__).parent / "results" / "spark.md"
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""Core features of a large operator: churnml against hand-written two-stage DuckDB SQL of the same columns.

Run it with ``make bench``; it writes benchmarks/results/features.md. Both sides run in processes of their own, read the
same Parquet files, compute every core feature as of one date and write one Parquet file; the CPU time of imports is
left out of both. The first run of churnml reads every row once more, to check it; later runs find the files unchanged.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

CUSTOMERS, ROWS = 200_000, 40_000_000
AS_OF = "2024-01-15"
WINDOWS = (7, 30, 90, 180)
MEASURES = ("voice_minutes", "sms_count", "data_mb", "roaming_minutes", "dropped_calls")


def generate(folder: Path) -> None:
    """Write customers and usage: some 200 rows each over 400 days, several a day now and then."""
    import duckdb

    con = duckdb.connect()
    con.execute("SET preserve_insertion_order = false")
    con.execute(f"""
        COPY (SELECT 'C' || lpad(i::VARCHAR, 7, '0') AS customer_id,
                     TIMESTAMP '2021-01-01' + to_days((hash(i, 's') % 700)::INT) AS signed_up_at,
                     NULL::TIMESTAMP AS churned_at
              FROM range({CUSTOMERS}) t(i)) TO '{folder}/customers.parquet'""")
    con.execute(f"""
        COPY (SELECT 'C' || lpad((hash(k, 'c') % {CUSTOMERS})::VARCHAR, 7, '0') AS customer_id,
                     TIMESTAMP '2023-01-01' + to_seconds((k // {ROWS // 100}) * 345600 + (hash(k) % 345600)::INT) AS used_at,
                     (hash(k, 'v') % 1000) / 10.0 AS voice_minutes, (hash(k, 'x') % 20)::INT AS sms_count,
                     (hash(k, 'd') % 100000) / 100.0 AS data_mb, (hash(k, 'r') % 100) / 10.0 AS roaming_minutes,
                     (hash(k, 'p') % 4)::INT AS dropped_calls
              FROM range({ROWS}) t(k)) TO '{folder}/usage.parquet' (COMPRESSION zstd)""")
    (folder / "churnml.yaml").write_text(
        "tables:\n  customers: {path: customers.parquet}\n  usage: {path: usage.parquet}\nlabel: {mode: terminated}\n"
    )


def hand_written(folder: Path, *, distinct: bool) -> str:
    """Return two-stage SQL of the same columns, days counted as bits of an integer or by count(DISTINCT)."""
    end = f"TIMESTAMP '{AS_OF}'"
    edges = (*WINDOWS, 730) if distinct else (7, 30, 90, 152, 180, 730)
    interval = " ".join(f"WHEN used_at >= {end} - INTERVAL {edge} DAY THEN {n}" for n, edge in enumerate(edges))
    inside = {window: edges.index(window) for window in WINDOWS}
    day = "(CAST(used_at AS DATE) - DATE '1970-01-01')"
    days, count = (
        (f"count(DISTINCT {day})", "d") if distinct else (f"bit_or(1::BIGINT << ({day} % 62))", "bit_count(d)")
    )
    partial = ", ".join(f"sum({name}) AS {name}" for name in MEASURES)
    sums = [
        f"coalesce(sum({name}) FILTER (k <= {number}), 0)::DOUBLE AS usage_{name}_sum_{window}d"
        for name in MEASURES
        for window, number in inside.items()
    ]
    trends = [
        f"CASE WHEN sum({name}) FILTER (k <= {inside[90]}) > 1e-6 THEN coalesce(sum({name}) FILTER (k <= {inside[30]}), 0)"
        f" / 30 / (sum({name}) FILTER (k <= {inside[90]}) / 90) END AS usage_{name}_trend_30d_90d"
        for name in MEASURES
    ]
    active = [
        f"coalesce(sum({count}) FILTER (k <= {number}), 0)::BIGINT AS usage_active_days_{window}d"
        for window, number in inside.items()
    ]
    return f"""
        WITH stage AS (
            SELECT customer_id, CASE {interval} END AS k, {partial}, {days} AS d, max({day}) AS last
            FROM '{folder}/usage.parquet'
            WHERE used_at < {end} AND used_at >= {end} - INTERVAL 730 DAY
            GROUP BY 1, 2),
        merged AS (
            SELECT customer_id, {", ".join([*sums, *trends, *active])},
                   (DATE '{AS_OF}' - DATE '1970-01-01') - max(last) AS usage_days_since_last
            FROM stage GROUP BY 1)
        SELECT customers.customer_id, DATE '{AS_OF}' AS as_of, merged.* EXCLUDE (customer_id)
        FROM '{folder}/customers.parquet' AS customers LEFT JOIN merged USING (customer_id)
        WHERE signed_up_at < {end} AND (churned_at IS NULL OR churned_at >= {end})
        ORDER BY 1"""


def measured(side: str, folder: Path) -> dict[str, float]:
    """Run one side in this process; return CPU and wall seconds without imports, and the peak memory in GB."""
    import duckdb
    import pyarrow.parquet  # noqa: F401

    out = folder / f"{side}.parquet"
    if side == "churnml":
        import ibis

        import churnml

        ibis.duckdb.connect().disconnect()
    before, started = time.process_time(), time.perf_counter()
    if side == "churnml":
        churnml.features(folder / "churnml.yaml", AS_OF, out=out)
    else:
        con = duckdb.connect()
        con.execute("SET preserve_insertion_order = false")
        con.execute(f"COPY ({hand_written(folder, distinct=side == 'distinct')}) TO '{out}' (COMPRESSION zstd)")
    cpu, wall = time.process_time() - before, time.perf_counter() - started
    return {"cpu": cpu, "wall": wall, "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def in_child(side: str, folder: Path) -> dict[str, float]:
    """Run one side in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--side", side, "--folder", str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def largest_difference(folder: Path) -> float:
    """Return the largest relative difference between the two sides' numbers; raise where their nulls differ."""
    import pandas as pd

    ours, theirs = (
        pd.read_parquet(folder / f"{side}.parquet").set_index("customer_id") for side in ("churnml", "bits")
    )
    columns = [name for name in theirs.columns if name.startswith("usage_")]
    ours, theirs = ours.loc[theirs.index, columns].astype(float), theirs[columns].astype(float)
    if not (ours.isna() == theirs.isna()).all(axis=None):
        raise SystemExit("the two sides differ in nulls")
    return float(((ours - theirs).abs() / theirs.abs().clip(lower=1)).max(axis=None))


def main() -> None:
    """Measure every side some times, in turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measured(arguments.side, arguments.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="churnml-bench-") as scratch:
        folder = arguments.folder or Path(scratch)
        if not (folder / "usage.parquet").exists():
            generate(folder)
        runs: dict[str, list[dict[str, float]]] = {"first": [], "churnml": [], "bits": [], "distinct": []}
        for _ in range(arguments.repeats):
            (folder / "state" / "unchanged.json").unlink(missing_ok=True)
            runs["first"].append(in_child("churnml", folder))
            for side in ("churnml", "bits", "distinct"):
                runs[side].append(in_child(side, folder))
        report(runs, largest_difference(folder))


def report(runs: dict[str, list[dict[str, float]]], difference: float) -> None:
    """Write the results table."""
    names = {
        "first": "churnml, first run: every row is checked",
        "churnml": "churnml, files unchanged since",
        "bits": "hand-written SQL, days as bits",
        "distinct": "hand-written SQL, count(DISTINCT day)",
    }
    middle = {side: {key: median(run[key] for run in found) for key in found[0]} for side, found in runs.items()}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    lines = [
        "# Core features, one date",
        "",
        f"{CUSTOMERS:,} customers, {ROWS:,} usage rows, medians of {len(runs['bits'])} runs in turns; {os.cpu_count()} cores,"
        f" {memory:.0f} GB, Python {platform.python_version()}. Largest relative difference of any number: {difference:.0e}.",
        "",
        "| | CPU s | wall s | peak GB | CPU against bits | CPU against DISTINCT |",
        "|---|---|---|---|---|---|",
    ]
    for side, text in names.items():
        found = middle[side]
        ratios = [found["cpu"] / middle[peer]["cpu"] for peer in ("bits", "distinct")]
        lines.append(
            f"| {text} | {found['cpu']:.1f} | {found['wall']:.1f} | {found['gb']:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"
        )
    target = Path(__file__).parent / "results" / "features.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

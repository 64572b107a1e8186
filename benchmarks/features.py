"""Features of a large operator: churnml against twins written by hand in DuckDB's SQL, polars and pandas.

``make bench`` writes benchmarks/results/features.md. Every side runs in a process of its own, reads the same Parquet
files, computes the same core columns as of one date and writes one Parquet file; the CPU time of imports is left out of
all. The first run of churnml reads every row once more, to check it; later runs find the files unchanged. The whole
catalogue of these two tables, ten times fewer rows, and (``--huge``) a million customers stand beside it.
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
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from unittest import mock

AS_OF = "2024-01-15"
WINDOWS = (7, 30, 90, 180)
MEASURES = ("voice_minutes", "sms_count", "data_mb", "roaming_minutes", "dropped_calls")
SIZES = {"tenth": (20_000, 4_000_000), "whole": (200_000, 40_000_000), "huge": (1_000_000, 200_000_000)}
SIDES = {
    "first": "churnml, first run: every row is checked",
    "churnml": "churnml, files unchanged since",
    "bits": "DuckDB's SQL by hand, days as bits",
    "distinct": "DuckDB's SQL by hand, count(DISTINCT day)",
    "polars": "polars by hand, streaming",
    "pandas": "pandas by hand",
    "all": "churnml, whole catalogue",
    "bounded": "churnml, whole catalogue, DuckDB held to 3 GB",
}
BY_HAND = ("bits", "distinct", "polars", "pandas")


def core() -> list[str]:
    """Return the columns that every side computes."""
    sums = [f"usage_{name}_sum_{days}d" for name in MEASURES for days in WINDOWS]
    trends = [f"usage_{name}_trend_30d_90d" for name in MEASURES]
    return [*sums, *trends, *(f"usage_active_days_{days}d" for days in WINDOWS), "usage_days_since_last"]


def generate(folder: Path, customers: int, rows: int) -> None:
    """Write customers and usage: some 200 rows each over 400 days, several a day now and then."""
    import duckdb

    con = duckdb.connect()
    con.execute("SET preserve_insertion_order = false")
    con.execute(f"""
        COPY (SELECT 'C' || lpad(i::VARCHAR, 7, '0') AS customer_id,
                     TIMESTAMP '2021-01-01' + to_days((hash(i, 's') % 700)::INT) AS signed_up_at,
                     NULL::TIMESTAMP AS churned_at
              FROM range({customers}) t(i)) TO '{folder}/customers.parquet'""")
    con.execute(f"""
        COPY (SELECT 'C' || lpad((hash(k, 'c') % {customers})::VARCHAR, 7, '0') AS customer_id,
                     TIMESTAMP '2023-01-01' + to_seconds((k // {rows // 100}) * 345600 + (hash(k) % 345600)::INT) AS used_at,
                     (hash(k, 'v') % 1000) / 10.0 AS voice_minutes, (hash(k, 'x') % 20)::INT AS sms_count,
                     (hash(k, 'd') % 100000) / 100.0 AS data_mb, (hash(k, 'r') % 100) / 10.0 AS roaming_minutes,
                     (hash(k, 'p') % 4)::INT AS dropped_calls
              FROM range({rows}) t(k)) TO '{folder}/usage.parquet' (COMPRESSION zstd)""")
    (folder / "churnml.yaml").write_text(
        "tables:\n  customers: {path: customers.parquet}\n  usage: {path: usage.parquet}\nlabel: {mode: terminated}\n"
    )


def sql_by_hand(folder: Path, *, distinct: bool) -> str:
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


def polars_by_hand(folder: Path, out: Path) -> None:
    """Compute the core in two stages: rows into (customer, interval), intervals into windows."""
    import polars as pl

    end, k = pl.lit(date.fromisoformat(AS_OF)).cast(pl.Datetime), pl.col("k")
    interval = pl.when(pl.col("used_at") >= end - timedelta(WINDOWS[0])).then(0)
    for number, window in enumerate(WINDOWS[1:], 1):
        interval = interval.when(pl.col("used_at") >= end - timedelta(window)).then(number)
    inside = {window: k <= number for number, window in enumerate(WINDOWS)}
    day = pl.col("used_at").dt.date()
    stage = (
        pl.scan_parquet(folder / "usage.parquet")
        .filter(pl.col("used_at") < end, pl.col("used_at") >= end - timedelta(730))
        .group_by("customer_id", interval.otherwise(len(WINDOWS)).alias("k"))
        .agg(*(pl.col(name).sum() for name in MEASURES), day.n_unique().alias("days"), day.max().alias("last"))
    )
    sums = {(name, w): pl.col(name).filter(inside[w]).sum() for name in MEASURES for w in WINDOWS}
    merged = stage.group_by("customer_id").agg(
        *(total.cast(pl.Float64).alias(f"usage_{name}_sum_{w}d") for (name, w), total in sums.items()),
        *(
            pl.when(sums[name, 90] > 1e-6)
            .then((sums[name, 30] / 30) / (sums[name, 90] / 90))
            .alias(f"usage_{name}_trend_30d_90d")
            for name in MEASURES
        ),
        *(pl.col("days").filter(inside[w]).sum().cast(pl.Int64).alias(f"usage_active_days_{w}d") for w in WINDOWS),
        (end.dt.date() - pl.col("last").max()).dt.total_days().alias("usage_days_since_last"),
    )
    there = (pl.col("signed_up_at") < end) & (pl.col("churned_at").is_null() | (pl.col("churned_at") >= end))
    customers = pl.scan_parquet(folder / "customers.parquet").filter(there).select("customer_id")
    rows = customers.join(merged, "customer_id", "left").sort("customer_id").collect(engine="streaming")
    rows.write_parquet(out)


def pandas_by_hand(folder: Path, out: Path) -> None:
    """Compute the core in two stages, as polars does; texts are read as categories."""
    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq

    end = pd.Timestamp(AS_OF)
    known = [("used_at", "<", end), ("used_at", ">=", end - pd.Timedelta(days=730))]
    read = pq.read_table(folder / "usage.parquet", filters=known, read_dictionary=["customer_id"])
    usage = read.to_pandas(self_destruct=True, split_blocks=True)
    del read
    usage["day"] = usage["used_at"].dt.normalize()
    age = (end - usage.pop("used_at")).to_numpy()
    usage["k"] = np.searchsorted(np.array(WINDOWS, dtype="timedelta64[D]").astype(age.dtype), age).astype("int8")
    grouped = usage.groupby(["customer_id", "k"], observed=True, sort=False)
    stage = grouped[list(MEASURES)].sum()
    stage["last"] = grouped["day"].max()
    days = usage.drop_duplicates(["customer_id", "k", "day"]).groupby(["customer_id", "k"], observed=True, sort=False)
    stage["days"] = days.size()
    stage = stage.reset_index()
    found = {}
    for number, window in enumerate(WINDOWS):
        totals = (
            stage[stage["k"] <= number].groupby("customer_id", observed=False, sort=False)[[*MEASURES, "days"]].sum()
        )
        found |= {f"usage_{name}_sum_{window}d": totals[name].astype(float) for name in MEASURES}
        found[f"usage_active_days_{window}d"] = totals["days"].astype("int64")
    for name in MEASURES:
        base = found[f"usage_{name}_sum_90d"]
        trend = (found[f"usage_{name}_sum_30d"] / 30) / (base / 90)
        found[f"usage_{name}_trend_30d_90d"] = trend.where(base > 1e-6)
    found["usage_days_since_last"] = (
        end - stage.groupby("customer_id", observed=False, sort=False)["last"].max()
    ).dt.days
    merged = pd.DataFrame(found)
    merged.index = merged.index.astype(str)
    customers = pd.read_parquet(folder / "customers.parquet")
    there = (customers["signed_up_at"] < end) & (customers["churned_at"].isna() | (customers["churned_at"] >= end))
    rows = customers.loc[there, ["customer_id"]].merge(merged, how="left", left_on="customer_id", right_index=True)
    rows.sort_values("customer_id").to_parquet(out)


def measured(side: str, folder: Path) -> dict[str, float]:
    """Run one side in this process; return CPU and wall seconds without imports, and the peak memory in GB."""
    import duckdb
    import pyarrow.dataset
    import pyarrow.parquet

    out = folder / f"{side}.parquet"
    if side in ("churnml", "all", "bounded"):
        import ibis

        import churnml
        from churnml.api import histories  # noqa: F401
        from churnml.config import load_config
        from churnml.feature_extraction import catalogue
        from churnml.snapshots import panel

        ibis.duckdb.connect().disconnect()
        ours, wanted = catalogue.catalogue_of, set(core())
        chosen = ours if side != "churnml" else lambda *given: [one for one in ours(*given) if one.name in wanted]
        limit = {"memory_limit": "3GB"} if side == "bounded" else {}
        bounded = mock.patch.object(ibis.duckdb, "connect", partial(ibis.duckdb.connect, **limit))
        with bounded, mock.patch.object(panel, "catalogue_of", chosen):
            found = timed(lambda: churnml.features(folder / "churnml.yaml", AS_OF, out=out))
        there = {"customers", "usage"}  # features of other tables are null
        layout = catalogue.layout_of(load_config(folder / "churnml.yaml"), {"usage": dict.fromkeys(MEASURES, "number")})
        own = {one.name for one in catalogue.catalogue(layout) if one.source in there}
        return found | {"columns": len(own & set(pyarrow.parquet.read_schema(out).names))}
    if side == "polars":
        import polars

        polars.LazyFrame({"a": [1]}).collect(engine="streaming")
        return timed(lambda: polars_by_hand(folder, out))
    if side == "pandas":
        import pandas  # noqa: F401

        return timed(lambda: pandas_by_hand(folder, out))
    con = duckdb.connect()
    con.execute("SET preserve_insertion_order = false")
    query = sql_by_hand(folder, distinct=side == "distinct")
    return timed(lambda: con.execute(f"COPY ({query}) TO '{out}' (COMPRESSION zstd)"))


def timed(work) -> dict[str, float]:
    """Return the CPU and wall seconds of some work, and the peak memory of this process so far in GB."""
    before, started = time.process_time(), time.perf_counter()
    work()
    cpu, wall = time.process_time() - before, time.perf_counter() - started
    return {"cpu": cpu, "wall": wall, "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def in_child(side: str, folder: Path) -> dict[str, float]:
    """Run one side in a process of its own."""
    if side == "first":
        (folder / "state" / "unchanged.json").unlink(missing_ok=True)
    command = [sys.executable, "-W", "ignore", __file__, "--side", "churnml" if side == "first" else side]
    shown = subprocess.run([*command, "--folder", str(folder)], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(shown.splitlines()[-1])


def differences(folder: Path) -> float:
    """Return the largest relative difference between churnml's numbers and another's; raise where nulls differ."""
    import pandas as pd

    names = core()
    ours, *others = (
        pd.read_parquet(folder / f"{side}.parquet").set_index("customer_id")[names].astype(float).sort_index()
        for side in ("churnml", *BY_HAND, "all")
    )
    for theirs in others:
        if not (ours.isna() == theirs.isna()).all(axis=None):
            raise SystemExit("two sides differ in nulls")
    return max(float(((ours - theirs).abs() / theirs.abs().clip(lower=1)).max(axis=None)) for theirs in others)


def main() -> None:
    """Measure every side some times, in turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--huge", action="store_true", help="a million customers, too: 3 GB of files")
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measured(arguments.side, arguments.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="churnml-bench-") as scratch:
        found, difference = {}, 0.0
        for size, (customers, rows) in SIZES.items():
            if size == "huge" and not arguments.huge:
                continue
            folder = (arguments.folder or Path(scratch)) / size
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "usage.parquet").exists():
                generate(folder, customers, rows)
            sides = [side for side in SIDES if size == "whole" or side not in BY_HAND]
            sides = sides if size == "huge" else sides[:-1]
            runs = {side: [] for side in sides}
            for _ in range(1 if size == "huge" else arguments.repeats):
                for side in sides:
                    runs[side].append(in_child(side, folder))
                    print(size, side, runs[side][-1], file=sys.stderr, flush=True)
            found[size] = {
                side: {what: median(run[what] for run in done) for what in done[0]} for side, done in runs.items()
            }
            if size == "whole":
                difference = differences(folder)
    report(found, arguments.repeats, difference)


def report(found: dict, repeats: int, difference: float) -> None:
    """Write the results tables."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    customers, rows = SIZES["whole"]
    lines = [
        "# Features, one date",
        "",
        f"{customers:,} customers, {rows:,} usage rows, {len(core())} columns, medians of {repeats} runs in turns;"
        f" {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}. Largest relative difference of any"
        f" number between any two sides: {difference:.0e}.",
        "",
        "| | CPU s | wall s | peak GB | " + " | ".join(f"CPU against {peer}" for peer in BY_HAND) + " |",
        "|---|---|---|---|" + "---|" * len(BY_HAND),
    ]
    whole = found["whole"]
    for side, one in whole.items():
        ratios = [] if side == "all" else [f"{one['cpu'] / whole[peer]['cpu']:.2f}" for peer in BY_HAND]
        cells = [f"{one['cpu']:.1f}", f"{one['wall']:.1f}", f"{one['gb']:.2f}", *(ratios or [""] * len(BY_HAND))]
        lines.append(f"| {SIDES[side]} | {' | '.join(cells)} |")
    more, fewer = whole["all"], whole["churnml"]
    lines += [
        "",
        f"The whole catalogue of these two tables has {more['columns'] / fewer['columns']:.2f} times the columns"
        f" ({more['columns']:.0f} against {fewer['columns']:.0f}) and takes {more['cpu'] / fewer['cpu']:.2f} times the CPU.",
        "",
        "| customers | usage rows | | columns | CPU s | wall s | peak GB | CPU for ten times the rows | memory for ten times |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for size, sides in found.items():
        customers, rows = SIZES[size]
        for side in (side for side in sides if side not in BY_HAND):
            one, few = sides[side], found["tenth"].get(side)
            cells = [f"{one['columns']:.0f}", *(f"{one[what]:.2f}" for what in ("cpu", "wall", "gb"))]
            cells += [f"{one[what] / few[what]:.2f}" for what in ("cpu", "gb")] if size == "whole" else ["", ""]
            lines.append(f"| {customers:,} | {rows:,} | {SIDES[side]} | {' | '.join(cells)} |")
    target = Path(__file__).parent / "results" / "features.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

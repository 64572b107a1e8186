"""Measure how long the simulator takes, and what it needs: ``python benchmarks/simulator.py``."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

import pyarrow as pa

RESULTS = Path(__file__).parent / "results" / "simulator.md"


def measure(customers: int, months: int) -> dict[str, float]:
    """Simulate once in this process."""
    from churnml.simulator import simulate

    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        started = time.perf_counter()
        summary = simulate(out, customers=customers, months=months, seed=0)
        seconds = time.perf_counter() - started
        sizes = {kind: sum(f.stat().st_size for f in (out / kind).rglob("*.parquet")) for kind in ("tables", "truth")}
    return {
        "seconds": seconds,
        "rows": sum(summary.rows.values()),
        "usage": summary.rows["usage"],
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        **{kind: size / 2**20 for kind, size in sizes.items()},
    }


def main() -> None:
    """Measure a small and a large operator, each in a process of its own, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 20_000, 100_000])
    parser.add_argument("--months", type=int, default=18)
    given = parser.parse_args()
    lines = [
        "# The simulator's speed",
        "",
        f"{os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB, "
        f"pyarrow {pa.__version__}; {given.months} months, written to the temporary folder.",
        "",
        "| customers | seconds | rows | of which usage | peak memory GB | tables MB | truth MB |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for customers in given.sizes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(measure, (customers, given.months))
        print(json.dumps({"customers": customers, **found}))
        lines.append(
            f"| {customers:,} | {found['seconds']:.1f} | {found['rows']:,} | {found['usage']:,} "
            f"| {found['memory']:.2f} | {found['tables']:,.0f} | {found['truth']:,.0f} |"
        )
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

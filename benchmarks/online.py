"""One customer's features within a request: the online engine against the same declarations run by DuckDB.

``python benchmarks/online.py`` writes benchmarks/results/online.md. A simulated customer with 365 usage rows in the year
before T and whatever bills, complaints, surveys, ... came with it; every feature of the catalogue; CPU time of one thread.
"""

import datetime as dt
import json
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import churnml
from churnml.config import load_config
from churnml.feature_extraction import sent
from churnml.feature_extraction.catalogue import ROW_CONTEXT, columns_of
from churnml.feature_extraction.online import Online
from churnml.snapshots.panel import Panel
from churnml.tables.histories import open_histories

T, CALLS, ROWS = dt.date(2024, 3, 1), 1_000, 365


def customer_of(config, folder: Path) -> tuple[dict, dict[str, list[dict]]]:
    """Return the row of a long-standing customer, and the rows that somebody would send, as JSON has them."""
    tables = {
        name: pd.concat(pd.read_parquet(file) for file in sorted(folder.glob(source.path)))
        for name, source in config.tables.given().items()
    }
    usage = tables["usage"][lambda rows: rows["used_at"] < pd.Timestamp(T)]
    count = usage["customer_id"].value_counts()
    people = tables["customers"][lambda rows: rows["churned_at"].isna()].set_index("customer_id")
    complaints = tables["complaints"]["customer_id"].value_counts()
    [who, *_] = [one for one in complaints.index if one in people.index and count.get(one, 0) >= ROWS]
    rows = {name: table[table["customer_id"] == who] for name, table in tables.items() if name != "customers"}
    rows["usage"] = usage[usage["customer_id"] == who].sort_values("used_at").tail(ROWS)
    plain = {name: json.loads(table.to_json(orient="records", date_format="iso")) for name, table in rows.items()}
    person = people.loc[who].astype(object)
    return {"customer_id": who, **person.where(person.notna(), None)}, plain


def timed(work) -> tuple[float, float]:
    """Return the median and the 99th percentile of the CPU milliseconds of some work."""
    found = []
    for _ in range(CALLS):
        before = time.thread_time()
        work()
        found.append(1000 * (time.thread_time() - before))
    return float(np.median(found)), float(np.percentile(found, 99))


def main() -> None:
    """Measure, and write the table."""
    with tempfile.TemporaryDirectory(prefix="churnml-bench-") as scratch:
        folder = Path(scratch) / "operator"
        churnml.simulate(folder, customers=2_000, months=18, seed=1)
        config = load_config(folder / "churnml.yaml")
        person, rows = customer_of(config, folder)
        with open_histories(config) as histories:
            panel = Panel(histories, [T])
            panel.to_pandas()
            kinds, frozen = columns_of(histories.extras), panel.frozen
        before = time.thread_time()
        online = Online(panel.features, ROW_CONTEXT, kinds)
        compiling = time.thread_time() - before

        def read():
            customer = sent.read_customer(person, kinds["customers"], T, config.timezone)
            return customer, {
                name: sent.read_rows(name, rows.get(name, []), kinds[name], T, config.timezone, person["customer_id"])
                for name in online.tables
            }

        customer, tables = read()
        engine = timed(lambda: online.at(customer, tables, T, frozen))
        reading = timed(read)
        own = {name: {"data": pd.DataFrame(found)} for name, found in rows.items() if found}
        own["customers"] = {"data": pd.DataFrame([person])}
        state = {"folder": str(Path(scratch) / "state")}
        alone = load_config(
            {"tables": own, "timezone": config.timezone, "label": {"mode": "terminated"}, "state": state}
        )
        with open_histories(alone) as histories:
            histories.con.raw_sql("SET threads = 1")
            one = Panel(histories, [T])
            one.to_pandas()
            duck = []
            for _ in range(20):
                before = time.process_time()
                one.to_pandas()
                duck.append(1000 * (time.process_time() - before))
    sizes = ", ".join(f"{len(found):,} {name}" for name, found in sorted(rows.items()) if found)
    lines = [
        "# One customer's features within a request",
        "",
        f"{len(panel.features)} features of a customer with {sizes}. {CALLS:,} calls, CPU of one thread; 2 cores, Python"
        f" {platform.python_version()}, numpy {np.__version__}. Compiling the declarations, once: {compiling:.2f} s.",
        "",
        "| | p50 ms | p99 ms |",
        "|---|---|---|",
        f"| online engine, from arrays to features | {engine[0]:.2f} | {engine[1]:.2f} |",
        f"| reading and judging what was sent, from JSON's records to arrays | {reading[0]:.2f} | {reading[1]:.2f} |",
        f"| DuckDB, tables open and SQL compiled before | {np.median(duck):.0f} | {max(duck):.0f} |",
    ]
    target = Path(__file__).parent / "results" / "online.md"
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

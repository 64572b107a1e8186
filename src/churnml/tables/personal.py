"""Columns that name a person: those that were meant but do not exist, and those that were perhaps forgotten."""

from __future__ import annotations

from churnml.columns import CUSTOMER_ID
from churnml.tables.coverage import Finding
from churnml.tables.histories import Histories

_MANY = 100
_NEARLY_EVERY = 0.8


def doubtful_personal(histories: Histories) -> list[Finding]:
    """List personal columns that no table has, and text attributes of which nearly every customer has his own.

    Parameters
    ----------
    histories : Histories
        The operator's tables.

    Returns
    -------
    list of Finding
        One for each such column.
    """
    there = {name for names in histories.columns.values() for name in names}
    findings = [Finding(None, name, "not_there", {}) for name in histories.config.personal if name not in there]
    texts = [name for name, kind in histories.extras["customers"].items() if kind == "text"]
    if not texts:
        return findings
    rows = histories.newest("customers")
    counts = rows.agg(customers=rows[CUSTOMER_ID].nunique(), **{f"_{n}": rows[n].nunique() for n in texts})
    found = counts.to_pyarrow().to_pylist()[0]
    customers = found["customers"]
    for name in texts:
        if customers >= _MANY and found[f"_{name}"] >= _NEARLY_EVERY * customers:
            facts = {"distinct": found[f"_{name}"], "rows": customers}
            findings.append(Finding("customers", name, "identifies", facts))
    return findings
